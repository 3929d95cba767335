"""Twelve more nodes come out of `node check -o json` as their runtimes have them."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.node.own_layouts import LAYOUTS
from tests.unit.node.test_plan import snapshot
from tests.unit.node.trees import plant, read

from kata_audit.cli.main import run
from kata_audit.wiring import apply_node, revert_changes


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_handler_is_told_whole(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All but the words for a person, and of the values in force those that the layout is about."""
    files, expected = LAYOUTS[name]
    run(["node", "check", "--root", str(plant(tmp_path, files)), "-o", "json"])
    told = json.loads(capsys.readouterr().out)

    assert told["unreadable"] == {}
    assert [shape(one) for one in told["handlers"]] == [shape(one) for one in expected]
    for found, wanted in zip(told["handlers"], expected, strict=True):
        for key, (value, place) in wanted.get("effective", {}).items():
            assert found["effective"][key] == {"value": value, "from": place}, key


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_applied_to_it_is_taken_back_byte_for_byte(name: str, tmp_path: Path) -> None:
    """Classes and journal, as far as they are not refused; what is applied again changes nothing, and all still loads."""
    files = {**LAYOUTS[name].files, "etc/systemd/journald.conf": "[Journal]\nLineMax=8K\n"}
    root = plant(tmp_path, files)
    before, loaded = snapshot(root), [one.loads for one in read(root).classes]
    acts = apply_node(root, "production", confirmed=True, unmanaged=True)

    assert (acts[-1].handler, {act.done for act in acts}) == ("journald", {"written"})
    assert [one.loads for one in read(root).classes] == loaded
    assert {act.done for act in apply_node(root, "production", confirmed=True, unmanaged=True)} == {"unchanged"}
    assert {act.done for act in revert_changes(root)} <= {"removed", "restored"}
    assert snapshot(root) == before


def shape(handler: dict[str, Any]) -> dict[str, Any]:
    """Leave out who named the file, and the values in force: few of these are told by hand."""
    return {name: value for name, value in handler.items() if name not in {"config_by", "lines", "effective"}}
