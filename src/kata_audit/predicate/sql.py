"""Print a condition as SQL of DuckDB with parameters: no value of a user ever stands in the text.

Identifiers come from the fixed list of `fields.py`. SQL's null is kept from mattering: a bare condition that is null is not
selected, and `Not` prints as `IS NOT TRUE`, so that the printed text is two-valued like the tree.
"""

from typing import Any, NamedTuple, TypeAlias

from kata_audit.predicate.calendar import print_part
from kata_audit.predicate.fields import ATTRIBUTE, FIELDS, Kind, fit, kind_of
from kata_audit.predicate.network import network_regex
from kata_audit.predicate.pattern import NUMBER_REGEX, prefix_of, regex_of, regex_of_text
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
    Or,
    Predicate,
    Present,
    Relation,
    SameAs,
    Text,
)

Parameter: TypeAlias = str | int | float | list[str] | list[int]

INLINE_VALUES = 100
"""Up to so many values are parameters of their own, by which row groups are skipped; more become one list parameter."""

_RAW = (
    "coalesce(try(decode(raw)), decode(unhex(replace(regexp_replace(regexp_replace("
    r"hex(raw), '(..)', '\1 ', 'g'), '[89A-F]. ', 'EFBFBD ', 'g'), ' ', ''))))"
)
"""The text of `raw`: UTF-8, or each byte above 127 as U+FFFD. The spaces keep pairs of hex digits apart."""


class Sql(NamedTuple):
    """A piece of SQL and its parameters in order."""

    text: str
    parameters: tuple[Parameter, ...] = ()


def print_sql(where: Predicate) -> Sql:
    """Print a condition.

    Args:
        where: The condition; its fields must be of the fixed list.

    Returns:
        A boolean expression over the columns of `RECORD_SCHEMA`, `?` for each parameter. It may be null where the condition
        is false.

    Raises:
        KeyError: A field is not of the list.

    Example:
        >>> print_sql(OneOf("k8s_pod", frozenset({"api"})))
        Sql(text='("k8s_pod" IN (?))', parameters=('api',))
    """
    if isinstance(where, And | Or):
        parts = [print_sql(part) for part in where.parts]
        if not parts:
            return Sql("true" if isinstance(where, And) else "false")
        word = " AND " if isinstance(where, And) else " OR "
        return Sql("(" + word.join(part.text for part in parts) + ")", sum((part.parameters for part in parts), ()))
    if isinstance(where, Not):
        text, parameters = print_sql(where.part)
        return Sql(f"({text} IS NOT TRUE)", parameters)
    if isinstance(where, Everything):
        return Sql("true")
    if isinstance(where, Text):
        pattern = regex_of_text(where.needle)
        return Sql(f'(regexp_matches("body", ?) OR regexp_matches({_RAW}, ?))', (pattern, pattern))
    return _field_leaf(where)


def _field_leaf(where: FieldLeaf) -> Sql:
    value = _operand(where.field)
    if isinstance(where, Present):
        return Sql(f"({value.text} IS NOT NULL)", value.parameters)
    if isinstance(where, Match):
        return _match(where, value)
    if isinstance(where, OneOf):
        return _one_of(where, value)
    if isinstance(where, InNetwork):
        return Sql(f"(regexp_matches({value.text}, ?))", (*value.parameters, network_regex(where.network)))
    if isinstance(where, Number):
        number = f"CAST(CASE WHEN regexp_matches({value.text}, ?) THEN {value.text} END AS DOUBLE)"
        parameters = (*value.parameters, NUMBER_REGEX, *value.parameters, float(where.value))
        return Sql(f"({number} {where.op} CAST(? AS DOUBLE))", parameters)
    if isinstance(where, SameAs):
        return _same(where, value)
    return _in_time(where, value) if isinstance(where, InTime) else _compare(where, value)


def _compare(where: Compare, value: Sql) -> Sql:
    fitted = fit(where)
    if not isinstance(fitted, Compare):
        return print_sql(fitted)
    return Sql(f"({value.text} {where.op} {_placeholder(where.field)})", (*value.parameters, where.value))


def _one_of(where: OneOf, value: Sql) -> Sql:
    values: list[Any] = sorted(where.values)
    if not values:
        return Sql("false")
    if len(values) <= INLINE_VALUES:
        marks = ", ".join([_placeholder(where.field)] * len(values))
        return Sql(f"({value.text} IN ({marks}))", (*value.parameters, *values))
    type_ = "VARCHAR" if kind_of(where.field) in (Kind.TEXT, Kind.BYTES) else "HUGEINT"
    return Sql(f"({value.text} IN (SELECT unnest(?::{type_}[])))", (*value.parameters, values))


def _match(where: Match, value: Sql) -> Sql:
    fits = Sql(f"regexp_matches({value.text}, ?)", (*value.parameters, regex_of(where)))
    prefix = prefix_of(where)
    if not prefix or where.field.startswith(ATTRIBUTE) or kind_of(where.field) is Kind.BYTES:
        return Sql(f"({fits.text})", fits.parameters)
    return Sql(f"({value.text} >= ? AND {fits.text})", (*value.parameters, prefix, *fits.parameters))


_SAME = {
    Relation.EQUALS: "({0} = {1})",
    Relation.CONTAINS: "contains({0}, {1})",
    Relation.STARTSWITH: "starts_with({0}, {1})",
    Relation.ENDSWITH: "ends_with({0}, {1})",
}
_LOWER = "translate({0}, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')"
"""Lower case of A to Z alone: `lower` knows other letters too, and not every engine the same."""


def _same(where: SameAs, value: Sql) -> Sql:
    other = _operand(where.other)
    texts = (value.text, other.text) if where.cased else (_LOWER.format(value.text), _LOWER.format(other.text))
    return Sql(_SAME[where.how].format(*texts), (*value.parameters, *other.parameters))


def _in_time(where: InTime, value: Sql) -> Sql:
    return Sql(f"({print_part(f'epoch_ns({value.text})', where.part)} = ?)", (where.value,))


def _operand(field: str) -> Sql:
    if field.startswith(ATTRIBUTE):
        return Sql("map_extract_value(attributes, ?)", (field.removeprefix(ATTRIBUTE),))
    if FIELDS[field] is Kind.BYTES:
        return Sql(_RAW)
    return Sql(f'"{field}"')


def _placeholder(field: str) -> str:
    kind = kind_of(field)
    if kind is Kind.TIME:
        return "make_timestamp_ns(?)::TIMESTAMPTZ_NS"
    return "?::UBIGINT" if field in _UNSIGNED else "?"


_UNSIGNED = frozenset({"seq", "copy_key", "batch"})
"""64-bit columns: a parameter of their own type keeps row groups skippable."""
