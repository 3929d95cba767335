"""Splunk's HTTP Event Collector: events, their acknowledgement, and what is answered. No bytes leave or come here.

A body is JSON objects one behind another, with or without white space between them. Times are seconds with decimals; a
double holds no nanosecond of today, so that they are written and read as decimals.

Source: Splunk Enterprise, *Format events for HTTP Event Collector*, *About HTTP Event Collector Indexer Acknowledgment*, and
*Troubleshoot HTTP Event Collector* for the codes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from enum import IntEnum
from typing import Any, Final, NamedTuple

import orjson

EVENT_PATH: Final = "/services/collector/event"
ACK_PATH: Final = "/services/collector/ack"
CHANNEL_HEADER: Final = "X-Splunk-Request-Channel"
MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
"""Bytes of one event that a decoder holds at most."""
_SECOND: Final = 1_000_000_000
_MOST_SECONDS: Final = 9_000_000_000
_MOST_DIGITS: Final = 40
_MARK: Final = re.compile(rb'["{}]')
_TEXT_MARK: Final = re.compile(rb'["\\]')
_BLANK: Final = b" \t\r\n"


class Code(IntEnum):
    """What an answer means."""

    SUCCESS = 0
    TOKEN_DISABLED = 1
    TOKEN_REQUIRED = 2
    INVALID_AUTHORIZATION = 3
    INVALID_TOKEN = 4
    NO_DATA = 5
    INVALID_DATA_FORMAT = 6
    INCORRECT_INDEX = 7
    INTERNAL_ERROR = 8
    BUSY = 9
    CHANNEL_MISSING = 10
    INVALID_CHANNEL = 11
    EVENT_REQUIRED = 12
    EVENT_BLANK = 13
    ACK_DISABLED = 14
    INDEXED_FIELDS = 15


class HecError(ValueError):
    """Bytes that are no events: which of them, counted from 0, by which code, and the events before it in the same piece."""

    def __init__(self, code: Code, at: int) -> None:
        super().__init__(f"event {at}: {code.name.lower().replace('_', ' ')}")
        self.code, self.at = code, at
        self.events: Sequence[HecEvent] = ()


class HecEvent(NamedTuple):
    """One event.

    Attributes:
        event: What happened: any JSON but null and the empty text.
        time_ns: When, nanoseconds since the Unix epoch; None where the receiver shall say.
        host: Where.
        source: What it was read from.
        sourcetype: What form it has.
        into: The index that it goes into; None for that of the token.
        fields: What is indexed beside it.
    """

    event: Any
    time_ns: int | None = None
    host: str | None = None
    source: str | None = None
    sourcetype: str | None = None
    into: str | None = None
    fields: Mapping[str, Any] = {}


class Reply(NamedTuple):
    """What is answered to events.

    Attributes:
        code: What it means; a number that `Code` does not list is kept.
        ack_id: By which to ask whether they are indexed; None without acknowledgement.
        invalid_at: Which event was refused, counted from 0; those before it were taken.
    """

    code: int
    ack_id: int | None = None
    invalid_at: int | None = None


def encode_events(events: Iterable[HecEvent]) -> bytes:
    """Spell events as a body, one to a line."""
    return b"".join(_encode_event(one) for one in events)


def _encode_event(one: HecEvent) -> bytes:
    told: dict[str, Any] = {}
    if one.time_ns is not None:
        seconds, rest = divmod(abs(one.time_ns), _SECOND)
        told["time"] = orjson.Fragment(f"{'-' if one.time_ns < 0 else ''}{seconds}.{rest:09d}".encode())
    texts = (("host", one.host), ("source", one.source), ("sourcetype", one.sourcetype), ("index", one.into))
    told |= {name: text for name, text in texts if text is not None}
    told["event"] = one.event
    if one.fields:
        told["fields"] = one.fields
    return orjson.dumps(told) + b"\n"


class EventDecoder:
    """Reads events from a body that comes in pieces, cut anywhere; each byte is looked at once.

    Args:
        max_event_bytes: Bytes that one event may have.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._most = max_event_bytes
        self._held = bytearray()
        self._at = self._depth = self._count = 0
        self._in_text = False

    def feed(self, data: bytes) -> list[HecEvent]:
        """Take a piece; give the events that end in it.

        Raises:
            HecError: An event is none. Those before it that ended in this piece are in the error's `events`.
        """
        self._held += data
        events: list[HecEvent] = []
        begin = 0
        while (end := self._end()) is not None:
            try:
                events.append(self._read(bytes(self._held[begin:end])))
            except HecError as error:
                error.events = events
                raise
            begin = end
        del self._held[:begin]
        self._at -= begin
        if len(self._held) > self._most:
            raise HecError(Code.INVALID_DATA_FORMAT, self._count)
        return events

    def finish(self) -> None:
        """Say that nothing follows.

        Raises:
            HecError: An event is cut off, or there was none at all.
        """
        if self._held.strip(_BLANK):
            raise HecError(Code.INVALID_DATA_FORMAT, self._count)
        if not self._count:
            raise HecError(Code.NO_DATA, 0)

    def _end(self) -> int | None:
        """Find the end of the object that is being read; None where it is not here."""
        while (found := (_TEXT_MARK if self._in_text else _MARK).search(self._held, self._at)) is not None:
            mark, self._at = found[0], found.end()
            if mark == b"\\":
                if self._at == len(self._held):  # what it escapes is in the next piece
                    self._at -= 1
                    return None
                self._at += 1
            elif mark == b'"':
                self._in_text = not self._in_text
            else:
                self._depth += 1 if mark == b"{" else -1
                if self._depth <= 0:
                    self._depth = 0
                    return self._at
        self._at = len(self._held)
        return None

    def _read(self, text: bytes) -> HecEvent:
        at = self._count
        if len(text) > self._most:
            raise HecError(Code.INVALID_DATA_FORMAT, at)
        try:
            told = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise HecError(Code.INVALID_DATA_FORMAT, at) from error
        self._count += 1
        return _event_of(told, at)


def decode_events(body: bytes) -> list[HecEvent]:
    """Read a whole body.

    Raises:
        HecError: It is none.
    """
    decoder = EventDecoder(max(len(body), 1))
    events = decoder.feed(body)
    decoder.finish()
    return events


def _event_of(told: Any, at: int) -> HecEvent:
    if not isinstance(told, dict):
        raise HecError(Code.INVALID_DATA_FORMAT, at)
    if told.get("event") is None:
        raise HecError(Code.EVENT_REQUIRED, at)
    if told["event"] == "":
        raise HecError(Code.EVENT_BLANK, at)
    fields = told.get("fields", {})
    if not isinstance(fields, dict):
        raise HecError(Code.INDEXED_FIELDS, at)
    host, source, sourcetype, into = (told.get(name) for name in ("host", "source", "sourcetype", "index"))
    if any(text is not None and not isinstance(text, str) for text in (host, source, sourcetype, into)):
        raise HecError(Code.INVALID_DATA_FORMAT, at)
    return HecEvent(told["event"], _time_of(told.get("time"), at), host, source, sourcetype, into, fields)


def _time_of(value: Any, at: int) -> int | None:
    """Read seconds as nanoseconds; a number has lost those below a microsecond on its way through JSON."""
    if value is None:
        return None
    if isinstance(value, str) and len(value) > _MOST_DIGITS:
        raise HecError(Code.INVALID_DATA_FORMAT, at)
    try:
        seconds = Decimal(value) if isinstance(value, str) else Decimal(repr(value))
        if not seconds.is_finite() or abs(seconds) > _MOST_SECONDS:
            raise HecError(Code.INVALID_DATA_FORMAT, at)
        return int(seconds * _SECOND)
    except InvalidOperation as error:
        raise HecError(Code.INVALID_DATA_FORMAT, at) from error


def encode_reply(reply: Reply) -> bytes:
    """Spell what is answered to events."""
    told: dict[str, Any] = {"text": "Success" if reply.code == Code.SUCCESS else "Error", "code": int(reply.code)}
    told |= {} if reply.invalid_at is None else {"invalid-event-number": reply.invalid_at}
    told |= {} if reply.ack_id is None else {"ackId": reply.ack_id}
    return orjson.dumps(told)


def decode_reply(body: bytes) -> Reply | None:
    """Read what is answered to events; None where it is no answer of this protocol. Its text is not read."""
    told = _object(body)
    if told is None or not _is_number(told.get("code")):
        return None
    ack_id, invalid_at = told.get("ackId"), told.get("invalid-event-number")
    return Reply(told["code"], ack_id if _is_number(ack_id) else None, invalid_at if _is_number(invalid_at) else None)


def encode_ack_query(ids: Sequence[int]) -> bytes:
    """Ask which are indexed."""
    return orjson.dumps({"acks": ids})


def decode_ack_query(body: bytes) -> list[int] | None:
    """Read which are asked for; None where it is no question."""
    told = _object(body)
    ids = None if told is None else told.get("acks")
    return ids if isinstance(ids, list) and all(map(_is_number, ids)) else None


def encode_acks(acks: Mapping[int, bool]) -> bytes:
    """Say which are indexed."""
    return orjson.dumps({"acks": {str(number): is_indexed for number, is_indexed in acks.items()}})


def decode_acks(body: bytes) -> dict[int, bool] | None:
    """Read which are indexed; None where it is no answer of this protocol."""
    told = _object(body)
    acks = None if told is None else told.get("acks")
    if not isinstance(acks, dict) or not all(one.isascii() and one.isdecimal() and len(one) < 20 for one in acks):
        return None
    return {int(one): is_indexed is True for one, is_indexed in acks.items()}


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return told if isinstance(told, dict) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
