r"""Rust's `{:?}`: `Name { field: value }`, `Some(value)`, `["a", "b"]`, `{"key": value}`, quoted text, numbers, words.

Bounded: text over `MAX_TEXT` and values nested deeper than `MAX_DEPTH` are not read. What does not follow the grammar gives
None, never an error and never a guess.

Source: Rust `core::fmt::builders` (`DebugStruct`, `DebugTuple`, `DebugList`, `DebugMap`).
"""

import re
from functools import lru_cache
from typing import Any, Final

from kata_audit.parse.texts import unquote_rust

MAX_TEXT: Final = 256 * 1024
_MAX_KNOWN: Final = 16 * 1024
"""A longer text is remembered for the facts of one record only."""
MAX_DEPTH: Final = 64
_TEXT: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKENS: Final = re.compile(
    rf"{_TEXT}"
    r"|[\[\]{}(),]|:(?!:)|\.\."  # marks
    r'|(?:[^\s"\[\]{}(),:.]++|::|\.(?!\.))++'  # words and numbers
    r'|"[\s\S]*+',  # text without an end takes all the rest: looking for it again at each quote would be quadratic
    re.DOTALL,
)
_WHOLE_TEXT: Final = re.compile(_TEXT, re.DOTALL)
_MARKS: Final = frozenset("[]{}(),:") | {".."}
_END: Final = ""
_UNENDED: Final = '"'


class _StrangeError(Exception):
    """The text is no such value."""


def read_rust(text: str) -> Any:
    """Read a value. Those read last are remembered: several facts are taken from one dump, and many dumps come again.

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
    return _known(text) if len(text) <= _MAX_KNOWN else _known_long(text)


def _read(text: str) -> Any:
    tokens = _TOKENS.findall(text)
    if tokens and tokens[-1][0] == '"' and _WHOLE_TEXT.fullmatch(tokens[-1]) is None:
        tokens[-1] = _UNENDED
    try:
        return _Reader(tokens).value(0)
    except _StrangeError:
        return None


_known = lru_cache(maxsize=64)(_read)
_known_long = lru_cache(maxsize=2)(_read)


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        tokens.append(_END)
        self._tokens = tokens
        self._at = 0

    def value(self, depth: int) -> Any:
        tokens = self._tokens
        found = tokens[self._at]
        if depth > MAX_DEPTH or found == _END:
            raise _StrangeError
        self._at += 1
        if found[0] == '"':
            if found == _UNENDED:
                raise _StrangeError
            return unquote_rust(found[1:-1])
        if found in _MARKS:
            return self._enclosed(found, depth)
        after = tokens[self._at]
        if after == "{":
            self._at += 1
            return self._fields(depth)
        if after == "(":
            self._at += 1
            inner = self._items(")", depth)
            return inner[0] if len(inner) == 1 else inner
        if after in _MARKS or after == _END or after[0] == '"':
            return None if found == "None" else found
        return self._words(found)

    def _words(self, first: str) -> str:
        """Read words in a row as one value: `MS_BIND | MS_REC`."""
        words = [first]
        while (after := self._tokens[self._at]) not in _MARKS and after != _END and after[0] != '"':
            words.append(after)
            self._at += 1
        return " ".join(words)

    def _enclosed(self, mark: str, depth: int) -> Any:
        if mark == "[":
            return self._items("]", depth)
        if mark == "(":
            return self._items(")", depth) or None
        if mark == "{":
            return self._fields(depth)
        raise _StrangeError

    def _items(self, closing: str, depth: int) -> list[Any]:
        found: list[Any] = []
        while self._tokens[self._at] != closing:
            found.append(self.value(depth + 1))
            self._separate(closing)
        self._at += 1
        return found

    def _fields(self, depth: int) -> dict[str, Any]:
        """Read the fields of a struct, the pairs of a map, or the members of a set."""
        found: dict[str, Any] = {}
        while (after := self._tokens[self._at]) != "}":
            if after == "..":  # a struct that shows not all of itself
                self._at += 1
                continue
            name = self.value(depth + 1)
            value = None
            if self._tokens[self._at] == ":":
                self._at += 1
                value = self.value(depth + 1)
            if isinstance(name, str):
                found.setdefault(name, value)
            else:  # a set or a map of structs: their text could double with each level
                found.setdefault(str(len(found)), value if value is not None else name)
            self._separate("}")
        self._at += 1
        return found

    def _separate(self, closing: str) -> None:
        after = self._tokens[self._at]
        if after == ",":
            self._at += 1
        elif after != closing:
            raise _StrangeError
