"""What `examine()` says of a segment is short and names its place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.evidence import derive, evidence

from kata_audit.clock import ManualClock
from kata_audit.pipeline.derive import DERIVE_VERSION
from kata_audit.schema.source import Transport
from kata_audit.store.fsck import fsck
from kata_audit.store.segment import FOOTER_KEY
from kata_audit.store.writer import Batch, open_writer

RECORDS = 1000


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Make a store of one segment with four blocks."""
    root = tmp_path / "store"
    with open_writer(root, clock=ManualClock()) as writer:
        writer.append(evidence(b"one\n" * RECORDS, Transport.BARE))
        found = writer.unsealed(max_rows=RECORDS, max_bytes=1 << 20)
        assert found is not None
        cut, rows = found
        writer.seal(cut, [Batch("default", "operational", derive(rows))], derive=DERIVE_VERSION, states={})
    return root


def edit(root: Path, change: Callable[[list[bytes]], None]) -> list[str]:
    """Write the segment anew with other `raw`, as a valid Parquet file; return what is wrong with it."""
    (segment,) = root.glob("segments/*/*.parquet")
    rows: Any = pq.read_table(segment)
    texts = rows["raw"].to_pylist()
    change(texts)
    field = rows.schema.field("raw")
    rows = rows.set_column(rows.schema.get_field_index("raw"), field, pa.array(texts, field.type))
    footer = {FOOTER_KEY: pq.read_metadata(segment).metadata[FOOTER_KEY]}
    segment.unlink()
    with pq.ParquetWriter(segment, rows.schema) as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata(footer)
    return [what for _, what in fsck(root, deep=True, derive=derive, derive_version=DERIVE_VERSION).troubles][1:]


def test_one_altered_byte_names_its_block_and_its_record(store: Path) -> None:
    """Nothing that only follows from it is said."""

    def change(texts: list[bytes]) -> None:
        texts[300] = b"onE\n"

    assert edit(store, change) == [
        "batch 0, block 1 (records 256 to 511 of the batch) does not lead to its root",
        "record 300: its evidence or its hint was changed",
    ]


def test_neighbours_are_folded_into_ranges(store: Path) -> None:
    """Runs of blocks and of records are one line each."""

    def change(texts: list[bytes]) -> None:
        texts[250:260] = [b"two\n"] * 10
        texts[999] = b"two\n"

    assert edit(store, change) == [
        "batch 0, blocks 0 to 1, 3 (records 0 to 511, 768 to 999 of the batch) do not lead to their roots",
        "records 250 to 259, 999: their evidence or their hints were changed",
    ]


def test_what_cannot_be_read_is_named_once(store: Path) -> None:
    """Blocks of a row group that is broken are named as one range, and its numbers are not complained about again."""
    (segment,) = store.glob("segments/*/*.parquet")
    group = pq.read_metadata(segment).row_group(0)
    raw = next(column for column in map(group.column, range(group.num_columns)) if column.path_in_schema == "cursor")
    data = bytearray(segment.read_bytes())
    data[raw.data_page_offset + raw.total_compressed_size // 2] ^= 1
    segment.unlink()
    segment.write_bytes(data)

    assert [what for _, what in fsck(store, deep=True).troubles][1:] == [
        "batch 0, blocks 0 to 3 (records 0 to 999 of the batch) cannot be read"
    ]
