"""The journal, read as it grows: `journalctl` in its export form, from the last durable entry on.

Reading goes on at the last entry's own cursor, that entry included: that it comes again shows that nothing between was
lost. It is not taken twice. Where it does not come, the journal has removed it, and what the sequence numbers tell of the
entries between is told as a loss.

Source: systemd 252 to 257, `journalctl --cursor`, "Journal Export Formats"; the numbers are journald's `seqnum`.
"""

import os
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from urllib.parse import quote

from kata_audit.clock import Clock
from kata_audit.errors import ReceiverError
from kata_audit.receivers.base import Told
from kata_audit.receivers.file import Place
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk, Source, Transport

_FIRST_LINE = re.compile(rb"__CURSOR=([!-~]+)\n")
_LONGEST_FIRST_LINE = 64 * 1024
_SEQUENCE = re.compile(r"s=([0-9a-f]{32});i=([0-9a-f]{1,16});")
_HINT = "Let this user read the journal (group systemd-journal); reading goes on by itself."


def journal_stream(arguments: Sequence[str]) -> str:
    """Name the stream of a journal: the system's, or the one that arguments of `journalctl` choose."""
    return f"journald?{quote(' '.join(arguments) or 'system', safe='/')}"


class JournalFollower:
    """One journal that is read while it grows.

    Args:
        arguments: What chooses the journal: `--directory=…`, `--namespace=…`, or nothing for the system's.
        place: Whose it is.
        clock: For `observed_ns`.
        known: The newest durable cursor of its stream; None where it was never read.
        program: The command that reads it.

    Attributes:
        ended: False: a journal has no end.
        waits: True: a journal keeps what is not read.
    """

    waits = True

    def __init__(
        self, arguments: Sequence[str], place: Place, *, clock: Clock, known: Cursor | None, program: str = "journalctl"
    ) -> None:
        self.source = Source("journald", place.node, place.tenant, Transport.JOURNAL_EXPORT, place.dialect)
        self.stream = self.name = journal_stream(arguments)
        self.ended = False
        self._lost: list[str] = []
        self._clock, self._known = clock, known if known is not None and known.position is not None else None
        self.start = self.behind = known.end if known is not None else 0
        if self._known is not None:
            self.start = self._known.offset if self._known.line is None else self._known.line
        self._offset, self._head = self.start, b""
        command = [program, "--output=export", "--all", "--follow", "--no-tail", "--quiet", *arguments]
        if self._known is not None:
            command.append(f"--cursor={self._known.position}")
        try:
            self._process = subprocess.Popen(  # noqa: S603 - no shell; the arguments are the configuration's
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise ReceiverError(f"`{program}` cannot be run: {error.strerror}.", where=self.name, hint=_HINT) from error
        assert self._process.stdout is not None
        self._pipe = self._process.stdout.fileno()
        os.set_blocking(self._pipe, False)

    def poll(self, size: int) -> Chunk | None:
        """Give what has come since the last call, at most `size` bytes; None where nothing has.

        Raises:
            ReceiverError: `journalctl` has ended.
        """
        parts: list[bytes] = []
        missing, ended = size, False
        while missing:
            try:
                part = os.read(self._pipe, missing)
            except BlockingIOError:
                break
            ended = not part
            if ended:
                break
            parts.append(part)
            missing -= len(part)
        data = self._behind_first_line(b"".join(parts))
        if not data:
            if ended:
                raise ReceiverError(self._last_words(), where=self.name, hint=_HINT)
            return None
        chunk = Chunk(self.source, self.stream, self._offset, data, self._clock.now_ns())
        self._offset += len(data)
        return chunk

    def _behind_first_line(self, data: bytes) -> bytes:
        """Hold bytes back until the first entry says whether it is the last durable one."""
        if self._known is None:
            return data
        self._head += data
        first = _FIRST_LINE.match(self._head)
        if first is None and len(self._head) < _LONGEST_FIRST_LINE:
            return b""
        position = first[1].decode() if first is not None else ""
        if position != self._known.position:
            self._lost.append(_between(self._known.position or "", position))
            self.start = self._offset = self.behind
        data, self._head, self._known = self._head, b"", None
        return data

    def acknowledge(self, _end: int) -> None:
        """Do nothing: the journal keeps what it keeps, whatever was read."""

    def told(self) -> Iterator[Told]:
        """Tell how many entries the journal has removed before they were read; see `Follower`."""
        while self._lost:
            yield Told("collect.lost", "Records were removed at their source before they were read.", self._lost.pop())

    def _last_words(self) -> str:
        """Say how the reading ended."""
        code = self._process.wait()
        return f"`journalctl` has ended with code {code}."

    def close(self) -> None:
        """End the reading."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def _between(before: str, after: str) -> str:
    """Count the entries between two cursors: as text, or `unknown` where the journal began anew between them."""
    old, new = _SEQUENCE.match(before), _SEQUENCE.match(after)
    if old is None or new is None or old[1] != new[1] or int(new[2], 16) <= int(old[2], 16):
        return "unknown"
    return str(int(new[2], 16) - int(old[2], 16) - 1)


class JournalWatch:
    """Opens one journal again whenever it is not followed.

    Args:
        arguments: What chooses the journal; see `JournalFollower`.
        place: Whose it is.
        clock: For `observed_ns`.
        program: The command that reads it.

    Attributes:
        waits: True: a journal keeps what is not read.
    """

    waits = True

    def __init__(self, arguments: Sequence[str], place: Place, *, clock: Clock, program: str = "journalctl") -> None:
        self._arguments, self._place, self._clock, self._program = tuple(arguments), place, clock, program

    def discover(self, known: Mapping[str, Cursor], following: Collection[str]) -> Iterator[JournalFollower]:
        """Give the journal where it is not followed; see `FileWatch.discover`."""
        name = journal_stream(self._arguments)
        if name not in following:
            yield JournalFollower(
                self._arguments, self._place, clock=self._clock, known=known.get(name), program=self._program
            )
