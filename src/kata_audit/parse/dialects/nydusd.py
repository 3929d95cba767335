r"""nydusd: `[2026-01-01 18:00:54.567868 +08:00] WARN [src/main.rs:518] text`; at info without file and line, often coloured.

Source: nydus `src/bin/nydusd` and `src/logger.rs` (flexi_logger formats).
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.stderr import severity_of
from kata_audit.parse.terminal import without_sequences
from kata_audit.schema.record import Component
from kata_audit.schema.severity import RUST

_COLOUR = r"(?:\x1b\[[0-9;]{0,16}m){0,3}"
_STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{1,9} [+-]\d\d:\d\d"
_LEVEL = "ERROR|WARN|INFO|DEBUG|TRACE"
_LINE = re.compile(
    r"\[(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{1,9}) ([+-]\d\d:\d\d)\] "
    rf"({_LEVEL}) {{1,2}}(?:\[([^\]\s:]{{1,1024}}\.rs|<unnamed>):(\d{{1,7}})\] ?)?(.*)",
    re.DOTALL,
)
_TORN = re.compile(r"\[\d{4}-")


def scan(texts: Sequence[str], _guest: Sequence[bool]) -> Scan:
    """Read nydusd's lines; see `Dialect`."""
    malformed, severities, bodies = [], [], []
    times: list[str | None] = []
    attributes: list[dict[str, str]] = []
    for row, raw in enumerate(texts):
        line = without_sequences(raw).rstrip("\r\n")
        match = _LINE.fullmatch(line)
        if match is None:
            if _TORN.match(line):
                malformed.append(row)
            times.append(None)
            severities.append(severity_of(line))
            bodies.append(line)
            attributes.append({})
            continue
        day, clock, zone, level, file, code_line, body = match.groups()
        times.append(f"{day}T{clock}{zone}")
        severities.append(RUST[level])
        bodies.append(body)
        attributes.append({} if file is None else {"code.file.path": file, "code.line.number": code_line})
    columns: dict[str, list[Any]] = {
        "time": times,
        "severity_number": severities,
        "body": bodies,
        "component": [Component.NYDUSD] * len(texts),
    }
    return Scan(columns, attributes, malformed, None)


ABOUT = About(
    producer="nydusd: relayed by the Go shim (`subsystem=nydusd`) and by runtime-rs (`nydusd stdout:`, `nydusd start:`).",
    versions="nydusd 1.x and 2.x. Not seen in a capture: from its source and Kata's.",
    examples=(
        "[2026-01-01 18:00:54.567868 +08:00] INFO Program Version: v2.2.0",
        "[2026-01-01 18:00:54.601124 +08:00] WARN [src/bin/nydusd/main.rs:518] failed to mount, exiting",
    ),
    holes=("Bare text, such as a panic's, is its own only where the position says so.",),
    source="nydus `src/logger.rs`.",
)
DIALECT = Dialect("nydusd", rf"\[{_COLOUR}{_STAMP}{_COLOUR}\] {_COLOUR}(?:{_LEVEL})\b", "[", scan, ABOUT)
