"""Installed trees of Kata 2.4 to 4.1 are read as the real loaders read them."""

import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import corpus_directory
from tests.unit.node.test_plan import snapshot
from tests.unit.node.trees import KEYS

from kata_audit.node.journald import PATH
from kata_audit.node.layout import described, read_layout
from kata_audit.node.tree import open_tree
from kata_audit.wiring import apply_node, revert_changes

SUPPORT = Path(__file__).parents[2] / "docs" / "reference" / "support.md"
CORPUS = corpus_directory()
pytestmark = [pytest.mark.corpus, pytest.mark.usefixtures("corpus")]
TREES = sorted(path.name.removesuffix(".tar.gz") for path in (CORPUS / "layouts").glob("*.tar.gz")) if CORPUS else ["absent"]


@pytest.mark.parametrize("name", TREES)
def test_every_handler_comes_out_as_the_loader_of_that_release_has_it(corpus: Path, name: str) -> None:
    expected = json.loads((corpus / "layouts" / f"{name}.expected.json").read_text())["handlers"]
    found = [described(one) for one in read_layout(open_tree(corpus / "layouts" / f"{name}.tar.gz"), KEYS).classes]

    assert [_comparable(one) for one in found] == [_comparable(one) for one in expected]


@pytest.mark.parametrize("name", TREES)
def test_what_is_applied_to_a_tree_is_taken_back_byte_for_byte(corpus: Path, name: str, tmp_path: Path) -> None:
    """Of every kind of layout: what is refused is left alone, and journald's settings come and go with the classes'."""
    with tarfile.open(corpus / "layouts" / f"{name}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="tar")
    (tmp_path / "etc" / "systemd").mkdir(parents=True, exist_ok=True)
    before = snapshot(tmp_path)
    acts = apply_node(tmp_path, "production", confirmed=True, unmanaged=True)
    assert acts[-1] == ("journald", PATH, "written")
    assert {act.done for act in apply_node(tmp_path, "production", confirmed=True, unmanaged=True)} == {"unchanged"}
    revert_changes(tmp_path)

    assert snapshot(tmp_path) == before


def test_the_support_page_names_a_fixture_for_each_release_that_has_a_tree_and_for_no_other() -> None:
    text = SUPPORT.read_text().partition("## Kata Containers")[2].partition("## Hypervisors")[0]
    claimed = re.findall(r"^\| (\S+) \| [^|]*fixture[^|]* \|", text, re.MULTILINE)

    assert sorted(claimed) == sorted({found[1] for name in TREES if (found := re.search(r"-(\d+\.\d+)(?:-|$)", name))})


def _comparable(handler: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is said for a person: who named the file, and on which line a value stands."""
    return {name: value for name, value in handler.items() if name not in {"config_by", "lines"}}
