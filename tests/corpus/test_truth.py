"""Sixty public lines, read one by one as a person would: taken as the file that their own form says, nothing declared."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.evidence import column, derive, evidence

from kata_audit.receivers.sniff import sniff_transport

pytestmark = pytest.mark.corpus

LEVELS = {"warning": "WARN", "critical": "FATAL"}
SHOWN = "[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mgetty@tty3.service\x1b[0m - Getty on tty3."
"""The one message that is told otherwise: the status of systemd is an attribute, and the message is what stands behind it."""


def nanoseconds(text: str) -> int:
    return int(pa.array([text]).cast(pa.timestamp("ns", "UTC")).cast(pa.int64())[0].as_py())


def differences(line: str, expected: dict[str, Any]) -> list[str]:
    """Name the columns of a line that are not as expected."""
    data = f"{line}\n".encode()
    rows = derive(evidence(data, sniff_transport(data)))
    names = (
        "body",
        "severity_text",
        "timestamp",
        "timestamp_basis",
        "guest_timestamp",
        "pid",
        "sandbox_id",
        "container_id",
        "attributes",
    )
    row = {name: column(rows, name)[0] for name in names}
    attributes = dict(row["attributes"] or [])
    time = row["guest_timestamp"] if row["timestamp_basis"] == "observed" else row["timestamp"]
    containers = (row["container_id"], attributes.get("cid"), attributes.get("container-id"))  # of a guest: a claim
    level = expected["level"]
    checks = {
        "message": row["body"] == expected["message"],
        "level": row["severity_text"] == (LEVELS.get(level, level.upper()) if level else None),
        "timestamp": expected["timestamp"] is None or nanoseconds(expected["timestamp"]) in (time, row["guest_timestamp"]),
        "pid": "pid" not in expected or str(expected["pid"]) in (str(row["pid"]), attributes.get("relay.pid")),
        "container": not expected.get("container_id") or expected["container_id"] in containers,
        "sandbox": not expected.get("sandbox_id") or expected["sandbox_id"] == row["sandbox_id"],
    }
    return [name for name, holds in checks.items() if not holds]


def test_every_public_line_is_read_as_it_was_meant(corpus: Path) -> None:
    lines = [json.loads(text) for text in (corpus / "truth.jsonl").read_text().splitlines()]
    wrong = [(one["line"], found) for one in lines if (found := differences(one["line"], one["expect"]))]

    assert len(lines) == 60
    assert wrong == [(SHOWN, ["message"])]
