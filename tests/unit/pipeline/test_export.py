"""Every sealed record comes to its destination, in order, whatever the destination, the disk and the process do."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.exports import Taking, World, everything, source
from tests.stores import captured_store

from kata_audit.errors import StoreError, VerificationError
from kata_audit.exporters.records import Receipt, Rejected
from kata_audit.pipeline import export_source
from kata_audit.pipeline.export import run, run_once
from kata_audit.pipeline.export_source import records_of
from kata_audit.schema.exported import Exported
from kata_audit.store.layout import Layout
from kata_audit.store.outbox import open_outbox

DEAD = "it cannot be connected to"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("export") / "store"
    captured_store(root)
    return root


@pytest.fixture
def world(store: Path, tmp_path: Path) -> Iterator[World]:
    with open_outbox(tmp_path / "outbox") as outbox:
        world = World(store, outbox)
        world.dead_letters = tmp_path / "rejected.jsonl"
        yield world


def names_of(store: Path, query: str = "") -> list[str]:
    with source(store, query).read(0) as parts:
        return [one.name for part in parts for one in part.records]


def test_all_that_is_sealed_is_sent_in_order(world: World, store: Path) -> None:
    """Once, by the records' own names; and nothing more is asked of a destination that has it all."""
    taking = Taking()
    exporting = world.exporting(taking)

    assert run_once(exporting, stopped=lambda: False) is None
    origin, end = source(store).place()
    assert taking.names == [f"{origin}/{seq}" for seq in range(end)]
    assert not exporting.step()
    assert exporting.numbers[:4] == (end, 0, 0, end)
    assert world.said == []


@given(st.lists(st.none() | st.dictionaries(st.text(), st.text(), max_size=3)), st.integers(0, 5), st.integers(0, 5))
def test_attributes_are_those_of_the_row(rows: list[dict[str, str] | None], first: int, count: int) -> None:
    """In any part of a batch; a row without any has no mapping."""
    column = pa.array([None if one is None else list(one.items()) for one in rows], pa.map_(pa.string(), pa.string()))
    batch = pa.record_batch({"attributes": column}).slice(first, count)

    assert [one.get("attributes") for one in records_of(batch)] == [one or None for one in rows[first : first + count]]


def test_only_what_is_asked_for_is_sent(world: World, store: Path) -> None:
    """The query is that of `search`; the position goes over what it leaves out."""
    taking = Taking()
    exporting = world.exporting(taking, "origin:guest")
    run_once(exporting, stopped=lambda: False)

    assert 0 < len(taking.names) < len(names_of(store))
    assert taking.names == names_of(store, "origin:guest")
    assert exporting.numbers.seen_to == source(store).place()[1]


def test_what_waits_is_read_a_little_at_a_time(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much it is: the order stays, and the position goes over what is not wanted."""
    whole, end = names_of(store), source(store).place()[1]
    monkeypatch.setattr(export_source, "_READ", 37)
    with source(store, "origin:guest").read(0) as parts:
        seen = [part.seen_to for part in parts]

    assert names_of(store) == whole
    assert set(range(37, end, 37)) <= set(seen)
    assert (seen, seen[-1]) == (sorted(seen), end)


def test_a_new_destination_may_begin_with_now(world: World) -> None:
    """Without the backlog nothing that was sealed before is sent."""
    taking = Taking()
    run_once(world.exporting(taking, backlog=False), stopped=lambda: False)

    assert taking.names == []


def test_a_destination_that_comes_back_gets_all(world: World, store: Path) -> None:
    """It takes some, dies, lives again: each record arrives, in order; a person is told twice, and not at each attempt."""
    left = [3, 0, 0, 0]

    def answer(records: Sequence[Exported]) -> Receipt:
        return Receipt(left.pop(0), problem=DEAD) if left else everything(records)

    taking = Taking(answer)
    exporting = world.exporting(taking)
    while exporting.step() or exporting.numbers.problem is not None:
        world.clock.advance(61_000_000_000)

    assert taking.names == names_of(store)
    assert world.said == [f"siem: {DEAD}; it is tried again", "siem: it takes records again"]
    assert exporting.numbers.failures == 4


def test_waiting_is_for_what_was_asked(world: World) -> None:
    """A destination says how long to wait, and is left alone so long."""
    tried: list[int] = []

    def answer(records: Sequence[Exported]) -> Receipt:
        tried.append(len(records))
        return Receipt(0, problem="it is full", retry_after_secs=30)

    exporting = world.exporting(Taking(answer))
    exporting.step()
    world.clock.advance(29_000_000_000)
    assert not exporting.step()
    assert tried == [100]
    world.clock.advance(2_000_000_000)
    exporting.step()
    assert tried == [100, 100]


def test_what_is_refused_for_good_is_kept_with_its_reason(world: World, store: Path) -> None:
    """The rest goes on; nothing is dropped unseen."""

    def answer(records: Sequence[Exported]) -> Receipt:
        return Receipt(len(records), [Rejected(at, "mapping") for at, one in enumerate(records) if one.seq == 7])

    taking = Taking(answer)
    exporting = world.exporting(taking)
    run_once(exporting, stopped=lambda: False)

    (letter,) = map(json.loads, world.dead_letters.read_text().splitlines())
    origin, end = source(store).place()
    assert (letter["name"], letter["reason"], letter["record"]["seq"]) == (f"{origin}/7", "mapping", 7)
    assert (exporting.numbers.sent, exporting.numbers.rejected, len(taking.names)) == (end - 1, 1, end - 1)
    assert world.said == [
        f"siem: it refused a record for good, first {origin}/7: mapping; the dead letters keep them",
    ]


def test_dead_letters_that_are_full_stop_the_destination(world: World) -> None:
    """The position stays where it is, and a person is told what to do."""
    taking = Taking(lambda records: Receipt(len(records), [Rejected(0, "mapping")]))
    exporting = world.exporting(taking, dead_bytes=100)

    exporting.step()
    assert (exporting.numbers.seen_to, exporting.numbers.rejected) == (0, 0)
    assert "The dead letters are full." in world.said[0]
    assert not world.dead_letters.exists()


def test_a_process_that_dies_sends_no_less(world: World, store: Path) -> None:
    """What was taken and not saved is sent again, under the same name; nothing is left out."""
    taking = Taking()

    def dies(records: Sequence[Exported]) -> Receipt:
        if len(taking.names) >= 300:
            raise KeyboardInterrupt
        return everything(records)

    taking.answer = dies
    with pytest.raises(KeyboardInterrupt):
        world.exporting(taking).step()
    before = len(taking.names)
    taking.answer = everything
    run_once(world.exporting(taking), stopped=lambda: False)

    assert before > 0
    assert taking.names == names_of(store)


def test_it_stops_between_requests(world: World) -> None:
    """Whoever asks it to stop waits for one request at most."""
    taking = Taking()

    def answer(records: Sequence[Exported]) -> Receipt:
        world.is_stopped = True
        return everything(records)

    taking.answer = answer
    run(world.exporting(taking), stopped=lambda: world.is_stopped, rest=lambda: None)
    assert len(taking.names) == 100


def test_another_store_under_the_same_name_is_told(world: World, tmp_path: Path) -> None:
    """A position means nothing in another log."""
    run_once(world.exporting(Taking()), stopped=lambda: False)
    world.root = tmp_path / "other"
    captured_store(world.root)

    with pytest.raises(StoreError, match="another store"):
        world.exporting(Taking())


def test_a_request_has_a_size(world: World) -> None:
    """By bytes as well as by records; a record that is larger alone goes alone."""
    sizes: list[int] = []

    def answer(records: Sequence[Exported]) -> Receipt:
        sizes.append(len(records))
        return everything(records)

    run_once(world.exporting(Taking(answer), max_bytes=1), stopped=lambda: False)
    assert set(sizes) == {1}


def test_a_log_that_does_not_verify_ends_it(tmp_path: Path) -> None:
    """It is no matter of trying again."""
    captured_store(tmp_path / "store")
    with open_outbox(tmp_path / "outbox") as outbox:
        exporting = World(tmp_path / "store", outbox).exporting(taking := Taking())
        checkpoint = Layout(tmp_path / "store").log / "checkpoint"
        checkpoint.write_bytes(checkpoint.read_bytes().replace(b"\n", b"\n0", 1))
        with pytest.raises(VerificationError):
            exporting.step()

    assert taking.names == []
