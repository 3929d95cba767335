"""Where bytes came from, as declared by whoever configured the receiver; never guessed line by line.

The receiver's name ends in its transport (`file:journal-json`), so that the declaration is part of the record's leaf and
every later reader derives the same origin from the evidence alone (law L7).
"""

from enum import StrEnum
from typing import NamedTuple


class Origin(StrEnum):
    """Who wrote a text: the host, a guest, or nobody declared it."""

    HOST = "host"
    GUEST = "guest"
    UNKNOWN = "unknown"


class Transport(StrEnum):
    """The envelope in which records of one receiver arrive."""

    JOURNAL_JSON = "journal-json"
    """`journalctl -o json`: one JSON object a line."""
    JOURNAL_EXPORT = "journal-export"
    """`journalctl -o export`: blocks of fields, binary fields with a length."""
    CRI = "cri"
    """Container log files of the kubelet: time, stream, P or F, text."""
    HOST_FILE = "host-file"
    """Lines that a program of the host wrote to a file: containerd's own log, say."""
    CONSOLE = "console"
    """A guest's console or its log port: everything in it was written by the guest."""
    BARE = "bare"
    """Lines of a file that nobody declared."""


ORIGIN_OF: dict[Transport, Origin] = {
    Transport.JOURNAL_JSON: Origin.HOST,
    Transport.JOURNAL_EXPORT: Origin.HOST,
    Transport.CRI: Origin.GUEST,
    Transport.HOST_FILE: Origin.HOST,
    Transport.CONSOLE: Origin.GUEST,
    Transport.BARE: Origin.UNKNOWN,
}
"""The origin of a transport's outermost text: structural, as ADR 0006 decides."""

OWN_RECEIVER = "kata-audit"
"""What we say ourselves arrives under `kata-audit:<kind>`, a name no sender can set."""


class Source(NamedTuple):
    """One receiver's declaration of what it reads.

    `name` is the receiver's kind (`file`, `stdin`); `node` is `<cluster>/<node name>`; `tenant` comes from configuration.
    """

    name: str
    node: str
    tenant: str
    transport: Transport

    @property
    def receiver(self) -> str:
        """The name that enters the leaf: `<name>:<transport>`."""
        return f"{self.name}:{self.transport}"


def transport_of(receiver: str) -> Transport:
    """Read the transport back from a receiver's name; one that is unknown counts as `bare`.

    Example:
        >>> transport_of("file:journal-json")
        <Transport.JOURNAL_JSON: 'journal-json'>
    """
    tail = receiver.rpartition(":")[2]
    return Transport(tail) if tail in set(Transport) else Transport.BARE


class Chunk(NamedTuple):
    """Bytes as received.

    `stream` names the one byte stream they belong to (a file by path, device, inode and first bytes); `offset` is where
    `data` begins in it (after decompression); `observed_ns` is our clock.
    """

    source: Source
    stream: str
    offset: int
    data: bytes
    observed_ns: int
