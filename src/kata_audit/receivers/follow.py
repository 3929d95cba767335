"""Files that grow: read as they are written, through rotation, renaming and cutting, and found again after a restart.

A file is the same as before when device, inode and the keyed hash of its first line are (`receivers.file`). One that was
rotated away is read to its end before the next one is begun; one that was cut to nothing is another stream. Of what was
rotated or cut while nobody read, `receivers.rest` finds what is left.

Source: the ways in which logrotate (`create`, `copytruncate`), containerd and the kubelet rotate.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, unquote

from kata_audit.clock import Clock
from kata_audit.errors import ReceiverError
from kata_audit.receivers.base import Follower, Told
from kata_audit.receivers.file import Place
from kata_audit.receivers.pattern import find_paths, is_of
from kata_audit.receivers.rest import HEAD_BYTES, Ended, Identity, RestFile, find_rest, look_at, open_file
from kata_audit.receivers.sniff import sniff_transport
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk, Source

_GRACE_NS = 1_000_000_000
"""How long a file that was rotated away is read on: its writer may not have opened the new one yet."""
_GONE_NS = 3600 * 1_000_000_000
"""How long what is left of a stream is looked for: a disk may not be mounted, a file may still be compressed."""
_MARK_BYTES = 256
"""How much of a file's beginning shows whether it was cut and written anew between two looks."""
_MOST_ENDED = 1024
"""How many streams that ended are remembered, so that none of them is begun a second time under its name."""
_NEVER = 1 << 62
_READABLE = "Let this user read it; reading goes on by itself."
_COPY = (
    "A file was cut to nothing. It is read on in its copy; what was written between copy and cut is lost, if anything was."
)
_CUT = "A file was cut to nothing, and no copy of it was found: what was written to it since the last look is lost."
_VANISHED = "A file was rotated away and removed, or changed, before all of it was known to be read."


class FollowedFile:
    """One file that is read while it grows.

    Args:
        path: Where it lies, absolute.
        place: Whose it is.
        clock: For `observed_ns`.
        key: Key of the hash that tells files apart.
        known: The newest durable cursor of each stream.

    Attributes:
        ended: Whether all of it was given and no more will come.
        stream: Its name; empty until its first line is whole.
        was_cut: Whether it ended because it was cut to nothing.
        waits: True: a file keeps what is not read.
    """

    waits = True

    def __init__(self, path: str, place: Place, *, clock: Clock, key: bytes, known: Mapping[str, Cursor]) -> None:
        self.path, self.ended = path, False
        self._place, self._clock, self._key, self._known = place, clock, key, known
        self._descriptor: int | None = None
        self._identity: Identity | None = None
        self._mark = b""
        self._rest: RestFile | None = None
        self._told: list[Told] = []
        self._offset, self._gone_ns = 0, 0
        self.source: Source | None = None
        self.stream = ""
        self.start = self.behind = 0
        self.was_cut = self.closed = False

    @property
    def name(self) -> str:
        """What it is called in a list of what is followed; one that was rotated away leaves its path to the next."""
        return self.stream if self._gone_ns or self.was_cut else self.path

    @property
    def offset(self) -> int:
        """Up to which byte it was given."""
        return self._offset

    def poll(self, size: int) -> Chunk | None:
        """Give what has been written since the last call, at most `size` bytes; None where nothing has.

        Raises:
            ReceiverError: The file cannot be read.
        """
        if self._rest is not None:
            return self._read_rest(self._rest, size)
        try:
            if self._descriptor is None and not self._begin():
                return None
            assert self._descriptor is not None
            data = os.pread(self._descriptor, size, self._offset)
            begins_anew = bool(data) and os.pread(self._descriptor, len(self._mark), 0) != self._mark
        except OSError as error:
            raise ReceiverError(f"The file cannot be read: {error.strerror}.", where=self.path, hint=_READABLE) from error
        if begins_anew:
            self._cut()
            return None
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
            return False
        descriptor, head = found
        if b"\n" not in head.data and len(head.data) < HEAD_BYTES:
            os.close(descriptor)
            return False
        self._descriptor, self._identity, self._mark = descriptor, head.identity, head.data[:_MARK_BYTES]
        place = self._place
        transport = place.transport or sniff_transport(head.data)
        self.source = Source("file", place.node, place.tenant, transport, place.dialect)
        base = f"{quote(self.path, safe='/')}?{head.identity}"
        self.stream, known = newest_stream(base, self._known)
        if known is not None and known.end > os.fstat(descriptor).st_size:
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
            self._cut()
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

    def _cut(self) -> None:
        """Go on in the copy that was made before the file was cut; end where there is none."""
        assert self._identity is not None
        self.was_cut = True
        known = Cursor(self.stream, 0, self._offset)
        rest = find_rest(self.path, self._identity, self._offset, self._key)
        self._told.append(tell_cut(self.path, None if rest is None else rest.path, self._offset))
        if rest is None or rest.is_whole:
            self.ended = True
        else:
            self._rest = RestFile(rest, known, self._place, clock=self._clock)

    def _read_rest(self, rest: RestFile, size: int) -> Chunk | None:
        chunk = rest.poll(size)
        self._offset += len(chunk.data) if chunk is not None else 0
        self._told.extend(rest.told())
        self.ended = rest.ended
        return chunk

    def acknowledge(self, _end: int) -> None:
        """Do nothing: a file is nobody's to give back."""

    def told(self) -> Iterator[Told]:
        """Tell whether it was cut; see `Follower`."""
        while self._told:
            yield self._told.pop(0)

    def close(self) -> None:
        """Give the descriptors back."""
        self.closed = True
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._rest is not None:
            self._rest.close()


def tell_cut(path: str, copy: str | None, read_to: int) -> Told:
    """Say what is known of a file that was cut to nothing: how far it was read, and the copy that was made of it."""
    details = {"log.file.path": path, "log.file.read_to": str(read_to)}
    if copy is None:
        return Told("collect.cut", _CUT, "unknown", details)
    return Told("collect.cut", _COPY, None, {**details, "log.file.copy": copy})


def newest_stream(base: str, known: Mapping[str, Cursor]) -> tuple[str, Cursor | None]:
    """Find the newest stream of a file: the file itself, or what it became when it was last cut to nothing."""
    cuts = [stream for stream in known if stream.startswith(f"{base}-")]
    newest = max(cuts, key=lambda stream: int(stream.rpartition("-")[2]), default=base)
    return newest, known.get(newest)


def read_stream(stream: str) -> tuple[str, Identity] | None:
    """Read a path and what tells its file apart back from the name of a file's stream; None for another name."""
    path, _, identity = stream.partition("?")
    parts = identity.split("-")
    if not path.startswith("/") or len(parts) not in {3, 4} or not (parts[0] + parts[1]).isdecimal():
        return None
    return unquote(path), Identity(f"{parts[0]}-{parts[1]}", parts[2])


class FileWatch:
    """Finds the files of a pattern: those that are there, new ones, and what is left of those that were rotated unread.

    Args:
        pattern: A path, or a pattern as `glob` has it.
        place: Whose they are.
        clock: For `observed_ns`.
        key: Key of the hash that tells files apart.

    Attributes:
        waits: True: a file keeps what is not read.
    """

    waits = True

    def __init__(self, pattern: str, place: Place, *, clock: Clock, key: bytes) -> None:
        self._pattern, self._place, self._clock, self._key = pattern, place, clock, key
        self._files: list[FollowedFile] = []
        self._ended: dict[str, Cursor] = {}
        self._gone: dict[str, int] = {}

    def discover(self, known: Mapping[str, Cursor], following: Collection[str]) -> Iterator[Follower]:
        """Give files that are not followed yet, what is left of renamed ones first, each path once.

        Args:
            known: The newest durable cursor of each stream.
            following: Names of what is followed already.
        """
        self._note_ended()
        yield from self._left(known, following)
        seen = {**self._ended, **known}
        for path in find_paths(self._pattern):
            if path in following or Path(path).is_dir() or not Path(path).exists():
                continue
            self._files.append(FollowedFile(path, self._place, clock=self._clock, key=self._key, known=seen))
            yield self._files[-1]

    def _note_ended(self) -> None:
        """Remember what has ended: a stream that comes back is known, and one that was cut is never gone on with."""
        for file in [one for one in self._files if one.closed]:
            self._files.remove(file)
            if file.ended:
                self._remember(file.stream, _NEVER if file.was_cut else file.offset)

    def _remember(self, stream: str, end: int) -> None:
        self._ended[stream] = Cursor(stream, 0, end)
        for oldest in list(self._ended)[:-_MOST_ENDED]:
            del self._ended[oldest]

    def _left(self, known: Mapping[str, Cursor], following: Collection[str]) -> Iterator[Follower]:
        """Give what is left of streams whose files lie no more where they lay when they were read."""
        open_ones = {file.stream for file in self._files} | set(following)
        unsettled = {file.path for file in self._files if not file.stream}
        self._gone = {stream: since for stream, since in self._gone.items() if stream in known}
        for stream, cursor in known.items():
            read = read_stream(stream) if stream not in open_ones else None
            if read is None or read[0] in unsettled or not is_of(read[0], self._pattern):
                continue
            follower = self._look_for(read[0], read[1], cursor, known)
            if follower is not None:
                yield follower

    def _look_for(self, path: str, identity: Identity, cursor: Cursor, known: Mapping[str, Cursor]) -> Follower | None:
        """Look for what is left of one stream: None where it is what lies at its path, or may still be found."""
        stream, end = cursor.stream, cursor.end
        try:
            now = look_at(path, self._key)
        except OSError:
            return None
        is_there = now is not None and now.identity.place == identity.place
        base = f"{quote(path, safe='/')}?{identity}"
        if now is not None and now.identity == identity and now.size >= end and newest_stream(base, known)[0] == stream:
            return None
        rest = find_rest(path, identity, end, self._key)
        told = (tell_cut(path, None if rest is None else rest.path, end),) if is_there else ()
        if rest is not None and not rest.is_whole:
            return RestFile(rest, cursor, self._place, clock=self._clock, told=told)
        if rest is None and not is_there:
            since = self._gone.setdefault(stream, self._clock.now_ns())
            if self._clock.now_ns() - since < _GONE_NS:
                return None
            told = (Told("collect.lost", _VANISHED, "unknown", {"log.file.path": path, "log.file.read_to": str(end)}),)
        self._remember(stream, _NEVER if is_there else end)
        return Ended(stream, *told)
