"""The writer's promises: numbers, order, refusals, and what is told to the next one."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from tests.fault.disks import FaultDisk
from tests.fault.oracle import WIDTH, examine, text
from tests.unit.store.rows import batches, derive, evidence

from kata_audit.clock import ManualClock
from kata_audit.errors import ConsistencyError, LayoutVersionError, StoreError, StoreLockedError
from kata_audit.schema.cursor import Cursor
from kata_audit.store.layout import Layout
from kata_audit.store.log import read_entries
from kata_audit.store.spool import DAMAGED, HEADER_BYTES, Frame, scan
from kata_audit.store.writer import Batch, Cut, SeqRange, Writer, open_writer

CLOCK = ManualClock()


def feed(writer: Writer, first: int, count: int) -> SeqRange:
    return writer.append(evidence([text(number) for number in range(first, first + count)], offset=first * WIDTH))


def seal(writer: Writer, max_rows: int = 65_536) -> bytes:
    found = writer.unsealed(max_rows=max_rows, max_bytes=64 << 20)
    assert found is not None
    cut, rows = found
    return writer.seal(cut, batches(rows), derive="toy", states={"toy": b"%d" % cut.end})


def entries(root: Path, writer: Writer) -> list[dict[str, object]]:
    size = int(writer.checkpoint.split(b"\n")[1])
    return [json.loads(entry) for entry in read_entries(Layout(root), 0, size)]


def test_a_new_store_begins_with_genesis(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with open_writer(root, clock=CLOCK, node="lab/worker-a") as writer:
        (genesis,) = entries(root, writer)

        assert writer.origin.startswith("kata-audit/lab/worker-a/")
        assert genesis["t"] == "genesis"
        assert genesis["origin"] == writer.origin
        assert writer.checkpoint.startswith(f"{writer.origin}\n1\n".encode())
    assert (root / "format").read_bytes() == b"kata-audit store 1\n"
    assert (root / "inbox").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "store.keys").stat().st_mode & 0o777 == 0o700


def test_numbers_go_on_for_ever(tmp_path: Path) -> None:
    """Through seals and openings each record has the next number, and no rows are no act."""
    root = tmp_path / "store"
    with open_writer(root, clock=CLOCK) as writer:
        assert feed(writer, 0, 3) == (0, 3)
        assert feed(writer, 3, 0) == (3, 3)
        seal(writer)
        assert feed(writer, 3, 2) == (3, 5)
    with open_writer(root, clock=CLOCK) as writer:
        assert (writer.sealed_to, writer.next_seq) == (3, 5)
        seal(writer)
        assert writer.unsealed() is None
    with open_writer(root, clock=CLOCK) as writer:
        assert feed(writer, 5, 1) == (5, 6)


def test_the_next_writer_knows_states_and_cursors(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with open_writer(root, clock=CLOCK) as writer:
        feed(writer, 0, 3)
        writer.append(evidence([b"other"], stream="other"))
        seal(writer)
        feed(writer, 3, 2)
    with open_writer(root, clock=CLOCK) as writer:
        assert dict(writer.states()) == {"toy": b"4"}
        assert writer.last_cursors() == {
            "journal": Cursor("journal", 4 * WIDTH, WIDTH),
            "other": Cursor("other", 0, 5),
        }


def test_a_stream_that_ended_is_not_remembered_for_ever(tmp_path: Path) -> None:
    """Forgotten before or after its records are sealed; one that goes on is known again."""
    root = tmp_path / "store"
    with open_writer(root, clock=CLOCK) as writer:
        for stream in ("early", "late", "back"):
            writer.append(evidence([b"text"], stream=stream))
        writer.forget(["early", "back", "never there"])
        writer.append(evidence([b"again"], stream="back"))
        seal(writer)
        writer.forget(["late"])
        assert set(writer.last_cursors()) == {"back"}
        feed(writer, 0, 1)
        seal(writer)
    with open_writer(root, clock=CLOCK) as writer:
        assert set(writer.last_cursors()) == {"back", "journal"}


def test_cursors_survive_the_loss_of_the_state_file(tmp_path: Path) -> None:
    """States are rebuilt by whoever gave them; cursors are rebuilt from the evidence."""
    root = tmp_path / "store"
    with open_writer(root, clock=CLOCK) as writer:
        feed(writer, 0, 5)
        seal(writer)
    for path in (root / "state").iterdir():
        path.unlink()
    with open_writer(root, clock=CLOCK) as writer:
        assert dict(writer.states()) == {}
        assert writer.last_cursors() == {"journal": Cursor("journal", 4 * WIDTH, WIDTH)}


def test_a_second_writer_is_refused_with_a_hint(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with open_writer(root, clock=CLOCK):
        with pytest.raises(StoreLockedError) as caught, open_writer(root, clock=CLOCK):
            pass
        assert caught.value.hint
    with open_writer(root, clock=CLOCK):
        pass


def test_places_that_are_no_store_are_refused(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("dear")
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "format").write_text("kata-audit store 2\n")
    for name, error in (("full", StoreError), ("newer", LayoutVersionError)):
        with pytest.raises(error), open_writer(tmp_path / name, clock=CLOCK):
            pass
    with pytest.raises(StoreError), open_writer(tmp_path / "none", clock=CLOCK, create=False):
        pass
    assert not (tmp_path / "none").exists()


def test_a_checkpoint_that_promises_more_than_the_tiles_stops_the_store(tmp_path: Path) -> None:
    """Nothing is signed over a log that lost entries, nor over one whose checkpoint was put back."""
    root = tmp_path / "store"
    with open_writer(root, clock=CLOCK) as writer:
        feed(writer, 0, 4)
        old = writer.checkpoint
        seal(writer, 2)
        seal(writer, 2)
        newest = writer.checkpoint
    (root / "log" / "checkpoint").write_bytes(old)
    with pytest.raises(ConsistencyError), open_writer(root, clock=CLOCK):
        pass
    (root / "log" / "checkpoint").write_bytes(newest)
    for path in (root / "log" / "tile" / "entries" / "000.p").iterdir():
        path.unlink()
    with pytest.raises(ConsistencyError), open_writer(root, clock=CLOCK):
        pass
    assert (root / "log" / "checkpoint").read_bytes() == newest


def test_a_whole_entry_without_its_checkpoint_gets_it(tmp_path: Path) -> None:
    """The very checkpoint comes back that a crash took; and an entry whose segment is broken is taken back."""
    for break_it in (False, True):
        root = tmp_path / str(break_it)
        with open_writer(root, clock=CLOCK) as writer:
            feed(writer, 0, 4)
            old = writer.checkpoint
            newest = seal(writer)
        (root / "log" / "checkpoint").write_bytes(old)
        if break_it:
            for path in (root / "segments").rglob("*.parquet"):
                path.write_bytes(path.read_bytes()[:-1])
        with open_writer(root, clock=CLOCK) as writer:
            assert writer.recovery.signed_forward is not break_it
            assert writer.recovery.dropped_entry is break_it
            assert writer.checkpoint == (old if break_it else newest)


def test_files_that_no_entry_names_go_or_are_set_aside(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with open_writer(root, clock=CLOCK) as writer:
        feed(writer, 0, 4)
        seal(writer)
    (sealed, _) = sorted((root / "segments").rglob("*.parquet"))
    (sealed.parent / "000000000000-000000000000-00000000.parquet").write_bytes(b"planted")
    (sealed.parent / "000000000002-000000000002-00000000.parquet").write_bytes(b"of an unsealed cut")
    with open_writer(root, clock=CLOCK) as writer:
        assert writer.recovery.quarantined == (f"segment-{sealed.parent.name}-000000000000-000000000000-00000000.parquet",)
    assert len(list((root / "segments").rglob("*.parquet"))) == 2
    examine(root)


def test_lost_records_are_declared_by_the_cut(tmp_path: Path) -> None:
    """L3: what the spool lost is a gap in the log, and records and gaps add up to the cut."""
    root = tmp_path / "store"
    with open_writer(root, clock=CLOCK) as writer:
        for first in (0, 3, 6):
            feed(writer, first, 3)
    path = Layout(root).spool_file(0)
    frame = scan(Layout(root), 0).items[1]
    assert isinstance(frame, Frame)
    damaged = bytearray(path.read_bytes())
    damaged[frame.offset + HEADER_BYTES + 1] ^= 4
    path.write_bytes(damaged)
    with open_writer(root, clock=CLOCK) as writer:
        assert writer.recovery.gaps == ((3, 6, DAMAGED),)
        seal(writer)
        assert entries(root, writer)[1]["gaps"] == [{"from": 3, "to": 6, "reason": DAMAGED}]
    assert examine(root).lost == {3, 4, 5}


def test_a_cut_that_is_all_lost_is_sealed_without_batches(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with open_writer(root, clock=CLOCK) as writer:
        feed(writer, 0, 2)
        feed(writer, 2, 1)
        path = next((root / "spool").iterdir())
        path.write_bytes(b"\0" * path.stat().st_size)
        cut, rows = writer.unsealed() or pytest.fail("nothing waits")
        assert (cut, rows.num_rows) == (Cut(0, 3), 0)
        writer.seal(cut, [], derive="toy", states={})
        assert writer.sealed_to == 3
    assert examine(root).lost == {0, 1, 2}


def test_a_stage_that_breaks_a_law_is_caught_before_the_log(tmp_path: Path) -> None:
    """Lost, doubled, reordered, altered or misplaced records are refused, and the cut can still be sealed."""
    root = tmp_path / "store"
    with open_writer(root, clock=CLOCK) as writer:
        feed(writer, 0, 4)
        cut, rows = writer.unsealed() or pytest.fail("nothing waits")
        records = derive(rows)
        altered = records.set_column(5, records.schema.field(5), pa.array([b"x"] * 4, pa.large_binary()))
        for broken in (
            [Batch("default", "audit", records.slice(0, 3))],
            [Batch("default", "audit", records), Batch("default", "debug", records.slice(0, 1))],
            [Batch("default", "audit", records.take(pa.array([1, 0, 2, 3])))],
            [Batch("default", "audit", altered)],
            [Batch("other", "audit", records)],
            [Batch("default", "audit", records.slice(0, 2)), Batch("default", "audit", records.slice(2))],
        ):
            with pytest.raises(StoreError, match="cannot be sealed"):
                writer.seal(cut, broken, derive="toy", states={})
            assert list((root / "segments").rglob("*.parquet")) == []
        writer.seal(cut, batches(rows), derive="toy", states={})
    assert len(examine(root).sealed) == 4


def test_seal_takes_only_the_cut_that_was_handed_out(tmp_path: Path) -> None:
    with open_writer(tmp_path / "store", clock=CLOCK) as writer:
        feed(writer, 0, 2)
        with pytest.raises(RuntimeError):
            writer.seal(Cut(0, 2), [], derive="toy", states={})
        with pytest.raises(TypeError):
            writer.append(derive(evidence([b"x"]).set_column(0, "seq", pa.array([0], pa.uint64()))))


def test_times_never_run_backwards(tmp_path: Path) -> None:
    clock = ManualClock()
    with open_writer(tmp_path / "store", clock=clock) as writer:
        feed(writer, 0, 2)
        clock.advance(-3_600_000_000_000)
        seal(writer)
        first, second = entries(tmp_path / "store", writer)
    assert first["time"] == second["time"]


def test_many_tenants_take_several_cuts(tmp_path: Path) -> None:
    """An entry stays below its limit, however many tenants write at once."""
    root = tmp_path / "store"
    with open_writer(root, clock=CLOCK) as writer:
        for number in range(45):
            writer.append(evidence([text(number)], tenant=f"tenant-{number}"))
        cuts = 0
        while writer.unsealed() is not None:
            seal(writer)
            cuts += 1
        assert cuts == 3


def test_a_log_of_more_than_a_tile(tmp_path: Path) -> None:
    """Across the 256th entry tiles fill up, partial files go, and the log opens again at each size around it."""
    root = tmp_path / "store"
    (tmp_path / "side").mkdir()
    disk = FaultDisk(tmp_path / "side")  # one without real fsyncs: there are thousands
    for first in range(0, 258, 86):
        with open_writer(root, clock=CLOCK, disk=disk) as writer:
            for number in range(first, first + 86):
                feed(writer, number, 1)
                seal(writer)
    disk.close()
    tiles = sorted(
        path.relative_to(root / "log").as_posix() for path in (root / "log" / "tile").rglob("*") if path.is_file()
    )
    assert tiles == [
        "tile/0/000", "tile/0/001.p/2", "tile/0/001.p/3", "tile/1/000.p/1",
        "tile/entries/000", "tile/entries/001.p/2", "tile/entries/001.p/3",
    ]  # fmt: skip
    assert len(examine(root).sealed) == 258
