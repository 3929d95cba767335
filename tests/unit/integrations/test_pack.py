"""Packs are whole, say what they need, and let no value become more than a value."""

import re
from importlib import resources

import pytest

from kata_audit.cli.main import run
from kata_audit.integrations.pack import Pack, UnsafeValueError, fill_in, read_packs
from kata_audit.wiring import integration_file, integration_packs

PACKS = integration_packs()
PACK = Pack("siem", "", ("a.conf",), "", "", {"host": "siem.example"})


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_has_its_files_and_names_its_values(name: str) -> None:
    """Each value that a file has a place for is named, each that is named has a place, and nothing is left open."""
    pack = PACKS[name]
    texts = [integration_file(pack, file) for file in pack.files]
    folder = resources.files("kata_audit.integrations").joinpath("packs", name)

    assert {one.name for one in folder.iterdir()} == set(pack.files)
    assert {found for text in texts for found in re.findall("@@(.*?)@@", text)} == set(pack.values)
    assert not any("@@" in fill_in(pack, text, {}) for text in texts)


def test_every_folder_is_a_pack() -> None:
    folders = resources.files("kata_audit.integrations").joinpath("packs")
    assert {one.name for one in folders.iterdir()} == set(PACKS)


@pytest.mark.parametrize("value", ['a"b', "a\nb", "a b", "a;b", "{a}", "", "ä", "a$b"])
def test_a_value_stays_a_value(value: str) -> None:
    with pytest.raises(UnsafeValueError, match="host"):
        fill_in(PACK, "to @@host@@", {"host": value})


def test_what_is_known_is_filled_in() -> None:
    assert fill_in(PACK, "to @@host@@", {}) == "to siem.example"
    assert fill_in(PACK, "to @@host@@", {"host": "10.1.2.3:514"}) == "to 10.1.2.3:514"


def test_a_row_that_lacks_something_is_none() -> None:
    with pytest.raises(ValueError, match="siem"):
        read_packs(b'[siem]\ntitle = "t"\n')


def test_the_list_names_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["integrate"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in PACKS)


def test_mistakes_are_told_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["integrate", "alertmanager", "--set", "on_call", "--set", "strange=1"]) == 2
    told = capsys.readouterr().err
    assert "on_call" in told
    assert "strange" in told
    assert run(["integrate", "nagios"]) == 2
    assert "There is: alertmanager" in capsys.readouterr().err


def test_files_are_written_once(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there already stays as it is."""
    arguments = ["integrate", "alertmanager", "--set", "on_call_url=https://pager.example/k", "--out", f"{tmp_path}/new"]
    assert run(arguments) == 0
    assert "check it: amtool" in capsys.readouterr().err
    assert run(arguments) == 2
    assert "is there already" in capsys.readouterr().err
