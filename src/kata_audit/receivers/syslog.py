"""Syslog as a receiver speaks it: messages in a stream, over TLS or plain, and datagrams.

Syslog has no answer. A stream is read on only when what came is durable, so that a sender's queue is the buffer; what was on
its way when either side died is lost, and nobody can say how much. Of datagrams whatever finds no room is dropped and
counted; what the kernel drops before is counted nowhere here.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from kata_audit.receivers.listen import DroppedError, Take
from kata_audit.receivers.shipped import Shipped
from kata_audit.wire.syslog import Frame, FrameDecoder, decode_message, header_of

_READ_BYTES: Final = 512 << 10
"""What has come meanwhile is taken together: each part waits for the disk."""


async def serve_syslog(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter, take: Take) -> None:
    """Read messages until the sender ends."""
    decoder = FrameDecoder()
    while data := await reader.read(_READ_BYTES):
        await _hand_on(decoder.feed(data), take)
    await _hand_on(decoder.finish(), take)


async def _hand_on(frames: Sequence[Frame], take: Take) -> None:
    while frames and not await take(lambda: [message_of(one.data) for one in frames]):
        raise DroppedError("it was not durable in time: the sender is to keep the rest")


def message_of(raw: bytes) -> Shipped:
    """Give a message as a record: what it says of itself, its text as `message`, and as a line all of it."""
    message = decode_message(raw)
    fields: dict[str, Any] = {**header_of(message), "message": message.text}
    return Shipped(fields, raw, message.time_ns)
