"""The condition tree: what a query, a rule or a control asks of a record, as data.

One tree has one meaning, evaluated on rows by `rows.py` and printed to SQL by `sql.py`; a property test holds the two
together. Logic is two-valued: a condition on a field that a record does not state is false, and `Not` of it is true.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

Value: TypeAlias = str | int
"""A text, or a number; a time is a number of nanoseconds since the Unix epoch."""


class Op(StrEnum):
    """How a field is compared. `NE` asks for a stated value that differs; use `Not` to include what is not stated."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


class Syntax(StrEnum):
    """How a pattern is read."""

    WILDCARD = "wildcard"
    r"""`*` is any run of characters, `?` any one; the whole value must fit. A backslash before `*`, `?` or a backslash makes
    it an ordinary character; any other backslash is one itself."""
    REGEX = "regex"
    """RE2, found anywhere in the value; `.` is any character but a line end."""


class Relation(StrEnum):
    """How the text of one field stands to that of another."""

    EQUALS = "equals"
    CONTAINS = "contains"
    STARTSWITH = "startswith"
    ENDSWITH = "endswith"


class TimePart(StrEnum):
    """A part of a time, in UTC: a calendar's numbers, the week as ISO 8601 counts it."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Everything:
    """Every record."""


@dataclass(frozen=True, slots=True)
class Compare:
    """A field compared with a value. Texts compare exactly and order by their UTF-8 bytes."""

    field: str
    op: Op
    value: Value


@dataclass(frozen=True, slots=True)
class OneOf:
    """A text or number field is one of some values that it can hold. No values: no record."""

    field: str
    values: frozenset[str] | frozenset[int]


@dataclass(frozen=True, slots=True)
class Present:
    """The record states the field."""

    field: str


@dataclass(frozen=True, slots=True)
class Text:
    """The needle stands in `body` or in `raw`; the letters A to Z fit both their cases."""

    needle: str


@dataclass(frozen=True, slots=True)
class Match:
    """A text field fits a pattern.

    Without `cased`, the letters A to Z of a wildcard pattern fit both their cases, and no other letter does; a regex says
    that for itself, by `(?i)`.
    """

    field: str
    pattern: str
    syntax: Syntax
    cased: bool = True


@dataclass(frozen=True, slots=True)
class Number:
    """A text field holds a number that compares so; a text that is no number does not, whatever the comparison.

    A number is written in decimal: a sign, digits, a fraction, an exponent of up to two digits. Numbers compare as doubles.
    """

    field: str
    op: Op
    value: int | float


@dataclass(frozen=True, slots=True)
class InNetwork:
    """A text field holds an IP address, and nothing else, of a network written as `10.0.0.0/8` or `fd00::/8`.

    An IPv6 address may be written in any form of RFC 4291, with a zone behind `%`, which does not count.
    """

    field: str
    network: str


@dataclass(frozen=True, slots=True)
class SameAs:
    """The text of one field equals, contains, or begins or ends with, the text of another; a record must state both."""

    field: str
    other: str
    how: Relation
    cased: bool = True


@dataclass(frozen=True, slots=True)
class InTime:
    """A part of a time field is this number: the hour is 3, the year is 2026."""

    field: str
    part: TimePart
    value: int


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; true without parts."""

    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Some part holds; false without parts."""

    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Predicate"


FieldLeaf: TypeAlias = Compare | OneOf | Present | Match | Number | InNetwork | SameAs | InTime
"""A condition on one field, or on two."""
Leaf: TypeAlias = Everything | Text | FieldLeaf
Predicate: TypeAlias = Leaf | And | Or | Not

NOTHING = Or(())
"""No record."""


def all_of(*parts: Predicate) -> Predicate:
    """Join conditions with And, leaving out what says nothing.

    Example:
        >>> all_of(Everything(), Present("body"))
        Present(field='body')
    """
    kept = tuple(part for part in parts if part != Everything())
    if not kept:
        return Everything()
    return kept[0] if len(kept) == 1 else And(kept)


def any_of(*parts: Predicate) -> Predicate:
    """Join conditions with Or, leaving out what never holds.

    Example:
        >>> any_of(NOTHING, Present("body"))
        Present(field='body')
    """
    kept = tuple(part for part in parts if part != NOTHING and not (isinstance(part, OneOf) and not part.values))
    return kept[0] if len(kept) == 1 else Or(kept)


def simplify(where: Predicate) -> Predicate:
    """Write a condition flat, without what says nothing; it holds for the same records.

    Example:
        >>> simplify(And((And((Present("body"), Not(NOTHING))), Present("pid"))))
        And(parts=(Present(field='body'), Present(field='pid')))
    """
    if isinstance(where, Not):
        inner = simplify(where.part)
        if isinstance(inner, Not):
            return inner.part
        return Everything() if inner == NOTHING else NOTHING if inner == Everything() else Not(inner)
    if isinstance(where, And):
        parts = [part for inner in where.parts for part in _parts(simplify(inner), And)]
        return NOTHING if NOTHING in parts else all_of(*_narrowed(dict.fromkeys(parts)))
    if isinstance(where, Or):
        parts = [part for inner in where.parts for part in _parts(simplify(inner), Or)]
        return Everything() if Everything() in parts else any_of(*_merged(dict.fromkeys(parts)))
    if isinstance(where, OneOf) and len(where.values) <= 1:
        return Compare(where.field, Op.EQ, *where.values) if where.values else NOTHING
    return where


def _narrowed(parts: Iterable[Predicate]) -> Iterator[Predicate]:
    """Leave out that a text is one of some, where it is said beside it which one of them it is."""
    kept = list(parts)
    exact = {part.field: part.value for part in kept if isinstance(part, Compare) and part.op is Op.EQ}
    for part in kept:
        if not isinstance(part, OneOf) or exact.get(part.field) not in part.values:
            yield part


def _merged(parts: Iterable[Predicate]) -> Iterator[Predicate]:
    """Ask for exact texts of one field at once."""
    texts: dict[str, set[str]] = {}
    others: list[Predicate] = []
    for part in parts:
        if isinstance(part, Compare) and part.op is Op.EQ and isinstance(part.value, str):
            texts.setdefault(part.field, set()).add(part.value)
        elif isinstance(part, OneOf) and all(isinstance(value, str) for value in part.values):
            texts.setdefault(part.field, set()).update(map(str, part.values))
        else:
            others.append(part)
    for field, values in texts.items():
        yield Compare(field, Op.EQ, *values) if len(values) == 1 else OneOf(field, frozenset(values))
    yield from others


def _parts(where: Predicate, kind: type[And] | type[Or]) -> tuple[Predicate, ...]:
    return where.parts if isinstance(where, kind) and where != NOTHING else (where,)


def push_nots(where: Predicate) -> Predicate:
    """Write a condition with `Not` above leaves alone, for languages that deny no more than a comparison.

    Example:
        >>> push_nots(Not(And((Present("body"), Not(Present("pid"))))))
        Or(parts=(Not(part=Present(field='body')), Present(field='pid')))
    """
    if isinstance(where, And | Or):
        return type(where)(tuple(push_nots(part) for part in where.parts))
    if not isinstance(where, Not):
        return where
    inner = where.part
    if isinstance(inner, Not):
        return push_nots(inner.part)
    if isinstance(inner, And | Or):
        parts = tuple(push_nots(Not(part)) for part in inner.parts)
        return Or(parts) if isinstance(inner, And) else And(parts)
    return where


def replace_leaves(where: Predicate, change: Callable[[Leaf], Predicate]) -> Predicate:
    """Rebuild a tree with each leaf put through `change`."""
    if isinstance(where, And):
        return And(tuple(replace_leaves(part, change) for part in where.parts))
    if isinstance(where, Or):
        return Or(tuple(replace_leaves(part, change) for part in where.parts))
    if isinstance(where, Not):
        return Not(replace_leaves(where.part, change))
    return change(where)


def fields_of(where: Predicate) -> Iterator[str]:
    """Name every field that a tree asks of, `attributes.<key>` in full; a text search asks of `body` and `raw`."""
    if isinstance(where, And | Or):
        for part in where.parts:
            yield from fields_of(part)
    elif isinstance(where, Not):
        yield from fields_of(where.part)
    elif isinstance(where, Text):
        yield from ("body", "raw")
    elif isinstance(where, SameAs):
        yield from (where.field, where.other)
    elif not isinstance(where, Everything):
        yield where.field
