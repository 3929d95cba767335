r"""logrus text: the Go shim, kata-monitor, kata-runtime, containerd, CRI-O.

`time="…" level=… msg=… key=value …`; keys may hold spaces, values are bare or quoted by Go; `msg` is left out when empty,
an empty value is `key=`. The same record of the shim arrives twice, once through containerd and once through syslog, with
another number of zeros in its time: `copy_key` is equal.

Source: sirupsen/logrus `TextFormatter`; Kata `src/runtime/pkg/katautils` (syslog hook), seen in captures of 4.1.0.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import orjson

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan, inner_of
from kata_audit.parse.logrus_fields import component_of, container_of, copy_keys, exec_of, sandbox_of
from kata_audit.parse.relays import GO_SUBSYSTEMS, Relay, of_go
from kata_audit.parse.texts import unquote_go
from kata_audit.schema.record import Component
from kata_audit.schema.severity import LOGRUS

_QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PAIR = re.compile(rf' ?([^=]+)=({_QUOTED}|[^" ]*+)|.+', re.DOTALL)
"""One pair, or all the rest of a text that goes on otherwise: then both groups are empty."""
_HEAD = re.compile(rf'time="([^"\\]*+)" level=([^" ]*+) msg=({_QUOTED}|[^" ]*+)(?= |\Z)', re.DOTALL)
"""What nearly every record begins with."""
_CONSOLE_KEY = " vmconsole="
_ELSEWHERE = frozenset(("", "time", "level", "msg", "vmconsole"))
_MAX_KNOWN = 1024
"""Tails of records that are remembered, and the characters of the longest one that is: most are equal to one before."""


class _Tail(NamedTuple):
    """What the pairs behind a record's message say; shared by equal records, so nobody writes into it.

    `fields` are those that are no columns, values as they stand in the line; `attributes` are the same, unquoted; `relays`
    tells whether the record may be one that relays.
    """

    fields: dict[str, str]
    attributes: dict[str, str]
    component: str | None
    subsystem: str | None
    pid: str | None
    sandbox: str | None
    container: str | None
    exec_id: str | None
    relays: bool


_Line: TypeAlias = tuple[str | None, str, str, _Tail, str | None]
"""One record: time, level, message, the rest, and the guest's text where that stands in it."""


def _tail_of(fields: dict[str, str], *, guest: bool) -> _Tail:
    """Make a tail of fields, which it keeps."""
    component = component_of(fields, guest=guest)
    subsystem, pid, source = fields.pop("subsystem", None), fields.pop("pid", None), fields.get("source")
    relays = (source == "agent" and fields.get("name") == "kata-proxy") or (
        (subsystem in GO_SUBSYSTEMS or source == "virtiofsd") and component == Component.RUNTIME_GO
    )
    attributes = {key: value if value[:1] != '"' else unquote_go(value) for key, value in fields.items()}
    return _Tail(
        fields, attributes, component, subsystem, pid, sandbox_of(fields), container_of(fields), exec_of(fields), relays
    )


def _read_tail(text: str, guest: bool) -> _Tail | None:  # noqa: FBT001 (a cache takes positions only)
    """Read the pairs behind a message; None where text that stands behind them could change how they are read.

    None too where a key comes twice, or one that stands elsewhere in a record.
    """
    pairs = _PAIR.findall(text)
    fields = dict(pairs)
    if len(fields) != len(pairs) or not _ELSEWHERE.isdisjoint(fields) or '"' in "".join(fields):
        return None
    return _tail_of(fields, guest=guest)


_known_tail = lru_cache(maxsize=_MAX_KNOWN)(_read_tail)


def _whole_text(value: str) -> str | None:
    """Read a value that is one text in quotes from its first character to its last, as JSON spells it too; else None."""
    if value[:1] != '"' or value[-1:] != '"':
        return None
    try:
        text: str = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return text


def _read_line(text: str, *, guest: bool) -> _Line | None:
    """Read a record that is as loggers write it; None where it is not."""
    head = _HEAD.match(text)
    if head is None:
        return None
    time, level, body = head.groups()
    rest, key, quoted = text[head.end() :].partition(_CONSOLE_KEY)
    console = _whole_text(quoted) if key else None
    if key and console is None:
        return None
    tail = (_known_tail if len(rest) <= _MAX_KNOWN else _read_tail)(rest, guest)
    return None if tail is None else (time or None, level, unquote_go(body), tail, console)


def _read_strange(text: str, *, guest: bool) -> tuple[_Line, bool]:
    """Read any record pair by pair, and say whether it breaks the grammar; of a key that comes twice the first is kept."""
    pairs = _PAIR.findall(text)
    record = dict(pairs)
    if len(record) != len(pairs):
        record = dict(reversed(pairs))
    is_broken = record.pop("", None) is not None
    time, level, body = unquote_go(record.pop("time", "")), record.pop("level", ""), unquote_go(record.pop("msg", ""))
    console = record.pop("vmconsole", None)
    line = (time or None, level, body, _tail_of(record, guest=guest), console and unquote_go(console))
    return line, is_broken


def _relay_of(tail: _Tail, level: int | None, body: str, console: str | None) -> Relay | None:
    """Find what a record relays.

    The guest's own text is the value of `vmconsole`, and what the 1.x proxy relayed as its message, with line end. What a
    hypervisor or its helper wrote is the host's.
    """
    if console is not None:
        return Relay(None, console, guest=True)
    if tail.fields.get("source") == "agent" and tail.fields.get("name") == "kata-proxy":
        return Relay(None, body.rstrip("\n"), guest=True)
    return of_go(tail.subsystem, level, body, tail.fields)


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read logrus lines; see `Dialect`."""
    lines: list[_Line] = []
    malformed = []
    for row, (text, is_guest) in enumerate(zip(texts, guest, strict=True)):
        line = _read_line(text, guest=is_guest)
        if line is None:
            line, is_broken = _read_strange(text, guest=is_guest)
            if is_broken:
                malformed.append(row)
        lines.append(line)
    times, words, bodies, tails, consoles = map(list, zip(*lines, strict=True))
    _, attributes, components, subsystems, pids, sandboxes, containers, execs, _ = map(list, zip(*tails, strict=True))
    levels = list(map(LOGRUS.get, words))
    columns: dict[str, list[Any]] = {
        "time": times,
        "severity_number": levels,
        "body": bodies,
        "component": components,
        "subsystem": subsystems,
        "pid": pids,
        "copy_key": copy_keys(texts, times, components),
        "sandbox_id": sandboxes,
        "container_id": containers,
        "exec_id": execs,
        "identity_basis": ["shim" if sandbox else None for sandbox in sandboxes],
    }
    relays = [
        (row, relay)
        for row, (tail, level, body, console) in enumerate(zip(tails, levels, bodies, consoles, strict=True))
        if (console is not None or tail.relays) and (relay := _relay_of(tail, level, body, console)) is not None
    ]
    return Scan(columns, attributes, malformed, inner_of(relays))


ABOUT = About(
    producer="The Go shim (in containerd's stream and, a second time, through syslog), kata-runtime, kata-monitor,"
    " containerd and CRI-O on stderr.",
    versions="Kata 1.x to 4.1 with the Go runtime, containerd 1.6 to 2.4; captures of Kata 4.1.0 and containerd 2.4.2.",
    examples=(
        (
            'time="2026-11-23T06:06:45.548138013Z" level=info msg="Sandbox is started" name=containerd-shim-v2 pid=270'
            " sandbox=b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f source=virtcontainers"
            " subsystem=sandbox"
        ),
    ),
    holes=(
        "Records of some early loggers name no program; then the envelope tells, or nobody.",
        "Of a key that comes twice the first value is kept.",
    ),
    source="sirupsen/logrus `TextFormatter`; captures.",
)
DIALECT = Dialect("logrus", r'time="', "t", scan, ABOUT)
