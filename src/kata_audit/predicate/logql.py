"""Print a condition as a filter of LogQL, Loki's language, on labels and structured metadata.

A label that an entry lacks is empty there, so that "states the field" is "is not empty". LogQL denies no more than one
comparison, and its regexes fit the whole value; both are written out here. Each comparison stands in parentheses.

Source: Grafana Loki documentation, "LogQL: Log queries", label filter expression.
"""

from collections.abc import Callable
from typing import Final

import re2

from kata_audit.predicate.fields import Kind, kind_of
from kata_audit.predicate.pattern import quote_text, regex_of
from kata_audit.predicate.printing import CannotPrintError
from kata_audit.predicate.tree import (
    And,
    Compare,
    Everything,
    Leaf,
    Match,
    Not,
    OneOf,
    Op,
    Or,
    Predicate,
    Present,
    Syntax,
    push_nots,
    simplify,
)

NameOf = Callable[[str], str]
"""Gives the label or metadata that holds a field.

Raises:
    CannotPrintError: None does.
"""
_BEGIN: Final = "\\A"
"""Every regex begins so: without it Loki 3.7.8 takes `ab|ac`, asked of a label, for what the label contains."""
_END: Final = "\\z"
_OPPOSITE: Final = {Op.LT: Op.GE, Op.LE: Op.GT, Op.GT: Op.LE, Op.GE: Op.LT, Op.EQ: Op.NE, Op.NE: Op.EQ}
_WORD: Final = {Op.EQ: "=="}
"""How numbers compare, where it is not written as here."""


def print_logql(where: Predicate, name_of: NameOf) -> str:
    """Print a condition, as what stands behind `|` in a query.

    Args:
        where: The condition.
        name_of: What fields are called there.

    Raises:
        CannotPrintError: LogQL cannot say it, or the field is not there.

    Example:
        >>> print_logql(And((Compare("k8s_pod", Op.EQ, "web"), Not(Present("actor")))), lambda field: field)
        '(k8s_pod=`web` and actor=``)'
    """
    return _print(push_nots(simplify(where)), name_of)


def _print(where: Predicate, name_of: NameOf) -> str:
    if isinstance(where, And | Or):
        if not where.parts:
            raise CannotPrintError("it holds for every record, or for none")
        return "(" + (" and " if isinstance(where, And) else " or ").join(_print(one, name_of) for one in where.parts) + ")"
    if isinstance(where, Not):
        assert not isinstance(where.part, And | Or | Not)
        return _leaf(where.part, name_of, denied=True)
    return _leaf(where, name_of, denied=False)


def _leaf(where: Leaf, name_of: NameOf, *, denied: bool) -> str:
    if isinstance(where, Everything):
        raise CannotPrintError("it holds for every record, or for none")
    if isinstance(where, Present):
        return f"{name_of(where.field)}{'=' if denied else '!='}``"
    if isinstance(where, OneOf):
        words = "|".join(map(quote_text, sorted(map(str, where.values))))
        return f"{name_of(where.field)}{'!~' if denied else '=~'}{quote_go(f'{_BEGIN}(?:{words})')}"
    if isinstance(where, Match):
        return _match(where, name_of(where.field), denied=denied)
    if isinstance(where, Compare):
        return _compare(where, name_of(where.field), denied=denied)
    raise CannotPrintError("it compares in a way that LogQL has not: two fields, networks, parts of times, or raw text")


def _match(where: Match, name: str, *, denied: bool) -> str:
    regex = regex_of(where)
    if not regex:
        return f"{name}{'=' if denied else '!='}``"
    if where.syntax is Syntax.REGEX:
        whole = f"{_BEGIN}(?s:.*)(?-s:{regex})(?s:.*)"
    else:
        begin = _BEGIN if regex.startswith(_BEGIN) else f"{_BEGIN}(?s:.*)"
        whole = begin + regex.removeprefix(_BEGIN).removesuffix(_END) + ("" if regex.endswith(_END) else "(?s:.*)")
    fits = f"{name}{'!~' if denied else '=~'}{quote_go(whole)}"
    if re2.search(regex, "") is None:
        return fits
    return f"({fits} or {name}=``)" if denied else f"({fits} and {name}!=``)"


def _compare(where: Compare, name: str, *, denied: bool) -> str:
    op = _OPPOSITE[where.op] if denied else where.op
    if kind_of(where.field) is Kind.NUMBER:
        text = f"{name} {_WORD.get(op, str(op))} {where.value}"
        return f"({text} or {name}=``)" if denied else text
    if where.op not in (Op.EQ, Op.NE) or kind_of(where.field) is not Kind.TEXT or not where.value:
        raise CannotPrintError("it compares texts or times by size, or asks for an empty text")
    text = f"{name}{op}{quote_go(str(where.value))}"
    if where.op is Op.EQ:
        return text
    return f"({text} or {name}=``)" if denied else f"({text} and {name}!=``)"


def quote_go(text: str) -> str:
    r"""Write a text as a string of Go: as it is between backticks where it can stand so.

    Example:
        >>> quote_go("a\\b"), quote_go("`\n")
        ('`a\\b`', '"`\\n"')
    """
    if text.isascii() and text.isprintable() and "`" not in text:
        return f"`{text}`"
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char == "\n":
        return "\\n"
    if char.isascii() and char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
