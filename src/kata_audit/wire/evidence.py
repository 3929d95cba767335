"""A sealed record as evidence, for another store of ours: what it was, under names of their own, in any map of fields.

Seven fields of texts, so that whatever carries maps carries them, Kafka's JSON, Forward, OTLP: the record's name
(`<origin>/<seq>`), the columns that its leaf commits to, and its frame; one that is no UTF-8 as base64 under another name.
What is no evidence to the letter is none: whoever may send it decides what a record is, so nothing is guessed. No bytes
leave or come here.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

from kata_audit.schema.cursor import Cursor, parse_cursor
from kata_audit.schema.source import Frame

NAME: Final = "evidence.name"
"""The record's name where it was sealed."""
NODE: Final = "evidence.node"
RECEIVER: Final = "evidence.receiver"
CURSOR: Final = "evidence.cursor"
OBSERVED: Final = "evidence.observed_ns"
"""When it was received there, nanoseconds since the Unix epoch: as text, for they are more than a double holds."""
RAW: Final = "evidence.raw"
RAW_BASE64: Final = "evidence.raw_base64"
MOST_RAW: Final = 1 << 20
"""Bytes of a frame at most. A frame is cut at a quarter of it; what was masked in it may have become longer."""
_NAME: Final = re.compile(r"[!-~]{1,512}/[0-9]{1,19}")
_NODE: Final = re.compile(r"[!-~]{1,512}")
_RECEIVER: Final = re.compile(r"[a-z0-9./_-]{1,256}(?::[a-z0-9._-]{1,64}){1,2}")
_OBSERVED: Final = re.compile(r"[0-9]{1,19}")
_MOST_CURSOR: Final = 16 * 1024
_NUMBERS: Final = range(1 << 63)


def encode_evidence(frame: Frame) -> dict[str, str]:
    r"""Spell evidence as fields.

    Example:
        >>> from kata_audit.schema.cursor import Cursor
        >>> frame = Frame("lab/w1", "file:bare", Cursor("a?1", 0, 3), 5, "kata-audit/lab/w1/0a/7", b"hi\n")
        >>> encode_evidence(frame)["evidence.raw"]
        'hi\n'
        >>> encode_evidence(frame._replace(raw=b"\xff"))["evidence.raw_base64"]
        '/w=='
    """
    fields = {
        NAME: frame.name,
        NODE: frame.node,
        RECEIVER: frame.receiver,
        CURSOR: str(frame.place),
        OBSERVED: str(frame.observed_ns),
    }
    try:
        return {**fields, RAW: frame.raw.decode()}
    except UnicodeDecodeError:
        return {**fields, RAW_BASE64: b64encode(frame.raw).decode()}


def decode_evidence(fields: Mapping[str, Any]) -> Frame | None:
    """Read evidence; None for fields that are none, or not to the letter."""
    name, node, receiver = (
        _word(fields.get(key), form) for key, form in ((NAME, _NAME), (NODE, _NODE), (RECEIVER, _RECEIVER))
    )
    observed, told, raw = _word(fields.get(OBSERVED), _OBSERVED), fields.get(CURSOR), _raw(fields)
    if name is None or node is None or receiver is None or observed is None or raw is None:
        return None
    place = _place(told) if isinstance(told, str) and len(told) <= _MOST_CURSOR else None
    if place is None or int(observed) not in _NUMBERS:
        return None
    return Frame(node, receiver, place, int(observed), name, raw)


def _place(text: str) -> Cursor | None:
    """Read a cursor of a frame that has bytes."""
    try:
        text.encode()  # no lone surrogate
        place = parse_cursor(text)
    except ValueError:  # or a number of thousands of digits
        return None
    if place is None or not place.length or place.end not in _NUMBERS:
        return None
    return place if place.line is None or place.line <= place.offset else None


def _word(value: Any, form: re.Pattern[str]) -> str | None:
    return value if isinstance(value, str) and form.fullmatch(value) else None


def _raw(fields: Mapping[str, Any]) -> bytes | None:
    """Read the frame: as it stands, or from base64; never both."""
    text, coded = fields.get(RAW), fields.get(RAW_BASE64)
    try:
        if isinstance(text, str) and coded is None:
            raw = text.encode()
        elif isinstance(coded, str) and text is None:
            raw = b64decode(coded, validate=True)
        else:
            return None
    except ValueError:
        return None
    return raw if 0 < len(raw) <= MOST_RAW else None
