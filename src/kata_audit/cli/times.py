"""Times as people type them, and as we print them."""

import re
from datetime import UTC, datetime, timedelta

import click

_NS = 1_000_000_000
_UNITS = {
    "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hr": 3600, "hour": 3600, "hours": 3600,
    "d": 86_400, "day": 86_400, "days": 86_400,
    "w": 604_800, "week": 604_800, "weeks": 604_800,
}  # fmt: skip
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")
_STAMP = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)(?:[T ](?P<time>\d\d:\d\d(?::\d\d)?)(?P<part>\.\d{1,9})?)?\s?(?P<zone>Z|UTC|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)


def rfc3339(ns: int, *, digits: int = 9) -> str:
    """Spell nanoseconds since the epoch as RFC 3339 in UTC with `digits` (0 to 9) of the fraction, cut off.

    Example:
        >>> rfc3339(1_795_000_000_123_456_789, digits=3)
        '2026-11-18T11:06:40.123Z'
    """
    seconds, rest = divmod(ns, _NS)
    try:
        stamp = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return f"@{seconds}.{rest:09d}"
    fraction = f".{rest:09d}"[: digits + 1] if digits else ""
    return f"{stamp:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + f"{fraction}Z"


def span(ns: int) -> str:
    """Spell a length of time for a person.

    Example:
        >>> span(125_000_000_000)
        '2 min 5 s'
    """
    if ns < 0:
        return f"-{span(-ns)}"
    if ns < 1000:
        return f"{ns} ns"
    if ns < _NS:
        return f"{ns / 1e6:.1f} ms" if ns < 10_000_000 else f"{ns / 1e6:.0f} ms"
    if ns < 60 * _NS:
        return f"{ns / _NS:.1f} s"
    seconds = ns // _NS
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"


def parse_time(text: str, now_ns: int) -> int:
    """Read a time as `journalctl --since` does, in UTC.

    Args:
        text: `now`, `today`, `yesterday`, `tomorrow`, `2 hours ago`, `-2h`, `@<epoch seconds>`, a date, or RFC 3339.
        now_ns: What `now` means.

    Returns:
        Nanoseconds since the epoch.

    Raises:
        ValueError: Nothing of these.
    """
    word = text.strip().lower()
    midnight = now_ns - now_ns % (86_400 * _NS)
    days = {"now": None, "today": 0, "yesterday": -1, "tomorrow": 1}
    if word in days:
        shift = days[word]
        return now_ns if shift is None else midnight + shift * 86_400 * _NS
    if word.startswith("@"):
        return int(float(word[1:]) * _NS)
    if word.endswith(" ago") or word[:1] in {"-", "+"}:
        length = _length(word.removesuffix(" ago").lstrip("+-"))
        return now_ns + length if word.startswith("+") else now_ns - length
    return _stamp(text.strip())


def _length(text: str) -> int:
    """Read `1h 30min` as nanoseconds."""
    if not text or _SPAN.sub("", text).strip():
        raise ValueError(text)
    parts = _SPAN.findall(text)
    if unknown := [unit for _, unit in parts if unit not in _UNITS]:
        raise ValueError(unknown[0])
    return sum(int(float(number) * _UNITS[unit] * _NS) for number, unit in parts)


def _stamp(text: str) -> int:
    """Read a date or RFC 3339; a time without a zone is UTC."""
    found = _STAMP.fullmatch(text)
    if found is None:
        raise ValueError(text)
    time, zone = found["time"] or "00:00", found["zone"] or "Z"
    zone = "+00:00" if zone.upper() in {"Z", "UTC"} else zone
    stamp = datetime.fromisoformat(f"{found['date']}T{time}{zone}")
    fraction = int((found["part"] or ".0")[1:].ljust(9, "0"))
    return (stamp - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) * _NS + fraction


class Time(click.ParamType["int"]):
    """A time on the command line; its value is nanoseconds since the epoch."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the time, or say what could be written instead."""
        from kata_audit.clock import SystemClock

        if isinstance(value, int):
            return value
        try:
            return parse_time(str(value), SystemClock().now_ns())
        except (ValueError, OverflowError):
            self.fail(
                f"{str(value)!r} is no time; write '2 hours ago', 'today', '2026-11-23 10:00' (UTC) or RFC 3339.", param, ctx
            )
