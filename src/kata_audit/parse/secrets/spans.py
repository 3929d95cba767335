"""The span, and where a value ends: the one place that knows how quotes are escaped at any depth."""

from typing import NamedTuple

import re2


class Span(NamedTuple):
    """One secret in a text.

    Args:
        start: First byte of the secret.
        end: Behind its last byte.
        kind: What it is, `[a-z0-9-]+`; it stands in the marker.
        wrap: Bytes to put on both sides of the marker: quotes, where a bare number becomes text.
    """

    start: int
    end: int
    kind: str
    wrap: bytes = b""


_QUOTE = re2.compile(rb"\\*\"")
_SINGLE = re2.compile(rb"\\*'")
_BARE = re2.compile(rb"(?:[^\s\"'\\&]|\\+[^\"'\\nrt\s])+")
_BARE_END = re2.compile(rb"[,;}\])>](?:$|[\s,;}\])>]|[A-Za-z0-9_.-]+[=:])")
_NOT_SECRET = frozenset(
    (b"", b"None", b"null", b"nil", b"<nil>", b"true", b"false", b"True", b"False", b"Some(", b"[]", b"{}", b"[", b"{", b"-")
)


def quoted_end(text: bytes, start: int, depth: int, quote: bytes = b'"') -> int:
    r"""Find where a quoted value ends.

    A quote opened behind `depth` backslashes is closed by one with as many; each backslash of the content itself adds
    `2 * (depth + 1)`. Fewer backslashes close the string around it: the value was cut.

    Args:
        text: The text.
        start: First byte of the value, behind its opening quote.
        depth: Backslashes before the opening quote.
        quote: The quote.

    Returns:
        The place behind the value's last byte; the end of the text's last line where nothing closes it.
    """
    pattern = _SINGLE if quote == b"'" else _QUOTE
    position = start
    while (found := pattern.search(text, position)) is not None:
        first, end = found.span()
        run = end - first - 1
        if run < depth:
            return int(first)
        if run % (2 * (depth + 1)) == depth:
            return int(end - 1 - depth)
        position = end
    return len(text.rstrip(b"\r\n"))


def bare_end(text: bytes, start: int) -> int:
    """Find where an unquoted value ends: before white space, a quote, `&`, or a bracket or comma that goes on with a key."""
    found = _BARE.match(text, start)
    if found is None:
        return start
    end = int(found.end())
    closing = _BARE_END.search(text[start:end])
    return start + int(closing.start()) if closing is not None else end


def worth_masking(value: bytes) -> bool:
    """Tell values from the words that say that there is none."""
    return value not in _NOT_SECRET and not value.startswith(b"$(")
