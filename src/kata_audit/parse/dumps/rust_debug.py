r"""Rust's `{:?}`: `Name { field: value }`, `Some(value)`, `["a", "b"]`, `{"key": value}`, quoted text, numbers, words.

Bounded: text over `MAX_TEXT` and values nested deeper than `MAX_DEPTH` are not read. What does not follow the grammar gives
None, never an error and never a guess.

Source: Rust `core::fmt::builders` (`DebugStruct`, `DebugTuple`, `DebugList`, `DebugMap`).
"""

import re
from typing import Any, Final

from kata_audit.parse.texts import unquote_rust

MAX_TEXT: Final = 256 * 1024
MAX_DEPTH: Final = 64
_TOKEN: Final = re.compile(
    r"""
    \s*(?:
      ("(?:[^"\\]|\\.)*+")                                # text
    | ([A-Za-z_][\w#]*+(?:::[\w]++)*+ | -?[0-9][\w.+-]*+)  # a word or a number
    | ([\[\]{}(),:] | \.\.)                                # a mark
    )""",
    re.DOTALL | re.VERBOSE,
)


class _StrangeError(Exception):
    """The text is no such value."""


def read_rust(text: str) -> Any:
    """Read a value.

    Args:
        text: All of it, or a text that begins with it.

    Returns:
        A struct or a map as a dict, a list or a tuple of several as a list, `Some(x)`, `Ok(x)` and any other name with one
        value as that value, `None` and `()` as None, text as str, all else as it is written. None where it is no value.

    Example:
        >>> read_rust('Exit { code: 0, at: None, args: ["a"] }')
        {'code': '0', 'at': None, 'args': ['a']}
    """
    if len(text) > MAX_TEXT:
        return None
    try:
        return _Reader(text).value(0)
    except _StrangeError:
        return None


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def _next(self) -> tuple[str, str]:
        """Give the next written and its kind: text, word, mark, or end."""
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            return "", "end"
        self._at = match.end()
        return match[match.lastindex or 0], ("text", "word", "mark")[(match.lastindex or 1) - 1]

    def _peek(self) -> str:
        match = _TOKEN.match(self._text, self._at)
        return "" if match is None else match[match.lastindex or 0]

    def value(self, depth: int) -> Any:
        written, kind = self._next()
        if depth > MAX_DEPTH or kind == "end":
            raise _StrangeError
        if kind == "text":
            return unquote_rust(written[1:-1])
        if kind == "mark":
            return self._enclosed(written, depth)
        opening = self._peek()
        if opening == "{" and self._text[self._at : self._at + 2] == " {":
            self._next()
            return self._fields(depth)
        if opening == "(" and self._text[self._at : self._at + 1] == "(":
            self._next()
            inner = self._items(")", depth)
            return inner[0] if len(inner) == 1 else inner
        return None if written == "None" else written

    def _enclosed(self, written: str, depth: int) -> Any:
        if written == "[":
            return self._items("]", depth)
        if written == "(":
            return self._items(")", depth) or None
        if written == "{":
            return self._fields(depth)
        raise _StrangeError

    def _items(self, closing: str, depth: int) -> list[Any]:
        found: list[Any] = []
        while self._peek() != closing:
            found.append(self.value(depth + 1))
            if self._peek() == ",":
                self._next()
            elif self._peek() != closing:
                raise _StrangeError
        self._next()
        return found

    def _fields(self, depth: int) -> Any:
        """Read the fields of a struct, the pairs of a map, or the members of a set."""
        found: dict[str, Any] = {}
        while self._peek() not in {"}", ".."}:
            name = self.value(depth + 1)
            if self._peek() == ":":
                self._next()
                found.setdefault(str(name), self.value(depth + 1))
            else:
                found.setdefault(str(name), None)
            if self._peek() == ",":
                self._next()
            elif self._peek() not in {"}", ".."}:
                raise _StrangeError
        if self._next()[0] == "..":
            self._next()
        return found
