"""What is left of a file that was rotated away while nobody read: found beside its old place, and read to its end once.

A renamed file is known by device and inode. One that was copied (`copytruncate`) or compressed is another file, and is
known by its first line, whose keyed hash is in the stream's name; where two different files begin with that line, none is
taken.

Source: how logrotate (`compress`, `copytruncate`, `dateext`), lumberjack (k3s, kube-apiserver) and the kubelet name what
they rotate: behind the whole name, or between the name and its last suffix.
"""

import glob
import os
import re
import stat
import zlib
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO, NamedTuple

import pyarrow as pa

from kata_audit.clock import Clock
from kata_audit.errors import ReceiverError
from kata_audit.receivers.base import Told
from kata_audit.receivers.file import Place, decompressed
from kata_audit.receivers.sniff import sniff_transport
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk, Source

HEAD_BYTES = 64 * 1024
_COMPRESSED = re.compile(r"\.(?:gz|zst|zstd)$")
_SHORTEST_GZIP = 18
_MOST_BESIDE = 256
"""How many files beside a log are looked at, the newest first."""
_DAMAGED = (OSError, EOFError, zlib.error, pa.ArrowException)
_CHECK = "Reading is tried again by itself; a file that is still being compressed is whole soon."


class Identity(NamedTuple):
    """What tells a file apart: device and inode, and the keyed hash of its first line."""

    place: str
    first: str

    def __str__(self) -> str:
        return f"{self.place}-{self.first}"


class Head(NamedTuple):
    """The beginning of a file, decompressed, and what tells it apart; `size` is of the file as it lies there."""

    identity: Identity
    data: bytes
    size: int
    is_compressed: bool


class Rest(NamedTuple):
    """Where the rest of a stream lies; `is_whole`, where all of it is known already."""

    path: str
    is_whole: bool


def open_file(path: str, key: bytes) -> tuple[int, Head] | None:
    """Open a file and read its head; None where there is none.

    Raises:
        OSError: It cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(descriptor)
        data = os.pread(descriptor, HEAD_BYTES, 0)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor, Head(_identity(status, data, key), data, status.st_size, is_compressed=False)


def look_at(path: str, key: bytes) -> Head | None:
    """Read the head of a file as it lies there; None where there is none.

    Raises:
        OSError: It cannot be read.
    """
    found = open_file(path, key)
    if found is None:
        return None
    os.close(found[0])
    return found[1]


def identify(path: str, key: bytes) -> Head | None:
    """Read the head of a regular file, through its compression; None where there is none or it cannot be read."""
    try:
        found = open_file(path, key)
        if found is None:
            return None
        descriptor, head = found
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            data = decompressed(file)
            if data is file:
                return head
            inner = data.read(HEAD_BYTES)
            return Head(_identity(os.fstat(file.fileno()), inner, key), inner, head.size, is_compressed=True)
    except _DAMAGED:
        return None


def _identity(status: os.stat_result, data: bytes, key: bytes) -> Identity:
    first = blake2b(data.partition(b"\n")[0], digest_size=8, key=key[:64]).hexdigest()
    return Identity(f"{status.st_dev}-{status.st_ino}", first)


def find_rest(path: str, identity: Identity, end: int, key: bytes) -> Rest | None:
    """Find what is left of a stream beside the place where its file lay.

    Args:
        path: Where the file lay.
        identity: Of the file.
        end: Up to where the stream is durable.
        key: Key of the hash that tells files apart.

    Returns:
        The file itself under another name; else the one file that begins with the same line, is long enough, and lies
        there plain, compressed, or both. None where there is none, or several that differ.
    """
    copies: dict[str, tuple[str, Head]] = {}
    for beside in _beside(path):
        head = identify(beside, key)
        if head is None or head.identity.first != identity.first:
            continue
        if head.identity == identity and not head.is_compressed:
            return Rest(beside, head.size == end) if head.size >= end else None
        if head.is_compressed or head.size >= end:
            name = _COMPRESSED.sub("", beside)
            if name not in copies or copies[name][1].is_compressed:
                copies[name] = (beside, head)
    if len(copies) != 1:
        return None
    ((beside, head),) = copies.values()
    return Rest(beside, _length_modulo(beside, head) == end % (1 << 32) if head.is_compressed else head.size == end)


def _beside(path: str) -> list[str]:
    """List the files beside a path that a rotation may have made of it, the newest first."""
    whole = Path(path)
    names = {f"{glob.escape(whole.name)}?*", f"{glob.escape(whole.stem)}[-._]*"}
    found: dict[str, float] = {}
    for pattern in names:
        for one in whole.parent.glob(pattern):
            try:
                status = one.stat()
            except OSError:
                continue
            if one != whole and stat.S_ISREG(status.st_mode):
                found[str(one)] = status.st_mtime
    return sorted(found, key=lambda name: (-found[name], name))[:_MOST_BESIDE]


def _length_modulo(path: str, head: Head) -> int | None:
    """Read how long a gzip file is decompressed, as its last four bytes say; None for another form."""
    try:
        with Path(path).open("rb") as file:
            if file.read(2) != b"\x1f\x8b" or head.size < _SHORTEST_GZIP:
                return None
            file.seek(-4, os.SEEK_END)
            return int.from_bytes(file.read(4), "little")
    except OSError:
        return None


class RestFile:
    """A follower of what is left of one stream; it ends where the file does.

    Args:
        rest: Where it lies.
        known: The stream's newest durable cursor.
        place: Whose it is.
        clock: For `observed_ns`.
        told: What to tell of how it came to lie there.

    Attributes:
        ended: Whether all of it was given.
        waits: True: a file keeps what is not read.
    """

    waits = True

    def __init__(self, rest: Rest, known: Cursor, place: Place, *, clock: Clock, told: tuple[Told, ...] = ()) -> None:
        self.stream = self.name = known.stream
        self.behind, self.ended = known.end, False
        self.start = known.end if known.line is None else known.line
        self._path, self._place, self._clock, self._told = rest.path, place, clock, list(told)
        self._file: IO[bytes] | None = None
        self._data: IO[bytes] | None = None
        self._source: Source | None = None
        self._offset = 0

    def poll(self, size: int) -> Chunk | None:
        """Give what comes next behind what is durable; None where only that was passed over, or where it ended.

        Raises:
            ReceiverError: The file is damaged or cannot be read.
        """
        if self.ended:
            return None
        try:
            if self._data is None or self._source is None:
                self._data, self._source = self._open()
            data = self._data.read(size)
        except _DAMAGED as error:
            raise ReceiverError("What is left of a rotated file cannot be read.", where=self._path, hint=_CHECK) from error
        fresh = max(self.start - self._offset, 0)
        offset, self._offset = self._offset + fresh, self._offset + len(data)
        if not data:
            self.ended = True
            if self._offset < self.start:
                self._told.append(Told("collect.lost", "A rotated file is shorter than what was read of it.", "unknown"))
        return Chunk(self._source, self.stream, offset, data[fresh:], self._clock.now_ns()) if data[fresh:] else None

    def _open(self) -> tuple[IO[bytes], Source]:
        place, transport = self._place, self._place.transport
        if transport is None:
            head = identify(self._path, b"")
            transport = sniff_transport(head.data if head is not None else b"")
        self._file = os.fdopen(os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb")
        data = decompressed(self._file)
        if data is self._file:
            self._offset = data.seek(self.start)
        return data, Source("file", place.node, place.tenant, transport, place.dialect)

    def acknowledge(self, _end: int) -> None:
        """Do nothing: nothing is left."""

    def told(self) -> Iterator[Told]:
        """Tell how it came to lie there, and whether it is shorter than it should be; see `Follower`."""
        while self._told:
            yield self._told.pop(0)

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Ended:
    """A follower of a stream of which nothing is left to read: it only tells what is known of that, and ends.

    Args:
        stream: Its name.
        told: What to tell.
    """

    ended = waits = True

    def __init__(self, stream: str, *told: Told) -> None:
        self.stream = self.name = stream
        self.behind = 0
        self._told = list(told)

    def poll(self, _size: int) -> None:
        """Give nothing."""

    def acknowledge(self, _end: int) -> None:
        """Do nothing: nothing is left."""

    def told(self) -> Iterator[Told]:
        """Tell what is known; see `Follower`."""
        while self._told:
            yield self._told.pop(0)

    def close(self) -> None:
        """Do nothing: nothing is held."""
