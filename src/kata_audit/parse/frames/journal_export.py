r"""The journal's export format: blocks of fields, a blank line after each.

A field is `NAME=text\n`, or `NAME\n`, a 64-bit little-endian length, that many bytes and `\n`. Bytes of a binary field may
hold blank lines, so an end is searched for field by field once a block has such a field.

Source: systemd, "Journal Export Formats", section "Journal Export Format".
"""

import re

_BINARY_NAME = re.compile(rb"(?:\A|\n)[^\n=]+\n")
_LENGTH_BYTES = 8
_IN_TEXT = -1
"""`scanned` inside a line so long that it can only be a text field."""


def _next_field(data: bytes, position: int, longest_name: int) -> int | None:
    """Return where the field at `position` ends, or None when it is not yet whole; a line over `longest_name` is text."""
    line_end = data.find(b"\n", position)
    if line_end < 0:
        return None
    if line_end - position > longest_name or data.find(b"=", position, line_end) >= 0:
        return line_end + 1
    head_end = line_end + 1 + _LENGTH_BYTES
    if head_end > len(data):
        return None
    return head_end + int.from_bytes(data[line_end + 1 : head_end], "little") + 1


def _block_end(data: bytes, start: int, scanned: int, longest_name: int) -> tuple[int | None, int]:
    """Find the end of the block at `start`; fields before `scanned` are known to be whole.

    Returns:
        The end (None when it is not yet there) and the start of the first field that is not known to be whole, which
        may lie beyond `data`.
    """
    position = scanned
    while position < len(data):
        if data[position] == 0x0A:
            return position + 1, position + 1
        if position == start or data[position - 1] == 0x0A:
            blank = data.find(b"\n\n", position)
            if blank >= 0 and not _BINARY_NAME.search(data, max(position - 1, 0), blank + 1):
                return blank + 2, blank + 2
        end = _next_field(data, position, longest_name)
        if end is None:
            return None, position
        position = end
    return None, position


def scan_export(data: bytes, scanned: int, limit: int) -> tuple[list[int], int]:
    """Find where blocks end in `data`.

    Args:
        data: Bytes that begin where a block begins, or at the first field that is not known to be whole.
        scanned: Where that field begins; may lie beyond `data`, inside a binary field. -1 inside a very long text field.
        limit: A line longer than this is a text field, whatever it holds: no field's name is that long.

    Returns:
        The end of each whole block (offsets into `data`, ascending), and the new value of `scanned`.
    """
    ends: list[int] = []
    start = 0
    position = data.find(b"\n") + 1 if scanned == _IN_TEXT else scanned
    if scanned == _IN_TEXT and position == 0:
        return ends, _IN_TEXT
    while position < len(data):
        end, position = _block_end(data, start, position, limit)
        if end is None:
            break
        ends.append(end)
        start = position = end
    if len(data) - position > limit and data.find(b"\n", position) < 0:
        position = _IN_TEXT
    return ends, position


def read_fields(block: bytes) -> tuple[dict[str, str | bytes], bool]:
    """Read the fields of one block.

    Args:
        block: One whole block, with or without its blank line.

    Returns:
        The fields by name: `str` where the text is UTF-8, else `bytes`; of a name that comes twice the first is kept. And
        whether the whole block followed the grammar.
    """
    fields: dict[str, str | bytes] = {}
    position, length = 0, len(block)
    while position < length:
        line_end = block.find(b"\n", position)
        if line_end < 0:
            return fields, False
        if line_end == position:
            return fields, position + 1 == length
        equals = block.find(b"=", position, line_end)
        if equals >= 0:
            name, value = block[position:equals], block[equals + 1 : line_end]
            position = line_end + 1
        else:
            value_start = line_end + 1 + _LENGTH_BYTES
            value_end = value_start + int.from_bytes(block[line_end + 1 : value_start], "little")
            if block[value_end : value_end + 1] != b"\n":
                return fields, False
            name, value = block[position:line_end], block[value_start:value_end]
            position = value_end + 1
        try:
            text: str | bytes = value.decode()
        except UnicodeDecodeError:
            text = value
        fields.setdefault(name.decode("ascii", "backslashreplace"), text)
    return fields, True
