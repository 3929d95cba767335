"""Where bytes came from, as declared by whoever configured the receiver; never guessed line by line.

The receiver's name ends in its transport (`file:journal-json`), so that the declaration is part of the record's leaf and
every later reader derives the same origin from the evidence alone (law L7). What another store of ours had sealed before
keeps the name of its receiver there behind that which brought it here: `kafka/file:journal-json`.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from kata_audit.schema.cursor import Cursor


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
    AUDIT_EVENTLIST = "audit-eventlist"
    """Bodies that kube-apiserver posts to its audit webhook; each of their events is a record."""


ORIGIN_OF: dict[Transport, Origin] = {
    Transport.JOURNAL_JSON: Origin.HOST,
    Transport.JOURNAL_EXPORT: Origin.HOST,
    Transport.CRI: Origin.GUEST,
    Transport.HOST_FILE: Origin.HOST,
    Transport.CONSOLE: Origin.GUEST,
    Transport.BARE: Origin.UNKNOWN,
    Transport.AUDIT_EVENTLIST: Origin.HOST,
}
"""The origin of a transport's outermost text: structural, as ADR 0006 decides."""

_TRANSPORTS = frozenset(Transport)

OWN_RECEIVER = "kata-audit"
"""What we say ourselves arrives under `kata-audit:<kind>`, a name no sender can set."""
OWN_DIALECT = "kata-audit"
"""The grammar of what we say ourselves."""


class Source(NamedTuple):
    """One receiver's declaration of what it reads.

    `name` is the receiver's kind (`file`, `stdin`); `node` is `<cluster>/<node name>`; `tenant` comes from configuration;
    `dialect` is the one declared for all its lines, None where each line tells its own.
    """

    name: str
    node: str
    tenant: str
    transport: Transport
    dialect: str | None = None

    @property
    def receiver(self) -> str:
        """The name that enters the leaf: `<name>:<transport>`, and `:<dialect>` where one is declared."""
        declared = f"{self.name}:{self.transport}"
        return declared if self.dialect is None else f"{declared}:{self.dialect}"


def transport_of(receiver: str) -> Transport:
    """Read the transport back from a receiver's name; one that is unknown counts as `bare`.

    Example:
        >>> transport_of("file:journal-json")
        <Transport.JOURNAL_JSON: 'journal-json'>
    """
    return _declared(receiver)[0]


def dialect_of(receiver: str) -> str | None:
    """Read the declared dialect back from a receiver's name; None where each line tells its own.

    Example:
        >>> dialect_of("file:host-file:qemu")
        'qemu'
    """
    return OWN_DIALECT if own_kind(receiver) is not None else _declared(receiver)[1]


def is_own(receiver: str) -> bool:
    """Say whether records of a receiver are what we say ourselves, in this store."""
    return receiver.startswith(f"{OWN_RECEIVER}:")


def own_kind(receiver: str) -> str | None:
    """Give the kind of what kata-audit says of itself, in this store or in one that sent it here; None for all else.

    Example:
        >>> own_kind("kafka/kata-audit:collect"), own_kind("kata-audit:review"), own_kind("kafka/file:bare")
        ('collect', 'review', None)
    """
    name, _, kind = receiver.partition(":")
    return kind if name.rpartition("/")[2] == OWN_RECEIVER else None


def reader_of(receiver: str) -> str:
    """Give what read a record first, whatever brought it on.

    Example:
        >>> reader_of("kafka/fifo:host-file")
        'fifo'
    """
    return receiver.partition(":")[0].rpartition("/")[2]


def origin_of(receiver: str) -> Origin:
    """Give the origin of a receiver's outermost text; what we say ourselves is the host's.

    Example:
        >>> origin_of("file:console")
        <Origin.GUEST: 'guest'>
    """
    return Origin.HOST if own_kind(receiver) is not None else ORIGIN_OF[transport_of(receiver)]


def _declared(receiver: str) -> tuple[Transport, str | None]:
    _, _, declared = receiver.partition(":")
    transport, _, dialect = declared.partition(":")
    return (Transport(transport), dialect or None) if transport in _TRANSPORTS else (Transport.BARE, None)


class Frame(NamedTuple):
    """One record that another store of ours has cut, masked and sealed: its evidence there.

    Attributes:
        node: Whose log it is.
        receiver: What took it in there.
        place: Its cursor there.
        observed_ns: When it was received there.
        name: Its name there, `<origin>/<seq>`.
        raw: The frame, masked.
    """

    node: str
    receiver: str
    place: Cursor
    observed_ns: int
    name: str
    raw: bytes


class Chunk(NamedTuple):
    """Bytes as received.

    `stream` names the one byte stream they belong to (a file by path, device, inode and first bytes); `offset` is where
    `data` begins in it (after decompression); `observed_ns` is our clock. Where the source has names of its own for its
    records and their bytes do not hold them, `names` says up to which byte of the stream each goes, and what it is called.
    `frames` are all that the data are made of where another store of ours had sealed them: they are not cut or masked again.
    """

    source: Source
    stream: str
    offset: int
    data: bytes
    observed_ns: int
    names: Sequence[tuple[int, str]] = ()
    frames: Sequence[Frame] = ()
