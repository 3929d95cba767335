"""Packs are whole, say what they need, and let no value become more than a value."""

import re
from importlib import resources
from pathlib import Path

import pytest

from kata_audit.cli.main import run
from kata_audit.integrations.pack import Pack, UnsafeValueError, Value, fill_in, read_packs
from kata_audit.wiring import integration_file, integration_packs

PACKS = integration_packs()
PACK = Pack("siem", "", ("a.conf",), "", "", {"host": "siem.example", "files": ("/a",)})


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_has_its_files_and_names_its_values(name: str) -> None:
    """Each value that a file has a place for is named, each that is named has a place, and nothing is left open."""
    pack = PACKS[name]
    texts = [integration_file(pack, file) for file in pack.files]
    folder = resources.files("kata_audit.integrations").joinpath("packs", name)

    with resources.as_file(folder) as there:
        assert {one.relative_to(there).as_posix() for one in there.rglob("*") if one.is_file()} == set(pack.files)
    assert {found for text in texts for found in re.findall("@@(.*?)[,|]?@@", text)} == set(pack.values)
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


def test_a_list_repeats_its_line() -> None:
    values: dict[str, Value] = {"host": "a", "files": ("/b/*.log", "/c")}
    assert fill_in(PACK, "read @@files@@ to @@host@@\nend\n", values) == "read /b/*.log to a\nread /c to a\nend\n"
    assert fill_in(PACK, "read @@files,@@ to @@host@@", values) == "read /b/*.log,/c to a"
    assert fill_in(PACK, "(@@files|@@)", values) == "(/b/*.log|/c)"


@pytest.mark.parametrize("value", [(), ("/a", 'b"'), ("/a,b",), ("[ab]",)])
def test_the_parts_of_a_list_stay_values(value: tuple[str, ...]) -> None:
    with pytest.raises(UnsafeValueError, match="host"):
        fill_in(PACK, "to @@host@@", {"host": value})


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


def test_a_shipper_reads_what_the_configuration_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Besides the usual places, each file in the list of its kind; one in a journal's form in none."""
    (tmp_path / "config.toml").write_text("""
[[file]]
path = "/var/log/crio/crio.log"
transport = "host-file"
[[file]]
path = "/srv/api/audit.log"
transport = "host-file"
[[file]]
path = "/srv/consoles/*.txt"
transport = "console"
[[file]]
path = "/var/log/pods/*/*/*.log"
[[file]]
path = "/srv/journal.json"
transport = "journal-json"
""")
    monkeypatch.setenv("KATA_AUDIT_CONFIG", f"{tmp_path}/config.toml")
    assert run(["integrate", "fluent-bit", "--set", "console_files=/a/*,/b"]) == 0
    told = capsys.readouterr().out
    assert "agent/containerd/containerd.log,/var/log/crio/crio.log\n" in told
    assert "server/logs/audit.log,/srv/api/audit.log\n" in told
    assert "/*/*.log,/var/log/pods/*/*/*.log\n" in told
    assert " /a/*,/b\n" in told
    assert "/srv/consoles" not in told
    assert "/srv/journal.json" not in told


def test_files_are_written_once(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there already stays as it is."""
    arguments = ["integrate", "alertmanager", "--set", "on_call_url=https://pager.example/k", "--out", f"{tmp_path}/new"]
    assert run(arguments) == 0
    assert "check it: amtool" in capsys.readouterr().err
    assert run(arguments) == 2
    assert "is there already" in capsys.readouterr().err
