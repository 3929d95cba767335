r"""The journal's export format: blocks of fields, a blank line after each.

A field is `NAME=text\n`, or `NAME\n`, a 64-bit little-endian length, that many bytes and `\n`. Bytes of a binary field may
hold blank lines, so an end is searched for field by field once a block has such a field.

Source: systemd, "Journal Export Formats", section "Journal Export Format".
"""

import re

_BINARY_NAME = re.compile(rb"(?:\A|\n)[^\n=]+\n")
_LENGTH_BYTES = 8


def _next_field(data: bytes, position: int) -> int | None:
    """Return where the field at `position` ends, or None when it is not yet whole; a blank line is a field too."""
    line_end = data.find(b"\n", position)
    if line_end < 0:
        return None
    if line_end == position or data.find(b"=", position, line_end) >= 0:
        return line_end + 1
    head_end = line_end + 1 + _LENGTH_BYTES
    if head_end > len(data):
        return None
    return head_end + int.from_bytes(data[line_end + 1 : head_end], "little") + 1


def _block_end(data: bytes, start: int, scanned: int) -> tuple[int | None, int]:
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
        end = _next_field(data, position)
        if end is None:
            return None, position
        position = end
    return None, position


def scan_export(data: bytes, scanned: int) -> tuple[list[int], int]:
    """Find where blocks end in `data`.

    Args:
        data: Bytes that begin where a block begins.
        scanned: Where the first field that is not known to be whole begins; may lie beyond `data`, inside a binary field.

    Returns:
        The end of each whole block (offsets into `data`, ascending), and the new value of `scanned`.
    """
    ends: list[int] = []
    start = 0
    position = scanned
    while position < len(data):
        end, position = _block_end(data, start, position)
        if end is None:
            break
        ends.append(end)
        start = position = end
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
