"""What is dropped for want of room is what would be missed least, and every record of it is counted."""

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evidence import derive

from kata_audit.parse.split import Held, split
from kata_audit.pipeline.shedding import Holding
from kata_audit.schema.record import EvidenceRows
from kata_audit.schema.source import Chunk, Source, Transport

AGENT, FIRECRACKER = "agent", "firecracker"
SOURCES = {
    AGENT: Source("vsock", "lab/worker", "default", Transport.CONSOLE),
    FIRECRACKER: Source("fifo", "lab/worker", "default", Transport.HOST_FILE, "firecracker"),
}
_AGENT = '{"msg":"%s","level":"%s","ts":"2026-11-23T06:07:28.9Z","source":"agent","name":"kata-agent","subsystem":"rpc"}\n'
_FIRECRACKER = "2026-03-30T17:09:28.145771637 [a:fc_api:%s:src/x.rs:1] text %s\n"
KINDS: Mapping[tuple[str, str], str] = {
    (AGENT, "debug"): _AGENT % ("poll %s", "DEBG"),
    (FIRECRACKER, "debug"): _FIRECRACKER % ("DEBUG", "%s"),
    (AGENT, "operational"): _AGENT % ("hello %s", "INFO"),
    (FIRECRACKER, "operational"): _FIRECRACKER % ("ERROR", "%s"),
    (AGENT, "audit"): _AGENT % (r"process command: [\"sh\", \"%s\"]", "INFO"),
}
"""A line of each source and class, in the order in which they are dropped, and one that is never."""


def lines(kind: tuple[str, str], count: int) -> list[str]:
    return [KINDS[kind] % number for number in range(count)]


def rows(source: str, texts: list[str]) -> EvidenceRows:
    return split(Held(), Chunk(SOURCES[source], "stream", 0, "".join(texts).encode(), 1))[1]


def texts_of(holding: Holding) -> list[str]:
    return [raw.decode() for part in holding.take() for raw in part.column("raw").to_pylist()]


def test_the_lines_are_of_the_classes_that_they_stand_for() -> None:
    for source, retention_class in KINDS:
        found = derive(rows(source, lines((source, retention_class), 1)))
        assert found.column("class").to_pylist() == [retention_class]


def test_nothing_is_dropped_that_fits() -> None:
    holding = Holding(derive, 10_000)
    for kind in KINDS:
        holding.add(kind[0], rows(kind[0], lines(kind, 3)))

    assert (holding.is_full, holding.is_empty, holding.dropped()) == (False, False, {})
    assert texts_of(holding) == [line for kind in KINDS for line in lines(kind, 3)]
    assert holding.is_empty


@pytest.mark.parametrize("limit", [14_000, 12_000, 10_000, 8_000, 6_000])
def test_what_is_dropped_comes_in_the_order_of_classes(limit: int) -> None:
    """Of one class everything goes before anything of the next one, what came last first, and no audit record ever."""
    holding = Holding(derive, limit)
    sent = {kind: lines(kind, 30) for kind in KINDS}
    for source in (FIRECRACKER, AGENT):
        holding.add(
            source, rows(source, [line for kind in reversed(list(KINDS)) if kind[0] == source for line in sent[kind]])
        )
    dropped = holding.dropped()
    left = texts_of(holding)

    kept = {kind: [line for line in sent[kind] if line in left] for kind in KINDS}
    assert all(kept[kind] == sent[kind][: len(kept[kind])] for kind in KINDS)
    assert dropped == {kind: 30 - len(kept[kind]) for kind in KINDS if len(kept[kind]) < 30}
    partly = [kind for kind in list(KINDS)[:-1] if 0 < len(kept[kind]) < 30]
    assert len(partly) <= 1, "one class after the other"
    if partly:
        order = list(KINDS)
        assert all(not kept[kind] for kind in order[: order.index(partly[0])])
    assert kept[AGENT, "audit"] == sent[AGENT, "audit"]


def test_where_only_what_is_never_dropped_is_left_nothing_more_is_taken() -> None:
    holding = Holding(derive, 1_000)
    sent = lines((AGENT, "audit"), 30)
    holding.add(AGENT, rows(AGENT, sent))

    assert (holding.is_full, holding.dropped()) == (True, {})
    assert texts_of(holding) == sent
    assert not holding.is_full


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(KINDS)), st.integers(1, 20)), max_size=20), st.integers(500, 8_000))
def test_every_record_is_held_or_counted(acts: list[tuple[tuple[str, str], int]], limit: int) -> None:
    """In the order in which they came, whatever comes; what is held never exceeds the limit but for audit records."""
    holding = Holding(derive, limit)
    sent: Counter[tuple[str, str]] = Counter()
    for kind, count in acts:
        holding.add(kind[0], rows(kind[0], lines(kind, count)))
        sent[kind] += count
    dropped = Counter(holding.dropped())
    left = texts_of(holding)

    kinds = {line: kind for kind in KINDS for line in lines(kind, 20)}
    assert Counter(kinds[line] for line in left) + dropped == sent
    assert sum(len(line) for line in left if kinds[line][1] != "audit") <= limit
