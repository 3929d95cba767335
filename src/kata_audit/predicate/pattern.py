"""Patterns as RE2: one spelling for the evaluation on rows and for SQL, so that both mean the same."""

from enum import Enum
from typing import Final, TypeAlias

from kata_audit.predicate.tree import Match, Syntax

_SPECIAL = frozenset("\\.+*?()|[]{}^$")


class Wild(Enum):
    """A wildcard of a pattern."""

    ANY = ".*"
    """Any run of characters."""
    ONE = "."
    """Any one character."""


_WILD: Final = {"*": Wild.ANY, "?": Wild.ONE}
Piece: TypeAlias = str | Wild
"""A part of a wildcard pattern: a text as it stands, or a wildcard."""

NUMBER_REGEX: Final = r"\A-?[0-9]{1,100}(?:\.[0-9]{1,100})?(?:[eE][-+]?[0-9]{1,2})?\z"
"""What a text must look like to be a number: neither it nor its value can overflow a double."""


def pieces_of(pattern: str) -> tuple[Piece, ...]:
    r"""Cut a wildcard pattern into texts and wildcards; no two texts are neighbours, nor two of `ANY`.

    Example:
        >>> pieces_of(r"a\\*b\\c*")
        ('a*b\\\\c', <Wild.ANY: '.*'>)
    """
    pieces: list[Piece] = []
    escaped = False
    for char in pattern:
        if escaped:
            _append(pieces, char if char in "*?\\" else "\\" + char)
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            _append(pieces, _WILD.get(char, char))
    if escaped:
        _append(pieces, "\\")
    return tuple(pieces)


def _append(pieces: list[Piece], piece: Piece) -> None:
    last = pieces[-1] if pieces else None
    if isinstance(piece, str) and isinstance(last, str):
        pieces[-1] = last + piece
    elif piece is not Wild.ANY or last is not Wild.ANY:
        pieces.append(piece)


def escape(text: str) -> str:
    r"""Write a text as a wildcard pattern that only it fits.

    Example:
        >>> escape("a*b")
        'a\\*b'
    """
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def regex_of(condition: Match) -> str:
    r"""Spell a pattern as RE2, to be found anywhere in a value.

    Example:
        >>> regex_of(Match("k8s_pod", "api-*.prod", Syntax.WILDCARD))
        '\\A(?s:api-.*\\.prod)\\z'
        >>> regex_of(Match("body", "*exec*", Syntax.WILDCARD, cased=False))
        '(?s:[Ee][Xx][Ee][Cc])'
    """
    if condition.syntax is Syntax.REGEX:
        return condition.pattern
    pieces = list(pieces_of(condition.pattern))
    if pieces == [Wild.ANY]:
        return ""
    begin = "" if pieces[:1] == [Wild.ANY] else "\\A"
    end = "" if pieces[-1:] == [Wild.ANY] else "\\z"
    inner = pieces[not begin : len(pieces) - (not end)]
    spell = quote_text if condition.cased else regex_of_text
    return begin + "(?s:" + "".join(piece.value if isinstance(piece, Wild) else spell(piece) for piece in inner) + ")" + end


def regex_of_text(needle: str) -> str:
    r"""Spell a needle as RE2 that fits both cases of A to Z, and of no other letter.

    Example:
        >>> regex_of_text("Exec.É")
        '[Ee][Xx][Ee][Cc]\\.É'
    """
    return "".join(
        f"[{char.upper()}{char.lower()}]" if char.isascii() and char.isalpha() else quote(char) for char in needle
    )


def quote_text(text: str) -> str:
    """Spell a text so that RE2 takes it as itself."""
    return "".join(map(quote, text))


def quote(char: str) -> str:
    """Spell one character so that RE2 takes it as itself."""
    if char == "\0":
        return "\\x00"
    return "\\" + char if char in _SPECIAL else char


def prefix_of(condition: Match) -> str:
    """Give the text that every value which fits begins with: empty for a regex, and where case does not count."""
    if condition.syntax is Syntax.REGEX or not condition.cased:
        return ""
    first = pieces_of(condition.pattern)[:1]
    return first[0] if first and isinstance(first[0], str) else ""
