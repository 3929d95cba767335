"""Fluentd and Fluent Bit, by the Forward protocol: one message for each request, taken when its chunk is acknowledged.

Where a shared key is set, both sides prove that they know it before a record is sent. Without one nothing is waited for: a
server that wants a key closes the connection.
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


class Forward:
    """Sends records to one server.

    Args:
        one: Its settings.
        limit_secs: How long it has for each step, the acknowledgement among them.
    """

    def __init__(self, one: Export, *, limit_secs: float = LIMIT_SECS) -> None:
        self._one, self._limit_secs = one, limit_secs
        self._connection: Connection | None = None
        self._answers = _answers()

    def export(self, records: Sequence[Exported]) -> Receipt:
        """Hand all records over, in order."""
        chunk = str(uuid.uuid4())
        entries = (forward.Entry(one.time_ns, one.document) for one in records)
        try:
            connection = self._connected()
            connection.send(forward.encode_message(self._one.into or TAG, entries, chunk, is_zipped=self._one.gzip))
            is_taken = forward.decode_ack(self._next(connection)) == chunk
        except (PostError, UsageError) as error:
            self.close()
            return Receipt(0, problem=str(error))
        if not is_taken:
            self.close()
            return Receipt(0, problem="it acknowledged something else; look at what `url` leads to")
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
            self._answers = _answers()
            if key is not None:
                self._greet(self._connection, key)
        return self._connection

    def _greet(self, connection: Connection, key: str) -> None:
        """Prove that we know the key, and have it proven."""
        salt = secrets.token_bytes(16)
        try:
            hello = forward.decode_hello(self._next(connection))
            if hello.auth:
                raise PostError(
                    "it wants a user and password beside the key, which are not sent; switch `user_auth` off there"
                )
            connection.send(forward.encode_ping(hello, socket.gethostname(), salt, key))
            is_in = forward.check_pong(self._next(connection), hello, salt, key)
        except forward.ForwardError as error:
            raise PostError("it does not greet as the protocol says; look whether `shared_key` is set there") from error
        if not is_in:
            raise PostError("the shared key is another there; put the server's `shared_key` into the secret")

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
    return msgpack.Unpacker(max_buffer_size=_MOST_ANSWER)
