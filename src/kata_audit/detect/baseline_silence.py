"""Silence: a source that spoke regularly, and speaks no more while others do.

A source is a component of one node by one receiver, of host records alone. Its usual gap is the median, over the days it is
known, of each day's longest gap. Gaps are told in heard time, which goes on only while records of any source come: a step of
the clock counts `_STEP_NS` at most, so a collector that stood still, or a machine that slept, makes nobody silent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, Final, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.detect.baseline_rows import DAY_NS, day_text, number_of, text
from kata_audit.detect.baseline_settings import BaselineSettings
from kata_audit.schema.record import RecordRows, RetentionClass
from kata_audit.schema.source import Origin

MAX_SOURCES: Final = 4096
_STEP_NS: Final = 600_000_000_000
_SECOND_NS: Final = 1_000_000_000
_REGULAR_NS: Final = 6 * 3600 * _SECOND_NS
"""A source whose usual gap is longer is not regular."""
_WHERE: Final = ("tenant", "node", "receiver", "component")
_MARKS: Final = ("at_min", "at_max", "gap_max")
Key: TypeAlias = tuple[str, ...]
"""Tenant, node, receiver, component."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source: heard time, clock, number and day of its last record; that day's longest gap; those of days before by day.

    `told` says that its silence was told. Gaps are nanoseconds of heard time.
    """

    heard_ns: int
    time_ns: int
    seq: int
    day: int
    longest_ns: int = 0
    gaps: Mapping[int, int] = field(default_factory=dict)
    told: bool = False


@dataclass(frozen=True, slots=True)
class Listened:
    """All sources; the clock and heard time; the day on which a source last had no room."""

    clock_ns: int = 0
    heard_ns: int = 0
    sources: Mapping[Key, Source] = field(default_factory=dict)
    refused: int = 0


class Quiet(NamedTuple):
    """A source that is silent, or `back`, known at a row; `source` is as it last spoke, None where one had no room."""

    at: int
    key: Key
    source: Source | None
    back: bool
    detail: Mapping[str, str]


def listen(listened: Listened, rows: RecordRows, clocks: Any, settings: BaselineSettings) -> tuple[Listened, list[Quiet]]:
    """Listen for who speaks and who does not.

    Args:
        listened: What is remembered; it is left so.
        rows: The records, none of them ours, in order.
        clocks: The clock of all streams at each, nanoseconds since the epoch; 0 before any.
        settings: How long a silence is.

    Returns:
        What is to be remembered, and who fell silent or came back.
    """
    before = pa.concat_arrays([pa.array([listened.clock_ns], pa.int64()), clocks.slice(0, len(clocks) - 1)])
    steps = pc.if_else(pc.greater(before, 0), pc.min_element_wise(pc.subtract(clocks, before), _STEP_NS), 0)
    heard = pc.add(pc.cumulative_sum(steps), listened.heard_ns)
    listening = _Listening(listened, settings, heard, clocks)
    for key, run in _runs(rows, heard, clocks, settings):
        listening.take(key, run)
    return listening.result()


class _Heard(NamedTuple):
    """When a record was heard: heard time, the clock, its number."""

    heard_ns: int
    time_ns: int
    seq: int


class _Run(NamedTuple):
    """Records of one source between two that matter: the first, at row `at`, the last, and the longest gap between them."""

    at: int
    first: _Heard
    last: _Heard
    longest_ns: int


def _runs(rows: RecordRows, heard: Any, clocks: Any, settings: BaselineSettings) -> Iterator[tuple[Key, _Run]]:
    """Part the host's records by source, and each source's at new days and behind gaps that may be silences.

    Yields:
        In order of their first records.
    """
    is_host = pc.equal(text(rows, "origin"), str(Origin.HOST))
    apart = pc.fill_null(pc.not_equal(text(rows, "class"), str(RetentionClass.WORKLOAD)), True)
    wanted = pc.indices_nonzero(pc.and_(pc.and_(is_host, apart), pc.greater(clocks, 0))).cast(pa.int64())
    if not len(wanted):
        return
    where = [pc.fill_null(text(rows, name), "").take(wanted) for name in _WHERE]
    numbers = number_of(where)
    order = pc.array_sort_indices(numbers)  # stable: rows of one source stay in order
    number, row = numbers.take(order), wanted.take(order)
    table = {"heard": heard.take(row), "time": clocks.take(row), "seq": rows.column("seq").cast(pa.int64()).take(row)}
    gap = pc.subtract(table["heard"], _shifted(table["heard"]))
    day = pc.divide(table["time"], DAY_NS)
    other = pc.not_equal(number, _shifted(number))
    apart = pc.or_(pc.or_(other, pc.not_equal(day, _shifted(day))), pc.greater_equal(gap, _least(settings)))
    starts = pc.fill_null(apart, True)
    run = pc.cumulative_sum(starts.cast(pa.int64()))
    inner = pc.if_else(starts, 0, gap)
    found = pa.table({"run": run, "row": row, "gap": inner, "at": pa.array(range(len(row)), pa.int64())})
    found = found.group_by("run", use_threads=False).aggregate(
        [("at", "min"), ("at", "max"), ("gap", "max"), ("row", "min")]
    )
    found = found.sort_by("row_min")
    keys: dict[int, Key] = {}
    for first, last, longest in zip(*(found.column(name).to_pylist() for name in _MARKS), strict=True):
        begun, ended = (_Heard(*(column[at].as_py() for column in table.values())) for at in (first, last))
        source = number[first].as_py()
        if source not in keys:
            keys[source] = tuple(str(column[order[first].as_py()].as_py()) for column in where)
        yield keys[source], _Run(row[first].as_py(), begun, ended, longest)


def _shifted(column: Any) -> Any:
    """Put before each value the one before it; null before the first."""
    return pa.concat_arrays([pa.nulls(1, column.type), column.slice(0, len(column) - 1)])


def _least(settings: BaselineSettings) -> int:
    return int(settings.silence_minutes * 60 * _SECOND_NS)


class _Listening:
    """All sources while the records of a cut go by."""

    def __init__(self, listened: Listened, settings: BaselineSettings, heard: Any, clocks: Any) -> None:
        self._settings, self._heard, self._clocks = settings, heard, clocks
        self._sources, self._refused = dict(listened.sources), listened.refused
        self._found: list[Quiet] = []

    def take(self, key: Key, run: _Run) -> None:
        """Hear some records of one source."""
        source, day = self._sources.get(key), run.first.time_ns // DAY_NS
        if source is not None:
            source = self._heard_again(key, source, run, day)
        elif self._make_room(run.at, key, day):
            source = Source(*run.first, day)
        else:
            return
        longest = max(source.longest_ns, run.longest_ns)
        self._sources[key] = replace(source, longest_ns=longest, **run.last._asdict())

    def _heard_again(self, key: Key, source: Source, run: _Run, day: int) -> Source:
        """Hear the first record of a run, behind the gap since the source's last record."""
        source = self._listened_to(key, source, run.at)
        longest = source.longest_ns if source.told else max(source.longest_ns, run.first.heard_ns - source.heard_ns)
        if source.told:
            self._tell(run.at, key, source, back=True)
            source = replace(source, told=False)
        if day == source.day:
            return replace(source, longest_ns=longest)
        gaps = {those: gap for those, gap in source.gaps.items() if those >= day - self._settings.keep_days}
        return replace(source, day=day, longest_ns=0, gaps={**gaps, source.day: longest})

    def _listened_to(self, key: Key, source: Source, end: int) -> Source:
        """Tell a source's silence where it lasted too long at a row before `end`."""
        if source.told or not end:
            return source
        silent = self._heard[end - 1].as_py() - source.heard_ns
        limit = self._limit(source) if silent >= _least(self._settings) else None
        if limit is None or silent < limit:
            return source
        at = pc.sum(pc.less(self._heard, source.heard_ns + limit)).as_py() or 0
        self._tell(at, key, source, back=False)
        return replace(source, told=True)

    def _limit(self, source: Source) -> int | None:
        """Give how long a source may be silent; None where it never spoke regularly for long enough."""
        if len(source.gaps) < min(self._settings.learn_days, self._settings.keep_days):
            return None
        usual = median(source.gaps.values())
        if usual > _REGULAR_NS:
            return None
        return max(_least(self._settings), int(self._settings.silence_factor * usual), *source.gaps.values())

    def _make_room(self, at: int, key: Key, day: int) -> bool:
        if len(self._sources) < MAX_SOURCES:
            return True
        oldest = day - self._settings.keep_days
        self._sources = {one: source for one, source in self._sources.items() if source.time_ns // DAY_NS >= oldest}
        if len(self._sources) < MAX_SOURCES:
            return True
        if day > self._refused:
            self._refused = day
            self._found.append(Quiet(at, key, None, False, {}))
        return False

    def _tell(self, at: int, key: Key, source: Source, *, back: bool) -> None:
        limit, days = self._limit(source) or 0, sorted(source.gaps)
        usual = median(source.gaps.values()) if source.gaps else 0
        heard, passed = self._heard[at].as_py() - source.heard_ns, self._clocks[at].as_py() - source.time_ns
        detail = {
            "expected": f"a record within {_span(limit)} in which others speak: its longest gap of a day is "
            f"{_span(usual)} in the middle, {_span(max(source.gaps.values(), default=0))} at most",
            "seen": f"{'a record after' if back else 'none for'} {_span(heard)} in which others spoke, "
            f"{_span(passed)} by the clock",
            "days": f"{len(days)} days from {day_text(days[0])} to {day_text(days[-1])}" if days else "none",
            "receiver": key[2],
        }
        self._found.append(Quiet(at, key, source, back, detail))

    def result(self) -> tuple[Listened, list[Quiet]]:
        """Tell who is silent at the end, and give what is to be remembered."""
        end = len(self._heard)
        for key, source in self._sources.items():
            self._sources[key] = self._listened_to(key, source, end)
        last = Listened(self._clocks[-1].as_py(), self._heard[-1].as_py(), self._sources, self._refused)
        return last, self._found


def _span(ns: float) -> str:
    minutes = ns / (60 * _SECOND_NS)
    if minutes < 1:
        return f"{ns / _SECOND_NS:.0f} seconds"
    return f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"


def to_value(listened: Listened) -> list[Any]:
    """Spell what is remembered for JSON."""
    sources = [
        [key, one.heard_ns, one.time_ns, one.seq, one.day, one.longest_ns, [list(gap) for gap in one.gaps.items()], one.told]
        for key, one in listened.sources.items()
    ]
    return [listened.clock_ns, listened.heard_ns, sources, listened.refused]


def from_value(value: Any) -> Listened:
    """Read back what is remembered.

    Raises:
        ValueError: It is none.
        TypeError: It is none.
    """
    clock, heard, sources, refused = value
    return Listened(int(clock), int(heard), {tuple(key): _source(*one) for key, *one in sources}, int(refused))


def _source(*value: Any) -> Source:
    heard, time, seq, day, longest, gaps, told = value
    past = {int(on): int(gap) for on, gap in gaps}
    return Source(int(heard), int(time), int(seq), int(day), int(longest), past, bool(told))
