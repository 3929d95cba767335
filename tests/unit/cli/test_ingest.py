"""Files come in, once, by the command that a person types."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from kata_audit.cli import main

LINE = 'time="2026-11-23T06:00:0{n}Z" level=info msg="record {n}" name=containerd-shim-v2 pid=7 sandbox=5f5f source=virtcontainers\n'
SECRET = "hunter2hunter2"


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("KATA_AUDIT_STORE", str(tmp_path / "trail"))
    monkeypatch.setenv("KATA_AUDIT_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.delenv("KATA_AUDIT_KEYS", raising=False)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run one command line; give its exit code, stdout and stderr."""
    code = main.run(arguments)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_file_is_taken_once_and_goes_on_where_it_ended(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The second time nothing is new; a file that grew brings what it grew by."""
    log = tmp_path / "shim.log"
    log.write_text(LINE.format(n=1) + LINE.format(n=2))

    assert "2 records (bare) taken and sealed" in run(capsys, "ingest", str(log))[1]
    assert run(capsys, "ingest", str(log))[1] == f"{log}: nothing new\n"
    with log.open("a") as file:
        file.write(LINE.format(n=3))
    row = json.loads(run(capsys, "ingest", str(log), "-o", "jsonl")[1])
    assert (row["records"], row["sealed_to"]) == (1, 3)
    assert run(capsys, "search", "", "--count")[1] == "3\n"


def test_configured_files_are_taken_by_their_declaration(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without FILE the configuration says what is read, whose it is and where it goes."""
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(LINE.format(n=1).encode()))
    (tmp_path / "config.toml").write_text(
        'node = "lab/a"\ntenant = "red"\n[[file]]\npath = "a.log.gz"\ntransport = "host-file"\ntenant = "blue"\n'
    )

    assert run(capsys, "ingest")[0] == 0
    row = json.loads(run(capsys, "search", "", "-o", "jsonl")[1])
    assert (row["node"], row["tenant"], row["receiver"], row["origin"]) == ("lab/a", "blue", "file:host-file", "host")


def test_stdin_is_an_input() -> None:
    """`… | kata-audit parse` needs no name; raw bytes that are no text come as base64."""
    done = subprocess.run(
        [sys.executable, "-m", "kata_audit.cli.main", "parse", "-", "--columns", "raw,body"],
        input=LINE.format(n=1).encode() + b"\xff\n",
        capture_output=True,
        check=True,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]

    assert rows[0] == {"raw": LINE.format(n=1), "body": "record 1"}
    assert rows[1]["raw_b64"] == "/wo="


def test_stdin_is_not_remembered_for_ever(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It is another stream each time, and never gone on with; a file is known when it comes back."""
    for number in range(3):
        done = subprocess.run(
            [sys.executable, "-m", "kata_audit.cli.main", "ingest", "-"], input=LINE.format(n=number).encode(), check=False
        )
        assert done.returncode == 0
    (tmp_path / "a.log").write_text(LINE.format(n=1))
    assert run(capsys, "ingest", str(tmp_path / "a.log"))[0] == 0
    (state,) = (tmp_path / "trail" / "state").iterdir()

    known = [name.partition("?")[0] for name in json.loads(state.read_bytes().partition(b" ")[2])["cursors"]]
    assert [name for name in known if not name.startswith("kata-audit:")] == [str(tmp_path / "a.log")]


def test_parse_says_how_much_it_understood(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`--stats` counts every frame of every source."""
    log = tmp_path / "mixed.log"
    log.write_text(LINE.format(n=1) + "who knows\n")

    row = json.loads(run(capsys, "parse", "--stats", "-o", "jsonl", str(log))[1])
    assert (row["records"], row["parsed"], row["plain"], row["understood"]) == (2, 1, 1, "50.0%")
    assert "50.0%" in run(capsys, "parse", "--stats", str(log))[1]


def test_all_missing_inputs_are_named_and_nothing_is_done(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A wrong name does not leave half of the work done."""
    (tmp_path / "a.log").write_text(LINE.format(n=1))
    code, _, err = run(capsys, "ingest", str(tmp_path / "a.log"), str(tmp_path / "b"), str(tmp_path / "c"))

    assert code == 4
    assert str(tmp_path / "b") in err
    assert str(tmp_path / "c") in err
    assert not (tmp_path / "trail").exists()


def test_the_demo_shows_all_its_scenes(capsys: pytest.CaptureFixture[str]) -> None:
    """The first thing that a person runs works, leaves nothing behind, and ends with the altered file named."""
    code, out, err = run(capsys, "demo")

    assert code == 0
    for words in (
        "100.0% understood",
        "taken and sealed",
        "┊ » agent",
        "Request blocked by the agent's policy",
        "» Interactive shell in a container",
        "Alert       ",
        "Checkpoint  of ",
        "Prove       kata-audit prove ",
        "Cannot start VM",
        "VERIFIED record",
        ", block ",
        ": its evidence or its hint was changed",
        "DOES NOT VERIFY",
        ".parquet",
    ):
        assert words in out
    assert "does not verify" in err
    assert "\x1b" not in out
