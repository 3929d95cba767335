"""The page on proof bundles is the format: its fields, its steps and its example are those of the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.tlog.bundles import seal

from kata_audit import verify_bundle

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "proof-bundle.md").read_text()
NAME = "record-3.kata-proof.json"


def block(language: str) -> str:
    """Take the page's one block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def run(folder: Path, *arguments: str) -> str:
    """Run Python on the page's bundle."""
    (folder / NAME).write_text(block("json"))
    done = subprocess.run([sys.executable, "-I", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_example_is_a_bundle() -> None:
    """The bundle on the page is what the code makes."""
    assert block("json").encode() == seal().bundle([(0, 3)])


def test_the_verifier_prints_what_the_page_says(tmp_path: Path) -> None:
    """The output on the page is the verifier's."""
    assert run(tmp_path, verify_bundle.__file__, NAME) == block("text")


def test_the_check_by_other_means_works(tmp_path: Path) -> None:
    """The page's own check agrees, and sees a record that was changed."""
    changed = block("python").replace("record[name].encode()", '(record[name] + "x").encode()')

    assert run(tmp_path, "-c", block("python")) == "True\n"
    assert run(tmp_path, "-c", changed) == "False\n"


@pytest.mark.parametrize(
    "fields", [verify_bundle._BUNDLE, verify_bundle._ENTRY, verify_bundle._RECORD], ids=["bundle", "entry", "record"]
)
def test_every_field_is_described(fields: dict[str, type]) -> None:
    """No field is left to guess."""
    assert [name for name in fields if f"\n| `{name}` |" not in PAGE] == []


def test_every_step_is_described() -> None:
    """The page numbers and names the steps as the verifier does."""
    steps = {int(number): title for number, title in re.findall(r"^(\d)\. \*\*(.+?)\*\*", PAGE, re.MULTILINE)}

    assert steps == verify_bundle.STEPS
