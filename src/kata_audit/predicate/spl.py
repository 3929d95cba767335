r"""Print a condition as an expression of `where` in Splunk's search language (SPL).

A comparison with a field that an event lacks is null there, and null is not selected; since `NOT` of null is null too, each
denial says what it means for such an event. Regexes are those of PCRE, which reads all of RE2; `$` is written as `\z`, since
PCRE lets it stand before a last line end too.

Source: Splunk documentation, Search Reference, "where", "Comparison and Conditional functions", "Evaluation functions".
Written after it; not run in Splunk.
"""

from collections.abc import Callable
from typing import Final

from kata_audit.predicate.fields import Kind, kind_of
from kata_audit.predicate.pattern import regex_of
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
    Relation,
    SameAs,
    Text,
    push_nots,
    simplify,
)

NameOf = Callable[[str], str]
"""Gives the name of a field there.

Raises:
    CannotPrintError: It is not there as it is here.
"""
_WORDS: Final = {Op.EQ: "=="}


def print_where(where: Predicate, name_of: NameOf) -> str:
    """Print a condition.

    Args:
        where: The condition.
        name_of: What fields are called there.

    Raises:
        CannotPrintError: SPL cannot say it, or the field is not there.

    Example:
        >>> print(print_where(Not(Compare("k8s_pod", Op.EQ, "web")), lambda field: field))
        (isnull('k8s_pod') OR 'k8s_pod'!="web")
    """
    return _print(push_nots(simplify(where)), name_of)


def _print(where: Predicate, name_of: NameOf) -> str:
    if isinstance(where, And | Or):
        if not where.parts:
            return "true()" if isinstance(where, And) else "false()"
        word = " AND " if isinstance(where, And) else " OR "
        return f"({word.join(_print(part, name_of) for part in where.parts)})"
    if isinstance(where, Not):
        assert not isinstance(where.part, And | Or | Not)
        return _denied(where.part, name_of)
    return _leaf(where, name_of)


def _denied(where: Leaf, name_of: NameOf) -> str:
    if isinstance(where, Present):
        return f"isnull({_field(where.field, name_of)})"
    if isinstance(where, Everything):
        return "false()"
    if isinstance(where, Text):
        raise CannotPrintError("it asks for raw text")
    fields = [where.field, where.other] if isinstance(where, SameAs) else [where.field]
    missing = " OR ".join(f"isnull({_field(field, name_of)})" for field in fields)
    if isinstance(where, Compare) and where.op is Op.EQ and isinstance(where.value, str):
        return f"({missing} OR {_field(where.field, name_of)}!={quote_spl(where.value)})"
    return f"({missing} OR NOT {_leaf(where, name_of)})"


def _leaf(where: Leaf, name_of: NameOf) -> str:
    if isinstance(where, Everything):
        return "true()"
    if isinstance(where, Present):
        return f"isnotnull({_field(where.field, name_of)})"
    if isinstance(where, OneOf):
        values = ", ".join(quote_spl(str(value)) for value in sorted(map(str, where.values)))
        return f"in({_field(where.field, name_of)}, {values})"
    if isinstance(where, Match):
        return f"match({_field(where.field, name_of)}, {quote_spl(pcre(regex_of(where)))})"
    if isinstance(where, SameAs) and where.how is Relation.EQUALS:
        one, other = _field(where.field, name_of), _field(where.other, name_of)
        return f"{one}=={other}" if where.cased else f"lower({one})==lower({other})"
    if isinstance(where, Compare):
        is_number = kind_of(where.field) is Kind.NUMBER
        if not is_number and where.op not in (Op.EQ, Op.NE):
            raise CannotPrintError("it compares texts or times by size")
        value = str(where.value) if is_number else quote_spl(str(where.value))
        return f"{_field(where.field, name_of)}{_WORDS.get(where.op, str(where.op))}{value}"
    raise CannotPrintError("it compares in a way that is not written here: networks, parts of times, or raw text")


def _field(field: str, name_of: NameOf) -> str:
    name = name_of(field)
    if "'" in name or "\\" in name:
        raise CannotPrintError("the name of a field has a quotation mark")
    return f"'{name}'"


def pcre(regex: str) -> str:
    r"""Write a regex of RE2 as one of PCRE that fits the same.

    Example:
        >>> pcre(r"a$|[$]\$")
        'a\\z|[$]\\$'
    """
    made, at, in_class = "", 0, False
    while at < len(regex):
        char = regex[at]
        if char == "\\":
            made += regex[at : at + 2]
            at += 2
            continue
        if char == "[" and not in_class:
            in_class = True
            lead = 1 + (regex[at + 1 : at + 2] == "^")
            lead += regex[at + lead : at + lead + 1] == "]"  # one that comes first is a member
            made += regex[at : at + lead]
            at += lead
            continue
        in_class = in_class and char != "]"
        made += "\\z" if char == "$" and not in_class else char
        at += 1
    return made


def quote_spl(text: str) -> str:
    r"""Write a text in quotation marks, backslashes twice.

    Raises:
        CannotPrintError: It has a line end or another control character.

    Example:
        >>> quote_spl('a\\d"')
        '"a\\\\d\\""'
    """
    if any(ord(char) < 32 for char in text):
        raise CannotPrintError("a text has control characters")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
