"""Merging changes where records lie, never what the log committed to."""

from pathlib import Path

import pyarrow.parquet as pq
from tests.evidence import derive
from tests.stores import CAPTURES, captured_store, fill
from tests.unit.store.rows import batches, evidence

from kata_audit.clock import ManualClock
from kata_audit.pipeline.derive import DERIVE_VERSION
from kata_audit.store.fsck import fsck
from kata_audit.store.layout import Layout
from kata_audit.store.reader import read_live
from kata_audit.store.segment import GROUP_BYTES, SEGMENT_SCHEMA, sort_order
from kata_audit.store.writer import open_writer


def rows(root: Path) -> dict[int, tuple[bytes, int, int]]:
    """Give each record's bytes and place by its number."""
    found = {}
    for name in read_live(Layout(root)).files:
        table = pq.read_table(Layout(root).segment(name), columns=["seq", "raw", "batch", "index"])
        for row in table.to_pylist():
            assert row["seq"] not in found
            found[row["seq"]] = (row["raw"], row["batch"], row["index"])
    return found


def test_everything_merged_verifies_and_nothing_moved_between_batches(tmp_path: Path) -> None:
    root = tmp_path / "store"
    records = captured_store(root, max_records=100)
    before = rows(root)
    roots = read_live(Layout(root)).batches
    with open_writer(root, clock=ManualClock()) as writer:
        gone = writer.compact(all_of_them=True)

    live = read_live(Layout(root))
    assert gone > 8
    assert len(before) == records
    assert rows(root) == before
    assert {n: batch.root for n, batch in live.batches.items()} == {n: batch.root for n, batch in roots.items()}
    assert len({name.partition("/")[0] for name in live.files}) == len(live.files), "one segment per stream is left"
    assert sorted(path.name for path in (root / "segments").rglob("*.parquet")) == sorted(
        name.partition("/")[2] for name in live.files
    )
    assert fsck(root, deep=True, derive=derive, derive_version=DERIVE_VERSION).troubles == ()


def test_a_merged_segment_stands_in_the_order_of_all_segments(tmp_path: Path) -> None:
    root = tmp_path / "store"
    captured_store(root, max_records=100)
    with open_writer(root, clock=ManualClock()) as writer:
        writer.compact(all_of_them=True)

    for name in read_live(Layout(root)).files:
        table = pq.read_table(Layout(root).segment(name)).combine_chunks()
        assert table.schema.names == SEGMENT_SCHEMA.names
        assert sort_order(table).to_pylist() == list(range(len(table)))


def test_tending_merges_eight_of_one_size_and_leaves_less(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with open_writer(root, clock=ManualClock(), node="lab/node") as writer:
        fill(writer, CAPTURES, max_records=60, after_seal=writer.compact)
        assert writer.compact() == 0

    live = read_live(Layout(root))
    assert len(live.dead) >= 8
    assert fsck(root, deep=True, derive=derive, derive_version=DERIVE_VERSION).troubles == ()


def test_merging_long_records_holds_few_of_them(tmp_path: Path) -> None:
    """A line without end compresses to nothing and is long when it is read: groups are small after a merge too."""
    root = tmp_path / "store"
    with open_writer(root, clock=ManualClock(), node="lab/node") as writer:
        for cut in range(3):
            writer.append(evidence([b"x" * (GROUP_BYTES // 8)] * 16, offset=cut * GROUP_BYTES * 2))
            found = writer.unsealed(max_rows=100, max_bytes=1 << 30)
            assert found is not None
            writer.seal(found[0], batches(found[1]), derive="toy", states={})
        writer.compact(all_of_them=True)

    files = read_live(Layout(root)).files
    assert len(files) == 2
    for name in files:
        metadata = pq.read_metadata(Layout(root).segment(name))
        rows = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        assert sum(rows) == 24
        assert max(rows) <= 8
    assert fsck(root, deep=False).troubles == ()
