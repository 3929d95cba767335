r"""Literals out of a regex of RE2: texts of which one stands in everything that the pattern fits.

The grammar is read, not guessed: sequences, groups, alternatives, classes and repetitions. What is not known for certain
(`\Q`, octal and hexadecimal escapes, classes by name) ends the reading, and the pattern gives nothing. Case folding goes by
Unicode: under `(?i)` K fits the Kelvin sign and S the long s, so neither stands in a literal there.

Source: the syntax page of RE2.
"""

import re
from collections.abc import Iterable
from typing import Final

_FOLDED_BEYOND_ASCII: Final = frozenset("kKsS")
_OPAQUE_ESCAPES: Final = frozenset("dDsSwWbBAzafnrtv")
_OPENINGS: Final = {"*": 0, "?": 0, "+": 1}
_MAX_REPEAT_DIGITS: Final = 4
_CASELESS: Final = re.compile(r"\(\?[A-Za-z-]*i")
"""A group of flags that may say `i`; some that do not are taken for one."""


class _UnknownError(Exception):
    """The pattern holds what is not read here."""


def literals_of_regex(pattern: str) -> frozenset[str] | None:
    r"""Name texts of which one stands, in some case of A to Z, in every text that a pattern fits; None where unknown.

    Example:
        >>> sorted(literals_of_regex(r"^exec (of|in) (?:shell|bash)\d+"))
        ['exec ']
    """
    reader = _Reader(pattern)
    try:
        found = reader.alternatives()
    except (_UnknownError, IndexError, RecursionError):
        return None
    return found if reader.at == len(pattern) else None


class _Reader:
    """Recursive descent over the pattern; `caseless` once any group of flags says `i`."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.caseless = _CASELESS.search(pattern) is not None

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def alternatives(self) -> frozenset[str] | None:
        """Read alternatives up to a closing parenthesis or the end."""
        found = [self._sequence()]
        while self._peek() == "|":
            self.at += 1
            found.append(self._sequence())
        if any(one is None for one in found):
            return None
        return frozenset(text for one in found if one is not None for text in one)

    def _sequence(self) -> frozenset[str] | None:
        """Read a sequence; of what must stand in it, choose what says most."""
        needed: list[frozenset[str]] = []
        run = ""
        while (char := self._peek()) and char not in "|)":
            text, sets = self._element(char)
            least, repeated = self._repetition()
            if text is not None and least:
                run += text
            if text is None or repeated:
                needed += _runs(run)
                run = text if text is not None and least else ""
            if sets is not None and least:
                needed.append(sets)
        needed += _runs(run)
        return max(needed, key=_worth) if needed else None

    def _element(self, char: str) -> tuple[str | None, frozenset[str] | None]:
        """Read one element: a character that must stand there, or a group and what it needs."""
        if char == "(":
            return None, self._group()
        self.at += 1
        if char == "[":
            self._class()
            return None, None
        if char == "\\":
            return self._escape(), None
        if char in ".^$":
            return None, None
        return self._plain(char), None

    def _plain(self, char: str) -> str | None:
        if self.caseless and (char in _FOLDED_BEYOND_ASCII or not char.isascii()):
            return None
        return char

    def _escape(self) -> str | None:
        char = self.pattern[self.at]
        self.at += 1
        if char in _OPAQUE_ESCAPES:
            return None
        if char.isalnum() or not char.isascii():
            raise _UnknownError
        return char

    def _class(self) -> None:
        """Pass over a class of characters."""
        if self._peek() == "^":
            self.at += 1
        first = True
        while first or self._peek() != "]":
            first = False
            if self.pattern.startswith("[:", self.at):
                self.at = self.pattern.index(":]", self.at) + 2 if ":]" in self.pattern[self.at :] else len(self.pattern) + 1
            elif self.pattern[self.at] == "\\":
                if self.pattern[self.at + 1] in "pPxQE":
                    raise _UnknownError
                self.at += 2
            else:
                self.at += 1
            if self.at >= len(self.pattern):
                raise _UnknownError
        self.at += 1

    def _group(self) -> frozenset[str] | None:
        self.at += 1
        if self._peek() == "?":
            self.at += 1
            end = self.at
            while self.pattern[end] not in ":)>":
                end += 1
            named = self.pattern[self.at : end].startswith(("P<", "<"))
            if (self.pattern[end] == ">") != named:
                raise _UnknownError
            self.at = end + 1
            if self.pattern[end] == ")":
                return None
        found = self.alternatives()
        if self._peek() != ")":
            raise _UnknownError
        self.at += 1
        return found

    def _repetition(self) -> tuple[bool, bool]:
        """Read what stands behind an element: whether it must occur, and whether it may occur otherwise than once."""
        least, repeated = True, False
        while (char := self._peek()) and char in "*+?{":
            if char == "{":
                end = self.pattern.find("}", self.at)
                low, comma, high = self.pattern[self.at + 1 : end].partition(",")
                if end < 0 or not _is_number(low) or (comma and high and not _is_number(high)):
                    raise _UnknownError
                least, self.at = least and int(low) > 0, end + 1
            else:
                least, self.at = least and _OPENINGS[char] > 0, self.at + 1
            repeated = True
            if self._peek() == "?":
                self.at += 1
        return least, repeated


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_REPEAT_DIGITS


def _runs(run: str) -> Iterable[frozenset[str]]:
    return [frozenset((run,))] if run else []


def _worth(needed: frozenset[str]) -> tuple[int, int, list[str]]:
    return min(map(len, needed)), -len(needed), sorted(needed)
