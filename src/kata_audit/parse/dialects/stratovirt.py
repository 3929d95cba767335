r"""StratoVirt: `2026-01-01T10:00:00.123456789: [1234][1234][machine/src/lib.rs:77]:INFO: text`.

Process, thread, file and line, level. The Go shim takes `:INFO: ` away before it relays a line, and leaves other levels.

Source: StratoVirt `util/src/logger.rs`; Kata `virtcontainers/stratovirt.go`.
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.stderr import severity_of
from kata_audit.schema.record import Component
from kata_audit.schema.severity import INFO, RUST

_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}"
_HEAD = rf"({_TIME}): \[(\d{{1,10}})\]\[(\d{{1,10}})\]\[([^\]\s:]{{1,1024}}): ?(\d{{1,7}})\]"
_LINE = re.compile(rf"{_HEAD}(?::(ERROR|WARN|INFO|DEBUG|TRACE): )?(.*)", re.DOTALL)
_TORN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:")


def scan(texts: Sequence[str], _guest: Sequence[bool]) -> Scan:
    """Read StratoVirt's lines; see `Dialect`."""
    malformed, severities, bodies = [], [], []
    pids: list[str | None] = []
    attributes: list[dict[str, str]] = []
    for row, raw in enumerate(texts):
        line = raw.rstrip("\r\n")
        match = _LINE.fullmatch(line)
        if match is None:
            if _TORN.match(line):
                malformed.append(row)
            severities.append(severity_of(line))
            bodies.append(line)
            pids.append(None)
            attributes.append({})
            continue
        time, pid, thread, file, code_line, level, body = match.groups()
        severities.append(RUST[level] if level is not None else INFO)
        bodies.append(body)
        pids.append(pid)
        attributes.append({"time.local": time, "thread.id": thread, "code.file.path": file, "code.line.number": code_line})
    columns: dict[str, list[Any]] = {
        "severity_number": severities,
        "body": bodies,
        "component": [Component.STRATOVIRT] * len(texts),
        "pid": pids,
    }
    return Scan(columns, attributes, malformed, None)


ABOUT = About(
    producer="StratoVirt, relayed by the Go shim (`StratoVirt Pid=`).",
    versions="StratoVirt 2.x. Not seen in a capture: from its source and Kata's.",
    examples=("2026-01-01T10:00:00.123456789: [1234][1236][machine/src/lib.rs:77]:WARN: Failed to set up slot",),
    holes=(
        "The time has no zone: `time.local` holds it.",
        "A head without a level is one that the Go shim took `:INFO: ` from.",
    ),
    source="StratoVirt `util/src/logger.rs`; Kata `virtcontainers/stratovirt.go`.",
)
DIALECT = Dialect("stratovirt", rf"{_TIME}: \[\d{{1,10}}\]\[\d{{1,10}}\]\[[^\]\n]{{1,1024}}\]", "0123456789", scan, ABOUT)
