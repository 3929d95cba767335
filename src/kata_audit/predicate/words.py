"""Cut a search query into words: parentheses, operators, texts and conditions on fields."""

import re
from enum import Enum, auto
from typing import NamedTuple


class Shape(Enum):
    """What a word is."""

    OPEN = auto()
    CLOSE = auto()
    AND = auto()
    OR = auto()
    NOT = auto()
    TERM = auto()
    """A condition on a field, or a text where `field` is empty."""
    BROKEN = auto()
    """What is no word: `value` says why."""


class Quoting(Enum):
    """How a value was written."""

    BARE = auto()
    QUOTED = auto()
    REGEX = auto()


class Word(NamedTuple):
    """A word of a query and the column of its first character, from 1."""

    shape: Shape
    column: int
    field: str = ""
    op: str = ""
    value: str = ""
    quoting: Quoting = Quoting.BARE


_FIELD = re.compile(r"([A-Za-z_][A-Za-z0-9_]*(?:\.[^\s:=<>!()\"]+)?)(!=|<=|>=|:|=|<|>)")
_BARE = re.compile(r"[^\s()\"]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_REGEX = re.compile(r"/((?:[^/\\]|\\.)*)/", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_KEYWORDS = {"AND": Shape.AND, "OR": Shape.OR, "NOT": Shape.NOT}


def scan_words(query: str) -> list[Word]:
    """Cut a query into words, in order; never fails: what cannot be read is a `BROKEN` word."""
    words, at = [], 0
    while at < len(query):
        char = query[at]
        if char.isspace():
            at += 1
        elif char in "()":
            words.append(Word(Shape.OPEN if char == "(" else Shape.CLOSE, at + 1))
            at += 1
        else:
            word, at = _term(query, at)
            words.append(word)
    return words


def _term(query: str, at: int) -> tuple[Word, int]:
    found = _FIELD.match(query, at)
    if found is None:
        bare = _BARE.match(query, at)
        if bare is not None and bare[0] in _KEYWORDS:
            return Word(_KEYWORDS[bare[0]], at + 1), bare.end()
        return _value(query, at, Word(Shape.TERM, at + 1), may_be_regex=False)
    return _value(query, found.end(), Word(Shape.TERM, at + 1, found[1], found[2]), may_be_regex=True)


def _value(query: str, at: int, term: Word, *, may_be_regex: bool) -> tuple[Word, int]:
    """Read a value: in quotes, a regex between slashes, or bare up to a space, a quote or a parenthesis."""
    if query.startswith('"', at):
        found = _QUOTED.match(query, at)
        if found is None:
            return Word(Shape.BROKEN, at + 1, value="The quotation has no end; close it with a quotation mark."), len(query)
        return term._replace(value=_ESCAPED.sub(r"\1", found[1]), quoting=Quoting.QUOTED), found.end()
    if may_be_regex and query.startswith("/", at):
        found = _REGEX.match(query, at)
        if found is not None and (found.end() == len(query) or query[found.end()] in " \t\r\n)"):
            return term._replace(value=found[1].replace("\\/", "/"), quoting=Quoting.REGEX), found.end()
    if found := _BARE.match(query, at):
        return term._replace(value=found[0]), found.end()
    why = "The field has no value; write one behind it, in quotation marks where it holds spaces or parentheses."
    return Word(Shape.BROKEN, term.column, value=why), max(at, term.column)
