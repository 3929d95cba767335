"""A topic of Kafka, read as it grows: lines that shippers have put there, each source of them a stream of its own.

Where reading goes on after a restart is told by the store alone. Each record's cursor ends in `#<low>.<offset>.<start>`: the
message's offset in its partition, the byte of its stream at which the message begins, and `low`, below which every offset of
the partition was durable when the record was given. So of all cursors of a partition, the greatest `low` is where it is read
from again; what comes again from there is left out where its own stream has it already, to the byte. The brokers are told
how far all is durable (law L4), for people who look there, and to count what was lost; nothing is read from there on it.

What retention has removed before it was read is told as lost, by the offsets.

What another store of ours sealed keeps its place there as its cursor's; `start` then counts the records of its message and
stream up to it. It has a name for ever, by which it is known where its sender, who sends at least once, sent it twice.
"""

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from hashlib import blake2b
from threading import Thread
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote

from kata_audit.clock import Clock
from kata_audit.receivers.base import Follower, Told
from kata_audit.receivers.recent import AGAIN, TELL_NS, Recent
from kata_audit.receivers.rest import Ended
from kata_audit.receivers.shipped import Line
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk, Frame, Source

ROOM_BYTES: Final = 8 << 20
"""How much may wait to become durable until no more messages are taken."""
_MESSAGES: Final = 10_000
"""How many messages are taken at once at most."""
MOST_STREAMS: Final = 4096
"""How many sources are kept apart; where there are more, those whose lines are all durable are ended first."""
_IDLE_NS: Final = 600 * 1_000_000_000
"""How long a source may be silent until its stream is ended; when it speaks again it is a new one."""
_COMMIT_NS: Final = 1_000_000_000
_KIND: Final = "kafka"
_POSITION: Final = re.compile(r"([0-9]{1,19})\.([0-9]{1,19})\.([0-9]{1,19})")
_BEGUN: Final = "A node began to send through another shipper. Nothing here proves that all of it arrives."
_LOST: Final = "Messages were removed from the topic before they were read."
_ANEW: Final = "The topic was made anew, and is read from its beginning. What it held before and was not read is lost."


class Message(NamedTuple):
    """One message: where it stands, and what it says. A message without a value has no lines."""

    partition: int
    offset: int
    lines: Sequence[Line]


class Span(NamedTuple):
    """Which offsets a partition holds, the first and the one behind the last, and what the brokers were told is durable."""

    first: int
    end: int
    committed: int = 0


class Topic(Protocol):
    """A topic that is open for reading."""

    @property
    def spans(self) -> Mapping[int, Span]:
        """What its partitions held when it was opened."""
        ...

    def start(self, offsets: Mapping[int, int]) -> None:
        """Say from which offset each partition is read."""
        ...

    def take(self, most: int) -> Sequence[Message]:
        """Give messages that have come, in the order of their partitions; none where none has. Never waits.

        Raises:
            ReceiverError: It cannot be read any more.
        """
        ...

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Tell the brokers how far each partition is durable; it does not matter whether they learn it."""
        ...

    def close(self) -> None:
        """Let the connections go."""
        ...


class Position(NamedTuple):
    """What a cursor says beyond its stream: see the module."""

    low: int
    offset: int
    start: int

    def __str__(self) -> str:
        return f"{self.low}.{self.offset}.{self.start}"


class _Owner(NamedTuple):
    """Whose a stream is: a partition, and there a source."""

    partition: int
    mark: str


class _Known(NamedTuple):
    """A stream that the store has something of."""

    stream: str
    position: Position
    end: int


class _Piece(NamedTuple):
    """What is given as a whole: the lines of a message, from byte `start` of its stream on, or one frame, its `start`-th."""

    offset: int
    start: int
    data: bytes
    frame: Frame | None = None


class Partition:
    """What has been read of one partition, and how far all of it is durable.

    Attributes:
        next: The offset to be read next; None where nothing was read yet.
        durable_low: The greatest `low` that is known to be in the store.
        waiting: Bytes that were read and are not durable.
    """

    def __init__(self) -> None:
        self.next: int | None = None
        self.durable_low = self.waiting = 0
        self._open: dict[int, int] = {}

    @property
    def low(self) -> int:
        """Below which offset everything is durable."""
        return next(iter(self._open), self.next or 0)

    def expect(self, offset: int, parts: int) -> None:
        """Take note that a message was read, which becomes durable in as many streams; in none where all of it is."""
        if parts:
            self._open[offset] = parts
        self.next = offset + 1

    def settle(self, offset: int) -> None:
        """Take note that what one stream has of a message is durable."""
        self._open[offset] -= 1
        if not self._open[offset]:
            del self._open[offset]


class KafkaStream:
    """One source within one partition.

    Args:
        stream: Its name.
        source: Whose it is, and how it came.
        partition: Its partition.
        known: What the store has of it, if anything.
        clock: For times.
        told: What is to be told of it.
        is_sealed: Whether it is of frames that another store of ours had sealed; its bytes are counted from 0 then.

    Attributes:
        behind: Up to which byte all was durable before.
        is_over: Set to end it.
        waits: True: the topic keeps what was not read.
    """

    waits = True

    def __init__(
        self,
        stream: str,
        source: Source,
        partition: Partition,
        known: _Known | None,
        *,
        clock: Clock,
        told: Sequence[Told],
        is_sealed: bool = False,
    ) -> None:
        self.name = self.stream = stream
        self.behind = known.end if known is not None and not is_sealed else 0
        self.is_over = False
        self._offset = known.position.offset if known is not None else -1
        self._spoken_ns = clock.now_ns()
        self._source, self._partition, self._known = source, partition, known
        self._clock, self._told = clock, list(told)
        self._given = self._end = self._durable = self.behind
        self._pieces: deque[_Piece] = deque()
        self._pending: deque[tuple[int, int]] = deque()
        self._lows: deque[tuple[int, int]] = deque()

    @property
    def ended(self) -> bool:
        """Whether it has been silent for long and all of it is durable."""
        return self.is_over

    def add(self, offset: int, lines: Sequence[Line]) -> bool:
        """Put a message's lines at the end; say whether any byte of them is new."""
        self._spoken_ns = self._clock.now_ns()
        frames = [line.frame for line in lines if line.frame is not None]
        data = b"".join(line.data for line in lines)
        done = 0
        if self._known is not None:
            position = self._known.position
            behind = len(frames) <= position.start if frames else position.start + len(data) <= self._known.end
            if offset < position.offset or (offset == position.offset and behind):
                return False
            if offset == position.offset and frames:
                done = position.start
            elif offset == position.offset:  # it was durable in part
                self._given = self._end = self._durable = position.start
            self._known = None
        self._offset = offset
        pieces = [_Piece(offset, at, one.raw, one) for at, one in enumerate(frames[done:], done + 1)]
        for piece in pieces or [_Piece(offset, self._end, data)]:
            self._pieces.append(piece)
            self._end += len(piece.data)
            self._partition.waiting += len(piece.data)
        self._pending.append((self._end, offset))
        return True

    def poll(self, size: int) -> Chunk | None:
        """Give what has come since the last call, whole pieces, about `size` bytes; None where nothing has."""
        if not self._pieces:
            return None
        begin, low = self._given, self._partition.low
        taken: list[_Piece] = []
        names: list[tuple[int, str]] = []
        while self._pieces and size > 0:
            piece = self._pieces.popleft()
            self._given += len(piece.data)
            size -= len(piece.data)
            taken.append(piece)
            names.append((self._given, str(Position(low, piece.offset, piece.start))))
        self._lows.append((self._given, low))
        data, frames = b"".join(one.data for one in taken), [one.frame for one in taken if one.frame is not None]
        return Chunk(self._source, self.stream, begin, data, self._clock.now_ns(), names, frames)

    def acknowledge(self, end: int) -> None:
        """Take note that all of it up to byte `end` is durable."""
        self._partition.waiting -= max(end - self._durable, 0)
        self._durable = max(end, self._durable)
        while self._pending and self._pending[0][0] <= end:
            self._partition.settle(self._pending.popleft()[1])
        while self._lows and self._lows[0][0] <= end:
            self._partition.durable_low = max(self._partition.durable_low, self._lows.popleft()[1])

    def told(self) -> Iterator[Told]:
        """Tell once that the source began; see `Follower`."""
        while self._told:
            yield self._told.pop(0)

    def is_idle(self, now: int) -> bool:
        """Say whether it has been silent for long."""
        return not 0 <= now - self._spoken_ns < _IDLE_NS

    def is_settled(self) -> bool:
        """Say whether it may be forgotten: another stream of its partition tells then where reading goes on."""
        return not self._pending and self._offset < self._partition.durable_low

    def close(self) -> None:
        """Hold nothing; what was not durable is read again after a restart."""


class Reading:
    """What has been read of a topic by this process; it outlives connections.

    Args:
        name: What it is called in the configuration.
        topic: The topic.
        tenant: Whose records they are.
        clock: For times.
    """

    def __init__(self, name: str, topic: str, tenant: str, *, clock: Clock) -> None:
        self._tenant, self._clock = tenant, clock
        self._named = f"?{_KIND}-{quote(name, safe='')}-{topic}-"
        self._streams: dict[_Owner, KafkaStream] = {}
        self._known: dict[_Owner, _Known] = {}
        self._partitions: dict[int, Partition] = {}
        self._new: list[KafkaStream] = []
        self._told: list[Told] = []
        self._introduced: set[tuple[str, str]] = set()
        self._recent = Recent[bool]()
        self._again = self._again_ns = 0

    @property
    def waiting(self) -> int:
        """Bytes that were read and are not durable."""
        return sum(one.waiting for one in self._partitions.values())

    @property
    def is_crowded(self) -> bool:
        """Whether there are more sources than are kept apart."""
        return len(self._streams) > MOST_STREAMS

    @property
    def lows(self) -> dict[int, int]:
        """Below which offset everything is durable, of each partition."""
        return {number: one.low for number, one in self._partitions.items()}

    def resume(self, known: Mapping[str, Cursor]) -> list[str]:
        """Learn from the store where reading goes on; give the streams that tell nothing any more."""
        pattern = re.compile(rf".*{re.escape(self._named)}([0-9]+)-([0-9a-f]{{16}})-[0-9]+", re.DOTALL)
        found: dict[_Owner, _Known] = {}
        stale: list[str] = []
        for stream, cursor in known.items():
            named, told = pattern.fullmatch(stream), _POSITION.fullmatch(cursor.position or "")
            if named is None or told is None:
                continue
            one = _Known(stream, Position(*map(int, told.groups())), cursor.end)
            owner = _Owner(int(named[1]), named[2])
            before = found.get(owner)
            older = one if before is not None and before.position > one.position else before
            if older is not None:
                stale.append(older.stream)
            if older is not one:
                found[owner] = one
            partition = self._partitions.setdefault(owner.partition, Partition())
            partition.next = partition.durable_low = max(partition.durable_low, one.position.low)
        for owner, one in found.items():
            if one.position.offset < self._partitions[owner.partition].low:
                stale.append(one.stream)
            else:
                self._known[owner] = one
        return stale

    def begin(self, spans: Mapping[int, Span]) -> dict[int, int]:
        """Give the offset to read each partition from; what is not there any more is told."""
        for number, span in spans.items():
            partition = self._partitions.setdefault(number, Partition())
            read_to = self._read_to(number)
            if partition.next is None:
                partition.next = span.first
            elif max(partition.next, read_to) > span.end:
                self._told.append(Told("collect.lost", _ANEW, "unknown", {"kafka.partition": str(number)}))
                self._end_all(number)
                partition.next, partition.durable_low = span.first, 0
            elif partition.next < span.first:
                # What the store has above `next` may have gaps; the brokers know better where they were told more.
                durable = max(partition.next, span.committed)
                count = str(span.first - durable) if read_to <= durable <= span.first else "unknown"
                details = {"kafka.partition": str(number), "kafka.offset.first": str(span.first)}
                self._told.append(Told("collect.lost", _LOST, count, details))
                partition.next = span.first
        return {number: self._partitions[number].next or 0 for number in spans}

    def _read_to(self, number: int) -> int:
        """Give the offset behind the last one that the store has of a partition, before anything of it was read again."""
        return max((one.position.offset for owner, one in self._known.items() if owner.partition == number), default=-1) + 1

    def _end_all(self, number: int) -> None:
        for owner in [one for one in self._streams if one.partition == number]:
            self._streams.pop(owner).is_over = True
        for owner in [one for one in self._known if one.partition == number]:
            del self._known[owner]

    def distribute(self, messages: Iterable[Message]) -> None:
        """Put messages into their streams."""
        for message in messages:
            partition = self._partitions[message.partition]
            by_owner: dict[_Owner, list[Line]] = {}
            for line in message.lines:
                mark = _mark(line)
                if not self._is_repeated(mark, line):
                    by_owner.setdefault(_Owner(message.partition, mark), []).append(line)
            parts = [
                self._stream(owner, lines[0], message.offset).add(message.offset, lines) for owner, lines in by_owner.items()
            ]
            partition.expect(message.offset, sum(parts))

    def _is_repeated(self, mark: str, line: Line) -> bool:
        """Say whether a record that another store of ours sealed was there before; it is counted.

        What was read before it may not be durable yet. It stands before it in the topic, so that it is read again first.
        """
        if line.frame is None:
            return False
        if self._recent.find(mark, line.cursor):
            self._again += 1
            return True
        self._recent.keep(mark, line.cursor, True)
        return False

    def _stream(self, owner: _Owner, line: Line, offset: int) -> KafkaStream:
        found = self._streams.get(owner)
        if found is not None:
            return found
        known = self._known.pop(owner, None)
        path = quote(line.path, safe="/")
        name = known.stream if known is not None else f"{path}{self._named}{owner.partition}-{owner.mark}-{offset}"
        source = Source(_KIND, line.node, self._tenant, line.transport)
        partition, told = self._partitions[owner.partition], self._introduce(line)
        made = self._streams[owner] = KafkaStream(
            name, source, partition, known, clock=self._clock, told=told, is_sealed=line.frame is not None
        )
        self._new.append(made)
        return made

    def _introduce(self, line: Line) -> Sequence[Told]:
        """Tell of a node and transport once, however many files it has."""
        pair = (line.node, str(line.transport))
        if pair in self._introduced or len(self._introduced) >= MOST_STREAMS:
            return ()
        self._introduced.add(pair)
        details = {"host.name": line.node, "log.transport": str(line.transport), "completeness": "unproven"}
        return (Told("collect.received", _BEGUN, details=details, severity="INFO"),)

    def take_new(self) -> list[KafkaStream]:
        """Give the streams that have begun since the last call, and let go of those that have been silent for long."""
        now = self._clock.now_ns()
        for owner, stream in list(self._streams.items()):
            if stream.is_settled() and (self.is_crowded or stream.is_idle(now)):
                stream.is_over = True
                del self._streams[owner]
        new, self._new = self._new, []
        return new

    def told(self) -> Iterator[Told]:
        """Tell what was lost, once each, and now and then how many records were sent again."""
        now = self._clock.now_ns()
        if self._again and not 0 <= now - self._again_ns < TELL_NS:
            self._told.append(Told("collect.repeated", AGAIN, details={"log.records.repeated": str(self._again)}))
            self._again, self._again_ns = 0, now
        while self._told:
            yield self._told.pop(0)


def _mark(line: Line) -> str:
    """Give what tells a source from others of its partition."""
    text = f"{line.node}\0{line.transport}\0{line.path}{line.store and chr(0)}{line.store}"
    return blake2b(text.encode(errors="replace"), digest_size=8).hexdigest()


class KafkaPump:
    """Takes messages from an open topic into the streams; it gives nothing itself.

    Args:
        name: What it is called.
        topic: The topic.
        reading: What has been read.
        clock: For when the brokers are told how far all is durable.
        room_bytes: How much may wait to become durable.

    Attributes:
        waits: True: the topic keeps what was not read.
    """

    waits, ended, behind, stream = True, False, 0, ""

    def __init__(self, name: str, topic: Topic, reading: Reading, *, clock: Clock, room_bytes: int = ROOM_BYTES) -> None:
        self.name = name
        self._topic, self._reading, self._clock, self._room_bytes = topic, reading, clock, room_bytes
        self._committed: dict[int, int] = {}
        self._committed_ns = 0
        topic.start(reading.begin(topic.spans))

    def poll(self, _size: int) -> None:
        """Take what has come, where there is room for it.

        Raises:
            ReceiverError: The topic cannot be read any more.
        """
        waiting = self._reading.waiting
        # In a crowd one more lot is taken whenever all is durable: its cursors let the sources before it be forgotten.
        if not waiting or (waiting < self._room_bytes and not self._reading.is_crowded):
            self._reading.distribute(self._topic.take(_MESSAGES))
        now = self._clock.now_ns()
        if not 0 <= now - self._committed_ns < _COMMIT_NS:
            self._committed_ns = now
            self._commit()

    def _commit(self) -> None:
        lows = self._reading.lows
        if lows != self._committed:
            self._topic.commit(lows)
            self._committed = lows

    def acknowledge(self, _end: int) -> None:
        """Do nothing: it has given nothing."""

    def told(self) -> Iterator[Told]:
        """Tell what was lost; see `Follower`."""
        return self._reading.told()

    def close(self) -> None:
        """Tell the brokers how far all is durable, and let the connections go."""
        self._commit()
        self._topic.close()


class KafkaWatch:
    """Gives the collector what comes through a topic, and opens it again where it broke off.

    Args:
        name: What it is called in the configuration.
        reading: What has been read.
        open_topic: Opens the topic, which may take a while; raises `ReceiverError` where it cannot be read.
        clock: For times.

    Attributes:
        waits: True: the topic keeps what was not read.
    """

    waits = True

    def __init__(self, name: str, reading: Reading, open_topic: Callable[[], Topic], *, clock: Clock) -> None:
        self._name, self._reading, self._open, self._clock = f"{_KIND}-{name}", reading, open_topic, clock
        self._opening: Future[Topic] | None = None
        self._has_begun = False

    def discover(self, known: Mapping[str, Cursor], following: Collection[str]) -> Iterator[Follower]:
        """Give the topic once it is open, and the streams that have begun.

        Raises:
            ReceiverError: It cannot be read.
        """
        if not self._has_begun:
            self._has_begun = True
            yield from (Ended(stream) for stream in self._reading.resume(known))
        yield from self._reading.take_new()
        if self._name in following:
            return
        if self._opening is None:
            self._opening = in_background(self._open)
        elif self._opening.done():
            opening, self._opening = self._opening, None
            yield KafkaPump(self._name, opening.result(), self._reading, clock=self._clock)


def in_background(act: Callable[[], Topic]) -> "Future[Topic]":
    """Do something that may wait for others, beside the collector's loop."""
    future: Future[Topic] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(act())
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result is told
            future.set_exception(error)

    Thread(target=run, name="kafka", daemon=True).start()
    return future
