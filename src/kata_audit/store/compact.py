"""Merge small segments of one stream into larger ones; no proof changes, because batches are what the log commits to.

Order of every act: write the output, read it back and recompute each root, entry, checkpoint, then delete the inputs. The
inputs stand sorted alike, so they are merged as streams: their sort columns and one row group are held, and a page of each
column of each.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
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
    SEGMENT_SCHEMA,
    SORT_COLUMNS,
    Head,
    Mark,
    check_segment,
    group_counts,
    read_head,
    shorten,
    sort_order,
    write_groups,
)

FAN_IN = 8
"""How many segments are merged at once: each record is rewritten once per factor of eight that a stream grows."""
MAX_OUTPUT_BYTES = 12 << 20
"""Segments that would make a larger one are left as they are: reading one back holds 40 bytes of each of its records."""
FEWEST_INPUTS = 4
"""Fewer are left as they are, unless all are asked for: half the files make reading little faster."""
_SMALLEST_TIER_BYTES = 64 << 10
_SLICE_ROWS = 512
_SLICE_BYTES = 4 << 20
_READ_BYTES = 16 << 10


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
            `FEWEST_INPUTS` or more make a full one.

    Returns:
        The next plan, smallest segments first; None where nothing is to be done.
    """
    fewest = 2 if all_of_them else FEWEST_INPUTS
    groups: dict[tuple[int, str], list[LiveFile]] = {}
    for file in sorted(live.files.values(), key=lambda file: file.batches):
        groups.setdefault((0 if all_of_them else _tier(file), file.name.partition("/")[0]), []).append(file)
    for _, files in sorted(groups.items()):
        for start in range(len(files) - 1):
            offered = files[start : start + FAN_IN]
            chosen = _fitting(offered)
            is_full = len(chosen) == FAN_IN or len(chosen) < len(offered)
            if len(chosen) >= fewest and (is_full or all_of_them):
                return Plan(chosen)
    return None


def _fitting(files: Sequence[LiveFile]) -> tuple[LiveFile, ...]:
    """Take as many files from the front as may become one."""
    sums = accumulate(file.bytes for file in files)
    return tuple(file for file, total in zip(files, sums, strict=True) if total <= MAX_OUTPUT_BYTES)


def merge(disk: Disk, layout: Layout, live: Live, plan: Plan, *, between: Callable[[], object] = int) -> Merged:
    """Merge segments into a new one, durably, and read it back.

    Args:
        disk: What all writing goes through.
        layout: The store.
        live: The log's fold: the roots that the output must lead to.
        plan: What to merge.
        between: Called before each row group, so that a long merge holds nobody up.

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
    mark = write_groups(disk, layout.segment(name), head, _pausing(_merged(paths), between))
    check_segment(layout.segment(name), mark, {n: live.batches[n].root for n in numbers}, between=between)
    return Merged(tuple(file.name for file in plan.inputs), name, mark, numbers)


def _pausing(groups: Iterator[Any], between: Callable[[], object]) -> Iterator[Any]:
    for group in groups:
        between()
        yield group


def _merged(paths: Sequence[Path]) -> Iterator[Any]:
    """Give the rows of sorted segments in one order, a row group at a time.

    The order is worked out from the sort columns alone, which are few bytes a record. Then each segment is read once, as a
    stream: whatever a group takes of it follows on what the group before took.
    """
    with ExitStack() as opened:
        files = [opened.enter_context(_opened(path)) for path in paths]
        sizes = [file.metadata.num_rows for file in files]
        owners = pa.concat_arrays([pa.repeat(pa.scalar(number, pa.int8()), size) for number, size in enumerate(sizes)])
        order = sort_order(pa.concat_tables([_keys(file) for file in files]))
        owner = owners.take(order)
        weights = pa.concat_arrays([_weights(file) for file in files]).take(order)
        streams = [_Stream(file) for file in files]
        start = 0
        for count in group_counts(weights):
            wanted = order.slice(start, count)
            taken = {one["values"]: one["counts"] for one in pc.value_counts(owner.slice(start, count)).to_pylist()}
            start += count
            parts = [part for number in sorted(taken) for part in streams[number].take(taken[number])]
            together = pa.concat_tables(parts).unify_dictionaries()
            # Ranks within the group: rows of a segment stand in its order, and segments in theirs, as in `wanted` sorted.
            yield _group(together.take(pc.sort_indices(pc.sort_indices(wanted))))


def _opened(path: Path) -> Any:
    file = pq.ParquetFile(path, page_checksum_verification=True, buffer_size=_READ_BYTES)
    if file.schema_arrow.names != SEGMENT_SCHEMA.names:
        file.close()
        raise StoreError("A segment has other columns than this version merges.", where=str(path))
    return file


def _keys(file: Any) -> Any:
    """Read the sort columns of a segment."""
    return file.read(columns=SORT_COLUMNS, use_threads=False)


def _weights(file: Any) -> Any:
    """Give each row the bytes that it takes on the average of its row group: near enough to keep groups small."""
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    return pa.concat_arrays([pa.repeat(-(-group.total_byte_size // group.num_rows), group.num_rows) for group in groups])


class _Stream:
    """A segment that is read from its beginning to its end, some rows at a time."""

    def __init__(self, file: Any) -> None:
        self._slices = _slices(file)
        self._held: Any = None

    def take(self, count: int) -> Iterator[Any]:
        """Give the next rows, in as many tables as it takes."""
        while count:
            rows = next(self._slices) if self._held is None else self._held
            self._held = rows.slice(count) if len(rows) > count else None
            yield rows.slice(0, count)
            count -= min(count, len(rows))


def _slices(file: Any) -> Iterator[Any]:
    for number in range(file.num_row_groups):
        group = file.metadata.row_group(number)
        count = min(_SLICE_ROWS, max(1, group.num_rows * _SLICE_BYTES // group.total_byte_size))
        for rows in file.iter_batches(batch_size=count, row_groups=[number], use_threads=False):
            yield pa.Table.from_batches([rows])


def _group(rows: Any) -> Any:
    columns = rows.combine_chunks().to_batches()[0].columns
    return pa.table([shorten(column) for column in columns], schema=SEGMENT_SCHEMA)
