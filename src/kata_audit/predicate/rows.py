"""Evaluate a condition on rows: an Arrow mask, one bit a row, never null."""

import re
from collections.abc import Callable
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.predicate.fields import ATTRIBUTE, Kind, fit, kind_of
from kata_audit.predicate.pattern import regex_of, regex_of_text
from kata_audit.predicate.tree import And, Compare, Everything, Match, Not, OneOf, Op, Or, Predicate, Present, Text
from kata_audit.schema.record import RecordRows

_COMPARE: dict[Op, Callable[[Any, Any], Any]] = {
    Op.EQ: pc.equal,
    Op.NE: pc.not_equal,
    Op.LT: pc.less,
    Op.LE: pc.less_equal,
    Op.GT: pc.greater,
    Op.GE: pc.greater_equal,
}
_ABOVE_ASCII = re.compile(rb"[\x80-\xff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()


def evaluate(where: Predicate, rows: RecordRows) -> pa.BooleanArray:
    """Say of each row whether a condition holds.

    Args:
        where: The condition.
        rows: Rows that have at least the columns of `fields_of(where)`, of their types in `RECORD_SCHEMA`.

    Returns:
        A mask of `rows.num_rows` bits without nulls.
    """
    if isinstance(where, And):
        return reduce(pc.and_, (evaluate(part, rows) for part in where.parts), _all(rows, held=True))
    if isinstance(where, Or):
        return reduce(pc.or_, (evaluate(part, rows) for part in where.parts), _all(rows, held=False))
    if isinstance(where, Not):
        return pc.invert(evaluate(where.part, rows))
    if isinstance(where, Everything):
        return _all(rows, held=True)
    return pc.fill_null(_leaf(where, rows), False)


def _all(rows: RecordRows, *, held: bool) -> pa.BooleanArray:
    return pa.repeat(pa.scalar(held), rows.num_rows)


def _leaf(where: Compare | OneOf | Present | Text | Match, rows: RecordRows) -> Any:
    if isinstance(where, Text):
        pattern = regex_of_text(where.needle)
        found = [pc.fill_null(pc.match_substring_regex(values_of(rows, name), pattern), False) for name in ("body", "raw")]
        return pc.or_(*found)
    if isinstance(where, Present):
        return pc.is_valid(_column(rows, where.field))
    if isinstance(where, Match):
        return pc.match_substring_regex(values_of(rows, where.field), regex_of(where))
    if isinstance(where, OneOf):
        column = values_of(rows, where.field)
        return pc.is_in(column, pa.array(sorted(where.values), column.type))
    return _compare(where, rows)


def _compare(where: Compare, rows: RecordRows) -> Any:
    fitted = fit(where)
    if not isinstance(fitted, Compare):
        return evaluate(fitted, rows)
    column = values_of(rows, where.field)
    return _COMPARE[where.op](column, pa.scalar(where.value, column.type))


def values_of(rows: RecordRows, field: str) -> Any:
    """Give a field's values as they compare: large strings, or integers (a time in nanoseconds).

    Args:
        rows: Rows that have the column.
        field: Name of a field, or `attributes.<key>`.

    Returns:
        One value a row, null where the record does not state it.
    """
    column = _column(rows, field)
    kind = kind_of(field)
    if kind is Kind.BYTES:
        return text_of_bytes(column)
    if kind is Kind.TIME:
        return column.cast(pa.int64())
    return column if kind is Kind.NUMBER else column.cast(pa.large_string())


def text_of_bytes(column: Any) -> Any:
    """Read bytes as text: as UTF-8, or where they are not, each byte above 127 as U+FFFD."""
    try:
        return column.cast(pa.large_string())
    except pa.ArrowInvalid:
        return pa.array([None if value is None else _text(value) for value in column.to_pylist()], pa.large_string())


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _ABOVE_ASCII.sub(_REPLACEMENT, value).decode()


def _column(rows: RecordRows, field: str) -> Any:
    if field.startswith(ATTRIBUTE):
        return pc.map_lookup(rows.column("attributes"), pa.scalar(field.removeprefix(ATTRIBUTE)), "first")
    return rows.column(field)
