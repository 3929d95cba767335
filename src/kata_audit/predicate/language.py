"""The search language: a line of text to a condition tree.

`docs/reference/search-language.md` is its page for people. In short, tightest first: terms, `NOT`, `AND` (which may be left
out), `OR`; parentheses; the keywords in capitals. All mistakes of a query are reported together, each with its column.
"""

import difflib

from kata_audit.errors import Problem, QueryError
from kata_audit.predicate.fields import ALIASES, ATTRIBUTE, FIELDS, TEXT_FIELD, kind_of
from kata_audit.predicate.tree import Everything, Match, Not, Or, Predicate, Syntax, Text, all_of
from kata_audit.predicate.values import BadValueError, checked_regex, condition_of
from kata_audit.predicate.words import Quoting, Shape, Word, scan_words

MAX_QUERY = 64 * 1024
"""Longest query in characters: room for a list of ids, and a bound on what a stranger can make us print."""
MAX_DEPTH = 50
"""Deepest nesting of parentheses and NOT: far beyond what a person writes, far below where a recursion ends."""


def parse_query(query: str) -> Predicate:
    """Read a search query.

    Args:
        query: The text; empty or blank is every record.

    Returns:
        The condition tree, its fields all of the fixed list.

    Raises:
        QueryError: With every mistake found, each with its column and what to write instead.

    Example:
        >>> parse_query("pod:api-1 exec")
        And(parts=(Compare(field='k8s_pod', op=<Op.EQ: '='>, value='api-1'), Text(needle='exec')))
    """
    if len(query) > MAX_QUERY:
        raise QueryError(f"The query is longer than {MAX_QUERY} characters.", hint="Ask for less at a time.")
    parser = _Parser(scan_words(query), len(query) + 1)
    tree = parser.parse()
    if parser.problems:
        raise QueryError(
            "The query cannot be read.",
            problems=parser.problems,
            hint="Search for a text as it stands by putting it in quotation marks.",
        )
    return tree


class _Parser:
    """Recursive descent over the words; goes on behind a mistake to find the next one."""

    def __init__(self, words: list[Word], end: int) -> None:
        self.words = words
        self.end = end
        self.at = 0
        self.problems: list[Problem] = []

    def parse(self) -> Predicate:
        if not self.words:
            return Everything()
        tree = self._any(0)
        while self.at < len(self.words):
            self._report(self._take(), "This parenthesis closes none; remove it.")
            if self.at < len(self.words):
                self._any(0)
        return tree

    def _peek(self) -> Shape | None:
        return self.words[self.at].shape if self.at < len(self.words) else None

    def _take(self) -> Word:
        self.at += 1
        return self.words[self.at - 1]

    def _report(self, word: Word | None, message: str) -> Predicate:
        self.problems.append(Problem(f"column {self.end if word is None else word.column}", message))
        return Everything()

    def _any(self, depth: int) -> Predicate:
        parts = [self._all(depth)]
        while self._peek() is Shape.OR:
            self._take()
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self, depth: int) -> Predicate:
        parts = [self._not(depth)]
        while self._peek() not in (None, Shape.OR, Shape.CLOSE):
            if self._peek() is Shape.AND:
                self._take()
            parts.append(self._not(depth))
        return all_of(*parts)

    def _not(self, depth: int) -> Predicate:
        if self._peek() is not Shape.NOT:
            return self._primary(depth)
        word = self._take()
        if depth >= MAX_DEPTH:
            return self._too_deep(word)
        return Not(self._not(depth + 1))

    def _primary(self, depth: int) -> Predicate:
        shape = self._peek()
        if shape is None:
            return self._report(None, "The query ends where a condition should stand; add one or remove the word before.")
        if shape is Shape.CLOSE:
            return self._report(self.words[self.at], "A condition should stand before this parenthesis.")
        word = self._take()
        if shape is Shape.OPEN:
            return self._too_deep(word) if depth >= MAX_DEPTH else self._group(word, depth + 1)
        if shape is Shape.TERM:
            return self._term(word)
        if shape is Shape.BROKEN:
            return self._report(word, word.value)
        return self._report(word, f"A condition should stand here, not {shape.name}; quote the word to search for it.")

    def _group(self, opened: Word, depth: int) -> Predicate:
        tree = self._any(depth)
        if self._peek() is not Shape.CLOSE:
            return self._report(opened, "This parenthesis is never closed; add `)` behind its last condition.")
        self._take()
        return tree

    def _too_deep(self, word: Word) -> Predicate:
        self.at = len(self.words)
        return self._report(word, f"The query nests deeper than {MAX_DEPTH}; write it flatter.")

    def _term(self, word: Word) -> Predicate:
        try:
            if not word.field or word.field == TEXT_FIELD:
                return _text(word)
            field = ALIASES.get(word.field, word.field)
            if field not in FIELDS and (not field.startswith(ATTRIBUTE) or field == ATTRIBUTE):
                return self._report(word, _unknown(word.field))
            return condition_of(word, field, kind_of(field))
        except BadValueError as error:
            return self._report(word, str(error))


def _text(word: Word) -> Predicate:
    if word.op not in ("", ":"):
        raise BadValueError("`text` is searched with `:` only.")
    if word.quoting is Quoting.REGEX:
        pattern = checked_regex(word.value)
        return Or((Match("body", pattern, Syntax.REGEX), Match("raw", pattern, Syntax.REGEX)))
    if word.quoting is Quoting.BARE and "*" in word.value:
        if set(word.value) == {"*"}:
            return Everything()
        raise BadValueError(
            "A word is found anywhere in a text and needs no `*`; put it in quotation marks to search for the character."
        )
    return Text(word.value) if word.value else Everything()


def _unknown(field: str) -> str:
    if field == "attributes":
        return "Name the key of the attribute: `attributes.key:value`."
    near = difflib.get_close_matches(field.lower(), [*FIELDS, *ALIASES, TEXT_FIELD], n=1)
    shown = field if len(field) <= 40 else field[:40] + "…"
    advice = f"did you mean `{near[0]}`?" if near else "put it in quotation marks to search for the text."
    return f"There is no field `{shown}`; {advice}"
