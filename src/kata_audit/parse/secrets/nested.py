"""Views of bytes that a record carries in another spelling: arrays of integers, the journal's binary fields."""

from typing import NamedTuple

import re2

ARRAY = re2.compile(rb"\"[A-Za-z0-9_]+\":\s?\[([0-9]{1,3}(?:,\s?[0-9]{1,3})+)")
"""A journal field that is no UTF-8: `journalctl -o json` spells it as an array of its bytes."""
_LENGTH_BYTES = 8


class Field(NamedTuple):
    """One field of an export block: where its data stands, and where its length does (None for a text field)."""

    start: int
    end: int
    length_at: int | None


def decode_array(text: bytes) -> bytes | None:
    """Turn `123,34` into bytes; None for numbers that are no bytes."""
    numbers = [int(word) for word in text.split(b",")]
    return bytes(numbers) if max(numbers) < 256 else None


def encode_array(data: bytes) -> bytes:
    """Spell bytes as `123,34`."""
    return b",".join(b"%d" % byte for byte in data)


def export_fields(text: bytes) -> list[Field]:
    """Cut a block of the journal's export format into fields; what is no field ends the list as one text field.

    Source: systemd, "Journal Export Formats", section "Journal Export Format".
    """
    fields = []
    position = 0
    while position < len(text):
        line_end = text.find(b"\n", position)
        if line_end < 0:
            line_end = len(text)
        if line_end == position or b"=" in text[position:line_end] or line_end + 1 + _LENGTH_BYTES > len(text):
            fields.append(Field(position, line_end, None))
            position = line_end + 1
            continue
        start = line_end + 1 + _LENGTH_BYTES
        end = start + int.from_bytes(text[line_end + 1 : start], "little")
        fields.append(Field(start, min(end, len(text)), line_end + 1 if end <= len(text) else None))
        position = end + 1
    return fields
