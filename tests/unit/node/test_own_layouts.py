"""Twelve more nodes come out of `node check -o json` as their runtimes have them."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.node.own_layouts import LAYOUTS
from tests.unit.node.trees import plant

from kata_audit.cli.main import run


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


def shape(handler: dict[str, Any]) -> dict[str, Any]:
    """Leave out who named the file, and the values in force: few of these are told by hand."""
    return {name: value for name, value in handler.items() if name not in {"config_by", "lines", "effective"}}
