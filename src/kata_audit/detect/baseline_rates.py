"""How often: events of a component by hour, against the same hour of the week in the past weeks.

A stream is what one receiver brings of one node; its own clock, that of the host's records in it, says which hour it is. A
guest's records are not counted at all: a guest can neither make a rate unusual nor teach one. What is below `FEWEST` an hour
counts as nothing, so that most events cost no memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import sqrt
from statistics import median
from typing import Any, Final, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.detect.baseline_rows import DAY_NS, HOUR_NS, Group, day_text, groups_of, hour_text, number_of, text
from kata_audit.detect.baseline_settings import WEEKS, BaselineSettings
from kata_audit.schema.record import RecordRows, RetentionClass
from kata_audit.schema.source import Origin

WEEK: Final = 7 * 24
"""Hours of a week."""
FEWEST: Final = 10
MAX_STREAMS: Final = 256
MAX_SERIES: Final = 256
"""Events of one stream that are counted in one hour."""
MAX_CELLS: Final = 16_384
"""Counts of past hours that one stream keeps."""
_SLOTS: Final = 12
_WHOLE: Final = 10
"""An hour was seen whole where the stream spoke in so many of its `_SLOTS` parts."""
REST: Final = 72
"""Hours without anything unusual after which a series is told of again: what stays unusual is told once."""
UNNAMED: Final = ""
"""Event of the messages that nobody has named."""
_WHERE: Final = ("tenant", "node", "receiver")
Key: TypeAlias = tuple[str, ...]
"""Tenant, node, receiver."""
Name: TypeAlias = tuple[str, str]
"""Component and event."""


@dataclass(frozen=True, slots=True)
class Series:
    """One event by hour since the epoch: counts of `FEWEST` and more, its last record, and when it was last unusual."""

    counts: Mapping[int, int] = field(default_factory=dict)
    last_seq: int = 0
    last_ns: int = 0
    high: int = 0
    low: int = 0


@dataclass(frozen=True, slots=True)
class Streamed:
    """A stream: its clock, and that of all streams when it last spoke; the hour that is open; its past.

    `open` has the count of each event in the open hour, and its last record. `heard` has for each hour a bit for each
    twelfth of it in which a record came. `full` says that something had no room in the open hour.
    """

    clock_ns: int = 0
    seen_ns: int = 0
    hour: int = 0
    full: bool = False
    open: Mapping[Name, tuple[int, int, int]] = field(default_factory=dict)
    heard: Mapping[int, int] = field(default_factory=dict)
    series: Mapping[Name, Series] = field(default_factory=dict)


class Unusual(NamedTuple):
    """An hour's count that is unusual, known at row `at`, and the event's last record; no `name`: something had no room."""

    at: int
    key: Key
    name: Name | None
    seq: int
    time_ns: int
    detail: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rated:
    """All streams, and the day on which one last had no room."""

    streams: Mapping[Key, Streamed] = field(default_factory=dict)
    refused: int = 0


def count(
    rated: Rated, rows: RecordRows, times: Any, clocks: Any, settings: BaselineSettings
) -> tuple[Rated, list[Unusual]]:
    """Count records.

    Args:
        rated: What is remembered; it is left so.
        rows: The records, none of them ours, in order.
        times: When each happened by a host's clock, nanoseconds since the epoch; 0 where none says so.
        clocks: The clock of all streams at each.
        settings: How far from usual is unusual.

    Returns:
        What is to be remembered, and the hours that are unusual, known once a later hour of their stream has begun.
    """
    streams, refused = dict(rated.streams), rated.refused
    found: list[Unusual] = []
    for key, those in _streams_of(rows, times, clocks):
        first, clock = those.column("row")[0].as_py(), those.column("clock")[0].as_py()
        if key not in streams and len(streams) >= MAX_STREAMS:
            oldest = clock - WEEKS * WEEK * HOUR_NS
            streams = {one: stream for one, stream in streams.items() if stream.seen_ns >= oldest}
        if key in streams or len(streams) < MAX_STREAMS:
            streams[key] = _Counting(key, streams.get(key, Streamed()), settings, found).take(those)
        elif clock // DAY_NS > refused:
            refused = clock // DAY_NS
            found.append(Unusual(first, key, None, 0, 0, {}))
    return Rated(streams, refused), found


def _streams_of(rows: RecordRows, times: Any, clocks: Any) -> Iterator[tuple[Key, Any]]:
    """Part the host's records by stream and day, in order of the first record of each."""
    is_host = pc.equal(text(rows, "origin"), str(Origin.HOST))
    apart = pc.fill_null(pc.not_equal(text(rows, "class"), str(RetentionClass.WORKLOAD)), True)
    wanted = pc.indices_nonzero(pc.and_(is_host, apart)).cast(pa.int64())
    if not len(wanted):
        return
    where = {name: rows.column(name).take(wanted) for name in _WHERE}
    numbers = number_of([*where.values(), pc.divide(clocks, DAY_NS).take(wanted)])
    table = pa.table(
        {
            "row": wanted,
            "time": times.take(wanted),
            "clock": clocks.take(wanted),
            "seq": rows.column("seq").cast(pa.int64()).take(wanted),
            "component": pc.fill_null(text(rows, "component"), "").take(wanted),
            "event": pc.fill_null(text(rows, "event_name"), UNNAMED).take(wanted),
        }
    )
    for number in pc.unique(numbers).to_pylist():
        first = pc.index(numbers, number).as_py()
        key = tuple(str(column[first].as_py() or "") for column in where.values())
        yield key, table.filter(pc.equal(numbers, number)).combine_chunks().to_batches()[0]


class _Counting:
    """One stream while its records go by."""

    def __init__(self, key: Key, stream: Streamed, settings: BaselineSettings, found: list[Unusual]) -> None:
        self._key, self._settings, self._found = key, settings, found
        self._before, self._hour, self._full = stream, stream.hour, stream.full
        self._open, self._heard, self._series = dict(stream.open), dict(stream.heard), dict(stream.series)

    def take(self, rows: RecordRows) -> Streamed:
        """Count the stream's records, and give what is to be remembered of it."""
        clocks = pc.cumulative_max(rows.column("time"), start=self._before.clock_ns)
        hours = pc.divide(clocks, HOUR_NS)
        heard: dict[int, int] = {}
        for (slot,), *_ in groups_of({"slot": pc.divide(clocks, HOUR_NS // _SLOTS)}):
            heard[slot // _SLOTS] = heard.get(slot // _SLOTS, 0) | 1 << slot % _SLOTS
        columns = {"hour": hours, "component": rows.column("component"), "event": rows.column("event")}
        for hour, groups in groupby(groups_of(columns), lambda group: int(group.values[0])):
            if hour:
                self._take_hour(hour, heard[hour], list(groups), rows, clocks)
        seen = rows.column("clock")[-1].as_py()
        return Streamed(clocks[-1].as_py(), seen, self._hour, self._full, self._open, self._heard, self._series)

    def _take_hour(self, hour: int, heard: int, groups: Sequence[Group], rows: RecordRows, clocks: Any) -> None:
        if hour > self._hour:
            if self._hour:
                self._close(rows.column("row")[groups[0].first].as_py())
            self._hour, self._open, self._full = hour, {}, False
        self._heard[hour] = self._heard.get(hour, 0) | heard
        for (_, component, event), first, last, size in groups:
            name = (component, event)
            if name not in self._open and len(self._open) >= MAX_SERIES:
                self._overflow(rows.column("row")[first].as_py())
                continue
            total = size + self._open.get(name, (0,))[0]
            self._open[name] = (total, rows.column("seq")[last].as_py(), clocks[last].as_py())

    def _overflow(self, at: int) -> None:
        if not self._full:
            self._full = True
            self._found.append(Unusual(at, self._key, None, 0, 0, {}))

    def _close(self, at: int) -> None:
        """Judge the open hour, known to be over at a row, and put it to the past."""
        oldest = self._hour - WEEKS * WEEK - 2
        self._heard = {hour: bits for hour, bits in self._heard.items() if hour >= oldest}
        weeks = [self._hour - week * WEEK for week in range(1, WEEKS + 1)]
        series: dict[Name, Series] = {}
        cells = sum(len(one.counts) for one in self._series.values())
        for name in sorted({*self._series, *self._open}):
            one = self._series.get(name, Series())
            total, seq, time = self._open.get(name, (0, one.last_seq, one.last_ns))
            counts = {hour: those for hour, those in one.counts.items() if hour >= oldest}
            if total >= FEWEST and cells >= MAX_CELLS:
                self._overflow(at)
            elif total >= FEWEST:
                counts[self._hour] = total
                cells += 1
            if counts:
                judged = replace(one, counts=counts, last_seq=seq, last_ns=time)
                series[name] = self._judge_low(name, self._judge_high(name, judged, weeks, at), weeks, at)
        self._series = series

    def _judge_high(self, name: Name, one: Series, weeks: Sequence[int], at: int) -> Series:
        seen, past = one.counts.get(self._hour, 0), [hour for hour in weeks if self._heard.get(hour)]
        usual = [one.counts.get(hour, 0) for hour in past]
        if not self._is_unusual(seen, usual) or seen < median(usual):
            return one
        # A job that starts a little earlier or later than it used to is nothing unusual.
        near = max(one.counts.get(hour + shift, 0) for hour in past for shift in (-1, 0, 1))
        if seen - near < self._settings.rate_difference:
            return one
        if self._hour - one.high > REST:
            self._tell(name, one, self._hour, past, at)
        return replace(one, high=self._hour)

    def _judge_low(self, name: Name, one: Series, weeks: Sequence[int], at: int) -> Series:
        """Judge the hour before the open one: what is missing in it may have come a little later."""
        hour = self._hour - 1
        if min(self._heard.get(those, 0).bit_count() for those in (hour, self._hour)) < _WHOLE:
            return one
        past = [those - 1 for those in weeks if self._heard.get(those - 1)]
        usual, seen = [one.counts.get(those, 0) for those in past], one.counts.get(hour, 0)
        if not self._is_unusual(seen, usual) or seen > median(usual):
            return one
        near, usually_near = _around(one, hour), [_around(one, those) for those in past]
        if not self._is_unusual(near, usually_near) or near > median(usually_near):
            return one
        if hour - one.low > REST:
            self._tell(name, one, hour, past, at)
        return replace(one, low=hour)

    def _is_unusual(self, seen: int, usual: Sequence[int]) -> bool:
        """Say whether a count is far from the median of others, by their own spread, and by that of rare events."""
        if len(usual) < self._settings.rate_weeks:
            return False
        middle = median(usual)
        spread = 1.4826 * median(abs(one - middle) for one in usual)
        far = abs(seen - middle)
        return far >= self._settings.rate_difference and far >= self._settings.rate_score * max(spread, sqrt(middle), 1.0)

    def _tell(self, name: Name, one: Series, hour: int, past: Sequence[int], at: int) -> None:
        usual = [one.counts.get(those, 0) for those in past]
        days = ", ".join(day_text(those // 24) for those in sorted(past))
        detail = {
            "expected": f"{_amount(median(usual))} an hour: {_amount(min(usual))} to {_amount(max(usual))}",
            "seen": f"{_amount(one.counts.get(hour, 0))} from {hour_text(hour)} to {hour_text(hour + 1)} UTC",
            "days": f"the same hour of {days}",
            "event": name[1] or "messages without a name",
        }
        self._found.append(Unusual(at, self._key, name, one.last_seq, one.last_ns, detail))


def _around(one: Series, hour: int) -> int:
    """Count three hours, the one given in the middle."""
    return sum(one.counts.get(hour + shift, 0) for shift in (-1, 0, 1))


def _amount(records: float) -> str:
    return f"fewer than {FEWEST}" if records < FEWEST else f"{records:g} records"


def to_value(rated: Rated) -> list[Any]:
    """Spell rates for JSON."""
    return [rated.refused, [[key, _stream_value(one)] for key, one in rated.streams.items()]]


def _stream_value(one: Streamed) -> list[Any]:
    series = [[name, _flat(those.counts), *_marks(those)] for name, those in one.series.items()]
    opened = [[name, *marks] for name, marks in one.open.items()]
    return [one.clock_ns, one.seen_ns, one.hour, one.full, opened, _flat(one.heard), series]


def _marks(series: Series) -> tuple[int, int, int, int]:
    return series.last_seq, series.last_ns, series.high, series.low


def _flat(counts: Mapping[int, int]) -> list[int]:
    """Spell counts by hour: for each the hours since the one before, and the count."""
    flat, before = [], 0
    for hour, those in sorted(counts.items()):
        flat += [hour - before, those]
        before = hour
    return flat


def _unflat(flat: Sequence[int]) -> dict[int, int]:
    counts, hour = {}, 0
    for step, those in zip(flat[::2], flat[1::2], strict=True):
        hour += step
        counts[hour] = int(those)
    return counts


def from_value(value: Any) -> Rated:
    """Read rates back.

    Raises:
        ValueError: They are none.
        TypeError: They are none.
    """
    refused, streams = value
    return Rated({tuple(key): _stream(*one) for key, one in streams}, int(refused))


def _stream(*value: Any) -> Streamed:
    clock, seen, hour, full, opened, heard, series = value
    open_: dict[Name, tuple[int, int, int]] = {(name[0], name[1]): (total, seq, time) for name, total, seq, time in opened}
    past = {(name[0], name[1]): Series(_unflat(flat), *marks) for name, flat, *marks in series}
    return Streamed(int(clock), int(seen), int(hour), bool(full), open_, _unflat(heard), past)
