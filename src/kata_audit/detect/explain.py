"""A condition in plain words: what `rules explain` and the pages of rules say of it."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from kata_audit.detect.rule import Absence, Condition, Correlation, CorrelationKind, Need
from kata_audit.predicate.pattern import Piece, Wild, pieces_of
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

_SECOND_NS: Final = 1_000_000_000
_UNITS: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_OPS: Final = {
    Op.EQ: "is",
    Op.NE: "is not",
    Op.LT: "is below",
    Op.LE: "is at most",
    Op.GT: "is above",
    Op.GE: "is at least",
}
_RELATIONS: Final = {
    Relation.EQUALS: "is the same as",
    Relation.CONTAINS: "contains what stands in",
    Relation.STARTSWITH: "begins with what stands in",
    Relation.ENDSWITH: "ends with what stands in",
}
_BOUNDS: Final = {
    Op.EQ: "exactly",
    Op.NE: "other than",
    Op.LT: "fewer than",
    Op.LE: "at most",
    Op.GT: "more than",
    Op.GE: "at least",
}


NEEDS: Final = {
    Need.CRI: "the log of containerd, CRI-O or the kubelet",
    Need.RUNTIME_GO: "the log of the Go runtime",
    Need.RUNTIME_RS: "the log of runtime-rs",
    Need.RUNTIME_GO_DEBUG: "the log of the Go runtime at debug level",
    Need.AGENT: "the agent's log",
    Need.CONSOLE: "the guest's console",
    Need.JOURNALD: "the log of journald itself",
    Need.HOST_KERNEL: "the log of the host's kernel",
    Need.AUDITD: "the host's audit log",
    Need.API: "the audit log of the API server",
    Need.TOOLS: "the logs of Kata's tools",
    Need.PIPELINE: "what kata-audit itself sees",
}
"""Each source in words."""


def explain(when: Condition) -> list[str]:
    """Say what a condition looks for.

    Returns:
        Lines in Markdown, list items and what stands below them; names and values in backticks.

    Example:
        >>> explain(And((Compare("origin", Op.EQ, "host"), Not(Present("k8s_pod")))))
        ['- `origin` is `host`', '- `k8s_pod` is not stated']
    """
    if isinstance(when, Correlation):
        return _correlation(when)
    if isinstance(when, Absence):
        return _absence(when)
    parts = when.parts if isinstance(when, And) and when.parts else (when,)
    return [line for part in parts for line in _lines(part, 0)]


def _lines(where: Predicate, depth: int) -> Iterator[str]:
    dash = "  " * depth + "- "
    if isinstance(where, And | Or):
        head = "all of these hold:" if isinstance(where, And) else "one of these holds:"
        yield dash + (head if where.parts else "every record" if isinstance(where, And) else "no record")
        for part in where.parts:
            yield from _lines(part, depth + 1)
    elif isinstance(where, Not) and isinstance(where.part, And | Or):
        yield dash + ("not all of these hold:" if isinstance(where.part, And) else "none of these holds:")
        for part in where.part.parts:
            yield from _lines(part, depth + 1)
    elif isinstance(where, Not):
        yield dash + _not(where.part)
    else:
        yield dash + _leaf(where)


def _not(where: Predicate) -> str:
    if isinstance(where, Present):
        return f"{code(where.field)} is not stated"
    return f"it does not hold that {_leaf(where)}" if not isinstance(where, And | Or | Not) else "the opposite"


def _leaf(where: Everything | Text | FieldLeaf) -> str:
    if isinstance(where, Everything):
        return "every record"
    if isinstance(where, Text):
        return f"{code('body')} or {code('raw')} contains {code(where.needle)}"
    field = code(where.field)
    if isinstance(where, Present):
        return f"{field} is stated"
    if isinstance(where, Compare):
        return f"{field} {_OPS[where.op]} {code(str(where.value))}"
    if isinstance(where, OneOf):
        return f"{field} is one of {', '.join(code(str(value)) for value in sorted(where.values))}"
    if isinstance(where, Number):
        return f"{field} is a number that {_OPS[where.op]} {code(str(where.value))}"
    if isinstance(where, InNetwork):
        return f"{field} is an address in {code(where.network)}"
    if isinstance(where, InTime):
        return f"the {where.part} of {field}, in UTC, is {code(str(where.value))}"
    return _texts(where, field)


def _texts(where: Match | SameAs, field: str) -> str:
    cased = " (case counts)" if where.cased and not _is_regex(where) else ""
    if isinstance(where, SameAs):
        return f"{field} {_RELATIONS[where.how]} {code(where.other)}{cased}"
    if where.syntax is Syntax.REGEX:
        return f"in {field} the regex {code(where.pattern)} is found"
    pieces = pieces_of(where.pattern)
    verb, inner = _shape(pieces)
    if all(isinstance(piece, str) for piece in inner):
        return f"{field} {verb} {code(''.join(map(str, inner)))}{cased}"
    return f"{field} fits the pattern {code(where.pattern)}{cased}"


def _is_regex(where: Match | SameAs) -> bool:
    return isinstance(where, Match) and where.syntax is Syntax.REGEX


def _shape(pieces: Sequence[Piece]) -> tuple[str, Sequence[Piece]]:
    begins, ends = pieces[:1] == (Wild.ANY,), pieces[-1:] == (Wild.ANY,)
    inner = pieces[begins : len(pieces) - ends]
    return {(False, False): "is", (True, True): "contains", (False, True): "begins with", (True, False): "ends with"}[
        begins, ends
    ], inner


def _correlation(when: Correlation) -> list[str]:
    rules = ", ".join(map(code, when.rules))
    bound = f"{_BOUNDS[when.op]} {when.bound}"
    field = code(when.value_field or "")
    what = {
        CorrelationKind.EVENT_COUNT: f"{bound} events of {rules}",
        CorrelationKind.VALUE_COUNT: f"events of {rules} with {bound} different values of {field}",
        CorrelationKind.VALUE_SUM: f"events of {rules} whose {field} come to {bound} together",
        CorrelationKind.TEMPORAL: f"an event of each of {rules}, in any order",
        CorrelationKind.TEMPORAL_ORDERED: f"an event of each of {rules}, in this order",
    }[when.kind]
    return [f"- within {span(when.window_ns)}{_same(when.group_by)}: {what}", *_aliases(when)]


def _absence(when: Absence) -> list[str]:
    unless = " or ".join(map(code, when.unless))
    sides = [f"{span(when.before_ns)} before"] if when.before_ns else []
    sides += [f"{span(when.after_ns)} after"] if when.after_ns else []
    same = _same(when.group_by)
    return [f"- an event of {code(when.trigger)} without one of {unless}{same}, up to {' or '.join(sides)}", *_aliases(when)]


def _same(group_by: Sequence[str]) -> str:
    return f", with the same {', '.join(map(code, group_by))}" if group_by else ""


def _aliases(when: Correlation | Absence) -> list[str]:
    return [
        f"  - {code(alias)} is {', '.join(f'{code(field)} of {code(rule)}' for rule, field in mapping.items())}"
        for alias, mapping in when.aliases.items()
    ]


def span(nanoseconds: int) -> str:
    """Say how long a time is.

    Example:
        >>> span(600_000_000_000)
        '10 minutes'
    """
    seconds = nanoseconds // _SECOND_NS
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    count = seconds // size
    return f"{count} {unit}{'' if count == 1 else 's'}"


def code(text: str) -> str:
    """Spell a text as inline code of Markdown."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if not text.strip() or text[0] == "`" or text[-1] == "`" else ""
    return f"{fence}{pad}{text}{pad}{fence}"
