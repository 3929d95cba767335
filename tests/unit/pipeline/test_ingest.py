"""Cuts close by their limits, and batches are the cut's records by stream."""

from pathlib import Path

import pyarrow as pa
from tests.evidence import derive
from tests.unit.store.rows import derive as toy
from tests.unit.store.rows import evidence

from kata_audit.clock import ManualClock
from kata_audit.pipeline.derive import batches
from kata_audit.pipeline.ingest import CutPolicy, Sealer
from kata_audit.store.writer import open_writer


def test_a_cut_holds_whole_groups(tmp_path: Path) -> None:
    """It closes before the group that would not fit: none is read back twice."""
    clock = ManualClock()
    sealed = []
    with open_writer(tmp_path / "store", clock=clock, node="lab/node") as writer:
        sealer = Sealer(writer, CutPolicy(max_bytes=3_500), derive, clock, after_seal=lambda: None)
        for group in range(7):
            rows = evidence([b"x" * 500] * 2, offset=group * 1_000)
            writer.append(rows)
            sealer.appended(rows)
            sealed.append(writer.sealed_to)

    assert sealed == [0, 0, 6, 6, 6, 12, 12]


def test_a_cut_closes_by_its_records(tmp_path: Path) -> None:
    clock = ManualClock()
    with open_writer(tmp_path / "store", clock=clock, node="lab/node") as writer:
        sealer = Sealer(writer, CutPolicy(max_records=5), derive, clock, after_seal=lambda: None)
        for group, expected in ((0, 0), (1, 6)):
            rows = evidence([b"x"] * 3, offset=group * 3)
            writer.append(rows)
            sealer.appended(rows)
            assert writer.sealed_to == expected


def test_batches_hold_each_record_once_in_order() -> None:
    rows = evidence([b"x"] * 41).set_column(0, "seq", pa.array(range(41), pa.uint64()))
    records = toy(rows)

    found = list(batches(records))

    classes = records["class"].cast(pa.string()).to_pylist()
    assert [one.retention_class for one in found] == sorted(set(classes))
    assert len(found) == 2
    for one in found:
        wanted = pa.array([name == one.retention_class for name in classes])
        assert one.rows.equals(records.filter(wanted))
