"""Fluentd's Forward protocol as a receiver speaks it: a message is acknowledged when all of it is durable.

Only a sender that asks for acknowledgements (`require_ack_response`) learns of a loss; others are read no faster than the
disk takes what they send, and what was on its way when either side died is lost.
"""

import asyncio
import secrets
import socket
from collections.abc import Callable
from typing import Any, Final

import msgpack

from kata_audit.receivers.listen import DroppedError, Serve, Share, Take, UnwelcomeError
from kata_audit.receivers.shipped import Shipped
from kata_audit.wire.forward import (
    ForwardError,
    Hello,
    Message,
    check_ping,
    decode_message,
    encode_ack,
    encode_hello,
    encode_pong,
)

MAX_MESSAGE_BYTES: Final = 32 << 20
_READ_BYTES: Final = 64 << 10
_HANDSHAKE_SECS: Final = 20.0
_MESSAGE_SECS: Final = 60.0
_NONCE_BYTES: Final = 16


def serve_forward(secret: Callable[[], str | None]) -> Serve:
    """Make what speaks Forward.

    Args:
        secret: Gives the key that is shared with senders; None where none is asked for.
    """
    room = Share()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, take: Take) -> None:
        with room.begin() as held:
            incoming = _Incoming(reader, held.add, held.give)
            try:
                key = secret()
                if key is not None:
                    async with asyncio.timeout(_HANDSHAKE_SECS):
                        await _shake_hands(incoming, writer, key)
                while (told := await incoming.next()) is not None:
                    await _answer(told, writer, take)
            except (ForwardError, ValueError, TypeError, msgpack.UnpackException) as error:
                raise DroppedError("it speaks no Forward") from error

    return serve


class _Incoming:
    """Objects of a connection, one after the other, none of them too long."""

    def __init__(self, reader: asyncio.StreamReader, add: Callable[[int], None], give: Callable[[int], None]) -> None:
        self._reader, self._add, self._give = reader, add, give
        self._unpacker = msgpack.Unpacker(
            max_buffer_size=MAX_MESSAGE_BYTES, strict_map_key=False, use_list=True, unicode_errors="surrogateescape"
        )
        self._fed = self._end = 0

    async def next(self) -> Any:
        """Give the next object; None where the sender has ended."""
        while True:
            try:
                told = self._unpacker.unpack()
            except msgpack.OutOfData:
                if not await self._read():
                    return None
                continue
            end = self._unpacker.tell()
            self._give(end - self._end)
            self._end = end
            return told

    async def _read(self) -> bool:
        """Read on; a sender may be silent between messages, but not in the middle of one."""
        secs = _MESSAGE_SECS if self._fed > self._end else None
        async with asyncio.timeout(secs):
            data = await self._reader.read(_READ_BYTES)
        self._add(len(data))
        self._fed += len(data)
        self._unpacker.feed(data)
        return bool(data)


async def _shake_hands(incoming: _Incoming, writer: asyncio.StreamWriter, key: str) -> None:
    hello = Hello(secrets.token_bytes(_NONCE_BYTES), b"")
    writer.write(encode_hello(hello))
    await writer.drain()
    salt = check_ping(await incoming.next(), hello, key)
    writer.write(encode_pong(hello, socket.gethostname(), salt, key))
    await writer.drain()
    if salt is None:
        raise UnwelcomeError("it does not know the shared key")


async def _answer(told: Any, writer: asyncio.StreamWriter, take: Take) -> None:
    chunks: list[str | None] = []

    def read() -> list[Shipped]:
        message = decode_message(told)
        chunks.append(message.chunk)
        return records_of(message)

    if not await take(read):
        raise DroppedError("it was not durable in time: the sender is to send it again")
    if chunks[0] is not None:
        writer.write(encode_ack(chunks[0]))
        async with asyncio.timeout(_MESSAGE_SECS):
            await writer.drain()


def records_of(message: Message) -> list[Shipped]:
    """Give the events of a message as records; the tag is their field `tag` where they have none of that name."""
    return [Shipped({"tag": message.tag, **one.record}, time_ns=one.time_ns) for one in message.entries]
