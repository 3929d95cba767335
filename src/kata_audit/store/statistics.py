"""What a segment holds, in numbers and names: enough to know that a query need not open it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.schema.cursor import Cursor

HANDLES: Final = ("sandbox_id", "container_id", "k8s_namespace", "k8s_pod", "k8s_pod_uid", "pid")
"""Fields whose values name few segments each."""
MAX_VALUES: Final = 50_000
"""A segment with more values of a field counts as holding every value: a flood of ids must not flood the index."""
MANY: Final = "\x00*"
"""Stands for every value; no id holds a NUL."""
_CURSOR = r"^(?P<stream>[^@]*)@(?P<start>[0-9]{1,18})\+(?P<length>[0-9]{1,18})(?:~(?P<line>[0-9]{1,18}))?$"


class SegmentStatistics(NamedTuple):
    """One segment in numbers.

    `first_…` and `last_…` are the least and greatest values, times in nanoseconds; `untimed` counts records without a time.
    Tenant and class are None where a segment has none or several.
    """

    name: str
    bytes: int
    rows: int
    tenant: str | None
    retention_class: str | None
    first_seq: int
    last_seq: int
    first_ns: int | None
    last_ns: int | None
    untimed: int


def statistics_of(name: str, size: int, rows: pa.Table) -> SegmentStatistics:
    """Count a segment.

    Args:
        name: Its name in the log.
        size: Its bytes.
        rows: At least its `seq`, `timestamp`, `tenant` and `class`; all of one stream.
    """
    if not rows.num_rows:
        return SegmentStatistics(name, size, 0, None, None, 0, 0, None, None, 0)
    seqs = pc.min_max(rows["seq"]).as_py()
    times = pc.min_max(rows["timestamp"].cast(pa.int64())).as_py()
    untimed = rows["timestamp"].null_count
    tenant, class_ = (_only(pc.unique(rows[column].cast(pa.string())).to_pylist()) for column in ("tenant", "class"))
    return SegmentStatistics(
        name, size, rows.num_rows, tenant, class_, seqs["min"], seqs["max"], times["min"], times["max"], untimed
    )


def _only(values: list[str | None]) -> str | None:
    """Give the one value of a column; None where there are several: then nothing is left out by it."""
    return values[0] if len(values) == 1 else None


def handles_of(rows: pa.Table) -> Iterator[tuple[str, str]]:
    """Give the distinct (field, value) pairs of `HANDLES` by which a segment's records may be asked for."""
    for field in HANDLES:
        values = pc.drop_null(pc.unique(rows[field]))
        if len(values) > MAX_VALUES:
            yield field, MANY
        else:
            yield from ((field, str(value)) for value in values.to_pylist())


def positions_of(rows: pa.Table) -> Mapping[tuple[str, str], Cursor]:
    """Give, per receiver and stream, the cursor that ends farthest; records of our own have no such cursors."""
    parts = pc.extract_regex(rows["cursor"].combine_chunks(), pattern=_CURSOR)
    if isinstance(parts, pa.ChunkedArray):
        parts = parts.combine_chunks()
    start, length = (_number(pc.struct_field(parts, name)) for name in ("start", "length"))
    table = pa.table(
        {
            "receiver": rows["receiver"].cast(pa.string()),
            "stream": pc.struct_field(parts, "stream"),
            "start": start,
            "length": length,
            "line": _number(pc.struct_field(parts, "line")),
            "end": pc.add(start, length),
        }
    ).filter(pc.is_valid(parts))
    farthest = table.sort_by("end").group_by(["receiver", "stream"], use_threads=False)
    last = farthest.aggregate([(name, "last") for name in ("start", "length", "line")]).to_pylist()
    return {
        (row["receiver"], row["stream"]): Cursor(row["stream"], row["start_last"], row["length_last"], row["line_last"])
        for row in last
    }


class SourceCount(NamedTuple):
    """The records of one source: its stream, node and receiver. Times are when we received them, in nanoseconds."""

    source: str
    node: str
    receiver: str
    records: int
    first_ns: int
    last_ns: int


SOURCE_OF_CURSOR: Final = "@[^@]*$"
"""What stands behind a source's name in its records' cursors; our own records have nothing there."""


def sources_of(rows: pa.Table) -> list[SourceCount]:
    """Count the records of each source in a segment; redacted ones are nobody's.

    Args:
        rows: At least its `cursor`, `node`, `receiver` and `observed_timestamp`.
    """
    named = rows.filter(pc.and_(pc.is_valid(rows["cursor"]), pc.is_valid(rows["observed_timestamp"])))
    table = pa.table(
        {
            "source": pc.replace_substring_regex(named["cursor"].cast(pa.string()), SOURCE_OF_CURSOR, ""),
            "node": named["node"].cast(pa.string()),
            "receiver": named["receiver"].cast(pa.string()),
            "ns": named["observed_timestamp"].cast(pa.int64()),
        }
    ).group_by(["source", "node", "receiver"], use_threads=False)
    counts = table.aggregate([("ns", "count"), ("ns", "min"), ("ns", "max")])
    ordered = counts.select(["source", "node", "receiver", "ns_count", "ns_min", "ns_max"])
    return [SourceCount(*row.values()) for row in ordered.to_pylist()]


def add_sources(counts: Iterable[SourceCount]) -> list[SourceCount]:
    """Add up counts of the same source, by name."""
    added: dict[tuple[str, str, str], SourceCount] = {}
    for one in counts:
        before = added.get(one[:3], one._replace(records=0))
        first, last = min(before.first_ns, one.first_ns), max(before.last_ns, one.last_ns)
        added[one[:3]] = before._replace(records=before.records + one.records, first_ns=first, last_ns=last)
    return [added[key] for key in sorted(added)]


def _number(column: Any) -> Any:
    return pc.if_else(pc.equal(column, ""), None, column).cast(pa.int64())
