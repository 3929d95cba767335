"""The import contracts of `.importlinter` hold for the tree, and each of them fires when it is broken."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "src" / "kata_audit"


class Plant(NamedTuple):
    """One violation: modules to write, and what the report must say."""

    files: dict[str, str]
    contract: str
    says: str


STOREYS = "The house has storeys and nobody climbs"
DIALECTS = "No dialect knows another"

PLANTS = {
    "stage imports stage": Plant(
        {"receivers/planted.py": "import kata_audit.parse.planted\n", "parse/planted.py": ""},
        STOREYS,
        "kata_audit.receivers.planted -> kata_audit.parse.planted",
    ),
    "exporter reads the store": Plant(
        {"exporters/planted.py": "import kata_audit.store\n"}, STOREYS, "kata_audit.exporters.planted -> kata_audit.store"
    ),
    "floor climbs": Plant(
        {"schema/planted.py": "import kata_audit.store\n"}, STOREYS, "kata_audit.schema.planted -> kata_audit.store"
    ),
    "import hidden in a function": Plant(
        {"parse/planted.py": "def late() -> None:\n    import kata_audit.store\n"},
        STOREYS,
        "kata_audit.parse.planted -> kata_audit.store",
    ),
    "pipeline imports wiring": Plant(
        {"pipeline/planted.py": "import kata_audit.wiring\n", "wiring.py": ""},
        STOREYS,
        "kata_audit.pipeline.planted -> kata_audit.wiring",
    ),
    "room that nobody declared": Plant({"attic.py": ""}, STOREYS, "attic"),
    "bundle verifier imports the house": Plant(
        {"verify_bundle.py": "import kata_audit.errors\n"}, STOREYS, "kata_audit.verify_bundle -> kata_audit.errors"
    ),
    "pure room opens a process": Plant(
        {"parse/planted.py": "import subprocess\n"}, "Pure rooms do no I/O", "kata_audit.parse.planted -> subprocess"
    ),
    "pure room logs": Plant(
        {"tlog/planted.py": "import logging\n"}, "Pure rooms do no I/O", "kata_audit.tlog.planted -> logging"
    ),
    "dialect imports dialect": Plant(
        {
            "parse/dialects/planted_a.py": "import kata_audit.parse.dialects.planted_b\n",
            "parse/dialects/planted_b.py": "",
        },
        DIALECTS,
        "kata_audit.parse.dialects.planted_a -> kata_audit.parse.dialects.planted_b",
    ),
    "dialect reaches a dialect through its base": Plant(
        {
            "parse/dialects/planted_a.py": "import kata_audit.parse.dialects.planted_base\n",
            "parse/dialects/planted_base.py": "import kata_audit.parse.dialects.planted_b\n",
            "parse/dialects/planted_b.py": "",
        },
        DIALECTS,
        "kata_audit.parse.dialects.planted_base -> kata_audit.parse.dialects.planted_b",
    ),
    "command imports the log": Plant(
        {"cli/planted.py": "import kata_audit.tlog\n"},
        "Only the store speaks transparency log",
        "kata_audit.cli.planted -> kata_audit.tlog",
    ),
    "auditor imports author": Plant(
        {
            "store/fsck.py": "import kata_audit.store.planted\n",
            "store/planted.py": "import kata_audit.store.writer\n",
            "store/writer.py": "",
        },
        "The auditor never imports the author",
        "kata_audit.store.planted -> kata_audit.store.writer",
    ),
    "siblings go round": Plant(
        {
            "store/planted_a.py": "import kata_audit.store.planted_b\n",
            "store/planted_b.py": "import kata_audit.store.planted_a\n",
        },
        "No sibling cycles",
        "planted_a",
    ),
}


def lint_imports(source: Path) -> tuple[int, str]:
    """Run every contract over the package under `source`."""
    program = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(source), "NO_COLOR": "1", "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def copy_tree(tmp_path: Path) -> Path:
    """Copy the package and its contracts, so that a violation can be planted."""
    ignore = shutil.ignore_patterns("__pycache__", "samples")
    shutil.copytree(PACKAGE, tmp_path / "kata_audit", ignore=ignore)
    shutil.copy(REPOSITORY / ".importlinter", tmp_path)
    return tmp_path


def test_the_tree_keeps_every_contract() -> None:
    """What is in the tree breaks no contract."""
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
def test_a_contract_fires(plant: Plant, tmp_path: Path) -> None:
    """Each contract names the violation that was planted."""
    source = copy_tree(tmp_path)
    for name, text in plant.files.items():
        (source / "kata_audit" / name).write_text(text)
    status, report = lint_imports(source)

    assert status == 1, report
    assert f"{plant.contract} BROKEN" in report
    assert plant.says in report
