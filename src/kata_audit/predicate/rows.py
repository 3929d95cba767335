"""Evaluate a condition on rows: an Arrow mask, one bit a row, never null.

What one text decides is asked of each word of a dictionary column once, not of each row.
"""

import re
from collections.abc import Callable
from functools import lru_cache, reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import re2

from kata_audit.predicate.calendar import part_of
from kata_audit.predicate.fields import ATTRIBUTE, Kind, fit, kind_of
from kata_audit.predicate.network import network_regex
from kata_audit.predicate.pattern import NUMBER_REGEX, Wild, pieces_of, regex_of, regex_of_text
from kata_audit.predicate.tree import (
    And,
    Compare,
    Everything,
    FieldLeaf,
    InNetwork,
    InTime,
    Match,
    Not,
    Number,
    OneOf,
    Op,
    Or,
    Predicate,
    Present,
    Relation,
    SameAs,
    Syntax,
    Text,
)
from kata_audit.schema.record import RecordRows

_COMPARE: dict[Op, Callable[[Any, Any], Any]] = {
    Op.EQ: pc.equal,
    Op.NE: pc.not_equal,
    Op.LT: pc.less,
    Op.LE: pc.less_equal,
    Op.GT: pc.greater,
    Op.GE: pc.greater_equal,
}
_RELATIONS: dict[Relation, Callable[[str, str], bool]] = {
    Relation.CONTAINS: str.__contains__,
    Relation.STARTSWITH: str.startswith,
    Relation.ENDSWITH: str.endswith,
}
_LONG_REGEX = 60
"""Characters of a regex from which on making it is dear."""
_FEW_TEXTS = 2048
_ABOVE_ASCII = re.compile(rb"[\x80-\xff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()


class Columns:
    """The columns of some rows as conditions ask of them, each made ready once, however many conditions ask.

    Args:
        rows: Rows that have at least the columns that will be asked of, of their types in `RECORD_SCHEMA`.
    """

    def __init__(self, rows: RecordRows) -> None:
        self.rows = rows
        self._ready: dict[str, Any] = {}

    def column(self, field: str) -> Any:
        """Give a field as it is kept, a dictionary as a dictionary; bytes as text, and a time as its nanoseconds.

        Args:
            field: Name of a field, or `attributes.<key>`.

        Returns:
            One value a row, null where the record does not state it.
        """
        found = self._ready.get(field)
        if found is None:
            found = self._ready[field] = _column(self.rows, field)
        return found


def evaluate(where: Predicate, rows: RecordRows | Columns) -> pa.BooleanArray:
    """Say of each row whether a condition holds.

    Args:
        where: The condition.
        rows: Rows that have at least the columns of `fields_of(where)`, of their types in `RECORD_SCHEMA`; as `Columns`
            where many conditions ask of the same rows.

    Returns:
        A mask of one bit a row, without nulls.
    """
    columns = rows if isinstance(rows, Columns) else Columns(rows)
    if isinstance(where, And):
        return _every(where, columns)
    if isinstance(where, Or):
        masks = [evaluate(part, columns) for part in where.parts]
        return reduce(pc.or_, masks) if masks else _all(columns, held=False)
    if isinstance(where, Not):
        return pc.invert(evaluate(where.part, columns))
    if isinstance(where, Everything):
        return _all(columns, held=True)
    if isinstance(where, Text):
        pattern = regex_of_text(where.needle)
        return pc.or_(*(_decided(columns.column(name), lambda texts: _found(texts, pattern)) for name in ("body", "raw")))
    return _leaf(where, columns)


def _every(where: And, columns: Columns) -> pa.BooleanArray:
    """Ask one part after the other, as long as any row is left."""
    held = None
    for part in where.parts:
        mask = evaluate(part, columns)
        held = mask if held is None else pc.and_(held, mask)
        if not pc.any(held).as_py():
            return held
    return _all(columns, held=True) if held is None else held


def _all(columns: Columns, *, held: bool) -> pa.BooleanArray:
    return pa.repeat(pa.scalar(held), columns.rows.num_rows)


def _leaf(where: FieldLeaf, columns: Columns) -> Any:
    if isinstance(where, Present):
        return pc.is_valid(columns.column(where.field))
    if isinstance(where, SameAs):
        return pc.fill_null(_same(where, columns), False)
    if isinstance(where, Compare):
        fitted = fit(where)
        if not isinstance(fitted, Compare):
            return evaluate(fitted, columns)
    return _decided(columns.column(where.field), lambda values: _test(where, values))


def _decided(column: Any, test: Callable[[Any], Any]) -> Any:
    """Put each value through a test; of a dictionary, each word."""
    if pa.types.is_dictionary(column.type):
        return pc.fill_null(pc.take(test(column.dictionary.cast(pa.large_string())), column.indices), False)
    return pc.fill_null(test(column), False)


def _test(where: Compare | OneOf | Match | Number | InNetwork | InTime, values: Any) -> Any:
    if isinstance(where, Match):
        return _fits(where, values)
    if isinstance(where, InNetwork):
        return _found(values, network_regex(where.network))
    if isinstance(where, OneOf):
        return pc.is_in(values, _value_set(where.values, values.type))
    if isinstance(where, Number):
        numeric = pc.if_else(_found(values, NUMBER_REGEX), values, pa.scalar(None, values.type)).cast(pa.float64())
        return _COMPARE[where.op](numeric, pa.scalar(float(where.value)))
    if isinstance(where, InTime):
        return pc.equal(part_of(values, where.part), where.value)
    return _COMPARE[where.op](values, pa.scalar(where.value, values.type))


@lru_cache(maxsize=4096)
def _value_set(values: frozenset[str] | frozenset[int], type_: Any) -> Any:
    """Make the array that values are looked up in; making one takes longer than to look a cut's words up in it."""
    return pa.array(sorted(values), type_)


def _fits(where: Match, texts: Any) -> Any:
    """Ask for a pattern; for one text at the begin, at the end or anywhere without a regex, which takes time to make."""
    pieces = pieces_of(where.pattern) if where.syntax is Syntax.WILDCARD else ()
    match pieces:
        case [str(text), Wild.ANY]:
            look = pc.starts_with
        case [Wild.ANY, str(text)]:
            look = pc.ends_with
        case [Wild.ANY, str(text), Wild.ANY]:
            look = pc.match_substring
        case _:
            return _found(texts, regex_of(where))
    return look(texts, text) if where.cased else look(pc.ascii_lower(texts), _lower(text))


def _lower(text: str) -> str:
    """Lower A to Z, and no other letter."""
    return "".join(char.lower() if char.isascii() else char for char in text)


def _found(texts: Any, pattern: str) -> Any:
    """Find a regex; a long one in few texts by one that was made before, as making it takes longer than to look."""
    if len(pattern) < _LONG_REGEX or len(texts) > _FEW_TEXTS:
        return pc.match_substring_regex(texts, pattern)
    search = _made(pattern).search
    return pa.array([None if text is None else search(text) is not None for text in texts.to_pylist()], pa.bool_())


@lru_cache(maxsize=1024)
def _made(pattern: str) -> Any:
    return re2.compile(pattern)


def _same(where: SameAs, columns: Columns) -> Any:
    whole, part = (columns.column(field).cast(pa.large_string()) for field in (where.field, where.other))
    if not where.cased:
        whole, part = pc.ascii_lower(whole), pc.ascii_lower(part)
    if where.how is Relation.EQUALS:
        return pc.equal(whole, part)
    relate = _RELATIONS[where.how]
    pairs = zip(whole.to_pylist(), part.to_pylist(), strict=True)
    return pa.array([None if a is None or b is None else relate(a, b) for a, b in pairs], pa.bool_())


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
    column = rows.column(field)
    kind = kind_of(field)
    if kind is Kind.BYTES:
        return text_of_bytes(column)
    return column.cast(pa.int64()) if kind is Kind.TIME else column
