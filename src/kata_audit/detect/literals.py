"""Literals of which one must stand in a text for a condition to hold: what one pass over all texts can look for.

Nothing here decides: a literal too few costs time, a literal too many would cost a finding. Where a condition gives none,
the answer is None, and the condition is asked of every row that is left.
"""

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from kata_audit.detect.regex_literals import literals_of_regex
from kata_audit.predicate.pattern import pieces_of
from kata_audit.predicate.tree import And, Compare, Match, Not, OneOf, Op, Or, Predicate, Syntax, Text

AREAS = ("body", "raw")
"""The columns whose texts are passed over as a whole."""
MIN_LITERAL = 3
"""Shorter ones stand nearly everywhere."""
MAX_LITERALS = 64
"""More alternatives than this thin nothing."""


class Literal(NamedTuple):
    """Bytes of which `a` to `z` stand for both cases, and the column to find them in."""

    area: str
    needle: bytes


Literals: TypeAlias = frozenset[Literal]
"""Alternatives: one of them must occur."""


def literals_of(where: Predicate) -> Literals | None:
    """Name literals of which one stands in every record that a condition holds for; None where there are none.

    Example:
        >>> literals_of(Text("NSenter"))
        frozenset({Literal(area='body', needle=b'nsenter'), Literal(area='raw', needle=b'nsenter')})
    """
    if isinstance(where, And):
        return best(literals_of(part) for part in where.parts)
    if isinstance(where, Or):
        return either(literals_of(part) for part in where.parts)
    if isinstance(where, Not):
        return None
    if isinstance(where, Text):
        return either(_literal(area, where.needle) for area in AREAS)
    if isinstance(where, Compare | OneOf | Match) and where.field in AREAS:
        return _of_field(where)
    return None


def best(several: Iterable[Literals | None]) -> Literals | None:
    """Choose among sets of alternatives that all must occur: the one whose shortest literal is longest, then the smaller."""
    found = [one for one in several if one is not None]
    return max(found, key=lambda one: (min(len(each.needle) for each in one), -len(one), sorted(one))) if found else None


def either(several: Iterable[Literals | None]) -> Literals | None:
    """Join sets of alternatives of which one must occur; None where one of them has none, or all are too many."""
    joined: set[Literal] = set()
    for one in several:
        if one is None:
            return None
        joined |= one
    return frozenset(joined) if 0 < len(joined) <= MAX_LITERALS else None


def _of_field(where: Compare | OneOf | Match) -> Literals | None:
    if isinstance(where, OneOf):
        return either(_literal(where.field, str(value)) for value in where.values)
    if isinstance(where, Compare):
        return _literal(where.field, str(where.value)) if where.op is Op.EQ else None
    if where.syntax is Syntax.REGEX:
        found = literals_of_regex(where.pattern)
        return None if found is None else either(_literal(where.field, text) for text in found)
    return best(_literal(where.field, piece) for piece in pieces_of(where.pattern) if isinstance(piece, str))


def _literal(area: str, text: str) -> Literals | None:
    """Make a literal of a text; of `raw` only ASCII counts, as its other bytes may be read as U+FFFD."""
    needle = text.encode("utf-8", "surrogatepass").lower()
    if area == "raw" and not needle.isascii():
        needle = max(bytes(byte if byte < 128 else 0 for byte in needle).split(b"\0"), key=len)
    return frozenset((Literal(area, needle),)) if len(needle) >= MIN_LITERAL else None
