"""What a receiver promises: bytes in order, each with its place, and nothing acknowledged before it is durable (L4)."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk


class Told(NamedTuple):
    """Something that a source's reader knows and the source's records do not say.

    Args:
        event: Its name as a record of ours: `collect.lost`, `collect.cut`.
        message: One sentence.
        lost: How many records are missing: a number as text, `unknown`, or None where none is.
        details: What else is known.
        severity: How bad it is where nothing is missing.
    """

    event: str
    message: str
    lost: str | None = None
    details: Mapping[str, str] = MappingProxyType({})
    severity: str = "WARN"


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


class Follower(Protocol):
    """One byte stream of the outside that is read while it grows."""

    @property
    def name(self) -> str:
        """What it is called in a list of what is followed."""
        ...

    @property
    def ended(self) -> bool:
        """Whether all of it was given, and no more will come."""
        ...

    @property
    def waits(self) -> bool:
        """Whether its source keeps what is not read; one that does not is read on also where the disk has no room."""
        ...

    @property
    def behind(self) -> int:
        """Up to which byte of the stream everything was durable before; what ends there or before comes again."""
        ...

    def poll(self, size: int) -> Chunk | None:
        """Give what has come since the last call, at most `size` bytes; None where nothing has. Never waits.

        Raises:
            ReceiverError: The outside world failed; what came before stays good.
        """
        ...

    @property
    def stream(self) -> str:
        """Name of the stream, as cursors spell it; empty until that is known."""
        ...

    def acknowledge(self, end: int) -> None:
        """Take note that all of the stream up to byte `end` is durable; asked only where the source waits."""
        ...

    def told(self) -> Iterator[Told]:
        """Tell, once each, what is known to be missing before what was given last, and why."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


class Watch(Protocol):
    """Something that finds what to follow, and opens it again where it broke off."""

    @property
    def waits(self) -> bool:
        """Whether what it finds keeps what is not read; see `Follower`."""
        ...

    def discover(self, known: Mapping[str, Cursor], following: Collection[str]) -> Iterable[Follower]:
        """Give what is there and is not followed yet.

        Args:
            known: The newest durable cursor of each stream.
            following: Names of what is followed already.

        Raises:
            ReceiverError: It cannot be opened.
        """
        ...
