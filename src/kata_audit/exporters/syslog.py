"""Syslog: a message of RFC 5424 for each record, counted in octets, over TLS.

Syslog has no acknowledgement. So each request has a connection of its own, and its end is the answer: we say that nothing
more comes, and a server that has read all of it closes too. One that dies, is stopped or loses its network before that has
not taken the request, and is sent it again. What the server has read and not yet written anywhere is beyond what the
protocol can tell: its own queue decides whether that outlives it.

A request that a slow server has not read in time is not sent anew but waited for, over the same connection.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from kata_audit.exporters.connection import Connection
from kata_audit.exporters.export_settings import Export
from kata_audit.exporters.post import LIMIT_SECS, PostError
from kata_audit.exporters.records import Receipt
from kata_audit.schema.exported import Exported
from kata_audit.schema.own import spell_time
from kata_audit.schema.visible import show
from kata_audit.wire.syslog import FACILITIES, Message, Severity, encode_frames, encode_message

FACILITY: Final = "audit"
"""What messages are of where `into` names nothing else."""
ELEMENT: Final = "kata@32473"
"""The id of our structured data; the number is the one that RFC 5612 keeps for examples, as we have none of our own."""
MAX_BYTES: Final = 8192
"""Bytes of a message at most: what receivers should take by RFC 5425, 4.3.1, and the default of rsyslog."""
PATIENCE_SECS: Final = 300.0
"""How long a server that reads nothing more is waited for, before what it was sent is sent anew."""
_MAX_STRUCTURED: Final = 5_000
_MAX_VALUE: Final = 400
_COLUMNS: Final = (
    *("class", "origin", "node", "sandbox_id", "container_id", "k8s_namespace", "k8s_pod", "k8s_container"),
    *("actor", "actor_source", "actor_confidence", "action", "object", "outcome", "exec_id", "severity_text"),
    *("k8s_pod_uid", "runtime_class", "image", "receiver", "subsystem", "timestamp_basis"),
)
"""What is sent beside the record's name, as far as it has it; what comes first stays where there is no room for all."""
_SEVERITIES: Final = (
    *(Severity.DEBUG, Severity.DEBUG, Severity.INFO),
    *(Severity.WARNING, Severity.ERROR, Severity.CRITICAL),
)
"""Of trace, debug, info, warn, error and fatal."""
_CUT_ROOM: Final = len(' cut="123456789"')


class Syslog:
    """Sends records to one server.

    Args:
        one: Its settings.
        limit_secs: How long an attempt takes at most.
        patience_secs: How long a server that reads nothing more is waited for.
    """

    def __init__(self, one: Export, *, limit_secs: float = LIMIT_SECS, patience_secs: float = PATIENCE_SECS) -> None:
        self._one, self._limit_secs, self._patience_secs = one, limit_secs, patience_secs
        self._facility = FACILITIES.index(one.into or FACILITY)
        self._connection: Connection | None = None
        self._names: tuple[str, ...] = ()
        """The records that the connection holds."""
        self._left, self._since = 0, 0.0
        """Bytes that it had left, and since when it has so many."""

    def export(self, records: Sequence[Exported]) -> Receipt:
        """Hand all records over, in order; those that a server is still reading from an earlier attempt first."""
        if self._names != tuple(one.name for one in records[: len(self._names)]):
            self.close()
        try:
            connection = self._connection or self._begin(records)
        except PostError as error:
            return Receipt(0, problem=str(error))
        try:
            if not connection.end():
                return self._wait(connection)
        except PostError as error:
            self.close()
            return Receipt(0, problem=f"{error}, and it had not read all; where this stays, its own log says why")
        taken = len(self._names)
        self.close()
        return Receipt(taken)

    def close(self) -> None:
        """Let the connection go; what was not read to its end is sent again."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._names = None, ()

    def _begin(self, records: Sequence[Exported]) -> Connection:
        assert self._one.url is not None
        connection = Connection(self._one, self._one.url, limit_secs=self._limit_secs, certificate=self._one.secret_file)
        messages = (spell(one, self._facility, is_raw=self._one.raw) for one in records)
        connection.put(encode_frames(messages))
        self._connection, self._names = connection, tuple(one.name for one in records)
        self._left, self._since = connection.left(), time.monotonic()
        return connection

    def _wait(self, connection: Connection) -> Receipt:
        left, now = connection.left(), time.monotonic()
        if left != self._left:
            self._left, self._since = left, now
        elif now - self._since > self._patience_secs:
            self.close()
            return Receipt(
                0, problem="it reads nothing more, and does not close; the records are sent over a new connection"
            )
        return Receipt(0, problem="it is slow to read and is waited for; look at its queues, and at the disk behind them")


def spell(one: Exported, facility: int, *, is_raw: bool) -> bytes:
    """Spell a record as a message of at most `MAX_BYTES`; equal for equal records.

    What is not visible in a text is shown as its number: many a server writes texts into files of lines as they come. A text
    that is too long is cut, and `cut` says how many bytes the whole of it has.
    """
    message = _message_of(one, facility)
    text = _text_of(one, is_raw=is_raw)
    spelled = show(text[:MAX_BYTES]).encode()
    room = MAX_BYTES - len(encode_message(message)) - 1
    if len(text) <= MAX_BYTES and len(spelled) <= room:
        return encode_message(message._replace(text=spelled))
    ((element, parameters),) = message.structured
    cut = ("cut", str(len(text.encode())))
    kept = spelled[: room - _CUT_ROOM].decode(errors="ignore").encode()
    return encode_message(message._replace(structured=((element, (*parameters, cut)),), text=kept))


def _message_of(one: Exported, facility: int) -> Message:
    record = one.record
    return Message(
        facility,
        _severity_of(record.get("severity_number")),
        one.time_ns,
        str(record.get("node", "")).rpartition("/")[2] or None,
        record.get("component"),
        str(record["pid"]) if "pid" in record else None,
        record.get("event_name"),
        ((ELEMENT, _parameters_of(one.name, record)),),
        b"",
    )


def _parameters_of(name: str, record: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Give the record's name and what else finds room; how many did not is said."""
    found = [("name", name)]
    if "observed_timestamp" in record:
        found.append(("observed", spell_time(record["observed_timestamp"])))
    found += [(column, str(record[column])) for column in _COLUMNS if column in record]
    made, room, left_out = [], _MAX_STRUCTURED, 0
    for key, value in found:
        shown = show(value[:_MAX_VALUE])
        size = len(shown.encode()) * 2
        if size > room or len(value) > _MAX_VALUE:
            left_out += 1
            continue
        room -= size
        made.append((key, shown))
    return (*made, *((("left_out", str(left_out)),) if left_out else ()))


def _severity_of(number: object) -> Severity:
    """Give syslog's severity for OpenTelemetry's, 1 to 24."""
    return _SEVERITIES[(number - 1) // 4] if isinstance(number, int) and 0 < number <= 24 else Severity.INFO


def _text_of(one: Exported, *, is_raw: bool) -> str:
    """Give the record's text: the frame where it is asked for, else its message, else all that is known of it."""
    raw, body = one.record.get("raw"), one.record.get("body")
    if is_raw and isinstance(raw, str):
        return raw.rstrip("\r\n")
    return body if isinstance(body, str) and body else orjson.dumps(one.document).decode()
