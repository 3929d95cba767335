"""A topic is read once, whatever dies: the store alone tells where reading goes on. The topic here is one in memory."""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from tests.evidence import derive
from tests.receiving import said, sealed

from kata_audit.clock import ManualClock
from kata_audit.errors import ReceiverError
from kata_audit.pipeline.collect import Collector
from kata_audit.pipeline.ingest import CutPolicy, Sealer
from kata_audit.pipeline.own import OwnRecords
from kata_audit.pipeline.shedding import Holding
from kata_audit.receivers.kafka import KafkaStream, KafkaWatch, Message, Partition, Reading, Span, Topic
from kata_audit.receivers.kafka_topic import read_value
from kata_audit.receivers.shipped import Declared, Fields, Line
from kata_audit.schema.cursor import Cursor, parse_cursor
from kata_audit.schema.source import Source, Transport
from kata_audit.store import spool
from kata_audit.store.writer import Writer, open_writer

SECOND = 1_000_000_000
HERE = Declared("lab", "lab/central")
FIELDS = Fields("log", "transport", path="path", node="host")


class Broker:
    """A topic in memory: what its partitions hold, and what it was told is durable."""

    def __init__(self, partitions: int = 1) -> None:
        self.held: dict[int, dict[int, list[Line]]] = {number: {} for number in range(partitions)}
        self.end = dict.fromkeys(self.held, 0)
        self.committed: dict[int, int] = {}
        self.fails = False
        self.most = 1000

    def put(self, partition: int, *lines: Line) -> None:
        self.held[partition][self.end[partition]] = list(lines)
        self.end[partition] += 1

    def remove(self, partition: int, before: int) -> None:
        """Remove what is older, as retention does."""
        self.held[partition] = {at: one for at, one in self.held[partition].items() if at >= before}

    def open(self) -> Topic:
        if self.fails:
            raise ReceiverError("Kafka cannot be read: it is away.", where="kafka-bus")
        return Opened(self)


class Opened:
    """A connection to it."""

    def __init__(self, broker: Broker) -> None:
        self._broker, self._at = broker, dict[int, int]()
        self.closed = False

    @property
    def spans(self) -> Mapping[int, Span]:
        broker = self._broker
        firsts = {number: min(held, default=broker.end[number]) for number, held in broker.held.items()}
        return {one: Span(first, broker.end[one], broker.committed.get(one, 0)) for one, first in firsts.items()}

    def start(self, offsets: Mapping[int, int]) -> None:
        self._at = dict(offsets)

    def take(self, most: int) -> Sequence[Message]:
        if self._broker.fails:
            raise ReceiverError("Kafka cannot be read: it broke off.", where="kafka-bus")
        found = []
        for number, at in self._at.items():
            end = min(self._broker.end[number], at + min(most, self._broker.most))
            found += [Message(number, offset, self._broker.held[number][offset]) for offset in range(at, end)]
            self._at[number] = end
        return found

    def commit(self, offsets: Mapping[int, int]) -> None:
        self._broker.committed |= offsets

    def close(self) -> None:
        self.closed = True


def line(number: int, path: str = "/a", text: str = "") -> Line:
    return Line("lab/w1", Transport.BARE, path, None, f"{number}:{text}\n".encode())


def collecting(writer: Writer, broker: Broker, clock: ManualClock) -> Collector:
    reading = Reading("bus", "logs", "default", clock=clock)
    own = OwnRecords("collect", node="lab/central", tenant="default", clock=clock)
    sealer = Sealer(writer, CutPolicy(), derive, clock, after_seal=int)
    watch = KafkaWatch("bus", reading, broker.open, clock=clock)
    return Collector([watch], writer, sealer, own, clock=clock, key=bytes(32), holding=Holding(derive))


def step(collector: Collector, clock: ManualClock, times: int = 3) -> None:
    """Let it open the topic in its thread, find streams, and take what they have."""
    for _ in range(times):
        clock.advance(SECOND)
        collector.step()
        time.sleep(0.002)


def life(root: Path, broker: Broker, act: Callable[[Collector, ManualClock], None], *, dies: bool = False) -> None:
    clock = ManualClock()
    with open_writer(root, clock=clock) as writer:
        collector = collecting(writer, broker, clock)
        act(collector, clock)
        if not dies:
            collector.finish()


def texts(root: Path) -> list[str]:
    return [row["raw"].decode().strip() for row in sealed(root)]


def test_each_source_is_a_stream_whose_cursors_say_the_offset(tmp_path: Path) -> None:
    broker = Broker(2)
    broker.put(0, line(0), line(1, "/b"), line(2))
    broker.put(1, line(3))
    broker.put(0)
    broker.put(0, line(4, "/b"))
    life(tmp_path / "s", broker, lambda collector, clock: step(collector, clock, 5))

    rows = sealed(tmp_path / "s")
    assert {row["receiver"] for row in rows} == {"kafka:bare"}
    found = {row["raw"]: parse_cursor(row["cursor"]) for row in rows}
    assert len(found) == 5
    places = {int(raw.split(b":")[0]): (one.stream, one.position) for raw, one in found.items() if one is not None}
    assert places[0][0] == places[2][0] != places[1][0] == places[4][0]
    assert places[0][0].startswith("/a?kafka-bus-logs-0-")
    assert [places[number][1] for number in (0, 2, 3)] == ["0.0.0", "0.0.0", "0.0.0"]
    assert places[4][1] == "0.2.3"
    assert broker.committed == {0: 3, 1: 1}


def test_a_collector_that_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    broker = Broker()
    for number in range(10):
        broker.put(0, line(number, f"/{number % 3}"))
    life(tmp_path / "s", broker, step)
    for number in range(10, 20):
        broker.put(0, line(number, f"/{number % 3}"))
    broker.committed = {0: 0}
    life(tmp_path / "s", broker, step)

    assert sorted(map(int, (text.rstrip(":") for text in texts(tmp_path / "s")))) == list(range(20))
    assert len({row["cursor"].split("@")[0] for row in sealed(tmp_path / "s")}) == 3


@pytest.mark.parametrize("seed", range(12))
def test_whatever_a_crash_leaves_of_the_spool_every_line_is_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Frames are so small that a crash leaves some sources' lines of a message and not others', and parts of long lines."""
    monkeypatch.setattr(spool, "FRAME_RAW_BYTES", 200)
    monkeypatch.setattr("kata_audit.parse.split.MAX_FRAME", 150)
    chance, broker, root = random.Random(seed), Broker(3), tmp_path / "s"
    expected: dict[int, str] = {}

    def put() -> None:
        number = len(expected)
        lines = []
        for _ in range(chance.choice([0, 1, 1, 1, 4])):
            number = len(expected)
            expected[number] = f"{number}:{'x' * chance.choice([0, 10, 100, 700])}"
            lines.append(Line("lab/w1", Transport.BARE, f"/{chance.randrange(4)}", None, f"{expected[number]}\n".encode()))
        broker.put(chance.randrange(3), *lines)

    def some(collector: Collector, clock: ManualClock) -> None:
        for _ in range(chance.randrange(1, 6)):
            for _ in range(chance.randrange(20)):
                put()
            broker.most = chance.choice([1, 5, 1000])
            broker.fails = chance.random() < 0.1
            step(collector, clock, chance.randrange(1, 4))
        broker.fails = False

    for _ in range(12):
        life(root, broker, some, dies=True)
        files = [path for path in sorted((root / "spool").iterdir()) if path.stat().st_size]
        if files and chance.random() < 0.9:
            size = files[-1].stat().st_size
            with files[-1].open("r+b") as file:
                file.truncate(max(size - chance.randrange(1, 2000), 0))
    broker.most = 1000
    life(root, broker, lambda collector, clock: step(collector, clock, 6))

    pieces: dict[str, bytes] = {}
    for row in sealed(root):
        cursor = parse_cursor(row["cursor"])
        assert cursor is not None
        key = f"{cursor.stream}@{cursor.offset if cursor.line is None else cursor.line}"
        pieces[key] = pieces.get(key, b"") + row["raw"]
    assert Counter(piece.decode().rstrip("\n") for piece in pieces.values()) == Counter(expected.values())
    spans: dict[str, list[tuple[int, int]]] = {}
    for row in sealed(root):
        cursor = parse_cursor(row["cursor"])
        assert cursor is not None
        spans.setdefault(cursor.stream, []).append((cursor.offset, cursor.end))
    for each in spans.values():  # L1: the frames of a stream tile its bytes
        assert all(end == begin for (_, end), (begin, _) in pairwise(each))


def test_what_retention_removed_is_told_with_its_number(tmp_path: Path) -> None:
    broker, root = Broker(), tmp_path / "s"
    for number in range(10):
        broker.put(0, line(number))
    life(root, broker, step)
    for number in range(10, 30):
        broker.put(0, line(number))
    broker.remove(0, 25)
    life(root, broker, step)

    assert len(texts(root)) == 10 + 5
    (lost,) = [row for row in said(root) if b'"event":"collect.lost"' in row["raw"]]
    assert b'"log.records.lost":"15"' in lost["raw"].replace(b" ", b"")


def test_a_number_that_nobody_knows_is_not_told(tmp_path: Path) -> None:
    """Where the brokers do not say either how far all was durable."""
    broker, root = Broker(), tmp_path / "s"
    for number in range(10):
        broker.put(0, line(number))
    life(root, broker, step)
    broker.put(0, line(10))
    broker.put(0, line(11))
    broker.remove(0, 11)
    broker.committed = {}
    life(root, broker, step)

    (lost,) = [row for row in said(root) if b'"event":"collect.lost"' in row["raw"]]
    assert b"log.records.lost" not in lost["raw"]
    assert len(texts(root)) == 10 + 1


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    broker, root = Broker(), tmp_path / "s"
    for number in range(10):
        broker.put(0, line(number))
    life(root, broker, step)
    anew = Broker()
    anew.put(0, line(100))
    for _ in range(2):
        life(root, anew, step)

    assert texts(root).count("100:") == 1
    assert any(b"made anew" in row["raw"] for row in said(root))


def test_one_that_fails_is_told_and_opened_again_where_it_was(tmp_path: Path) -> None:
    broker, root = Broker(), tmp_path / "s"

    def act(collector: Collector, clock: ManualClock) -> None:
        broker.fails = True
        step(collector, clock, 4)
        broker.fails = False
        for number in range(5):
            broker.put(0, line(number))
        step(collector, clock, 6)
        broker.fails = True
        step(collector, clock)
        broker.fails = False
        broker.put(0, line(5))
        step(collector, clock, 12)

    life(root, broker, act)
    assert texts(root) == [f"{number}:" for number in range(6)]
    failures = [row["raw"] for row in said(root) if b"collect.source_failed" in row["raw"]]
    assert any(b"it is away" in raw for raw in failures)
    assert any(b"it broke off" in raw for raw in failures)


def test_no_more_is_taken_than_there_is_room_for() -> None:
    """What is not durable is not taken further, so that memory has a bound; the topic keeps the rest."""
    broker, clock = Broker(), ManualClock()
    broker.most = 1
    for number in range(40):
        broker.put(0, line(number, text="x" * (1 << 20)))
    reading = Reading("bus", "logs", "default", clock=clock)
    watch = KafkaWatch("bus", reading, broker.open, clock=clock)
    pump = None
    while pump is None:
        pump = next((one for one in watch.discover({}, ()) if one.name == "kafka-bus"), None)
    for _ in range(40):
        pump.poll(1)
    assert 8 << 20 <= reading.waiting <= (9 << 20) + 100
    (stream,) = reading.take_new()
    chunk = stream.poll(1 << 30)
    assert chunk is not None
    stream.acknowledge(chunk.offset + len(chunk.data))
    assert reading.waiting == 0
    assert reading.lows == {0: 8}


def test_a_silent_source_is_forgotten_once_another_tells_where_reading_goes_on(tmp_path: Path) -> None:
    broker, root = Broker(), tmp_path / "s"

    def act(collector: Collector, clock: ManualClock) -> None:
        broker.put(0, line(0, "/quiet"))
        step(collector, clock, 4)
        clock.advance(700 * SECOND)
        step(collector, clock, 3)
        assert collector.following == 2
        for number in (1, 2):
            broker.put(0, line(number, "/loud"))
            step(collector, clock, 3)
        assert collector.following == 2
        broker.put(0, line(3, "/quiet"))
        step(collector, clock, 3)

    life(root, broker, act)
    life(root, broker, step)
    assert sorted(texts(root)) == ["0:", "1:", "2:", "3:"]
    assert len({row["cursor"].split("@")[0] for row in sealed(root)}) == 3


def test_a_crowd_of_sources_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes the field that names the source can make one of each line; all lines come, and few are kept apart."""
    monkeypatch.setattr("kata_audit.receivers.kafka.MOST_STREAMS", 20)
    broker, root = Broker(2), tmp_path / "s"
    broker.most = 50
    for number in range(600):
        broker.put(number % 2, line(number, f"/{number}"))
    most = [0]

    def act(collector: Collector, clock: ManualClock) -> None:
        for _ in range(60):
            step(collector, clock, 1)
            most[0] = max(most[0], collector.following)

    life(root, broker, act)
    assert sorted(int(text.rstrip(":")) for text in texts(root)) == list(range(600))
    assert most[0] < 350
    life(root, broker, step)
    assert len(texts(root)) == 600


def test_a_message_that_was_durable_in_part_is_given_from_its_first_byte() -> None:
    """The collector leaves out what ends before `behind`."""
    reading, stream = Reading("bus", "t", "default", clock=ManualClock()), "/a?kafka-bus-t-0-0123456789abcdef-7"
    assert reading.resume({stream: Cursor(stream, 100, 50, position="5.9.80"), "/b?1-2-aa": Cursor("/b?1-2-aa", 1, 1)}) == []
    assert reading.begin({0: Span(0, 20)}) == {0: 5}


@pytest.mark.parametrize(("end", "given", "behind"), [(100, 80, 100), (90, None, 90), (89, 80, 89)])
def test_the_message_at_the_cursor_comes_again(end: int, given: int | None, behind: int) -> None:
    """It is given again only where it is longer than what the store has of it."""
    clock, stream = ManualClock(), "/a?kafka-bus-t-0-0123456789abcdef-7"
    reading = Reading("bus", "t", "default", clock=clock)
    reading.resume({stream: Cursor(stream, 80, end - 80, position="5.9.80")})
    known = next(iter(reading._known.values()))
    made = KafkaStream(stream, Source("kafka", "a/b", "t", Transport.BARE), Partition(), known, clock=clock, told=())
    text = Line("a/b", Transport.BARE, "/a", None, b"x" * 500)
    assert not made.add(8, [text])
    assert made.add(9, [text._replace(data=b"x" * (30 if end == 100 else 10))]) is (given is not None)
    chunk = made.poll(1 << 20)
    assert (chunk.offset if chunk is not None else None) == given
    assert made.behind == behind


def test_a_value_is_json_or_a_line() -> None:
    value = b'{"log":"a\\n","transport":"cri","path":"/p","host":"w2"}\n\nplain\n{"other":1}'
    assert read_value(value, None, FIELDS, HERE) == [
        Line("lab/w2", Transport.CRI, "/p", None, b"a\n"),
        Line("lab/central", Transport.BARE, "", None, b"plain\n"),
        Line("lab/central", Transport.BARE, "", None, b'{"other":1}\n'),
    ]
    assert read_value(b"", None, FIELDS, HERE) == []


def test_the_time_of_a_message_is_used_where_no_field_has_it() -> None:
    value, declared = b'{"log":"a","stream":"stdout","t":"2026-11-25T10:00:00Z"}', HERE._replace(transport=Transport.CRI)
    (own,) = read_value(value, 0, FIELDS, declared)
    assert own.data == b"1970-01-01T00:00:00.000000000Z stdout F a\n"
    (told,) = read_value(value, 0, FIELDS._replace(time="t"), declared)
    assert told.data == b"2026-11-25T10:00:00.000000000Z stdout F a\n"
