"""Records that another shipper has read, turned back into lines of where they came from.

What a shipper sends is its own record: a map of fields in which the line that a program wrote is one. The configuration says
which field carries the line, and which of them say how it once came: its transport, identifier, path, cursor and node. So a
line of a container's log is the kubelet's line again, under the path that names its pod, and an entry of the journal is
journald's JSON again, and both are read exactly as if they had been collected here.

Nothing is guessed: a record whose transport nobody says is a bare line, whose origin is unknown. One record is one line: a
line feed within it is spelled `#012`, as rsyslog does, or whoever wrote the text could begin a line as somebody else.

What another store of ours has sealed and sent as evidence stays what it was there, byte by byte, where the configuration
says whose evidence is believed.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from math import isfinite
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import orjson

from kata_audit.schema.source import Frame, Transport, transport_of
from kata_audit.wire.evidence import NAME, decode_evidence

_JOURNAL_FIELD: Final = re.compile(r"[A-Z0-9_]{1,64}")
"""What journald calls a field; a shipper's own are called otherwise."""
_TRUSTED_FIELD: Final = re.compile(r"__?[A-Z]")
"""What fields begin with that journald itself sets."""
_NODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,251}")
MAX_DEPTH: Final = 32
"""How deep maps and lists of a record may lie in each other; what is deeper is left out."""
_TOO_DEEP: Final = "…"
_MOST_PATH: Final = 4096
_MOST_CURSOR: Final = 1024
_TRANSPORTS: Final = frozenset(Transport)
_ENTRY: Final = frozenset({Transport.JOURNAL_JSON, Transport.JOURNAL_EXPORT})
_JOURNAL: Final = "journald"
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NANOSECOND: Final = 1_000_000_000
_YEARS: Final = range(253_402_300_800 * _NANOSECOND)
"""Times that a date of four digits can have."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FRACTION: Final = re.compile(r"\.([0-9]{1,18})")
_NUMBERS: Final = range(-(2**63), 2**64)
"""Whole numbers that the JSON writer takes."""


class Fields(NamedTuple):
    """Which fields of a record carry what; an empty name means that none does.

    A name is that of a field, or a path of names with dots between them through maps in maps. Without `text` the whole
    record is the line, as it was sent. `message` is for entries of the journal alone, whose other fields are the record's.
    """

    text: str = ""
    transport: str = ""
    identifier: str = ""
    path: str = ""
    cursor: str = ""
    node: str = ""
    time: str = ""
    message: str = ""


class Shipped(NamedTuple):
    """One record as its protocol gave it: its fields, its bytes where they are a line already, its time if it has one."""

    values: Mapping[str, Any]
    line: bytes | None = None
    time_ns: int | None = None


class Declared(NamedTuple):
    """What the configuration says of all records of a receiver.

    Attributes:
        cluster: Where it stands.
        node: The node there.
        transport: How records came if no field says so.
        evidence_of: Patterns of the nodes whose evidence is believed.
    """

    cluster: str
    node: str
    transport: Transport | None = None
    evidence_of: tuple[str, ...] = ()


class Line(NamedTuple):
    """What a record is here: a line with its end, and the source that it is of. Without a cursor nothing tells it again.

    Where another store of ours had sealed it, it is that frame: `data` are its bytes, and `cursor` is its name there.
    """

    node: str
    transport: Transport
    path: str
    cursor: str | None
    data: bytes
    frame: Frame | None = None

    @property
    def store(self) -> str:
        """Which stream of which store it was in before; empty where it was in none."""
        if self.frame is None:
            return ""
        return f"{self.frame.name.rpartition('/')[0]} {self.frame.receiver} {self.frame.place.stream}"


def spell(shipped: Shipped, fields: Fields, declared: Declared) -> Line:
    """Turn a record into a line of its source.

    Args:
        shipped: The record.
        fields: Which of its fields carry what.
        declared: What holds where no field says otherwise.

    Returns:
        The line. A record that lacks the field of its text is one line of JSON with all that it has.
    """
    values = shipped.values
    if declared.evidence_of and (sealed := _sealed(values, declared.evidence_of)) is not None:
        return sealed
    if shipped.time_ns is None and fields.time:
        shipped = shipped._replace(time_ns=_read_time(_find(values, fields.time)))
    transport = declared.transport or _transport(_find(values, fields.transport))
    cursor = _word(_find(values, fields.cursor), _MOST_CURSOR)
    path = _word(_find(values, fields.path), _MOST_PATH) or ""
    name = _word(_find(values, fields.node), _MOST_PATH)
    node = f"{declared.cluster}/{name}" if name is not None and _NODE.fullmatch(name) else declared.node
    text = _find(values, fields.text) if fields.text else None
    if transport in _ENTRY:
        transport = Transport.JOURNAL_JSON
        data = _entry(shipped, fields, text, cursor)
    elif transport is Transport.CRI and text is not None:
        data = _container_line(shipped, _bytes(text))
    else:
        data = _whole(shipped) if text is None else _bytes(text)
    return Line(node, transport, path, cursor, data.removesuffix(b"\n").replace(b"\n", b"#012") + b"\n")


def _sealed(values: Mapping[str, Any], evidence_of: tuple[str, ...]) -> Line | None:
    """Read a record that is evidence of a node that is believed; None for any other. OTLP has fields among attributes."""
    attributes = values.get("attributes")
    frame = decode_evidence(values if NAME in values or not isinstance(attributes, Mapping) else attributes)
    if frame is None or not any(fnmatchcase(frame.node, pattern) for pattern in evidence_of):
        return None
    path = unquote(frame.place.stream.partition("?")[0])
    path = "" if path == _JOURNAL else path  # a stream that is called so here is read from the journal itself
    return Line(frame.node, transport_of(frame.receiver), path, frame.name, frame.raw, frame)


def _transport(value: Any) -> Transport:
    """Read a transport's name; `journal` is what most shippers have of it."""
    if value == "journal":
        return Transport.JOURNAL_JSON
    return Transport(value) if isinstance(value, str) and value in _TRANSPORTS else Transport.BARE


def _find(values: Mapping[str, Any], name: str) -> Any:
    """Find a field by its name, or by its path through maps; names of fields may hold dots themselves."""
    if not name:
        return None
    if name in values:
        return values[name]
    at = name.find(".")
    while at > 0:
        inner = values.get(name[:at])
        if isinstance(inner, Mapping):
            found = _find(inner, name[at + 1 :])
            if found is not None:
                return found
        at = name.find(".", at + 1)
    return None


def _word(value: Any, most: int) -> str | None:
    """Read a field that names something; numbers are names too. One that cannot be a name is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | bytes):
        return None
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text if 0 < len(text) <= most and not _SURROGATE.search(text) else None


def _read_time(value: Any) -> int | None:
    """Read a time: seconds since the epoch as a number, or a date of RFC 3339 with its zone; None for anything else."""
    match value:
        case bool():
            return None
        case int():
            return value * _NANOSECOND
        case float() if isfinite(value):
            return int(value * 1_000_000) * 1000
        case str():
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                return None
            if moment.tzinfo is None:
                return None
            since = moment - _EPOCH
            fraction = _FRACTION.search(value)
            nanos = int(fraction[1][:9].ljust(9, "0")) if fraction else 0
            return (since.days * 86_400 + since.seconds) * _NANOSECOND + nanos
    return None


def _bytes(value: Any) -> bytes:
    match value:
        case bytes():
            return value
        case str():
            return _encode(value)
    return _json(value)


def _encode(text: str) -> bytes:
    """Give a text's bytes: those that were no UTF-8 when it was read are what they were."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(errors="replace")


def _json(value: Any) -> bytes:
    return orjson.dumps(_plain(value))


def _plain(value: Any, depth: int = 0) -> Any:
    """Give a value that JSON has: bytes that are no UTF-8 become a list of their numbers, as journald's do."""
    match value:
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return list(value)
        case str():
            return _plain(_encode(value)) if _SURROGATE.search(value) else value
        case Mapping() | list() | tuple() if depth == MAX_DEPTH:
            return _TOO_DEEP
        case Mapping():
            return {_key(name): _plain(one, depth + 1) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one, depth + 1) for one in value]
        case None | bool() | float():
            return value
        case int():
            return value if value in _NUMBERS else str(value)
    return str(value)


def _key(name: Any) -> str:
    return str(_plain(name)) if isinstance(name, str | bytes) else str(_plain(name, MAX_DEPTH))


def _whole(shipped: Shipped) -> bytes:
    return _json(shipped.values) if shipped.line is None else shipped.line


def _entry(shipped: Shipped, fields: Fields, text: Any, cursor: str | None) -> bytes:
    """Spell an entry of the journal as journald's JSON.

    Fluent Bit's record has the entry's fields as they are, that of the OpenTelemetry Collector has them within one of its
    own, Vector's has another name for `MESSAGE`; rsyslog and syslog-ng can send the whole entry as a line of JSON. All of
    them keep the entry's time apart from it.
    """
    message = _find(shipped.values, fields.message)
    if message is None and text is not None and not isinstance(text, Mapping):
        if not any(isinstance(name, str) and _TRUSTED_FIELD.match(name) for name in shipped.values):
            return _bytes(text)
        message = text  # the entry is the record's own fields, so that this is no entry, whatever it looks like
    told = text if isinstance(text, Mapping) and message is None else shipped.values
    entry = {name: _field(value) for name, value in told.items() if isinstance(name, str) and _JOURNAL_FIELD.fullmatch(name)}
    if message is not None:
        entry["MESSAGE"] = _field(message)
    if not entry:
        return _whole(shipped)
    identifier = _word(_find(shipped.values, fields.identifier), _MOST_PATH)
    for name, value in (("__CURSOR", cursor), ("SYSLOG_IDENTIFIER", identifier), ("__REALTIME_TIMESTAMP", _micros(shipped))):
        if value is not None:
            entry.setdefault(name, value)
    return orjson.dumps(entry)


def _field(value: Any) -> Any:
    """Give a field of the journal's JSON: a text, a list of byte numbers, or null."""
    plain = _plain(value)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return str(plain) if isinstance(plain, int | float) else plain


def _micros(shipped: Shipped) -> str | None:
    return None if shipped.time_ns is None or shipped.time_ns not in _YEARS else str(shipped.time_ns // 1000)


def _container_line(shipped: Shipped, text: bytes) -> bytes:
    """Spell the kubelet's line again where a shipper has taken it apart and kept its stream in a field.

    Source: Fluent Bit's parser `cri`, Vector's `kubernetes_logs`, and the container operator of the OpenTelemetry Collector.
    """
    values = shipped.values
    stream = values.get("stream") or _find(values, "attributes.log.iostream")
    if stream not in ("stdout", "stderr") or shipped.time_ns is None or shipped.time_ns not in _YEARS:
        return text
    seconds, rest = divmod(shipped.time_ns, _NANOSECOND)
    moment = datetime.fromtimestamp(seconds, UTC)
    tag = "P" if "P" in (values.get("logtag"), values.get("_p")) else "F"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09}Z {stream} {tag} ".encode() + text.removesuffix(b"\n")
