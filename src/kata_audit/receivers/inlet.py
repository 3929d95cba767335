"""Where listeners leave lines, whence the collector takes them, and how the senders learn that they are durable.

A listener runs beside the collector's loop and offers lines; each source of a sender (a node, a transport, a path) is a
stream of its own, which the collector follows like a file. What was offered is answered for only when all of its lines are
durable (law L4), so a sender that was not answered sends again, and nothing is lost where either side dies. There is room
for few bytes; while they wait for a disk, nothing more is read from any connection.
"""

import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from threading import Event, Lock
from typing import Final, NamedTuple
from urllib.parse import quote

from kata_audit.clock import Clock
from kata_audit.receivers.base import Follower, Told
from kata_audit.receivers.recent import AGAIN, TELL_NS, Recent
from kata_audit.receivers.rest import Ended
from kata_audit.receivers.shipped import Line
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk, Source, Transport

ROOM_BYTES: Final = 8 << 20
"""How much may wait to become durable until nothing more is taken."""
MOST_STREAMS: Final = 4096
"""How many sources are kept apart; where there are more, those that have been silent longest are ended."""
_IDLE_NS: Final = 600 * 1_000_000_000
"""How long a source may be silent until it is forgotten; when it speaks again it is a new stream."""
_MOST_PEERS: Final = 64
"""How many peers that were refused are told of in a minute."""
_BEGUN: Final = "A node began to send through another shipper. Nothing here proves that all of it arrives."
_DROPPED: Final = "Datagrams were dropped: there was no room for them, and nobody keeps them."
_REFUSED: Final = "Somebody who may not send here was refused."


class _Owner(NamedTuple):
    node: str
    transport: Transport
    path: str
    store: str


class _Ticket:
    """What was offered together: how many streams it waits for, and what is called when all of it is durable."""

    def __init__(self, done: Callable[[], None]) -> None:
        self.missing = 0
        self.done = done


class ShippedStream:
    """One source of a sender.

    Args:
        stream: Its name.
        source: Whose it is, and how it came.
        inlet: Where it is of.
        told: What is to be told of it.

    Attributes:
        behind: 0: what was durable before is not sent again by us.
        waits: True: the sender keeps what is not answered for.
    """

    waits = True

    def __init__(self, stream: str, source: Source, inlet: "Inlet", told: Sequence[Told]) -> None:
        self.name = self.stream = stream
        self.behind = 0
        self._source, self._inlet = source, inlet
        self._lines: deque[Line] = deque()
        self._given = self.end = self.durable = 0
        self._tickets: deque[tuple[int, _Ticket]] = deque()
        self._told = list(told)
        self._again, self._again_ns = 0, 0
        self.spoken_ns = inlet.clock.now_ns()
        self.is_over = False

    @property
    def ended(self) -> bool:
        """Whether it has been silent for long and all of it is durable."""
        return self.is_over

    def add(self, line: Line, ticket: _Ticket) -> None:
        """Put a line at the end, for which the ticket waits. The inlet's lock is held."""
        self._lines.append(line)
        self.end += len(line.data)
        self.spoken_ns = self._inlet.clock.now_ns()
        self.wait(ticket)

    def wait(self, ticket: _Ticket) -> None:
        """Let a ticket wait until all that is here now is durable. The inlet's lock is held."""
        if self.durable == self.end:
            return
        if self._tickets and self._tickets[-1][1] is ticket:
            self._tickets[-1] = (self.end, ticket)
        else:
            self._tickets.append((self.end, ticket))
            ticket.missing += 1

    def repeat(self, ticket: _Ticket) -> None:
        """Count a line that was sent again; it is answered for with what is here. The inlet's lock is held."""
        self._again += 1
        self.spoken_ns = self._inlet.clock.now_ns()
        self.wait(ticket)

    def poll(self, size: int) -> Chunk | None:
        """Give lines that have come since the last call, whole ones, about `size` bytes; None where none has."""
        with self._inlet.lock:
            taken: list[Line] = []
            while self._lines and size > 0:
                taken.append(self._lines.popleft())
                size -= len(taken[-1].data)
        if not taken:
            return None
        data, frames = b"".join(line.data for line in taken), [line.frame for line in taken if line.frame is not None]
        chunk = Chunk(self._source, self.stream, self._given, data, self._inlet.clock.now_ns(), frames=frames)
        self._given += len(chunk.data)
        return chunk

    def acknowledge(self, end: int) -> None:
        """Answer for what is durable up to byte `end`."""
        with self._inlet.lock:
            self._inlet.give_back(end - self.durable)
            self.durable = end
            done = []
            while self._tickets and self._tickets[0][0] <= end:
                ticket = self._tickets.popleft()[1]
                ticket.missing -= 1
                if not ticket.missing:
                    done.append(ticket)
        for ticket in done:
            ticket.done()

    def told(self) -> Iterator[Told]:
        """Tell once that the source began, and now and then how many of its lines were sent again; see `Follower`."""
        now = self._inlet.clock.now_ns()
        if self._again and not 0 <= now - self._again_ns < TELL_NS:
            details = {"log.records.repeated": str(self._again)}
            self._told.append(Told("collect.repeated", AGAIN, details=details))
            self._again, self._again_ns = 0, now
        while self._told:
            yield self._told.pop(0)

    def is_idle(self, now: int) -> bool:
        """Say whether it may be forgotten. The inlet's lock is held."""
        return self.durable == self.end and not self._tickets and not 0 <= now - self.spoken_ns < _IDLE_NS

    def close(self) -> None:
        """Hold nothing: who waits is not answered, and sends again."""


class Inlet:
    """The place between one listener and the collector.

    Args:
        kind: What the records' receiver is called: `http`, `forward`.
        name: The receiver's name in the configuration.
        tenant: Whose records they are.
        clock: For times.
        wake: Set when something has come.
        room_bytes: How much may wait to become durable.

    Attributes:
        lock: Held by whoever changes a stream.
    """

    def __init__(
        self, kind: str, name: str, tenant: str, *, clock: Clock, wake: Event, room_bytes: int = ROOM_BYTES
    ) -> None:
        self.clock, self.lock = clock, Lock()
        self._kind, self._name, self._tenant, self._wake, self._room = kind, name, tenant, wake, room_bytes
        self._streams: OrderedDict[_Owner, ShippedStream] = OrderedDict()
        self._new: list[ShippedStream] = []
        self._recent = Recent[ShippedStream]()
        self._introduced: set[tuple[str, Transport]] = set()
        self._waiting = self._lost = self._refused_ns = 0
        self._refused: dict[tuple[str, str], int] = {}
        self._numbers = itertools.count()

    @property
    def has_room(self) -> bool:
        """Whether anything more may be offered now."""
        return self._waiting < self._room

    def offer(self, lines: Sequence[Line], done: Callable[[], None]) -> None:
        """Take lines; `done` is called once, by the collector's thread, when all of them are durable.

        A line whose cursor is one of the newest ones of its source was sent again: it is not taken a second time.
        """
        ticket = _Ticket(done)
        ticket.missing = 1
        with self.lock:
            for line in lines:
                owner = _Owner(line.node, line.transport, line.path, line.store)
                known = self._recent.find(owner, line.cursor)
                if known is not None:
                    known.repeat(ticket)
                    continue
                stream = self._stream(owner)
                stream.add(line, ticket)
                self._waiting += len(line.data)
                self._recent.keep(owner, line.cursor, stream)
            ticket.missing -= 1
            is_done = not ticket.missing
        if is_done:
            done()
        self._wake.set()

    def lose(self) -> None:
        """Count a line that was dropped for want of room."""
        with self.lock:
            self._lost += 1

    def refuse(self, peer: str, why: str) -> None:
        """Count a peer that may not send here."""
        with self.lock:
            if (peer, why) in self._refused or len(self._refused) < _MOST_PEERS:
                self._refused[peer, why] = self._refused.get((peer, why), 0) + 1

    def take_told(self) -> list[Told]:
        """Give what is to be told of the receiver itself: what was dropped, and now and then who was refused how often."""
        now, told = self.clock.now_ns(), list[Told]()
        with self.lock:
            if self._lost:
                told.append(Told("collect.lost", _DROPPED, str(self._lost)))
                self._lost = 0
            if self._refused and not 0 <= now - self._refused_ns < TELL_NS:
                for (peer, why), count in self._refused.items():
                    details = {"client.address": peer, "error.message": why, "count": str(count)}
                    told.append(Told("collect.refused", _REFUSED, details=details))
                self._refused, self._refused_ns = {}, now
        return told

    def _stream(self, owner: _Owner) -> ShippedStream:
        found = self._streams.get(owner)
        if found is not None and not found.is_over:
            self._streams.move_to_end(owner)
            return found
        source = Source(self._kind, owner.node, self._tenant, owner.transport)
        began = f"{self.clock.now_ns()}-{next(self._numbers)}"
        name = f"{quote(owner.path, safe='/')}?{self._kind}-{quote(self._name, safe='')}-{began}"
        made = ShippedStream(name, source, self, self._introduce(owner))
        self._streams[owner] = made
        self._new.append(made)
        return made

    def _introduce(self, owner: _Owner) -> Sequence[Told]:
        """Tell of a node and transport once, however many files it has."""
        pair = (owner.node, owner.transport)
        if pair in self._introduced or len(self._introduced) >= MOST_STREAMS:
            return ()
        self._introduced.add(pair)
        details = {"host.name": owner.node, "log.transport": str(owner.transport), "completeness": "unproven"}
        return (Told("collect.received", _BEGUN, details=details, severity="INFO"),)

    def give_back(self, size: int) -> None:
        """Make room for as many bytes. The lock is held."""
        self._waiting -= size

    def take_new(self) -> list[ShippedStream]:
        """Give the streams that have begun since the last call, and let go of those that have been silent for long."""
        now = self.clock.now_ns()
        with self.lock:
            for owner, stream in list(self._streams.items()):
                if stream.is_idle(now) or (len(self._streams) > MOST_STREAMS and stream.is_idle(now + _IDLE_NS)):
                    stream.is_over = True
                    del self._streams[owner]
            new, self._new = self._new, []
        return new


class InletWatch:
    """Gives the collector what comes through an inlet.

    Args:
        inlet: The inlet.
        marked: Word that marks streams of it: its kind and name.

    Attributes:
        waits: True: senders keep what is not answered for.
    """

    waits = True

    def __init__(self, inlet: Inlet, marked: str) -> None:
        self._inlet, self._marked = inlet, f"?{marked}-"
        self._has_begun = False

    def discover(self, known: Mapping[str, Cursor], _following: Collection[str]) -> Iterator[Follower]:
        """Give streams that have begun; first those of the process before this one, which nobody goes on with."""
        if not self._has_begun:
            self._has_begun = True
            yield from (Ended(stream) for stream in known if self._marked in stream)
        yield from self._inlet.take_new()
        told = self._inlet.take_told()
        if told:
            yield Ended(f"receive{self._marked}", *told)
