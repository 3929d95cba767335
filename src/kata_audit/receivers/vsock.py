r"""The log port of an agent, where nothing else on the host reads it.

With `agent.log_vport=1025` the agent writes its lines to whoever connects to that port first, and to nobody else.
Firecracker, Cloud Hypervisor and Dragonball give a guest's ports away through a socket of the host: after
`CONNECT <port>\n` and the answer `OK <number>\n` the connection is the guest's. Elsewhere the kernel's own vsock leads
there, by the guest's number.

Whatever comes is a guest's text. Which sandbox it is of is told by the socket's path, which the host chose, and by nothing
else.

Source: Kata `virtcontainers/fc.go` (`/run/vc/firecracker/<sandbox>/root/kata.hvsock`) and `src/agent`; Firecracker
`docs/vsock.md`; vsock(7).
"""

import os
import re
import select
import socket
import stat
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

from kata_audit.clock import Clock
from kata_audit.errors import ReceiverError
from kata_audit.receivers.base import Follower, Told
from kata_audit.receivers.fifo import unread_meanwhile
from kata_audit.receivers.file import Place
from kata_audit.receivers.pattern import ROOT, find_paths, holding
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk, Source, Transport

LOG_PORT: Final = 1025
_KIND: Final = "vsock"
_SECOND: Final = 1_000_000_000
_ANSWER_NS: Final = 10 * _SECOND
"""How long a hypervisor may take to answer."""
_LONGEST_WAIT_NS: Final = 60 * _SECOND
_LONGEST_ANSWER: Final = 32
_OK: Final = re.compile(rb"OK [0-9]{1,10}\n")
_HINT: Final = "Let this user connect to it; it is tried again by itself."


class Guest(NamedTuple):
    """Whose port it is: a hypervisor's socket with the pattern that found it, or the number of a guest."""

    path: str
    pattern: str = ""
    number: int | None = None

    @property
    def name(self) -> str:
        """What it is called in a list of what is followed."""
        return self.path if self.number is None else f"vsock/{self.number}"


class AgentPort:
    """One connection to the log port of a guest's agent.

    Args:
        guest: Whose.
        port: The port.
        place: Whose records they are.
        clock: For `observed_ns` and for how long an answer takes.
        owner: Who must own the socket, and each directory above it.

    Attributes:
        ended: Whether the guest has ended it, or never listened.
        has_answered: Whether the connection is the guest's.
        waits: False: the agent drops what is not read, and says how much.
    """

    waits = False

    def __init__(self, guest: Guest, port: int, place: Place, *, clock: Clock, owner: int = ROOT) -> None:
        self.name, self.stream = guest.name, ""
        self.ended = self.has_answered = self.closed = False
        self.behind = 0
        self._guest, self._port, self._clock, self._owner = guest, port, clock, owner
        self._source = Source(_KIND, place.node, place.tenant, Transport.CONSOLE, place.dialect)
        self._socket: socket.socket | None = None
        self._answer, self._since_ns, self._offset = b"", 0, 0

    def poll(self, size: int) -> Chunk | None:
        """Give what has come since the last call, at most `size` bytes; None where nothing has. Never waits.

        Raises:
            ReceiverError: The socket cannot be reached, or others than its owner may have put it there.
        """
        try:
            if self._socket is None:
                self._socket = self._connect()
            data = self._read(self._socket, size) if self._is_ready(self._socket, size) else b""
        except (ConnectionError, FileNotFoundError, TimeoutError):
            self.ended = True
            return None
        except OSError as error:
            message = f"The agent's log port cannot be reached: {error.strerror}."
            raise ReceiverError(message, where=self.name, hint=_HINT) from error
        data = self._answer + data if self.has_answered else b""
        if not data:
            return None
        self._answer, self.ended = b"", False  # where it has ended, the next call finds so
        chunk = Chunk(self._source, self.stream, self._offset, data, self._clock.now_ns())
        self._offset += len(data)
        return chunk

    def _connect(self) -> socket.socket:
        """Begin to connect, without waiting."""
        self._since_ns = self._clock.now_ns()
        if self._guest.number is not None:
            self.stream = f"{self.name}?{_KIND}-{self._port}-0-{self._since_ns}"
            made = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            address: object = (self._guest.number, self._port)
            return _begin(made, address)
        with holding(self._guest.path, self._guest.pattern, owner=self._owner, is_kind=stat.S_ISSOCK, kind="socket") as (
            directory,
            name,
        ):
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            self.stream = f"{quote(self.name, safe='/')}?{_KIND}-{found.st_dev}-{found.st_ino}-{self._since_ns}"
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            made = _begin(made, f"/proc/self/fd/{directory}/{name}")  # short enough, and through no link
        try:
            made.send(b"CONNECT %d\n" % self._port)
        except OSError:
            made.close()
            raise
        return made

    def _is_ready(self, connection: socket.socket, size: int) -> bool:
        """Say whether the connection is the guest's by now; what came behind the answer is kept."""
        if self.has_answered:
            return True
        if self._guest.number is not None:
            if _can_be_written(connection):
                error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    raise ConnectionRefusedError(error, os.strerror(error))
                self.has_answered = True
        else:
            self._answer += self._read(connection, max(_LONGEST_ANSWER, min(size, 1 << 16)))
            found = _OK.match(self._answer)
            if found is not None:
                self.has_answered, self._answer = True, self._answer[found.end() :]
            elif len(self._answer) >= _LONGEST_ANSWER or b"\n" in self._answer:
                raise ConnectionRefusedError
        if not self.has_answered and self._clock.now_ns() - self._since_ns >= _ANSWER_NS:
            raise TimeoutError
        return self.has_answered

    def _read(self, connection: socket.socket, size: int) -> bytes:
        parts: list[bytes] = []
        missing = size
        while missing:
            try:
                part = connection.recv(missing)
            except BlockingIOError:
                break
            except ConnectionError:
                part = b""
            if not part:
                self.ended = not parts
                break
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def acknowledge(self, _end: int) -> None:
        """Do nothing: an agent keeps nothing."""

    def told(self) -> Iterator[Told]:
        """Tell nothing: the agent counts what it drops itself."""
        yield from ()

    def close(self) -> None:
        """End the connection."""
        self.closed = True
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _can_be_written(connection: socket.socket) -> bool:
    """Say whether the kernel is done with connecting, well or not, by the one call that takes any descriptor number."""
    asked = select.poll()
    asked.register(connection, select.POLLOUT)
    return bool(asked.poll(0))


def _begin(made: socket.socket, address: object) -> socket.socket:
    try:
        made.connect(address)  # type: ignore[arg-type] # a path or a pair, as its family has it
    except BlockingIOError:
        if made.family == socket.AF_UNIX:  # its queue is full: that is no connection yet
            made.close()
            raise ConnectionRefusedError from None
    except OSError:
        made.close()
        raise
    return made


class _Later(NamedTuple):
    at_ns: int
    wait_ns: int


class AgentWatch:
    """Finds the agents of a pattern of sockets, or one guest by its number, and connects to each again and again.

    A guest that does not listen is no failure: it may not have started yet. It is asked less and less often, at least once
    a minute.

    Args:
        guest: The pattern as its path, or the guest's number.
        port: The port.
        place: Whose records they are.
        clock: For times and waiting.
        owner: Who must own the sockets, and each directory above them.

    Attributes:
        waits: False: an agent keeps nothing.
    """

    waits = False

    def __init__(self, guest: Guest, port: int, place: Place, *, clock: Clock, owner: int = ROOT) -> None:
        self._guest, self._port, self._place, self._clock, self._owner = guest, port, place, clock, owner
        self._open: list[AgentPort] = []
        self._later: dict[str, _Later] = {}
        self._has_begun = False

    def discover(self, known: Mapping[str, Cursor], following: Collection[str]) -> Iterator[Follower]:
        """Give agents that are not connected; first, what is known of those of the process before this one."""
        if not self._has_begun:
            self._has_begun = True
            yield from unread_meanwhile(known, _KIND, self._guest.name)
        now = self._clock.now_ns()
        self._note_ended(now)
        guests = [self._guest] if self._guest.number is not None else self._found()
        names = {guest.name for guest in guests}
        self._later = {name: later for name, later in self._later.items() if name in names}
        for guest in guests:
            if guest.name in following or (guest.name in self._later and now < self._later[guest.name].at_ns):
                continue
            self._open.append(AgentPort(guest, self._port, self._place, clock=self._clock, owner=self._owner))
            yield self._open[-1]

    def _found(self) -> list[Guest]:
        pattern = self._guest.path
        return [Guest(path, pattern) for path in find_paths(pattern) if os.path.lexists(path)]

    def _note_ended(self, now: int) -> None:
        for port in [one for one in self._open if one.closed]:
            self._open.remove(port)
            before = self._later.get(port.name)
            wait = _SECOND if port.has_answered or before is None else min(2 * before.wait_ns, _LONGEST_WAIT_NS)
            self._later[port.name] = _Later(now + wait, wait)
