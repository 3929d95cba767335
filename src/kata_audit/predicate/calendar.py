"""Parts of times: the calendar in UTC, by whole numbers, so that no engine's time zone can have a say."""

from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.predicate.tree import TimePart

_PARTS: Final[dict[TimePart, Callable[[Any], Any]]] = {
    TimePart.MINUTE: pc.minute,
    TimePart.HOUR: pc.hour,
    TimePart.DAY: pc.day,
    TimePart.WEEK: pc.iso_week,
    TimePart.MONTH: pc.month,
    TimePart.YEAR: pc.year,
}
_MINUTE_NS: Final = 60_000_000_000
_HOUR_NS: Final = 60 * _MINUTE_NS
_DAY_NS: Final = 24 * _HOUR_NS


def part_of(nanoseconds: Any, part: TimePart) -> Any:
    """Give a part of times that are nanoseconds since the Unix epoch, null where there is none."""
    return _PARTS[part](nanoseconds.cast(pa.timestamp("ns")))


def print_part(nanoseconds: str, part: TimePart) -> str:
    """Print a part of a time as SQL.

    Args:
        nanoseconds: An SQL expression of whole nanoseconds since the Unix epoch; it is printed several times.
        part: The part.
    """
    if part is TimePart.MINUTE:
        return _number(nanoseconds, _MINUTE_NS, 60)
    if part is TimePart.HOUR:
        return _number(nanoseconds, _HOUR_NS, 24)
    day = _floor(nanoseconds, _DAY_NS)
    return f"extract({part} FROM DATE '1970-01-01' + CAST({day} AS INTEGER))"


def _number(nanoseconds: str, unit: int, count: int) -> str:
    whole = _floor(nanoseconds, unit)
    return f"(({whole} % {count} + {count}) % {count})"


def _floor(nanoseconds: str, unit: int) -> str:
    """Divide downwards: before 1970 too, where `//` cuts towards zero."""
    return f"(({nanoseconds} - (({nanoseconds} % {unit}) + {unit}) % {unit}) // {unit})"
