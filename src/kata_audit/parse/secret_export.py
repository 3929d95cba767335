"""Keep blocks of the export format whole when a binary field grows or shrinks: its length is written again.

Source: systemd, "Journal Export Formats", section "Journal Export Format"; names as `journal_field_valid()` takes them.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from kata_audit.parse.secret_edits import Edit

_LENGTH_BYTES = 8
_NEWLINE = 0x0A
_NAME = re.compile(rb"[A-Z0-9_]{1,64}([=\n])")
"""The name of a field, and what tells its form: a text, or a binary value."""


def block_lengths(data: bytes, bounds: Sequence[int], is_export: Sequence[bool] | None, edits: Sequence[Edit]) -> list[Edit]:
    """Give an edit of the length before each binary field that edits change.

    Args:
        data: Records, one behind the other.
        bounds: Where each record begins, and where the last one ends.
        is_export: Of each record, whether it is a block of the export format; None if none is.
        edits: Edits in order. One that does not stay inside one field's value changes no length.

    Returns:
        Edits of eight bytes each, in order.
    """
    if is_export is None:
        return []
    by_record: dict[int, list[Edit]] = {}
    for edit in edits:
        record = bisect_right(bounds, edit.start) - 1
        if is_export[record]:
            by_record.setdefault(record, []).append(edit)
    return [new for record, found in by_record.items() for new in _lengths(data, bounds[record], bounds[record + 1], found)]


def _lengths(data: bytes, start: int, end: int, edits: Sequence[Edit]) -> Iterator[Edit]:
    """Give the new lengths of one block's binary fields."""
    for first, last in _binary_fields(data, start, end):
        grown = sum(len(edit.new) - (edit.end - edit.start) for edit in edits if first <= edit.start and edit.end <= last)
        if grown:
            yield Edit(first - _LENGTH_BYTES, first, (last - first + grown).to_bytes(_LENGTH_BYTES, "little"), ())


def _binary_fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Walk over a block's fields and give where each binary value begins and ends, as far as they follow the grammar."""
    place = start
    while (name := _NAME.match(data, place, end)) is not None:
        if name[1] == b"=":
            place = data.find(b"\n", place, end) + 1 or end
            continue
        first = name.end() + _LENGTH_BYTES
        last = first + int.from_bytes(data[name.end() : first], "little")
        if last >= end or data[last] != _NEWLINE:
            return
        yield first, last
        place = last + 1
