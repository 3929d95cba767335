"""The coverage of a source is told within a terminal's width, and nothing hostile in it reaches the terminal."""

import json

import pytest
from tests.evidence import derive, evidence

from kata_audit.cli.coverage import coverage_lines, share
from kata_audit.pipeline.coverage import Coverage
from kata_audit.schema.source import Transport

UNIT = "evil\x1b]0;owned\x07\u202e.service"


def entry(message: str) -> str:
    fields = {"__CURSOR": "s", "__REALTIME_TIMESTAMP": "1795413600000000", "_BOOT_ID": "b", "_TRANSPORT": "driver"}
    return json.dumps({**fields, "SYSLOG_IDENTIFIER": "systemd-journald", "MESSAGE": message}) + "\n"


@pytest.mark.parametrize("width", ["60", "80", "120"])
def test_it_fits_a_terminal_and_shows_control_characters(monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    """Names that sources choose are shown, never sent."""
    monkeypatch.setenv("COLUMNS", width)
    coverage = Coverage()
    coverage.add(derive(evidence((entry(f"Suppressed 7 messages from {UNIT}") * 3).encode(), Transport.JOURNAL_JSON)))
    coverage.add(derive(evidence(b'plain\n{"msg":"torn\n', Transport.HOST_FILE)))
    lines = list(coverage_lines("a\x1b[31m.log", "journal-json", coverage))

    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) <= int(width)
    assert [line.split()[:3] for line in lines if "evil" in line] == [["21", "3", "host"]]


def test_only_all_of_it_is_everything() -> None:
    """99.96 % is not told as 100 %."""
    assert [share(0, 0), share(1, 1), share(9_999, 10_000), share(1, 3)] == ["-", "100.0%", "99.9%", "33.3%"]
