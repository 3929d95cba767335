"""A segment is read back as it was written, in its order, and any change of it is seen."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.store.rows import derive, evidence

from kata_audit.errors import SegmentMismatchError
from kata_audit.schema.record import EVIDENCE_SCHEMA, RecordRows
from kata_audit.store.durable import RealDisk
from kata_audit.store.segment import (
    FOOTER_KEY,
    GROUP_BYTES,
    GROUP_ROWS,
    SEGMENT_SCHEMA,
    Head,
    Mark,
    SealedBatch,
    check_segment,
    commit_batch,
    group_counts,
    mark_file,
    parse_head,
    read_head,
    spell_head,
    write_segment,
)

KEY = bytes(range(32))


def records(count: int, first: int = 0) -> RecordRows:
    rows = evidence([b"record %d\n" % number for number in range(first, first + count)])
    return derive(rows.set_column(0, EVIDENCE_SCHEMA.field(0), pa.array(range(first, first + count), pa.uint64())))


def written(path: Path, *sealed: SealedBatch) -> tuple[Mark, dict[int, bytes]]:
    head = Head("00112233aabbccdd", "default", "audit", tuple(batch.head for batch in sealed))
    rows = pa.Table.from_batches([batch.rows for batch in sealed]).combine_chunks().to_batches()[0]
    mark = write_segment(RealDisk(), path, head, rows, b"".join(batch.leaves for batch in sealed))
    return mark, {batch.head.n: batch.head.root for batch in sealed}


def test_a_segment_reads_back(tmp_path: Path) -> None:
    """Schema, order, groups, places and footer are as the format page says."""
    path = tmp_path / "one.parquet"
    mark, roots = written(path, commit_batch(7, records(GROUP_ROWS + 10), KEY))
    check_segment(path, mark, roots)
    file = pq.ParquetFile(path, page_checksum_verification=True)
    table = file.read()
    expected = sorted(
        range(GROUP_ROWS + 10),
        key=lambda seq: (seq % 3 == 0, seq % 3, seq),
    )

    assert mark == mark_file(path)
    assert file.schema_arrow.remove_metadata().equals(SEGMENT_SCHEMA)
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [GROUP_ROWS, 10]
    assert table["seq"].to_pylist() == expected
    assert table["index"].to_pylist() == expected
    assert table["batch"].unique().to_pylist() == [7]
    assert table["leaf"].null_count == table.num_rows


def test_long_records_make_small_groups() -> None:
    """Whoever reads a group holds it: bytes bound it as well as rows, and a record that is too long stands alone."""
    long = GROUP_BYTES // 4

    assert list(group_counts(pa.array([long] * 10))) == [4, 4, 2]
    assert list(group_counts(pa.array([GROUP_BYTES + 1, 1, None, GROUP_BYTES]))) == [1, 2, 1]
    assert list(group_counts(pa.array([1] * (GROUP_ROWS + 1)))) == [GROUP_ROWS, 1]
    assert list(group_counts(pa.array([], pa.int64()))) == []


def test_several_batches_share_a_segment(tmp_path: Path) -> None:
    """Rows of batches mix; each still leads to its own root."""
    path = tmp_path / "two.parquet"
    mark, roots = written(path, commit_batch(3, records(300), KEY), commit_batch(9, records(5, 300), KEY[::-1]))

    check_segment(path, mark, roots)
    with pytest.raises(SegmentMismatchError):
        check_segment(path, mark, {**roots, 9: roots[3]})
    with pytest.raises(SegmentMismatchError):
        check_segment(path, mark, {3: roots[3]})


def test_a_flipped_bit_anywhere_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "one.parquet"
    mark, roots = written(path, commit_batch(0, records(20), KEY))
    whole = path.read_bytes()
    for position in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(SegmentMismatchError):
            check_segment(path, mark, roots)


@pytest.mark.parametrize("column", ["seq", "observed_timestamp", "node", "receiver", "cursor", "raw", "leaf4", "index"])
def test_a_changed_record_does_not_lead_to_the_root(tmp_path: Path, column: str) -> None:
    """Even in a well-formed file whose digest the entry would state."""
    path = tmp_path / "one.parquet"
    _, roots = written(path, commit_batch(0, records(20), KEY))
    file = pq.ParquetFile(path)
    table, metadata = file.read(), file.metadata.metadata
    at = table.schema.get_field_index(column)
    kind = table.schema.field(at).type
    values = (table[column].cast(pa.int64()) if pa.types.is_timestamp(kind) else table[column]).to_pylist()
    values[0], values[1] = values[1], values[0]
    if values[0] == values[1]:
        values[0] = "another"
    table = table.set_column(at, table.schema.field(at), pa.array(values, kind))
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({FOOTER_KEY: metadata[FOOTER_KEY]})

    with pytest.raises(SegmentMismatchError):
        check_segment(path, mark_file(path), roots)


def test_a_flood_of_words_is_written_once_for_each_group(tmp_path: Path) -> None:
    """A word column with more words than a group has rows does not repeat them all in every group."""
    count = 3 * GROUP_ROWS
    rows = records(count)
    words = pa.array([f"word-{number}-{'x' * 40}" for number in range(count)], pa.string()).dictionary_encode()
    flooded = rows.set_column(rows.schema.get_field_index("subsystem"), rows.schema.field("subsystem"), words)
    mark, roots = written(tmp_path / "flood.parquet", commit_batch(0, flooded, KEY))
    check_segment(tmp_path / "flood.parquet", mark, roots)
    metadata = pq.read_metadata(tmp_path / "flood.parquet")
    at = [metadata.row_group(0).column(number).path_in_schema for number in range(metadata.num_columns)].index("subsystem")
    sizes = [metadata.row_group(number).column(at).total_uncompressed_size for number in range(3)]

    assert sum(sizes) < 2 * sum(len(word) for word in words.dictionary.to_pylist())


def test_footers_round_trip_and_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.parquet"
    batch = commit_batch(0, records(300), KEY)
    written(path, batch)
    head = read_head(path)

    assert head.batches == (batch.head,)
    assert len(batch.head.blocks) == 2
    assert parse_head(spell_head(head)) == head
    for other in (b"{}", b"no", spell_head(head) + b" ", spell_head(head).replace(b'"records"', b'"recrods"')):
        with pytest.raises(SegmentMismatchError):
            parse_head(other)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(SegmentMismatchError):
        read_head(path)
    path.write_bytes(b"PAR1 no")
    with pytest.raises(SegmentMismatchError):
        read_head(path)
