"""The status says what sources say they lost, and who only claims it."""

import json
from pathlib import Path

import pytest

from kata_audit.cli import main

SANDBOX = "5f" * 32
DROPPED = "slog-async: logger dropped messages due to channel overflow"


def entry(at: int, message: str, identifier: str, **fields: str) -> str:
    always = {"__CURSOR": f"s={at}", "__REALTIME_TIMESTAMP": str(1_795_413_600_000_000 + at), "_BOOT_ID": "b" * 32}
    return json.dumps({**always, "SYSLOG_IDENTIFIER": identifier, "MESSAGE": message, **fields}) + "\n"


def runtime_rs(at: int, subsystem: str, count: str) -> str:
    fields = {"_TRANSPORT": "journal", "NAME": "kata-runtime", "SOURCE": SANDBOX, "PRIORITY": "3", "COUNT": count}
    return entry(at, DROPPED, "kata", SUBSYSTEM=subsystem, **fields)


@pytest.fixture
def _store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("KATA_AUDIT_STORE", str(tmp_path / "trail"))
    monkeypatch.setenv("KATA_AUDIT_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.delenv("KATA_AUDIT_KEYS", raising=False)
    journal = tmp_path / "journal.json"
    suppressed = "Suppressed 173433 messages from containerd.service"
    journal.write_text(
        entry(1, suppressed, "systemd-journald", _TRANSPORT="driver", N_DROPPED="173433")
        + runtime_rs(2, "service", "69")
        + runtime_rs(3, "service", "69")
        + runtime_rs(4, "agent", "5000")
    )
    assert main.run(["ingest", str(journal), "--transport", "journal-json"]) == 0
    capsys.readouterr()


@pytest.mark.usefixtures("_store")
def test_losses_are_added_up_by_source(capsys: pytest.CaptureFixture[str]) -> None:
    """Equal statements count each; a guest's is a claim and adds nothing."""
    assert main.run(["status", "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)

    assert [(row["source"], row["records"], row["statements"], row["unknown"]) for row in found["losses"]] == [
        ("containerd.service", 173433, 1, 0),
        (f"runtime-rs {SANDBOX}", 138, 2, 0),
    ]
    assert (found["records_of_loss"], found["claims"]) == (4, 1)


@pytest.mark.usefixtures("_store")
def test_a_person_reads_them_within_80_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """How many, by whom, and that a guest's word is a claim."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main.run(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("Claims   of losses by guests, or by nobody known: 1")

    assert lines[start + 1] == "Lost     173,571 records, by 2 sources"
    assert lines[start + 4].split() == ["173,433", "1", "loghealth.journal_suppressed", "containerd.service"]
    assert max(map(len, lines[start:])) <= 80
