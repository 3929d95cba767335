"""What a receiver promises: bytes in order, each with its place, and nothing acknowledged before it is durable (L4)."""

from collections.abc import Iterator
from typing import Protocol

from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk


class Receiver(Protocol):
    """Something that reads one byte stream from the outside."""

    @property
    def stream(self) -> str:
        """Name of the stream, as cursors spell it: the same bytes have the same name tomorrow."""
        ...

    def receive(self, start: int) -> Iterator[Chunk]:
        """Give the stream's chunks in order, from byte `start` of it.

        Raises:
            ReceiverError: The outside world failed; chunks given before stay good.
        """
        ...

    def acknowledge(self, cursor: Cursor) -> None:
        """Take note that everything up to `cursor` is durable; the source may forget it."""
        ...
