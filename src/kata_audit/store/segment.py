"""The segment: one immutable Parquet file of whole batches of one stream.

Rows stand sorted by (sandbox, time, number), in groups of at most 4,096, with page checksums. The footer's
`kata-audit.segment` says which batches they are, with each batch's root, the roots of its blocks and the key of its salts.
Writing holds one group beside the rows that are being written; reading back holds one group and 32 bytes a record.
"""

import hashlib
import json
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kata_audit.errors import SegmentMismatchError
from kata_audit.schema.record import EVIDENCE_SCHEMA, RECORD_SCHEMA, RecordRows
from kata_audit.store.durable import Bytes, Disk, write_all, writing
from kata_audit.tlog.leaf import block_roots, fold_blocks, hash_leaves, make_salts

GROUP_ROWS = 4096
GROUP_BYTES = 4 << 20
"""Most bytes of `raw` in a row group, unless one record is longer: whoever reads or merges holds whole groups."""
PAGE_BYTES = 128 << 10
"""Bytes of a column's page before compression: whoever merges holds one of each column of each file."""
ZSTD_LEVEL = 3
FOOTER_KEY = b"kata-audit.segment"
LEAF_BYTES, SALT_BYTES, HINT_BYTES = 32, 16, 4
SEGMENT_SCHEMA: pa.Schema = pa.schema(
    [*RECORD_SCHEMA, pa.field("leaf4", pa.binary(HINT_BYTES)), pa.field("leaf", pa.binary(LEAF_BYTES))]
)
"""A record with its columns, the first bytes of its leaf as a hint, and its whole leaf once it is redacted."""
SORT_COLUMNS = ["sandbox_id", "timestamp", "seq"]
_SORT = [(name, "ascending") for name in SORT_COLUMNS]
_FREE_TEXT = frozenset({"raw", "body", "cursor", "leaf4", "leaf", "attributes", "object", "actor", "exec_id", "frame_group"})
_DELTA = frozenset({"seq", "index"})
_SINK_BYTES = 1 << 20
_READ_BACK = [*EVIDENCE_SCHEMA.names, "batch", "index", "leaf4"]


UNREADABLE = (pa.ArrowException, ValueError, LookupError, TypeError, OverflowError, MemoryError)
"""What reading a damaged Parquet file may raise: its footer is decoded before any checksum of ours is looked at."""


class BatchHead(NamedTuple):
    """What a segment's footer says of one batch: numbers `[first, end)`, how many, and what commits to them."""

    n: int
    first: int
    end: int
    records: int
    root: bytes
    salt_key: bytes
    blocks: tuple[bytes, ...]


class Head(NamedTuple):
    """What a segment's footer says: whose records, and its batches in ascending order."""

    stream: str
    tenant: str
    retention_class: str
    batches: tuple[BatchHead, ...]


class Mark(NamedTuple):
    """What a log entry says of a file."""

    bytes: int
    sha256: str


class SealedBatch(NamedTuple):
    """A batch with its leaves: what `write_segment` takes."""

    head: BatchHead
    rows: RecordRows
    leaves: bytes


def commit_batch(n: int, rows: RecordRows, salt_key: bytes) -> SealedBatch:
    """Give a batch its number, its rows their places in it, and compute what commits to them.

    Args:
        n: Number of the batch in this log.
        rows: Its records in order of `seq`, at least one.
        salt_key: 32 random bytes that were never used.
    """
    count = rows.num_rows
    leaves = hash_leaves(rows.select(EVIDENCE_SCHEMA.names), make_salts(salt_key, count))
    placed = _set(rows, "batch", pa.repeat(pa.scalar(n, pa.uint64()), count))
    placed = _set(placed, "index", pa.array(range(count), pa.uint32()))
    seqs = rows["seq"]
    blocks = block_roots(leaves)
    head = BatchHead(
        n=n,
        first=seqs[0].as_py(),
        end=seqs[count - 1].as_py() + 1,
        records=count,
        root=fold_blocks(blocks),
        salt_key=salt_key,
        blocks=tuple(blocks),
    )
    return SealedBatch(head, placed, leaves)


def _set(rows: RecordRows, name: str, column: Any) -> RecordRows:
    return rows.set_column(rows.schema.get_field_index(name), RECORD_SCHEMA.field(name), column)


class _Sink:
    """A file as Arrow wants it, that counts and hashes what goes through."""

    def __init__(self, disk: Disk, file: int) -> None:
        self._disk = disk
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0
        self._waiting = bytearray()
        self.closed = False

    def write(self, data: Bytes) -> int:
        self._hash.update(data)
        self._size += len(data)
        self._waiting += data
        if len(self._waiting) >= _SINK_BYTES:
            self.drain()
        return len(data)

    def drain(self) -> None:
        """Give the disk what waits: Parquet writes each page's header on its own."""
        write_all(self._disk, self._file, self._waiting)
        self._waiting = bytearray()

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Do nothing: whoever closes the file drains this first."""

    def close(self) -> None:
        self.closed = True

    def mark(self) -> Mark:
        return Mark(self._size, self._hash.hexdigest())


def write_segment(disk: Disk, path: Path, head: Head, rows: RecordRows, leaves: bytes) -> Mark:
    """Write a segment durably under its name.

    Args:
        disk: What all writing goes through.
        path: Where it goes; nothing may be there.
        head: What its footer says.
        rows: Records of its batches in order of (batch, index), with both filled.
        leaves: 32 bytes of each row, in the same order.

    Returns:
        What the log entry will say of the file.

    Raises:
        OSError: As the disk says; no file is left under `path`.
    """
    order = sort_order(rows)
    leaf = pa.FixedSizeBinaryArray.from_buffers(pa.binary(LEAF_BYTES), rows.num_rows, [None, pa.py_buffer(leaves)])
    hints = pc.binary_slice(leaf, 0, HINT_BYTES)

    def groups() -> Iterator[Any]:
        start = 0
        for count in group_counts(pc.binary_length(rows["raw"]).take(order)):
            wanted = order.slice(start, count)
            start += count
            columns = [shorten(column) for column in rows.take(wanted).columns]
            yield pa.table([*columns, hints.take(wanted), _no_leaves(len(wanted))], schema=SEGMENT_SCHEMA)

    return write_groups(disk, path, head, groups())


def group_counts(lengths: Any) -> Iterator[int]:
    """Share rows out to row groups.

    Args:
        lengths: Bytes of each row's `raw`, in the order of the segment; a null counts nothing.

    Returns:
        Rows of each group: as many as `GROUP_ROWS` and `GROUP_BYTES` let in, and at least one.
    """
    sums = [0, *pc.cumulative_sum(pc.fill_null(lengths, 0).cast(pa.int64())).to_pylist()]
    start = 0
    while start < len(lengths):
        end = min(start + GROUP_ROWS, len(lengths))
        count = max(bisect_right(sums, sums[start] + GROUP_BYTES, start, end + 1) - 1 - start, 1)
        yield count
        start += count


def sort_order(rows: Any) -> Any:
    """Give the order in which a segment's rows stand, as indices: by sandbox, time and number; what is null last."""
    return pc.sort_indices(pa.table([rows[name] for name, _ in _SORT], [name for name, _ in _SORT]), sort_keys=_SORT)


def write_groups(disk: Disk, path: Path, head: Head, groups: Iterator[Any]) -> Mark:
    """Write a segment durably under its name, from row groups that stand in its order.

    Args:
        disk: What all writing goes through.
        path: Where it goes; nothing may be there.
        head: What its footer says.
        groups: Tables of `SEGMENT_SCHEMA`, taken one at a time.

    Returns:
        What the log entry will say of the file.

    Raises:
        OSError: As the disk says; no file is left under `path`.
    """
    with writing(disk, path) as file:
        sink = _Sink(disk, file)
        with pq.ParquetWriter(pa.PythonFile(sink, "w"), SEGMENT_SCHEMA, **_writer_options()) as writer:
            for group in groups:
                writer.write_table(group, row_group_size=GROUP_ROWS)
            writer.add_key_value_metadata({FOOTER_KEY: spell_head(head)})
        sink.drain()
    return sink.mark()


def _no_leaves(count: int) -> Any:
    return pa.nulls(count, pa.binary(LEAF_BYTES))


def shorten(column: Any) -> Any:
    """Drop words that a group does not use: Parquet would write a flood of them once for each group."""
    if not pa.types.is_dictionary(column.type) or len(column.dictionary) <= GROUP_ROWS:
        return column
    return pc.dictionary_encode(column.cast(column.type.value_type))


def _writer_options() -> dict[str, Any]:
    dictionaries = [name for name in SEGMENT_SCHEMA.names if name not in _FREE_TEXT and name not in _DELTA]
    return {
        "compression": "zstd",
        "compression_level": ZSTD_LEVEL,
        "use_dictionary": [*dictionaries, "attributes.key_value.key"],
        "column_encoding": dict.fromkeys(sorted(_DELTA), "DELTA_BINARY_PACKED"),
        # Bounds of free text are long, tell nothing, and would put log text into the footer.
        "write_statistics": [*dictionaries, *sorted(_DELTA)],
        "write_page_checksum": True,
        "data_page_size": PAGE_BYTES,
        "store_schema": True,
        "version": "2.6",
    }


def spell_head(head: Head) -> bytes:
    """Spell a footer's statement as canonical JSON."""
    batches = [
        {
            "n": batch.n,
            "from": batch.first,
            "to": batch.end,
            "records": batch.records,
            "root": batch.root.hex(),
            "salt_key": batch.salt_key.hex(),
            "blocks": [block.hex() for block in batch.blocks],
        }
        for batch in head.batches
    ]
    value = {"v": 1, "stream": head.stream, "tenant": head.tenant, "class": head.retention_class, "batches": batches}
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse_head(data: bytes) -> Head:
    """Read a footer's statement.

    Raises:
        SegmentMismatchError: It is not one that `spell_head` gives.
    """
    try:
        value = json.loads(data)
        batches = tuple(
            BatchHead(
                item["n"],
                item["from"],
                item["to"],
                item["records"],
                bytes.fromhex(item["root"]),
                bytes.fromhex(item["salt_key"]),
                tuple(bytes.fromhex(block) for block in item["blocks"]),
            )
            for item in value["batches"]
        )
        head = Head(value["stream"], value["tenant"], value["class"], batches)
    except (ValueError, KeyError, TypeError) as error:
        raise SegmentMismatchError("The segment's footer is not one of ours.") from error
    if spell_head(head) != data:
        raise SegmentMismatchError("The segment's footer is not canonical.")
    return head


def read_head(path: Path) -> Head:
    """Read what a segment's footer says.

    Raises:
        SegmentMismatchError: It is no segment.
        OSError: It cannot be read.
    """
    with _opened(path) as file:
        return _head_of(file)


def _opened(path: Path) -> Any:
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except UNREADABLE as error:
        raise SegmentMismatchError("The file is no segment.", where=str(path)) from error


def _head_of(file: Any) -> Head:
    metadata = cast("Mapping[bytes, bytes]", file.metadata.metadata or {})
    if FOOTER_KEY not in metadata:
        raise SegmentMismatchError("The file is a Parquet file, but no segment.")
    return parse_head(metadata[FOOTER_KEY])


def mark_file(path: Path) -> Mark:
    """Hash a file as it stands on the disk.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return Mark(os.fstat(file.fileno()).st_size, digest.hexdigest())


def check_segment(path: Path, mark: Mark, roots: Mapping[int, bytes], *, between: Callable[[], object] = int) -> None:
    """Read a segment back and recompute all that its log entry says of it.

    Args:
        path: The file.
        mark: Size and digest in the entry.
        roots: Root of each of its batches in the log.
        between: Called before each row group, so that a long check holds nobody up.

    Raises:
        SegmentMismatchError: Something differs.
        OSError: It cannot be read.
    """
    if mark_file(path) != mark:
        raise SegmentMismatchError("The segment's bytes are not those that the log committed to.", where=str(path))
    try:
        with _opened(path) as file:
            head = _head_of(file)
            leaves = _recompute_leaves(file, head, between)
    except (*UNREADABLE, SegmentMismatchError) as error:
        raise SegmentMismatchError(f"The segment cannot be read back: {type(error).__name__}.", where=str(path)) from error
    if {batch.n for batch in head.batches} != set(roots):
        raise SegmentMismatchError("The segment holds other batches than the log says.", where=str(path))
    begin = 0
    for batch in head.batches:
        part = leaves[begin : begin + batch.records * LEAF_BYTES]
        begin += len(part)
        blocks = block_roots(part)
        if tuple(blocks) != batch.blocks or not fold_blocks(blocks) == batch.root == roots[batch.n]:
            raise SegmentMismatchError(
                f"The records of batch {batch.n} do not lead to the root in the log.", where=str(path)
            )


def _recompute_leaves(file: Any, head: Head, between: Callable[[], object]) -> bytes:
    """Hash each record as it stands in the file; 32 bytes each, in order of (batch, index)."""
    total = sum(batch.records for batch in head.batches)
    numbers = pa.array([batch.n for batch in head.batches], pa.uint64())
    bases, base = [], 0
    for batch in head.batches:
        bases.append(base)
        base += batch.records
    salts = b"".join(make_salts(batch.salt_key, batch.records) for batch in head.batches)
    salt = pa.FixedSizeBinaryArray.from_buffers(pa.binary(SALT_BYTES), total, [None, pa.py_buffer(salts)])
    places, leaves = [], []
    for rows in _groups(file):
        between()
        start = pa.array(bases, pa.uint64()).take(pc.index_in(rows["batch"], numbers))
        place = pc.add(start, rows["index"].cast(pa.uint64()))
        own = salt.take(place).buffers()[1].to_pybytes()[: SALT_BYTES * rows.num_rows]
        hashed = hash_leaves(rows.select(EVIDENCE_SCHEMA.names), own)
        leaf = pa.FixedSizeBinaryArray.from_buffers(pa.binary(LEAF_BYTES), rows.num_rows, [None, pa.py_buffer(hashed)])
        if not pc.binary_slice(leaf, 0, HINT_BYTES).equals(rows["leaf4"]):
            raise SegmentMismatchError("A hint is not the beginning of its record's leaf.")
        places.append(place)
        leaves.append(leaf)
    return _in_order(places, leaves, total)


def _groups(file: Any) -> Iterator[Any]:
    for number in range(file.num_row_groups):
        yield from file.read_row_group(number, columns=_READ_BACK, use_threads=False).combine_chunks().to_batches()


def _in_order(places: list[Any], leaves: list[Any], total: int) -> bytes:
    if not places:
        return b""
    place, leaf = pa.concat_arrays(places), pa.concat_arrays(leaves)
    order = pc.sort_indices(place)
    if not place.take(order).equals(pa.array(range(total), pa.uint64())):
        raise SegmentMismatchError("The records' places in their batches have holes or doubles.")
    return cast("bytes", leaf.take(order).buffers()[1].to_pybytes()[: LEAF_BYTES * total])
