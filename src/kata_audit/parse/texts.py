r"""Unquoting, as the producers quoted: Go's `strconv.Quote`, Rust's `{:?}`, journald's arrays of bytes.

Whatever the input, a `str` that Arrow can hold comes out: bytes that are no UTF-8 and lone surrogates become `\xNN` and
`\uNNNN` written out. The exact bytes stay in `raw`.
"""

import json
import re
from typing import Any

import orjson

_GO_ESCAPE = re.compile(rb'\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([abfnrtv"\'\\]))')
_RUST_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2})|([nrt0\"'\\]))")
_SHORT = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_MAX_CODE_POINT = 0x10FFFF


def clean(text: str) -> str:
    """Write lone surrogates out, so that UTF-8 can hold the text."""
    return text.encode("utf-8", "backslashreplace").decode()


def decode(data: bytes) -> str:
    r"""Read bytes as UTF-8; bytes that are not become `\xNN` written out."""
    return data.decode("utf-8", "backslashreplace")


def _code_point(value: int, written: str) -> str:
    """Return the character of a code point, or the escape as written where there is none."""
    return chr(value) if value <= _MAX_CODE_POINT and not 0xD800 <= value <= 0xDFFF else written


def _go_escape(match: re.Match[bytes]) -> bytes:
    byte, short, long, letter = match.groups()
    if byte is not None:
        return bytes((int(byte, 16),))
    if letter is not None:
        name = letter.decode()
        return _SHORT.get(name, name).encode()
    return _code_point(int(short or long, 16), decode(match[0])).encode()


def unquote_go(value: str) -> str:
    r"""Read one value of a logrus line: bare, or quoted by Go's `strconv.Quote`.

    Example:
        >>> unquote_go('"a \\"b\\" \\x41"')
        'a "b" A'

    Source:
        Go `strconv.Quote`; sirupsen/logrus `TextFormatter.appendValue`.
    """
    if value[:1] != '"':
        return value
    if "\\" not in value:
        return value[1:-1]
    try:
        text = orjson.loads(value)
    except orjson.JSONDecodeError:
        return decode(_GO_ESCAPE.sub(_go_escape, value[1:-1].encode("utf-8", "backslashreplace")))
    return text if isinstance(text, str) else value


def _rust_escape(match: re.Match[str]) -> str:
    point, byte, letter = match.groups()
    if letter is not None:
        return _SHORT.get(letter, letter)
    return _code_point(int(point or byte, 16), match[0])


def unquote_rust(value: str) -> str:
    r"""Read text that Rust printed with `{:?}`, without its outer quotes.

    Example:
        >>> unquote_rust('a \\"b\\" \\u{41}')
        'a "b" A'

    Source:
        Rust `str::escape_debug`.
    """
    return _RUST_ESCAPE.sub(_rust_escape, value) if "\\" in value else value


def written(value: Any) -> str:
    """Write a value that a loader gave as Python shows it. What is nested too deep for that is left out."""
    try:
        return str(value)
    except RecursionError:
        return ""


def journal_text(value: Any) -> str | None:
    """Read a field of journald's JSON: text, null, an array of byte values, or an array of texts of a repeated field.

    Source:
        systemd, "Journal JSON Format".
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return decode(value)
    if not isinstance(value, list):
        return None if value is None else written(value)
    if all(type(item) is int and 0 <= item <= 0xFF for item in value):
        return decode(bytes(value))
    return "\n".join(text for item in value[:64] if not isinstance(item, list) and (text := journal_text(item)) is not None)


def json_text(value: Any) -> str:
    """Write a member of a JSON object as an attribute: a text as it is, all else as JSON.

    Any number and any text that a loader gave can be written. What is nested too deep for that is left out.

    Example:
        >>> json_text("a"), json_text({"b": [1, None]})
        ('a', '{"b":[1,null]}')
    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return ""
