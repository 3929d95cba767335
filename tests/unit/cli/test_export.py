"""`kata-audit export`: what a person who sets it up sees."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.stores import captured_store

from kata_audit.cli.main import run
from kata_audit.store.layout import Layout

TWO = """
[[export]]
name = "all"
kind = "file"
path = "all.jsonl"

[[export]]
name = "errors"
kind = "file"
path = "{errors}"
query = "severity:error"
"""


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """The command listens to signals of its process, which is the tests'."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store of captures, and a configuration of two exports."""
    monkeypatch.setenv("KATA_AUDIT_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text(TWO.format(errors="errors.jsonl"))
    captured_store(tmp_path / "store")
    return tmp_path


def lines(path: Path) -> list[str]:
    return [json.loads(line)["log.record.uid"] for line in path.read_text().splitlines()]


def test_each_system_gets_what_it_wants(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second time nothing is new; the numbers say so."""
    for _ in range(2):
        assert run(["export", "--once", "--store", str(folder / "store")]) == 0

    everything, errors = lines(folder / "all.jsonl"), lines(folder / "errors.jsonl")
    assert 0 < len(errors) < len(everything) == len(set(everything))
    assert set(errors) < set(everything)
    sentence = f"all: {len(everything):,} records taken, 0 refused; errors: {len(errors):,} records taken, 0 refused"
    assert sentence in capsys.readouterr().err


def test_one_that_fails_holds_up_no_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code says that not everybody has everything, and why; later it is sent."""
    (folder / "config.toml").write_text(TWO.format(errors="absent/errors.jsonl"))
    assert run(["export", "--once", "--store", str(folder / "store")]) == 5
    assert "errors: it cannot be written: No such file or directory" in capsys.readouterr().err
    assert lines(folder / "all.jsonl")

    (folder / "absent").mkdir()
    assert run(["export", "--once", "--only", "errors", "--store", str(folder / "store")]) == 0
    assert lines(folder / "absent" / "errors.jsonl")


def test_a_name_that_is_not_there_is_told_with_those_that_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "--only", "siem", "--store", str(folder / "store")]) == 2
    told = capsys.readouterr().err
    assert "siem" in told
    assert "There are: all, errors." in told


def test_without_an_export_the_next_step_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.toml").write_text("")
    assert run(["export", "--store", str(folder / "store")]) == 2
    assert "[[export]]" in capsys.readouterr().err


def test_a_log_that_does_not_verify_is_not_sent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All exports end, with the exit code for evidence."""
    checkpoint = Layout(folder / "store").log / "checkpoint"
    note = bytearray(checkpoint.read_bytes())
    note[note.index(b"\n") + 1] ^= 1
    checkpoint.write_bytes(note)

    assert run(["export", "--once", "--store", str(folder / "store")]) == 3
    assert "signature" in capsys.readouterr().err
    assert not (folder / "all.jsonl").exists()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('name = "a"\nkind = "file"', "`path` is missing for kind `file`"),
        ('name = "a"\nkind = "fille"', "`kind` must be one of"),
        ('name = "a"\nkind = "file"\npath = "x"\nquery = "pod:("', "`query` is none"),
        ('name = "a"\nkind = "file"\npath = "x"\nfields = "esc"', "`fields` must be one of otel, ecs, ocsf, cim"),
        ('name = "a"\nkind = "file"\npath = "x"\nsecret_file = "s"\nsecret_env = "S"', "two places for one secret"),
        ('name = "a"\nkind = "file"\npath = "x"\n[[export]]\nname = "a"\nkind = "file"\npath = "y"', "another export `a`"),
    ],
)
def test_a_mistake_is_told_with_its_place(folder: Path, capsys: pytest.CaptureFixture[str], table: str, said: str) -> None:
    (folder / "config.toml").write_text(f"[[export]]\n{table}\n")
    assert run(["config", "check", str(folder / "config.toml")]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "config.toml:" in told
