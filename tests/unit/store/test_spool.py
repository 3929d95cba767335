"""The spool keeps what was acknowledged, forgets what was torn, and declares what went bad."""

from pathlib import Path

import pyarrow as pa
import pytest
from tests.unit.store.rows import evidence

from kata_audit.schema.record import EVIDENCE_SCHEMA, EvidenceRows
from kata_audit.store.durable import RealDisk, make_directories
from kata_audit.store.layout import Layout
from kata_audit.store.recover import open_spool
from kata_audit.store.spool import DAMAGED, HEADER_BYTES, MISSING, Frame, Gap, Spool, scan


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "store")
    for folder in layout.folders:
        make_directories(RealDisk(), folder)
    return layout


def numbered(texts: list[bytes], first: int) -> EvidenceRows:
    rows = evidence(texts)
    return rows.set_column(0, EVIDENCE_SCHEMA.field(0), pa.array(range(first, first + len(texts)), pa.uint64()))


def frames(layout: Layout) -> list[Frame]:
    return [item for item in scan(layout, 0).items if isinstance(item, Frame)]


def texts(first: int, count: int) -> list[bytes]:
    return [b"text %d\n" % number for number in range(first, first + count)]


def filled(layout: Layout, *, count: int, rows: int = 3) -> Spool:
    spool = Spool(RealDisk(), layout, (), 0)
    for number in range(count):
        spool.append(numbered(texts(number * rows, rows), number * rows))
    spool.close()
    return spool


def reopened(layout: Layout, sealed: int = 0) -> tuple[list[int], list[Gap], int]:
    """Numbers, gaps and end that a new writer finds; and that its appending goes on from there."""
    spool, *_ = open_spool(RealDisk(), layout, sealed)
    found = spool.take(max_rows=1000, max_bytes=1 << 20)
    end = spool.end
    spool.append(numbered([b"more\n"], end))
    spool.close()
    assert scan(layout, sealed).torn is None
    if found is None:
        return [], [], end
    _, _, pieces, gaps = found
    for piece in pieces:
        for seq, raw in zip(piece["seq"].to_pylist(), piece["raw"].to_pylist(), strict=True):
            assert raw == b"text %d\n" % seq
    return [seq for piece in pieces for seq in piece["seq"].to_pylist()], gaps, end


def test_rows_come_back_in_order(layout: Layout) -> None:
    filled(layout, count=4)

    assert reopened(layout) == (list(range(12)), [], 12)


def test_a_tail_torn_at_any_byte_loses_its_frame_only(layout: Layout) -> None:
    """A crash in the middle of an append takes nothing that was acknowledged before it."""
    filled(layout, count=3)
    path = layout.spool_file(0)
    whole = path.read_bytes()
    last = frames(layout)[-1]
    for keep in range(last.offset, len(whole)):
        for extra in layout.spool.glob("*"):
            extra.unlink()
        path.write_bytes(whole[:keep])

        assert reopened(layout) == (list(range(6)), [], 6)

    assert len(whole) - last.offset > HEADER_BYTES


@pytest.mark.parametrize("junk", [b"\0" * 100, b"KSP1", b"KSP1" + b"\xff" * 60])
def test_junk_behind_the_last_frame_is_a_torn_tail(layout: Layout, junk: bytes) -> None:
    filled(layout, count=2)
    with layout.spool_file(0).open("ab") as file:
        file.write(junk)

    assert reopened(layout) == (list(range(6)), [], 6)


def test_a_flip_in_the_middle_is_set_aside_and_declared(layout: Layout) -> None:
    """Wherever a bit flips in a frame that has a frame behind it, exactly that frame's records are a gap."""
    filled(layout, count=3)
    path = layout.spool_file(0)
    whole = path.read_bytes()
    middle = frames(layout)[1]
    end = middle.offset + HEADER_BYTES + middle.payload
    for position in range(middle.offset, end, 7):
        for extra in (*layout.spool.glob("*"), *layout.quarantine.glob("*")):
            extra.unlink()
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)

        assert reopened(layout) == ([0, 1, 2, 6, 7, 8], [Gap(3, 6, DAMAGED)], 9)
        assert [kept.read_bytes() for kept in layout.quarantine.iterdir()] == [damaged[middle.offset : end]]


def test_a_lost_file_is_a_gap(layout: Layout) -> None:
    filled(layout, count=2)
    reopened(layout)
    layout.spool_file(0).unlink()

    numbers, gaps, _ = _numbers(layout)

    assert (numbers, gaps) == ([6], [Gap(0, 6, MISSING)])


def _numbers(layout: Layout) -> tuple[list[int], list[Gap], int]:
    spool, *_ = open_spool(RealDisk(), layout, 0)
    found = spool.take(max_rows=1000, max_bytes=1 << 20)
    assert found is not None
    return [seq for piece in found[2] for seq in piece["seq"].to_pylist()], found[3], spool.end


def test_a_frame_that_goes_bad_under_a_running_writer_is_declared(layout: Layout) -> None:
    spool = filled(layout, count=3)
    path = layout.spool_file(0)
    damaged = bytearray(path.read_bytes())
    damaged[frames(layout)[1].offset + HEADER_BYTES] ^= 1
    path.write_bytes(damaged)

    found = spool.take(max_rows=1000, max_bytes=1 << 20)

    assert found is not None
    assert found[3] == [Gap(3, 6, DAMAGED)]
    assert [seq for piece in found[2] for seq in piece["seq"].to_pylist()] == [0, 1, 2, 6, 7, 8]


def test_a_cut_may_end_inside_a_frame(layout: Layout) -> None:
    """The rest of the frame is the beginning of the next cut, before and after opening anew."""
    spool = filled(layout, count=2)
    first, end, pieces, _ = spool.take(max_rows=4, max_bytes=1 << 20) or pytest.fail("nothing waits")
    spool.trim(end)
    rest = spool.take(max_rows=10, max_bytes=1 << 20) or pytest.fail("nothing waits")

    assert (first, end, sum(piece.num_rows for piece in pieces)) == (0, 4, 4)
    assert (rest[0], rest[1], [piece["seq"].to_pylist() for piece in rest[2]]) == (4, 6, [[4, 5]])
    assert reopened(layout, 4) == ([4, 5], [], 6)


def test_a_cut_has_at_least_one_record_and_at_most_its_bytes(layout: Layout) -> None:
    spool = filled(layout, count=2)

    assert (spool.take(max_rows=10, max_bytes=1) or pytest.fail("nothing waits"))[:2] == (0, 1)
    assert (spool.take(max_rows=10, max_bytes=14) or pytest.fail("nothing waits"))[:2] == (0, 2)


def test_sealed_files_go_and_numbers_stay(layout: Layout) -> None:
    spool = filled(layout, count=2)
    spool.trim(6)

    assert list(layout.spool.iterdir()) == []
    assert spool.end == 6
    assert reopened(layout, 6) == ([], [], 6)


def test_frames_hold_four_mebibytes_or_one_record(layout: Layout) -> None:
    spool = Spool(RealDisk(), layout, (), 0)
    spool.append(numbered([b"x" * (1 << 20)] * 9 + [b"y" * (5 << 20)], 0))

    assert [frame.rows for frame in frames(layout)] == [4, 4, 1, 1]
