"""Between listeners and the collector: each source a stream, and an answer only when all is durable."""

from threading import Event

import pytest

from kata_audit.clock import ManualClock
from kata_audit.receivers import inlet as inlet_module
from kata_audit.receivers import recent
from kata_audit.receivers.base import Told
from kata_audit.receivers.inlet import Inlet, InletWatch, ShippedStream
from kata_audit.receivers.shipped import Line
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Transport

SECOND = 1_000_000_000


def nobody() -> None:
    """Be told that something is durable, and do nothing."""


def line(text: str, path: str = "/a", cursor: str | None = None, node: str = "lab/w") -> Line:
    return Line(node, Transport.CRI, path, cursor, f"{text}\n".encode())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def wake() -> Event:
    return Event()


@pytest.fixture
def inlet(clock: ManualClock, wake: Event) -> Inlet:
    return Inlet("http", "nodes", "default", clock=clock, wake=wake, room_bytes=64)


def read(stream: ShippedStream, size: int = 1 << 20) -> bytes:
    chunk = stream.poll(size)
    return b"" if chunk is None else chunk.data


def test_each_source_is_a_stream_with_a_name_of_its_own(inlet: Inlet, wake: Event) -> None:
    inlet.offer([line("1"), line("2", "/b"), line("3"), line("4", node="lab/v")], nobody)
    streams = inlet.take_new()

    assert [read(one) for one in streams] == [b"1\n3\n", b"2\n", b"4\n"]
    assert len({one.stream for one in streams}) == 3
    assert [one.stream.partition("?")[0] for one in streams] == ["/a", "/b", "/a"]
    assert wake.is_set()
    assert not inlet.take_new()


def test_chunks_of_a_stream_follow_on_each_other(inlet: Inlet) -> None:
    inlet.offer([line("a" * 10), line("b"), line("c")], nobody)
    [stream] = inlet.take_new()
    chunks = [stream.poll(11), stream.poll(3), stream.poll(1), stream.poll(1)]

    assert [(one.offset, one.data) for one in chunks if one] == [(0, b"a" * 10 + b"\n"), (11, b"b\nc\n")]
    assert chunks[0] is not None
    assert chunks[0].source.receiver == "http:cri"


def test_what_was_offered_together_is_answered_once_when_all_of_it_is_durable(inlet: Inlet) -> None:
    answers: list[str] = []
    inlet.offer([line("1"), line("2", "/b")], lambda: answers.append("first"))
    inlet.offer([line("3")], lambda: answers.append("second"))
    a, b = inlet.take_new()
    assert (read(a), read(b)) == (b"1\n3\n", b"2\n")

    b.acknowledge(1)
    assert not answers
    b.acknowledge(2)
    a.acknowledge(1)
    assert not answers
    a.acknowledge(2)
    assert answers == ["first"]
    a.acknowledge(4)
    assert answers == ["first", "second"]


def test_nothing_is_answered_at_once(inlet: Inlet) -> None:
    answers: list[str] = []
    inlet.offer([], lambda: answers.append("nothing"))
    assert answers == ["nothing"]


def test_a_line_that_is_sent_again_is_not_taken_twice(inlet: Inlet, clock: ManualClock) -> None:
    """It is answered for when the first one is durable, at once where it is already."""
    answers: list[str] = []
    inlet.offer([line("1", cursor="c1"), line("2", cursor="c2")], lambda: answers.append("first"))
    inlet.offer([line("1", cursor="c1")], lambda: answers.append("again"))
    [stream] = inlet.take_new()
    assert read(stream) == b"1\n2\n"
    assert not answers
    stream.acknowledge(4)
    assert answers == ["first", "again"]
    inlet.offer([line("2", cursor="c2")], lambda: answers.append("late"))
    assert answers[2:] == ["late"]
    assert read(stream) == b""

    clock.advance(61 * SECOND)
    told = list(stream.told())
    assert [one.event for one in told] == ["collect.received", "collect.repeated"]
    assert told[1].details == {"log.records.repeated": "2"}


def test_equal_cursors_of_two_sources_are_two_lines(inlet: Inlet) -> None:
    inlet.offer([line("1", cursor="c"), line("1", "/b", cursor="c"), line("1"), line("1")], nobody)
    assert [read(one) for one in inlet.take_new()] == [b"1\n1\n1\n", b"1\n"]


def test_the_oldest_cursors_are_forgotten(inlet: Inlet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST_NAMES", 2)
    inlet.offer([line(text, cursor=text) for text in "abc"], nobody)
    inlet.offer([line("c", cursor="c"), line("a", cursor="a")], nobody)
    [stream] = inlet.take_new()
    assert read(stream) == b"a\nb\nc\na\n"


def test_there_is_room_for_what_is_not_durable(inlet: Inlet) -> None:
    inlet.offer([line("a" * 63)], nobody)
    assert not inlet.has_room
    [stream] = inlet.take_new()
    read(stream)
    assert not inlet.has_room
    stream.acknowledge(64)
    assert inlet.has_room


def test_a_source_that_is_silent_ends_and_begins_anew(inlet: Inlet, clock: ManualClock) -> None:
    inlet.offer([line("1")], nobody)
    [first] = inlet.take_new()
    clock.advance(3600 * SECOND)
    inlet.take_new()
    states = [first.ended]
    read(first)
    first.acknowledge(2)
    inlet.take_new()
    assert [*states, first.ended] == [False, True], "what is not durable is never let go"
    inlet.offer([line("2")], nobody)
    [second] = inlet.take_new()
    assert read(second) == b"2\n"
    assert second.stream != first.stream


def test_of_too_many_sources_the_longest_silent_ends(
    inlet: Inlet, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inlet_module, "MOST_STREAMS", 2)
    streams = []
    for path in ("/a", "/b", "/c"):
        inlet.offer([line("1", path)], nobody)
        streams += inlet.take_new()
        clock.advance(SECOND)
    for stream in streams:
        read(stream)
        stream.acknowledge(2)
    inlet.take_new()
    assert [one.ended for one in streams] == [True, False, False]


def test_a_node_is_introduced_once_for_each_transport(inlet: Inlet) -> None:
    inlet.offer([line("1"), line("1", "/b"), line("1", node="lab/v")], nobody)
    told = [list(one.told()) for one in inlet.take_new()]
    assert [len(each) for each in told] == [1, 0, 1]
    [first] = told[0]
    assert isinstance(first, Told)
    assert (first.event, first.severity, first.lost) == ("collect.received", "INFO", None)
    assert first.details == {"host.name": "lab/w", "log.transport": "cri", "completeness": "unproven"}


def test_who_was_refused_and_what_was_dropped_is_told_by_the_receiver_itself(inlet: Inlet, clock: ManualClock) -> None:
    """Also where nobody sends anything that is taken; refusals once a minute, added up, and of so many peers at most."""
    watch = InletWatch(inlet, "http-nodes")
    inlet.lose()
    inlet.refuse("10.0.0.1", "it does not know the shared key")
    inlet.refuse("10.0.0.1", "it does not know the shared key")
    [first] = watch.discover({}, ())
    assert first.ended
    assert [(one.event, one.lost, one.details.get("count")) for one in first.told()] == [
        ("collect.lost", "1", None),
        ("collect.refused", None, "2"),
    ]
    for number in range(1000):
        inlet.refuse(f"10.0.{number // 256}.{number % 256}", "its address is not among those that may send")
    assert not list(watch.discover({}, ()))
    clock.advance(61 * SECOND)
    [second] = watch.discover({}, ())
    assert len(list(second.told())) == 64


def test_streams_of_the_process_before_are_let_go(inlet: Inlet) -> None:
    """They end without a word: what was not answered for is sent again."""
    inlet.offer([line("1")], nobody)
    known = {"/a?http-nodes-1-0": Cursor("/a?http-nodes-1-0", 0, 2), "/b?file-1": Cursor("/b?file-1", 0, 2)}
    watch = InletWatch(inlet, "http-nodes")
    old, new = watch.discover(known, ())
    assert (old.stream, old.ended, list(old.told())) == ("/a?http-nodes-1-0", True, [])
    assert not new.ended
    assert not list(watch.discover(known, ()))
