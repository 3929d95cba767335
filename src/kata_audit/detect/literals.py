"""Literals of which one must stand in a text for a condition to hold: what one pass over all texts can look for.

Nothing here decides: a literal too few costs time, a literal too many would cost a finding. Where a condition gives none,
the answer is None, and the condition is asked of every row that is left.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

from kata_audit.detect.regex_literals import literals_of_regex
from kata_audit.predicate.fields import ATTRIBUTE
from kata_audit.predicate.pattern import pieces_of
from kata_audit.predicate.tree import And, Compare, Match, Not, OneOf, Op, Or, Predicate, Syntax, Text, fields_of

TEXTS: Final = ("body", "raw")
"""The columns whose texts are passed over as a whole."""
KEYS: Final = "attributes"
"""The column whose keys are looked up: a condition on an attribute needs its key."""
MIN_LITERAL = 3
"""Shorter ones stand nearly everywhere."""
MAX_LITERALS = 64
"""More alternatives than this thin nothing."""


class Literal(NamedTuple):
    """Bytes of which `a` to `z` stand for both cases, and the column to find them in; or a key of `attributes` as it is."""

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
        return either(_literal(area, where.needle) for area in TEXTS)
    if isinstance(where, Compare | OneOf | Match) and where.field in TEXTS:
        return _of_field(where)
    keys = [field for field in fields_of(where) if field.startswith(ATTRIBUTE)]
    return best(frozenset((Literal(KEYS, key.removeprefix(ATTRIBUTE).encode()),)) for key in keys)


def best(several: Iterable[Literals | None]) -> Literals | None:
    """Choose among sets of alternatives that all must occur: the one whose shortest literal is longest, then the smaller.

    A key counts less than any text: many records may state it.
    """
    found = [one for one in several if one is not None]
    return max(found, key=lambda one: (min(map(_worth, one)), -len(one), sorted(one))) if found else None


def _worth(literal: Literal) -> int:
    return 0 if literal.area == KEYS else len(literal.needle)


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


MAX_BRANCHES: Final = 16
"""A condition is cut into so many branches at most."""


def branches_of(where: Predicate) -> tuple[Predicate, ...]:
    """Cut a condition into branches of which one holds where it holds, each with less to ask than the whole.

    Example:
        >>> branches_of(And((Text("a"), Or((Text("b"), Compare("origin", Op.EQ, "host"))))))
        (And(parts=(Text(needle='a'), Text(needle='b'))), And(parts=(Text(needle='a'), \
Compare(field='origin', op=<Op.EQ: '='>, value='host'))))
    """
    if isinstance(where, Or):
        alike: dict[frozenset[str], list[Predicate]] = {}
        for branch in (branch for part in where.parts for branch in branches_of(part)):
            alike.setdefault(frozenset(fields_of(branch)), []).append(branch)
        found = tuple(parts[0] if len(parts) == 1 else Or(tuple(parts)) for parts in alike.values())
        return found if len(found) <= MAX_BRANCHES else (where,)
    if isinstance(where, And):
        made: list[tuple[Predicate, ...]] = [()]
        for part in where.parts:
            those = branches_of(part)
            those = those if len(made) * len(those) <= MAX_BRANCHES else (part,)
            made = [(*before, one) for before in made for one in those]
        return tuple(And(parts) for parts in made)
    return (where,)
