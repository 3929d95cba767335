"""A snapshot: the segments that are live at one checkpoint, with what is known of each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from kata_audit.errors import SegmentMismatchError
from kata_audit.predicate.tree import And, Compare, OneOf, Op, Or, Predicate
from kata_audit.store.index import Index
from kata_audit.store.segment import UNREADABLE
from kata_audit.store.statistics import HANDLES, SegmentStatistics
from kata_audit.store.windows import Span


class Snapshot(NamedTuple):
    """Live segments by name. Those in `unindexed` may hold anything; `sealed_to` is the number after the last record."""

    origin: str
    entries: int
    sealed_to: int
    segments: Mapping[str, SegmentStatistics]
    unindexed: frozenset[str]


def measure(path: Path, name: str) -> SegmentStatistics:
    """Count a segment from its footer, where the index has not seen it.

    Raises:
        SegmentMismatchError: It is no Parquet file.
        OSError: It cannot be read.
    """
    try:
        with pq.ParquetFile(path) as file:
            meta = file.metadata
            groups = [meta.row_group(number) for number in range(meta.num_row_groups)]
            seqs, times = (_extent(groups, file.schema_arrow.names.index(field)) for field in ("seq", "timestamp"))
    except UNREADABLE as error:
        raise SegmentMismatchError("The file is no segment.", where=str(path)) from error
    size, rows = path.stat().st_size, meta.num_rows
    return SegmentStatistics(name, size, rows, None, None, seqs[0] or 0, seqs[1] or 0, times[0], times[1], times[2])


def _extent(groups: list[Any], number: int) -> tuple[int | None, int | None, int]:
    """Give least, greatest and how many nulls of a column that comes before every nested one, over all row groups."""
    columns = [group.column(number).statistics for group in groups]
    stated = [column for column in columns if column is not None and column.has_min_max]
    low = min((_raw(column.min_raw) for column in stated), default=None)
    high = max((_raw(column.max_raw) for column in stated), default=None)
    return low, high, sum(column.null_count for column in columns if column is not None)


def _raw(value: Any) -> int:
    return int(value)


def candidates(where: Predicate, snapshot: Snapshot, index: Index) -> frozenset[str]:
    """Name the segments in which a condition on stored columns may hold; leaves out only those where it cannot.

    Args:
        where: The condition, already rewritten to what is stored.
        snapshot: The live segments.
        index: The index that the snapshot was made with.
    """
    every = frozenset(snapshot.segments)
    if isinstance(where, And):
        parts = [candidates(part, snapshot, index) for part in where.parts]
        return every.intersection(*parts)
    if isinstance(where, Or):
        return frozenset().union(*(candidates(part, snapshot, index) for part in where.parts))
    if isinstance(where, OneOf):
        return _holding(where.field, where.values, snapshot, index)
    if isinstance(where, Compare) and where.op is Op.EQ and where.field in HANDLES:
        return _holding(where.field, frozenset({str(where.value)}), snapshot, index)
    if isinstance(where, Compare) and where.field in ("seq", "timestamp") and isinstance(where.value, int):
        return frozenset(name for name, known in snapshot.segments.items() if _may_compare(where, known))
    return every


def _holding(field: str, values: frozenset[str] | frozenset[int], snapshot: Snapshot, index: Index) -> frozenset[str]:
    if field in ("tenant", "class"):
        which = "tenant" if field == "tenant" else "retention_class"
        stated = {name: getattr(known, which) for name, known in snapshot.segments.items()}
        return frozenset(name for name, value in stated.items() if value is None or value in values)
    if field not in HANDLES:
        return frozenset(snapshot.segments)
    held = index.holders(field, [str(value) for value in values])
    return (held | snapshot.unindexed).intersection(snapshot.segments)


def _may_compare(where: Compare, known: SegmentStatistics) -> bool:
    by_seq = where.field == "seq"
    first, last = (known.first_seq, known.last_seq) if by_seq else (known.first_ns, known.last_ns)
    if first is None or last is None:
        return known.rows > known.untimed
    value = int(where.value)
    return {
        Op.EQ: first <= value <= last,
        Op.NE: True,
        Op.LT: first < value,
        Op.LE: first <= value,
        Op.GT: last > value,
        Op.GE: last >= value,
    }[where.op]


def spans_by(key: str, names: frozenset[str], snapshot: Snapshot) -> list[Span]:
    """Place segments on the axis of a key, `seq` or `timestamp`; one without a timed record has no place on the latter."""
    found = [snapshot.segments[name] for name in sorted(names)]
    if key == "seq":
        return [Span(known.name, known.first_seq, known.last_seq, known.rows) for known in found if known.rows]
    return [
        Span(known.name, known.first_ns, known.last_ns, known.rows)
        for known in found
        if known.first_ns is not None and known.last_ns is not None
    ]
