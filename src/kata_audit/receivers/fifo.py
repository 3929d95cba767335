"""Fifos that Firecracker writes its log and its metrics to, read without ever holding anybody up.

A fifo keeps nothing: what no reader has taken when its writer has no room left is dropped by Firecracker, which counts it
(`missed_log_count`). So it is opened without waiting for a writer, made as large as the system allows, and kept open from
one writer to the next, until another fifo lies at its path. What one reader takes, no other one gets: the Go runtime's shim
reads the same fifos, and writes their lines only at its debug level.

Source: Kata `virtcontainers/fc.go` (`/run/vc/firecracker/<sandbox>/logs.fifo` and `metrics.fifo`); Firecracker's
documentation of its logger; fifo(7).
"""

import fcntl
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from urllib.parse import quote, unquote

from kata_audit.clock import Clock
from kata_audit.errors import ReceiverError
from kata_audit.receivers.base import Follower, Told
from kata_audit.receivers.file import Place
from kata_audit.receivers.pattern import ROOT, find_paths, holding, is_of, lies_there
from kata_audit.receivers.rest import Ended
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk, Source, Transport

_PIPE_BYTES = 1 << 20
_DIALECT = "firecracker"
_READABLE = "Let this user read it; reading goes on by itself."
_UNREAD = "A source that cannot wait was not read while the collector did not run: what it wrote meanwhile is lost."


class FifoFollower:
    """One fifo that is read as it is written.

    Args:
        path: Where it lies, absolute.
        pattern: That it was found by.
        place: Whose it is.
        clock: For `observed_ns`.
        owner: Who must own it, and each directory above it.

    Attributes:
        ended: Whether another one lies at its path, or none, and no writer has it open.
        waits: False: a fifo keeps nothing.
    """

    waits = False

    def __init__(self, path: str, pattern: str, place: Place, *, clock: Clock, owner: int = ROOT) -> None:
        self.name, self.stream = path, ""
        self.ended, self.behind = False, 0
        self._pattern, self._clock, self._owner = pattern, clock, owner
        self._source = Source("fifo", place.node, place.tenant, Transport.HOST_FILE, place.dialect or _DIALECT)
        self._descriptor: int | None = None
        self._status: os.stat_result | None = None
        self._offset = 0

    def poll(self, size: int) -> Chunk | None:
        """Give what has been written since the last call, at most `size` bytes; None where nothing has. Never waits.

        Raises:
            ReceiverError: It cannot be read, or others than its owner may have put it there.
        """
        try:
            if self._descriptor is None:
                self._open()
            data = self._read(size)
        except FileNotFoundError:
            self.ended = True
            return None
        except OSError as error:
            raise ReceiverError(f"The fifo cannot be read: {error.strerror}.", where=self.name, hint=_READABLE) from error
        if not data:
            return None
        chunk = Chunk(self._source, self.stream, self._offset, data, self._clock.now_ns())
        self._offset += len(data)
        return chunk

    def _open(self) -> None:
        with holding(self.name, self._pattern, owner=self._owner, is_kind=stat.S_ISFIFO, kind="fifo") as (directory, name):
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(name, flags, dir_fd=directory)
        self._status = status = os.fstat(self._descriptor)
        if not stat.S_ISFIFO(status.st_mode) or status.st_uid != self._owner:
            raise ReceiverError("It is another one than it was a moment ago.", where=self.name, hint=_READABLE)
        with suppress(OSError):  # an unprivileged user has a limit for all pipes together
            fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self.stream = f"{quote(self.name, safe='/')}?fifo-{status.st_dev}-{status.st_ino}-{self._clock.now_ns()}"

    def _read(self, size: int) -> bytes:
        assert self._descriptor is not None
        assert self._status is not None
        parts: list[bytes] = []
        missing = size
        while missing:
            try:
                part = os.read(self._descriptor, missing)
            except BlockingIOError:
                break
            if not part:  # no writer has it open now; the next one may open the same fifo
                self.ended = not parts and not lies_there(self.name, self._status)
                break
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def acknowledge(self, _end: int) -> None:
        """Do nothing: a fifo keeps nothing."""

    def told(self) -> Iterator[Told]:
        """Tell nothing: Firecracker counts what it drops itself."""
        yield from ()

    def close(self) -> None:
        """Give the descriptor back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class FifoWatch:
    """Finds the fifos of a pattern.

    Args:
        pattern: A path, or a pattern as `glob` has it.
        place: Whose they are.
        clock: For `observed_ns`.
        owner: Who must own them, and each directory above them.

    Attributes:
        waits: False: a fifo keeps nothing.
    """

    waits = False

    def __init__(self, pattern: str, place: Place, *, clock: Clock, owner: int = ROOT) -> None:
        self._pattern, self._place, self._clock, self._owner = pattern, place, clock, owner
        self._has_begun = False

    def discover(self, known: Mapping[str, Cursor], following: Collection[str]) -> Iterator[Follower]:
        """Give fifos that are not followed yet; first, what is known of those of the process before this one."""
        if not self._has_begun:
            self._has_begun = True
            yield from unread_meanwhile(known, "fifo", self._pattern)
        for path in find_paths(self._pattern):
            if path not in following and os.path.lexists(path):
                yield FifoFollower(path, self._pattern, self._place, clock=self._clock, owner=self._owner)


def unread_meanwhile(known: Mapping[str, Cursor], kind: str, pattern: str) -> Iterator[Ended]:
    """Tell of each stream that a process before this one left open, and that keeps nothing: what came since is lost.

    Args:
        known: The newest durable cursor of each stream.
        kind: Word that marks such streams.
        pattern: Of their paths.
    """
    for stream in known:
        path, marked, _ = stream.partition(f"?{kind}-")
        if marked and is_of(unquote(path), pattern):
            yield Ended(stream, Told("collect.lost", _UNREAD, "unknown", {"log.file.path": unquote(path)}))
