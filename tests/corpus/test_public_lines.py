"""Public lines that Kata wrote: each is read, or stands below with the reason why not."""

import json
from collections import Counter
from pathlib import Path

import pytest
from tests.evidence import column, derive, evidence

from kata_audit.schema.source import Transport

pytestmark = pytest.mark.corpus

UNREAD = {
    "inside a shim's record: a line of the agent and one of Cloud Hypervisor, mixed character by character": 27,
    "inside a shim's record: words of no grammar from a guest's console": 2,
    "inside a shim's record: the shim's own words under `subsystem: agent`, where a guest can write the same": 7,
    "of another program than Kata's, with no grammar": 1,
}


def reason(line: str) -> str:
    """Say why a line, or the text inside it, is not read."""
    mixed, words, own, other = UNREAD
    if '"name":"kata-runtime"' in line:
        return own
    if "vmconsole=" not in line:
        return other
    return words if line.partition("vmconsole=")[2].startswith(('"SELinux:  Could', '"Welcome to')) else mixed


def test_what_kata_wrote_is_read_or_has_a_reason(corpus: Path) -> None:
    """The shim's record around is read of all but one line; the text inside it of all but 36. None is lost."""
    public = [json.loads(line) for line in (corpus / "real.jsonl").read_text().splitlines()]
    lines = [one["line"] for one in public if one["kata"]]
    rows = derive(evidence("".join(line + "\n" for line in lines).encode(), Transport.BARE))
    status, dialects = column(rows, "parse_status"), column(rows, "dialect")
    unread = [row for row in range(len(lines)) if status[row] != "parsed"]

    assert Counter(reason(lines[row]) for row in unread) == UNREAD
    assert sum(dialect is not None and dialect.count("/") >= 1 for dialect in (dialects[row] for row in unread)) == 36
    assert len(unread) / len(lines) < 0.025
