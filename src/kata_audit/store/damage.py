"""Look into one segment and say what is wrong with it, and where: which block of which batch, or which derived column.

A block is 256 records of a batch in order of number. Its root is in the footer, and the footer's batch root must be the
log's, so a block that still leads to its root is evidence beyond doubt, whatever else in the file is broken.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kata_audit.errors import SegmentMismatchError
from kata_audit.schema.record import DERIVED_COLUMNS, EVIDENCE_SCHEMA, EvidenceRows, RecordRows
from kata_audit.store.segment import FOOTER_KEY, LEAF_BYTES, UNREADABLE, BatchHead, Head, parse_head
from kata_audit.tlog.leaf import BLOCK_RECORDS, SALT_BYTES, batch_root, fold_blocks, hash_leaves, make_salts

Derive = Callable[[EvidenceRows], RecordRows]
_PLACE = ("batch", "index", "leaf4")


class Examined(NamedTuple):
    """What a segment holds.

    `problems` are sentences, each with its place; `seqs` are the numbers found per batch, in order of index, of the batches
    whose evidence is whole; `unchecked` counts records whose derived columns need other records of their line.
    """

    problems: list[str]
    seqs: dict[int, Any]
    unchecked: int


class _Leaves:
    """Leaves of one segment's batches, filled in as rows can be read; a hole is a row that could not."""

    def __init__(self, head: Head) -> None:
        self.batches = {batch.n: batch for batch in head.batches}
        self.salts = {batch.n: make_salts(batch.salt_key, batch.records) for batch in head.batches}
        self.leaves = {batch.n: bytearray(batch.records * LEAF_BYTES) for batch in head.batches}
        self.filled = {batch.n: bytearray(batch.records) for batch in head.batches}
        self.seqs = {batch.n: [-1] * batch.records for batch in head.batches}
        self.changed: set[int] = set()
        self.misplaced = 0

    def fill(self, rows: Any) -> None:
        """Hash rows into their places; keep the numbers of those whose hint says another leaf, and count the misplaced."""
        salts, kept = [], []
        for row, (n, index) in enumerate(zip(rows["batch"].to_pylist(), rows["index"].to_pylist(), strict=True)):
            batch = self.batches.get(n)
            if batch is None or index is None or index >= batch.records or self.filled[n][index]:
                self.misplaced += 1
                continue
            salts.append(self.salts[n][index * SALT_BYTES : (index + 1) * SALT_BYTES])
            kept.append(row)
        chosen = rows.take(pa.array(kept, pa.int64()))
        hashed = hash_leaves(chosen.select(EVIDENCE_SCHEMA.names), b"".join(salts))
        places = zip(chosen["batch"].to_pylist(), chosen["index"].to_pylist(), chosen["seq"].to_pylist(), strict=True)
        hints = chosen["leaf4"].to_pylist()
        for row, (n, index, seq) in enumerate(places):
            leaf = hashed[row * LEAF_BYTES : (row + 1) * LEAF_BYTES]
            self.leaves[n][index * LEAF_BYTES : (index + 1) * LEAF_BYTES] = leaf
            self.filled[n][index] = 1
            self.seqs[n][index] = seq
            if leaf[: len(hints[row])] != hints[row]:
                self.changed.add(seq)

    def problems(self) -> Iterator[str]:
        """Name the records that the hints single out, and say that records stand where they cannot."""
        if len(self.changed) == 1:
            yield f"record {min(self.changed)}: its evidence or its hint was changed"
        elif self.changed:
            yield f"records {_ranges(self.changed)}: their evidence or their hints were changed"
        if self.misplaced:
            yield f"records at a place that is another's or that no batch has: {self.misplaced}"

    def bad_blocks(self, batch: BatchHead) -> Iterator[str]:
        """Name the blocks of a batch whose records are missing or do not lead to their root, neighbours as one range."""
        leaves, filled = bytes(self.leaves[batch.n]), self.filled[batch.n]
        unread, wrong = [], []
        for number, root in enumerate(batch.blocks):
            first, end = number * BLOCK_RECORDS, min((number + 1) * BLOCK_RECORDS, batch.records)
            if not all(filled[first:end]):
                unread.append(number)
            elif batch_root(leaves[first * LEAF_BYTES : end * LEAF_BYTES]) != root:
                wrong.append(number)
        if unread:
            yield f"{_blocks(batch, unread)} cannot be read"
        if wrong:
            what = "does not lead to its root" if len(wrong) == 1 else "do not lead to their roots"
            yield f"{_blocks(batch, wrong)} {what}"


def _runs(numbers: Collection[int]) -> Iterator[tuple[int, int]]:
    """Fold numbers into runs of neighbours, each with its first and its last."""
    first = last = None
    for number in sorted(numbers):
        if first is None or last is None:
            first = number
        elif number != last + 1:
            yield first, last
            first = number
        last = number
    if first is not None and last is not None:
        yield first, last


def _ranges(numbers: Collection[int]) -> str:
    return _spell(_runs(numbers))


def _spell(runs: Iterator[tuple[int, int]]) -> str:
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in runs)


def _blocks(batch: BatchHead, numbers: list[int]) -> str:
    """Name blocks of a batch, and which of its records are in them."""
    records = ((first * BLOCK_RECORDS, min((last + 1) * BLOCK_RECORDS, batch.records) - 1) for first, last in _runs(numbers))
    word = "block" if len(numbers) == 1 else "blocks"
    return f"batch {batch.n}, {word} {_ranges(numbers)} (records {_spell(records)} of the batch)"


def examine(path: Path, roots: Mapping[int, bytes], derive: Derive | None) -> Examined:
    """Look into a segment.

    Args:
        path: The file.
        roots: Root of each of its batches in the log.
        derive: Derives records again, to hold the stored columns against; None leaves them out.

    Returns:
        What it holds and what is wrong with it.
    """
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except (*UNREADABLE, OSError) as error:
        return Examined([_all_blocks(roots, f"the file cannot be opened ({type(error).__name__})")], {}, 0)
    with file:
        try:
            head = parse_head((file.metadata.metadata or {})[FOOTER_KEY])
        except (*UNREADABLE, SegmentMismatchError):
            return Examined([_all_blocks(roots, "its footer is damaged")], {}, 0)
        return _examine_rows(file, head, roots, derive)


def _all_blocks(roots: Mapping[int, bytes], why: str) -> str:
    return f"every block of batches {', '.join(map(str, sorted(roots)))} is in doubt: {why}"


def _examine_rows(file: Any, head: Head, roots: Mapping[int, bytes], derive: Derive | None) -> Examined:
    problems = _head_problems(head, roots)
    leaves = _Leaves(head)
    unread: list[str] = []
    unchecked = 0
    for number in range(file.num_row_groups):
        rows = _read_group(file, number, [*EVIDENCE_SCHEMA.names, *_PLACE])
        if rows is None:
            unread.append(f"row group {number}: its evidence cannot be read")
            continue
        if any(column.null_count for column in rows.columns):
            problems.append(f"row group {number}: evidence is missing from its records")
            continue
        try:
            leaves.fill(rows)
            if derive is not None:
                wrong, skipped = _derived_problems(file, number, rows, derive, leaves.changed)
                problems += wrong
                unchecked += skipped
        except UNREADABLE as error:
            problems.append(f"row group {number}: its columns are not those of a segment ({type(error).__name__})")
    blocks = {batch.n: list(leaves.bad_blocks(batch)) for batch in head.batches}
    whole = {n: pa.array(leaves.seqs[n], pa.uint64()) for n, bad in blocks.items() if not bad and n in roots}
    named = [bad for found in blocks.values() for bad in found]
    # The blocks of a row group that cannot be read are named; saying it twice helps nobody.
    return Examined([*named, *leaves.problems(), *problems, *([] if named else unread)], whole, unchecked)


def _head_problems(head: Head, roots: Mapping[int, bytes]) -> list[str]:
    """Hold the footer's roots against the log's, and its blocks against its roots."""
    if {batch.n for batch in head.batches} != set(roots):
        return ["the footer names other batches than the log"]
    return [
        f"batch {batch.n}: every block is in doubt, its roots in the footer do not lead to the log's"
        for batch in head.batches
        if batch.root != roots[batch.n] or not batch.blocks or fold_blocks(batch.blocks) != roots[batch.n]
    ]


def _read_group(file: Any, number: int, columns: list[str]) -> Any:
    """Read columns of a row group as one batch; None where they cannot be read or are not all there."""
    try:
        rows = file.read_row_group(number, columns=columns).combine_chunks().to_batches()
        rows[0].validate(full=True)
    except (*UNREADABLE, OSError):
        return None
    return rows[0] if set(columns) <= set(rows[0].schema.names) else None


def _derived_problems(
    file: Any, number: int, evidence: Any, derive: Derive, changed: Collection[int]
) -> tuple[list[str], int]:
    """Derive a row group again and hold the stored columns against it.

    Pieces of longer lines are left out, and so are records whose evidence is not what was sealed: they are named already.
    """
    stored = _read_group(file, number, list(DERIVED_COLUMNS))
    if stored is None:
        readable = [name for name in DERIVED_COLUMNS if _read_group(file, number, [name]) is not None]
        broken = [name for name in DERIVED_COLUMNS if name not in readable]
        span = _span(evidence)
        return [f"row group {number} ({span}): derived columns cannot be read: {', '.join(broken)}"], 0
    again = derive(evidence.select(EVIDENCE_SCHEMA.names))
    alone = pc.and_(pc.is_null(stored["frame_group"]), pc.is_null(again.column("frame_group")))
    sealed = pc.invert(pc.is_in(evidence["seq"], value_set=pa.array(sorted(changed), pa.uint64())))
    kept = pc.and_(alone, sealed)
    problems = []
    for name in DERIVED_COLUMNS:
        ours, theirs = _plain(again.column(name)).filter(kept), _plain(stored[name]).filter(kept)
        if not ours.equals(theirs):
            problems.append(f"row group {number} ({_span(evidence)}): column {name} is not what its evidence says")
    return problems, len(evidence) - (pc.sum(alone).as_py() or 0)


def _span(evidence: Any) -> str:
    bounds = pc.min_max(evidence["seq"]).as_py()
    return f"among records {bounds['min']} to {bounds['max']}"


def _plain(column: Any) -> Any:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
