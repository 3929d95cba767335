"""Files that grow: read as they are written, through rotation, renaming and cutting, and found again after a restart.

A file is the same as before when device, inode and the keyed hash of its first line are (`receivers.file`). One that was
rotated away is read to its end before the next one is begun; one that was cut to nothing is another stream.

Source: the ways in which logrotate (`create`, `copytruncate`), containerd and the kubelet rotate.
"""

import glob
import os
from collections.abc import Collection, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from kata_audit.clock import Clock
from kata_audit.errors import ReceiverError
from kata_audit.receivers.file import Place
from kata_audit.receivers.sniff import sniff_transport
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk, Source

_HEAD_BYTES = 64 * 1024
_GRACE_NS = 1_000_000_000
"""How long a file that was rotated away is read on: its writer may not have opened the new one yet."""
_READABLE = "Let this user read it; reading goes on by itself."


class _Found(NamedTuple):
    """An open file and what tells it apart."""

    descriptor: int
    identity: str
    head: bytes


class FollowedFile:
    """One file that is read while it grows.

    Args:
        path: Where it lies, absolute.
        place: Whose it is.
        clock: For `observed_ns`.
        key: Key of the hash that tells files apart.
        known: The newest durable cursor of each stream.
        named: The path under which its stream is known, where it was renamed: then it is read once, to its end.

    Attributes:
        ended: Whether all of it was given and no more will come.
    """

    def __init__(
        self,
        path: str,
        place: Place,
        *,
        clock: Clock,
        key: bytes,
        known: Mapping[str, Cursor],
        named: str | None = None,
    ) -> None:
        self.path, self.ended = path, False
        self._named, self._once = named or path, named is not None
        self._place, self._clock, self._key, self._known = place, clock, key, known
        self._descriptor: int | None = None
        self._offset, self._gone_ns = 0, 0
        self.source: Source | None = None
        self.stream = ""
        self.start = self.behind = 0

    @property
    def name(self) -> str:
        """What it is called in a list of what is followed; one that was rotated away leaves its path to the next."""
        return self.stream if self._gone_ns else self.path

    def poll(self, size: int) -> Chunk | None:
        """Give what has been written since the last call, at most `size` bytes; None where nothing has.

        Raises:
            ReceiverError: The file cannot be read.
        """
        try:
            if self._descriptor is None and not self._begin():
                return None
            assert self._descriptor is not None
            data = os.pread(self._descriptor, size, self._offset)
        except OSError as error:
            raise ReceiverError(f"The file cannot be read: {error.strerror}.", where=self.path, hint=_READABLE) from error
        if not data:
            self._look_whether_it_ended()
            return None
        assert self.source is not None
        chunk = Chunk(self.source, self.stream, self._offset, data, self._clock.now_ns())
        self._offset += len(data)
        self._gone_ns = self._clock.now_ns() if self._gone_ns else 0
        return chunk

    def _begin(self) -> bool:
        """Open the file once its first line is whole, and find where to go on; say whether it is open."""
        found = open_file(self.path, self._key)
        if found is None:
            self.ended = self._once
            return False
        if b"\n" not in found.head and len(found.head) < _HEAD_BYTES and not self._once:
            os.close(found.descriptor)
            return False
        self._descriptor = found.descriptor
        place = self._place
        transport = place.transport or sniff_transport(found.head)
        self.source = Source("file", place.node, place.tenant, transport, place.dialect)
        base = f"{quote(self._named, safe='/')}?{found.identity}"
        self.stream, known = _newest(base, self._known)
        if known is not None and known.end > os.fstat(found.descriptor).st_size:
            self.stream, known = f"{base}-{self._clock.now_ns()}", None
        if known is not None:
            self.start, self.behind = known.end if known.line is None else known.line, known.end
        self._offset = self.start
        return True

    def _look_whether_it_ended(self) -> None:
        """See whether the file was cut, renamed or removed, and whether its writer has had time to leave it."""
        assert self._descriptor is not None
        status = os.fstat(self._descriptor)
        if status.st_size < self._offset:
            self.ended = True
            return
        if self._once:
            self.ended = True
            return
        try:
            now = Path(self.path).stat()
            is_same = (now.st_dev, now.st_ino) == (status.st_dev, status.st_ino)
        except FileNotFoundError:
            is_same = False
        if is_same:
            return
        if not self._gone_ns:
            self._gone_ns = self._clock.now_ns()
        elif self._clock.now_ns() - self._gone_ns >= _GRACE_NS:
            self.ended = True

    def losses(self) -> Iterator[str]:
        """Tell nothing: a file does not say what it lost."""
        yield from ()

    def close(self) -> None:
        """Give the descriptor back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def open_file(path: str, key: bytes) -> _Found | None:
    """Open a file and say what tells it apart: device, inode, keyed hash of its first line; None where there is none.

    Raises:
        OSError: It cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    status = os.fstat(descriptor)
    try:
        head = os.pread(descriptor, _HEAD_BYTES, 0)
    except OSError:
        os.close(descriptor)
        raise
    first = blake2b(head.partition(b"\n")[0], digest_size=8, key=key[:64]).hexdigest()
    return _Found(descriptor, f"{status.st_dev}-{status.st_ino}-{first}", head)


def _newest(base: str, known: Mapping[str, Cursor]) -> tuple[str, Cursor | None]:
    """Find the newest stream of a file: the file itself, or what it became when it was last cut to nothing."""
    cuts = [stream for stream in known if stream.startswith(f"{base}-")]
    newest = max(cuts, key=lambda stream: int(stream.rpartition("-")[2]), default=base)
    return newest, known.get(newest)


class FileWatch:
    """Finds the files of a pattern: those that are there, new ones, and what was renamed while nobody read.

    Args:
        pattern: A path, or a pattern as `glob` has it.
        place: Whose they are.
        clock: For `observed_ns`.
        key: Key of the hash that tells files apart.
    """

    def __init__(self, pattern: str, place: Place, *, clock: Clock, key: bytes) -> None:
        self._pattern, self._place, self._clock, self._key = pattern, place, clock, key
        self._seen: set[str] = set()

    def discover(self, known: Mapping[str, Cursor], following: Collection[str]) -> Iterator[FollowedFile]:
        """Give files that are not followed yet, renamed ones first, each path once.

        Args:
            known: The newest durable cursor of each stream.
            following: Names of what is followed already.
        """
        for path in self._paths():
            if path in following or Path(path).is_dir():
                continue
            if path not in self._seen:
                self._seen.add(path)
                for rest in self._renamed(path, known):
                    if rest not in following:
                        yield self._file(rest, known, named=path)
            if Path(path).exists():
                yield self._file(path, known)

    def _paths(self) -> list[str]:
        if not glob.has_magic(self._pattern):
            return [self._pattern]
        return sorted(glob.glob(self._pattern))  # noqa: PTH207 - of an absolute pattern, which pathlib does not take

    def _file(self, path: str, known: Mapping[str, Cursor], named: str | None = None) -> FollowedFile:
        return FollowedFile(path, self._place, clock=self._clock, key=self._key, known=known, named=named)

    def _renamed(self, path: str, known: Mapping[str, Cursor]) -> Iterator[str]:
        """Find files beside a path that were read under its name, and have grown since."""
        prefix = f"{quote(path, safe='/')}?"
        ends = {stream.removeprefix(prefix): cursor.end for stream, cursor in known.items() if stream.startswith(prefix)}
        if not ends:
            return
        for beside in sorted(Path(path).parent.glob(f"{glob.escape(Path(path).name)}?*"), key=lambda one: one.name):
            found = open_file(str(beside), self._key) if beside.is_file() else None
            if found is None:
                continue
            size = os.fstat(found.descriptor).st_size
            os.close(found.descriptor)
            if 0 <= ends.get(found.identity, size) < size:
                yield str(beside)
