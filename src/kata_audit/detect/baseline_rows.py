"""Rows, made ready for baselines: what they are grouped by as numbers, and each group's first row."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.detect.event import shorten
from kata_audit.schema.record import RecordRows

DAY_NS: Final = 86_400_000_000_000
HOUR_NS: Final = 3_600_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Group(NamedTuple):
    """Rows that share the values of some columns: the values, the places of the first and the last, how many."""

    values: tuple[Any, ...]
    first: int
    last: int
    size: int


def text(rows: RecordRows, name: str) -> Any:
    """Give a column as texts."""
    column = rows.column(name)
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def number_of(columns: Sequence[Any]) -> Any:
    """Number the different combinations of values: one number a row."""
    numbers = None
    for column in columns:
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        null = len(encoded.dictionary)
        indices = pc.fill_null(encoded.indices.cast(pa.int64()), null)
        joined = indices if numbers is None else pc.add(pc.multiply(numbers, null + 1), indices)
        numbers = joined if numbers is None else joined.dictionary_encode().indices.cast(pa.int64())
    return numbers


def numbers_to(size: int) -> Any:
    """Give the numbers from 0 up to a size."""
    return pc.subtract(pc.cumulative_sum(pa.repeat(pa.scalar(1, pa.int64()), size)), 1)


def first_of_each(numbers: Any) -> Any:
    """Give the places at which numbers stand for the first time, in order."""
    table = pa.table({"number": numbers, "at": numbers_to(len(numbers))})
    firsts = table.group_by("number", use_threads=False).aggregate([("at", "min")]).column("at_min")
    return firsts.take(pc.sort_indices(firsts)).combine_chunks()


def groups_of(columns: Mapping[str, Any]) -> list[Group]:
    """Group rows by columns, one value a row; give the groups in order of their first rows."""
    numbers = number_of(list(columns.values()))
    if not len(numbers):
        return []
    table = pa.table({"number": numbers, "row": numbers_to(len(numbers))})
    found = table.group_by("number", use_threads=False).aggregate([("row", "min"), ("row", "max"), ("row", "count")])
    found = found.sort_by("row_min")
    firsts = found.column("row_min").combine_chunks()
    values = zip(*(column.take(firsts).to_pylist() for column in columns.values()), strict=True)
    marks = (found.column(name).to_pylist() for name in ("row_min", "row_max", "row_count"))
    return [Group(value, *mark) for value, *mark in zip(values, *marks, strict=True)]


def values_at(rows: RecordRows, at: int, fields: Sequence[str]) -> dict[str, str]:
    """Read the columns of one row, long values cut; what it does not state is left out."""
    row = rows.slice(at, 1)
    values = {name: row.column(name)[0].as_py() for name in fields}
    return {name: shorten(str(value)) for name, value in values.items() if value is not None}


def day_text(day: int) -> str:
    """Spell a day, given as days since the epoch."""
    return f"{_EPOCH + timedelta(days=day):%Y-%m-%d}"


def hour_text(hour: int) -> str:
    """Spell the beginning of an hour, given as hours since the epoch."""
    return f"{_EPOCH + timedelta(hours=hour):%Y-%m-%d %H:%M}"
