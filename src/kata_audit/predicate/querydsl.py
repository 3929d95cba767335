"""Print a condition as a query of Elasticsearch and OpenSearch (Query DSL), on documents of our exporter.

What a document lacks fits no leaf there either, and `must_not` is two-valued, so that the tree is printed as it stands.

Source: Elasticsearch reference, "Term-level queries", "Boolean query"; OpenSearch documentation, "Query DSL".
"""

from collections.abc import Callable
from typing import Any, Final

from kata_audit.predicate.fields import ATTRIBUTE, Kind, kind_of
from kata_audit.predicate.lucene_regex import lucene_regexes
from kata_audit.predicate.pattern import Wild, escape, pieces_of
from kata_audit.predicate.printing import CannotPrintError
from kata_audit.predicate.tree import And, Compare, Everything, Match, Not, OneOf, Op, Or, Predicate, Present, Syntax

Query = dict[str, Any]
NameOf = Callable[[str], str]
"""Gives the name of a field there.

Raises:
    CannotPrintError: It is not there as it is here.
"""
_RANGES: Final = {Op.LT: "lt", Op.LE: "lte", Op.GT: "gt", Op.GE: "gte"}
_WILD: Final = {Wild.ANY: "*", Wild.ONE: "?"}


def print_query(where: Predicate, name_of: NameOf) -> Query:
    """Print a condition.

    Args:
        where: The condition.
        name_of: What fields are called there.

    Raises:
        CannotPrintError: A query cannot say it.

    Example:
        >>> print_query(Compare("k8s_pod", Op.EQ, "web"), lambda field: field)
        {'term': {'k8s_pod': {'value': 'web'}}}
    """
    if isinstance(where, And):
        return {"bool": {"filter": [print_query(part, name_of) for part in where.parts]}}
    if isinstance(where, Or):
        return _any([print_query(part, name_of) for part in where.parts])
    if isinstance(where, Not):
        return {"bool": {"must_not": [print_query(where.part, name_of)]}}
    if isinstance(where, Everything):
        return {"match_all": {}}
    if isinstance(where, Present):
        return _present(where.field, name_of)
    if isinstance(where, OneOf):
        return {"terms": {name_of(where.field): sorted(where.values)}}
    if isinstance(where, Match):
        return _match(where, name_of(where.field))
    if isinstance(where, Compare) and kind_of(where.field) is not Kind.TIME:
        return _compare(where, name_of)
    raise CannotPrintError("it compares in a way that queries have not: two fields, networks, times, or raw text")


def _any(queries: list[Query]) -> Query:
    if not queries:
        return {"match_none": {}}
    return queries[0] if len(queries) == 1 else {"bool": {"should": queries, "minimum_should_match": 1}}


def _present(field: str, name_of: NameOf) -> Query:
    if field.startswith(ATTRIBUTE):  # `exists` does not know a key of a field that is flat
        return {"wildcard": {name_of(field): {"value": "*"}}}
    return {"exists": {"field": name_of(field)}}


def _compare(where: Compare, name_of: NameOf) -> Query:
    name = name_of(where.field)
    if where.op is Op.EQ:
        return {"term": {name: {"value": where.value}}}
    if where.op is Op.NE:
        other = {"bool": {"must_not": [{"term": {name: {"value": where.value}}}]}}
        return {"bool": {"filter": [_present(where.field, name_of), other]}}
    if kind_of(where.field) is Kind.NUMBER:
        return {"range": {name: {_RANGES[where.op]: where.value}}}
    raise CannotPrintError("it compares texts by size")


def _match(where: Match, name: str) -> Query:
    if where.syntax is Syntax.REGEX:
        return _any([{"regexp": {name: {"value": regex}}} for regex in lucene_regexes(where.pattern)])
    value = "".join(_WILD[piece] if isinstance(piece, Wild) else escape(piece) for piece in pieces_of(where.pattern))
    return {"wildcard": {name: {"value": value, **({} if where.cased else {"case_insensitive": True})}}}
