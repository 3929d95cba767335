"""Merge small segments of one stream into larger ones; no proof changes, because batches are what the log commits to.

Order of every act: write the output, read it back and recompute each root, entry, checkpoint, then delete the inputs. The
inputs stand sorted alike, so they are merged as streams: a slice of each is held, and nothing else.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kata_audit.errors import StoreError
from kata_audit.store.durable import Disk
from kata_audit.store.layout import Layout, segment_name
from kata_audit.store.live import Live, LiveFile
from kata_audit.store.segment import (
    GROUP_BYTES,
    GROUP_ROWS,
    SEGMENT_SCHEMA,
    Head,
    Mark,
    check_segment,
    group_counts,
    read_head,
    sort_order,
    write_groups,
)

FAN_IN = 8
"""How many segments are merged at once: each record is rewritten once per factor of eight that a stream grows."""
MAX_OUTPUT_BYTES = 12 << 20
"""Segments that would make a larger one are left as they are: reading one back holds 40 bytes of each of its records."""
_SMALLEST_TIER_BYTES = 64 << 10
_SLICE_ROWS = 512
_SLICE_BYTES = 4 << 20
_READ_BYTES = 64 << 10


class Plan(NamedTuple):
    """Segments of one stream that are to become one, in order of their batches."""

    inputs: tuple[LiveFile, ...]


class Merged(NamedTuple):
    """A merged segment that is durable and read back, and what it replaces."""

    inputs: tuple[str, ...]
    name: str
    mark: Mark
    batches: tuple[int, ...]


def _tier(file: LiveFile) -> int:
    """Sort a segment by size: each tier is eight times the one below."""
    tier, size = 0, _SMALLEST_TIER_BYTES
    while file.bytes > size:
        tier, size = tier + 1, size * FAN_IN
    return tier


def choose(live: Live, *, all_of_them: bool = False) -> Plan | None:
    """Choose what to merge next.

    Args:
        live: The log's fold.
        all_of_them: Merge wherever two segments of a stream are small enough; else only where eight of one size are, or
            fewer make a full one.

    Returns:
        The next plan, smallest segments first; None where nothing is to be done.
    """
    groups: dict[tuple[int, str], list[LiveFile]] = {}
    for file in sorted(live.files.values(), key=lambda file: file.batches):
        groups.setdefault((0 if all_of_them else _tier(file), file.name.partition("/")[0]), []).append(file)
    for _, files in sorted(groups.items()):
        for start in range(len(files) - 1):
            offered = files[start : start + FAN_IN]
            chosen = _fitting(offered)
            is_full = len(chosen) == FAN_IN or len(chosen) < len(offered)
            if len(chosen) > 1 and (is_full or all_of_them):
                return Plan(chosen)
    return None


def _fitting(files: Sequence[LiveFile]) -> tuple[LiveFile, ...]:
    """Take as many files from the front as may become one."""
    sums = accumulate(file.bytes for file in files)
    return tuple(file for file, total in zip(files, sums, strict=True) if total <= MAX_OUTPUT_BYTES)


def merge(disk: Disk, layout: Layout, live: Live, plan: Plan) -> Merged:
    """Merge segments into a new one, durably, and read it back.

    Args:
        disk: What all writing goes through.
        layout: The store.
        live: The log's fold: the roots that the output must lead to.
        plan: What to merge.

    Returns:
        What the `compact` entry says. Nothing is live or deleted yet.

    Raises:
        SegmentMismatchError: An input or the output is not what the log committed to.
        OSError: As the disk says.
    """
    paths = [layout.segment(file.name) for file in plan.inputs]
    heads = [read_head(path) for path in paths]
    batches = sorted((batch for head in heads for batch in head.batches), key=lambda batch: batch.n)
    head = Head(heads[0].stream, heads[0].tenant, heads[0].retention_class, tuple(batches))
    numbers = tuple(batch.n for batch in batches)
    name = segment_name(head.stream, numbers[0], numbers[-1], os.urandom(4).hex())
    mark = write_groups(disk, layout.segment(name), head, _groups_of(_merged(paths)))
    check_segment(layout.segment(name), mark, {n: live.batches[n].root for n in numbers})
    return Merged(tuple(file.name for file in plan.inputs), name, mark, numbers)


def _slices(path: Path) -> Iterator[Any]:
    """Read a segment in slices, its word columns as plain text: their dictionaries differ from file to file."""
    with pq.ParquetFile(path, page_checksum_verification=True, buffer_size=_READ_BYTES) as file:
        if file.schema_arrow.names != SEGMENT_SCHEMA.names:
            raise StoreError("A segment has other columns than this version merges.", where=str(path))
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            count = min(_SLICE_ROWS, max(1, group.num_rows * _SLICE_BYTES // group.total_byte_size))
            for rows in file.iter_batches(batch_size=count, row_groups=[number]):
                yield pa.Table.from_batches([rows]).cast(_PLAIN_SCHEMA)


def _plain(field: Any) -> Any:
    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


_PLAIN_SCHEMA = pa.schema([_plain(field) for field in SEGMENT_SCHEMA])


def _merged(paths: Sequence[Path]) -> Iterator[Any]:
    """Give the rows of sorted segments in one order, a stretch at a time.

    Of each segment one slice is held. What is sorted up to the first slice's end that is reached cannot be overtaken by
    anything still unread, and goes out.
    """
    sources = [_slices(path) for path in paths]
    held: list[Any] = [next(source, None) for source in sources]
    while any(rows is not None for rows in held):
        parts, ends, total = [], [], 0
        for rows in held:
            if rows is not None:
                parts.append(rows)
                total += len(rows)
            ends.append(total)
        together = pa.concat_tables(parts)
        order = sort_order(together)
        rank = pc.sort_indices(order)
        lasts = [rank[end - 1].as_py() for rows, end in zip(held, ends, strict=True) if rows is not None]
        boundary = min(lasts)
        yield together.take(order.slice(0, boundary + 1))
        stays = pc.greater(rank, boundary)
        begin = 0
        for number, (rows, end) in enumerate(zip(held, ends, strict=True)):
            if rows is not None:
                rest = rows.filter(stays.slice(begin, end - begin))
                held[number] = rest if len(rest) else next(sources[number], None)
            begin = end


def _groups_of(stretches: Iterator[Any]) -> Iterator[Any]:
    """Cut sorted stretches into row groups of a segment."""
    waiting: list[Any] = []
    rows = size = 0
    for stretch in stretches:
        waiting.append(stretch)
        rows += len(stretch)
        size += pc.sum(pc.binary_length(stretch["raw"])).as_py() or 0
        if rows < GROUP_ROWS and size < GROUP_BYTES:
            continue
        together = pa.concat_tables(waiting)
        *whole, rows = group_counts(pc.binary_length(together["raw"]))
        for count in whole:
            yield _group(together.slice(0, count))
            together = together.slice(count)
        waiting, size = [together], pc.sum(pc.binary_length(together["raw"])).as_py() or 0
    if rows:
        yield _group(pa.concat_tables(waiting))


def _group(rows: Any) -> Any:
    return rows.combine_chunks().cast(SEGMENT_SCHEMA)
