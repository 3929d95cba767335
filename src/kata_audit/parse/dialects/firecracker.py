r"""Firecracker: `2026-03-30T17:09:28.145771637 [ID:fc_api:INFO:src/…/parsed_request.rs:179] text`.

Of the head the level, and file and line, are settings, and the thread is missing in old versions. The time has no zone: it
is read as UTC, marked so, and counts only where nothing around the line tells the time. Metrics are one JSON object a line,
with milliseconds of UTC.

Source: Firecracker `src/vmm/src/logger` (logging.rs, metrics.rs); public logs, of 1.3 and 1.11 among others.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.frames.journal_json import load_once_named
from kata_audit.parse.stderr import severity_of
from kata_audit.schema.record import Component
from kata_audit.schema.severity import RUST

_LEVEL = "ERROR|WARN|INFO|DEBUG|TRACE"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}"
_LINE = re.compile(rf"({_TIME}) \[([^\]\n]{{1,512}})\](?: (.*)|)", re.DOTALL)
_HEAD = re.compile(
    rf"([^:]{{1,128}})(?::(?!(?:{_LEVEL})(?::|\Z))([^:]{{1,128}}))?(?::({_LEVEL}))?(?::([^:]{{1,255}}):(\d{{1,7}}))?"
)
_TORN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:|\d\d:\d\d:\d\d\.\d{9} \[")
_NAMES = ("firecracker.instance.id", "thread.name", "code.file.path", "code.line.number")
_METRICS = '{"utc_timestamp_ms":'
_LAST_MILLISECOND = 253_402_300_799_999
_MAX_COUNTERS = 256
"""Counters of one line that become attributes; only those that counted something do."""

_Read = tuple[str | None, int | None, str, dict[str, str]]


def _line(line: str) -> _Read | None:
    """Read a logger's line: time, severity, text, attributes; None where it is none."""
    match = _LINE.fullmatch(line)
    head = _HEAD.fullmatch(match[2]) if match is not None else None
    if match is None or head is None:
        return None
    instance, thread, level, file, code_line = head.groups()
    stated = dict(zip(_NAMES, (instance, thread, file, code_line), strict=True))
    attributes = {name: value for name, value in stated.items() if value is not None}
    return match[1], RUST.get(level or ""), match[3] or "", {**attributes, "time.zone": "assumed UTC"}


def _counters(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Flatten the groups of a metrics line to those of their counters that are not zero."""
    stated = {
        f"{group}.{name}": str(value)
        for group, counters in metrics.items()
        if isinstance(counters, dict)
        for name, value in counters.items()
        if type(value) is int and value
    }
    return dict(list(stated.items())[:_MAX_COUNTERS])


def _metrics(line: str) -> tuple[str | None, dict[str, str]] | None:
    """Read a line of metrics: its time and its counters; None where it is none."""
    metrics = load_once_named(line.encode("utf-8", "surrogatepass"))
    if metrics is None:
        return None
    millis = metrics.get("utc_timestamp_ms")
    if type(millis) is not int or not 0 <= millis <= _LAST_MILLISECOND:
        return None, _counters(metrics)
    return f"{datetime.fromtimestamp(millis // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{millis % 1000:03}Z", _counters(metrics)


def scan(texts: Sequence[str], _guest: Sequence[bool]) -> Scan:
    """Read Firecracker's lines; see `Dialect`."""
    malformed, times, assumed, severities, bodies, attributes = [], [], [], [], [], []
    for row, raw in enumerate(texts):
        line = raw.rstrip("\r\n")
        time = None
        read = _line(line)
        if read is None and line.startswith(_METRICS) and (metrics := _metrics(line)) is not None:
            time, counters = metrics
            read = None, None, line, counters
        elif read is None:
            if _TORN.match(line) or line.startswith(_METRICS):
                malformed.append(row)
            read = None, severity_of(line), line, {}
        times.append(time)
        assumed.append(f"{read[0]}Z" if read[0] is not None else None)
        severities.append(read[1])
        bodies.append(read[2])
        attributes.append(read[3])
    columns: dict[str, list[Any]] = {
        "time": times,
        "assumed_time": assumed,
        "severity_number": severities,
        "body": bodies,
        "component": [Component.FIRECRACKER] * len(texts),
    }
    return Scan(columns, attributes, malformed, None)


ABOUT = About(
    producer="Firecracker and its jailer: relayed by the Go shim (`read firecracker fifo`, at debug) and by runtime-rs"
    " (`fc stderr:`), or in a file of their own.",
    versions="Firecracker 1.3, 1.11 and others of unknown version in public logs; old heads without a thread from"
    " documentation. Not seen in a capture.",
    examples=(
        (
            "2026-01-01T10:00:00.123456789 [anonymous-instance:fc_api:INFO:src/firecracker/src/api_server/mod.rs:74] The API"
            ' server received a Put request on "/actions" with body "{\\"action_type\\":\\"InstanceStart\\"}".'
        ),
        "2026-01-01T10:00:00.234567891 [anonymous-instance:fc_vcpu 0:WARN] vcpu: IO read @ 0x87:0x1 failed",
        "Running Firecracker v1.11.0",
    ),
    holes=(
        "The time has no zone: it is taken as UTC (`time.zone` says so) where neither shim nor journal tells the time.",
        "The instance is named as Kata shortened the sandbox's id, so it states no sandbox.",
        "Without `show_level` there is no level.",
        "A body of several lines in an old version is one row for each; only the first has a head.",
    ),
    source="Firecracker `src/vmm/src/logger`.",
)
DIALECT = Dialect(
    "firecracker",
    rf'{_TIME} \[[^\]\n]{{1,512}}\]|Running Firecracker v\d|\{{"utc_timestamp_ms":\d',
    "0123456789R{",
    scan,
    ABOUT,
)
