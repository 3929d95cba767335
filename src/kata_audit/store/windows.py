"""Windows: the key range of an ordered scan, cut where segments begin, so that each part fits in memory.

A key is a record's time in nanoseconds or its `seq`. Windows begin small and grow while they find little: a listing of the
newest hundred opens a few segments, and a rare name in a large store few times many.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

FIRST_ROWS: Final = 65_536
"""Rows of the first window."""
GROWTH: Final = 4
WANTED: Final = 16_384
"""A window that finds fewer records is followed by a larger one."""
ENOUGH: Final = 131_072
"""A window that finds more is followed by a smaller one."""
LEAST_ROWS: Final = 4_096


class Span(NamedTuple):
    """A segment's place on the key's axis: least and greatest key, and how many rows."""

    name: str
    first: int
    last: int
    rows: int


class Window(NamedTuple):
    """Keys `low <= key < high` and the segments that may hold them; None is no bound."""

    low: int | None
    high: int | None
    names: tuple[str, ...]


def next_window(spans: Sequence[Span], *, after: int | None, rows: int, newest_first: bool) -> Window | None:
    """Give the next window of a scan.

    Args:
        spans: All segments.
        after: Where the window before ended: its `high`, or its `low` where the newest come first; None at the start.
        rows: About how many rows the window may have.
        newest_first: Go from great keys to small ones.

    Returns:
        The window, or None when the scan is over. Windows of one scan do not overlap and leave no key of a segment out.
    """
    if newest_first:
        mirrored = [Span(span.name, -span.last, -span.first, span.rows) for span in spans]
        found = next_window(mirrored, after=None if after is None else 1 - after, rows=rows, newest_first=False)
        return None if found is None else Window(_mirror(found.high), _mirror(found.low), found.names)
    left = sorted((span for span in spans if after is None or span.last >= after), key=lambda span: span.first)
    if not left:
        return None
    high = _boundary(left, rows, after)
    names = tuple(span.name for span in left if high is None or span.first < high)
    return Window(after, high, names)


def _mirror(bound: int | None) -> int | None:
    return None if bound is None else 1 - bound


def _boundary(left: Iterable[Span], rows: int, after: int | None) -> int | None:
    """Find the first segment's beginning behind which the window would be too large; None takes all."""
    total = 0
    for span in left:
        if total >= rows and (after is None or span.first > after):
            return span.first
        total += span.rows
    return None


def next_rows(rows: int, found: int) -> int:
    """Say how large the next window may be, by how many records this one found.

    Example:
        >>> next_rows(65_536, 10)
        262144
    """
    if found < WANTED:
        return rows * GROWTH
    return max(LEAST_ROWS, rows // GROWTH) if found > ENOUGH else rows
