"""Fluentd and Fluent Bit, by the Forward protocol: one message for each request, taken when its chunk is acknowledged.

Where a shared key is set, both sides prove that they know it before a record is sent. Without one nothing is waited for: a
server that wants a key greets in place of an acknowledgement.
"""

import secrets
import socket
import uuid
from collections.abc import Sequence
from typing import Any, Final

import msgpack

from kata_audit.errors import UsageError
from kata_audit.exporters.connection import Connection
from kata_audit.exporters.export_settings import Export
from kata_audit.exporters.post import LIMIT_SECS, PostError
from kata_audit.exporters.records import Receipt
from kata_audit.exporters.settings import read_secret
from kata_audit.schema.exported import Exported
from kata_audit.wire import forward

TAG: Final = "kata"
_MOST_ANSWER: Final = 64 * 1024
_MOST_PIECES: Final = 64
_KEY: Final = "put the server's `shared_key` into the secret"


class Forward:
    """Sends records to one server.

    Args:
        one: Its settings.
        limit_secs: How long it has for each step, the acknowledgement among them.
    """

    def __init__(self, one: Export, *, limit_secs: float = LIMIT_SECS) -> None:
        self._one, self._limit_secs = one, limit_secs
        self._connection: Connection | None = None
        self._is_known = False
        self._answers = _answers()

    def export(self, records: Sequence[Exported]) -> Receipt:
        """Hand all records over, in order."""
        chunk = str(uuid.uuid4())
        entries = (forward.Entry(one.time_ns, one.document) for one in records)
        try:
            connection = self._connected()
            connection.send(forward.encode_message(self._one.into or TAG, entries, chunk, is_zipped=self._one.gzip))
            told = self._next(connection)
        except PostError as error:
            is_new = self._connection is not None and not self._is_known
            self.close()
            return Receipt(0, problem=f"{error}; where it has a `shared_key`, name its secret" if is_new else str(error))
        except UsageError as error:
            return Receipt(0, problem=str(error))
        if forward.decode_ack(told) != chunk:
            self.close()
            return Receipt(0, problem=_problem(told))
        self._is_known = True
        return Receipt(len(records))

    def close(self) -> None:
        """Let the connection go; later records make another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> Connection:
        if self._connection is None:
            assert self._one.url is not None
            key = read_secret(self._one)
            self._connection = Connection(self._one, self._one.url, limit_secs=self._limit_secs)
            self._answers, self._is_known = _answers(), key is not None
            if key is not None:
                self._greet(self._connection, key)
        return self._connection

    def _greet(self, connection: Connection, key: str) -> None:
        """Prove that we know the key, and have it proven."""
        salt = secrets.token_hex(16).encode()
        try:
            hello = forward.decode_hello(self._next(connection))
            connection.send(forward.encode_ping(hello, socket.gethostname(), salt, key))
            is_in = forward.check_pong(self._pong(connection), hello, salt, key)
        except forward.ForwardError as error:
            raise PostError("it does not greet as the protocol says; look whether `shared_key` is set there") from error
        if not is_in:  # whether a user is wanted cannot be told: Fluent Bit sends what users are asked with in any case
            raise PostError(f"it does not let us in: {_KEY}, and switch users (`user_auth`, `security.users`) off there")

    def _pong(self, connection: Connection) -> Any:
        """Wait for the end of the handshake; Fluent Bit does not say that it knows another key."""
        try:
            return self._next(connection)
        except PostError as error:
            raise PostError(f"it broke off when we proved our key: {_KEY}") from error

    def _next(self, connection: Connection) -> Any:
        """Wait for the next thing that it says."""
        for _ in range(_MOST_PIECES):
            try:
                return self._answers.unpack()
            except msgpack.OutOfData:
                self._feed(connection.receive())
            except (ValueError, msgpack.UnpackException) as error:
                raise PostError("what answers there is no Forward server; look what `url` leads to") from error
        raise PostError("it answers too long; look what `url` leads to")

    def _feed(self, data: bytes) -> None:
        try:
            self._answers.feed(data)
        except msgpack.BufferFull as error:
            raise PostError("it answers too long; look what `url` leads to") from error


def _answers() -> "msgpack.Unpacker":
    """Read what Fluent Bit says too, whose random bytes are marked as text."""
    return msgpack.Unpacker(max_buffer_size=_MOST_ANSWER, unicode_errors="surrogateescape")


def _problem(told: Any) -> str:
    """Say what is wrong where no acknowledgement came."""
    try:
        forward.decode_hello(told)
    except forward.ForwardError:
        return "it acknowledged something else; look at what `url` leads to"
    return "it wants a shared key; name its secret"
