"""Times of a simulated life: read from a capture, written anew."""

import random
from collections.abc import Sequence
from typing import NamedTuple

ORDINAL = b"\x00ordinal\x00"
"""Stands in a rendered entry where its place in the journal belongs."""
TIMES = ("cursor", "ns", "us", "s", "fixed", "rfc", "klog", "bsd", "monotonic")
_NS = 1_000_000_000


class NodeValues(NamedTuple):
    """What all sandboxes of a node share, by kind, and when it was booted, in microseconds."""

    texts: dict[str, bytes]
    journal: bytes
    booted_us: int


class TimeSlot(NamedTuple):
    """A slot that is a time: how it is written, how long after the life's start it is, and whether behind the pause.

    `more` is the digits of an RFC 3339 fraction, klog's letter, or how far a cursor's monotonic time had drifted.
    """

    slot: int
    kind: str
    after_ns: int
    late: bool
    more: int


def _seconds_text(second: int, known: dict[int, bytes]) -> bytes:
    """Write a second as RFC 3339 without zone, remembering it."""
    text = known.get(second)
    if text is None:
        if len(known) > 10_000:
            known.clear()
        days, rest = divmod(second, 86_400)
        year, month, day = _civil(days)
        text = b"%04d-%02d-%02dT%02d:%02d:%02d" % (year, month, day, rest // 3600, rest // 60 % 60, rest % 60)
        known[second] = text
    return text


def _civil(days: int) -> tuple[int, int, int]:
    """Turn days since 1970 into a date (Source: H. Hinnant, chrono-compatible low-level date algorithms)."""
    days += 719_468
    era, of_era = divmod(days, 146_097)
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_index = (5 * of_year + 2) // 153
    month = month_index + 3 if month_index < 10 else month_index - 9
    return year_of_era + era * 400 + (month <= 2), month, of_year - (153 * month_index + 2) // 5 + 1


_SECONDS: dict[int, bytes] = {}


def fill_times(
    values: list[bytes],
    times: Sequence[TimeSlot],
    starts: tuple[int, int],
    node: NodeValues,
    rng: random.Random,
) -> None:
    """Write every time of a life."""
    boot = node.texts["boot"]
    for slot, kind, offset, late, more in times:
        ns = starts[late] + offset
        if kind == "us":
            values[slot] = b"%d" % (ns // 1000)
        elif kind == "monotonic":
            values[slot] = b"%d" % (ns // 1000 - node.booted_us)
        elif kind == "cursor":
            us = ns // 1000
            parts = (node.journal, ORDINAL, boot, us - node.booted_us + more, us, rng.getrandbits(64))
            values[slot] = b"s=%b;i=%b;b=%b;m=%x;t=%x;x=%x" % parts
        elif kind in ("fixed", "rfc"):
            second, rest = divmod(ns, _NS)
            text = _SECONDS.get(second) or _seconds_text(second, _SECONDS)
            if kind == "fixed":
                text = b"%b.%09d" % (text, rest)
            elif more:
                text = (b"%b.%09d" % (text, rest)).rstrip(b"0").rstrip(b".")
            values[slot] = text
        elif kind == "klog":
            text = _seconds_text(ns // _NS, _SECONDS)
            values[slot] = b"%c%b%b %b.%06d" % (more, text[5:7], text[8:10], text[11:19], ns // 1000 % 1_000_000)
        elif kind == "bsd":
            text = _seconds_text(ns // _NS, _SECONDS)
            month = b"JanFebMarAprMayJunJulAugSepOctNovDec"[int(text[5:7]) * 3 - 3 :][:3]
            values[slot] = b"%b %2d %b" % (month, int(text[8:10]), text[11:19])
        else:
            values[slot] = b"%d" % (ns if kind == "ns" else ns // _NS)


def read_time(kind: str, text: bytes) -> tuple[int, int]:
    """Read a captured time: nanoseconds since 1970, and digits of its fraction or klog's letter; monotonic ones are not."""
    if kind in ("ns", "us", "s"):
        return int(text) * {"ns": 1, "us": 1000, "s": _NS}[kind], 0
    if kind == "cursor":
        return int(text.rsplit(b";t=", 1)[1].split(b";")[0], 16) * 1000, 0
    if kind == "bsd":
        return read_time("rfc", b"2026-11-%bT%b" % (text[4:6], text[7:]))
    if kind == "klog":
        return read_time("rfc", b"2026-%b-%bT%b" % (text[1:3], text[3:5], text[6:]))[0], text[0]
    head, _, fraction = text.partition(b".")
    day, clock = int(head[8:10]), head[11:].split(b":")
    second = 1_795_392_000 + (day - 23) * 86_400 + int(clock[0]) * 3600 + int(clock[1]) * 60 + int(clock[2])
    return second * _NS + int(fraction.ljust(9, b"0") or 0), len(fraction)
