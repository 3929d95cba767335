r"""QMP, QEMU's control protocol: one JSON object a line: greeting, `execute`, `return`, `error`, `event`.

The body is an event's name, a command's, or what an error says; else the object as it stands. Events carry the host's clock.

Source: QEMU "QMP Specification"; captures of QEMU 7.2.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.frames.journal_json import load_once_named
from kata_audit.parse.texts import json_text
from kata_audit.schema.record import Component
from kata_audit.schema.severity import ERROR

_KINDS = ("event", "error", "return", "execute", "exec-oob", "QMP")
_LAST_SECOND = 253_402_300_799
"""The last second of the year 9999."""
_MAX_DATA = 64
"""Members of an event's data that become attributes."""


def _kind(message: Mapping[str, Any]) -> str | None:
    return next((kind for kind in _KINDS if kind in message), None)


def _time(stamp: Any) -> str | None:
    """Write an event's seconds and microseconds as RFC 3339; QEMU gives -1 where the host has no clock."""
    if not isinstance(stamp, dict):
        return None
    seconds, micros = stamp.get("seconds"), stamp.get("microseconds")
    if type(seconds) is not int or type(micros) is not int or not (0 <= seconds <= _LAST_SECOND and 0 <= micros < 10**6):
        return None
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{micros:06}Z"


def _attributes(kind: str, message: Mapping[str, Any]) -> dict[str, str]:
    """State the kind, the id and the members of what the message holds."""
    stated = {"qmp.kind": {"exec-oob": "execute", "QMP": "greeting"}.get(kind, kind)}
    if "id" in message:
        stated["qmp.id"] = json_text(message["id"])
    data = message.get({"event": "data", "execute": "arguments", "exec-oob": "arguments"}.get(kind, kind))
    if isinstance(data, dict):
        members = list(data.items())[:_MAX_DATA]
        stated.update(
            {f"qmp.{name}": json_text(value) for name, value in members if not (kind == "error" and name == "desc")}
        )
    return stated


def _body(kind: str, message: Mapping[str, Any], text: str) -> str:
    value = message[kind]
    if kind == "error":
        value = value.get("desc") if isinstance(value, dict) else None
    return value if isinstance(value, str) and value and kind != "return" else text


def scan(texts: Sequence[str], _guest: Sequence[bool]) -> Scan:
    """Read QMP messages; see `Dialect`. Text that is none is malformed."""
    malformed, times, severities, bodies = [], [], [], []
    attributes: list[dict[str, str]] = []
    for row, line in enumerate(texts):
        text = line.strip()
        message = load_once_named(text.encode("utf-8", "surrogatepass")) or {}
        kind = _kind(message)
        if kind is None:
            malformed.append(row)
        times.append(_time(message.get("timestamp")) if kind == "event" else None)
        severities.append(ERROR if kind == "error" else None)
        bodies.append(text if kind is None else _body(kind, message, text))
        attributes.append({} if kind is None else _attributes(kind, message))
    columns: dict[str, list[Any]] = {
        "time": times,
        "severity_number": severities,
        "body": bodies,
        "component": [Component.QEMU] * len(texts),
    }
    return Scan(columns, attributes, malformed, None)


ABOUT = About(
    producer="QEMU on its control socket, where something wrote it down.",
    versions="Captures of 7.2.22; other versions from the specification.",
    examples=(
        (
            '{"timestamp": {"seconds": 1795414930, "microseconds": 944161}, "event": "GUEST_PANICKED", "data": {"action":'
            ' "poweroff"}}'
        ),
        '{"id": "q11", "error": {"class": "DeviceNotFound", "desc": "Device \'nosuch\' not found"}}',
        '{"return": {"status": "paused", "singlestep": false, "running": false}, "id": "q5"}',
    ),
    holes=(
        "The shims do not log the protocol itself: the Go shim logs commands and events in words of its own at debug.",
        "StratoVirt speaks QMP too: its messages are read as QEMU's.",
        "Only events have a time, and no message its level: errors are errors.",
    ),
    source="QEMU, QMP Specification; captures of 7.2.22.",
)
DIALECT = Dialect(
    "qmp",
    r'\{"(?:QMP": ?\{|return": |execute": ?"|exec-oob": ?"|error": ?\{"class": ?"|id": ?"[^"\n]{0,128}", ?"error": ?\{"class'
    r'|timestamp": ?\{"seconds": ?-?\d{1,12}, ?"microseconds": ?)',
    "{",
    scan,
    ABOUT,
)
