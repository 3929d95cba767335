"""Correlations on the stream: events in a sliding window `(t - window, t]` that share the values of `group_by`.

Events come in their order. An event that does not state a value of `group_by` takes no part: what is unknown is not equal.
Only what can still matter is remembered: to know whether n events or values lie in a window, the last n + 1 are enough, and
of a temporal correlation the latest of each part. Beyond the limits below the groups that were silent longest are forgotten,
and that is counted.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import re2

from kata_audit.detect.event import Event, Mark, Place, key_of, mark, name_records
from kata_audit.detect.rule import Correlation, CorrelationKind, Rule
from kata_audit.predicate.pattern import NUMBER_REGEX
from kata_audit.predicate.tree import Op

MAX_GROUPS: Final = 20_000
"""Groups of one correlation that are remembered."""
MAX_MARKS: Final = 50_000
"""Events of one correlation that are remembered."""
MAX_BOUND: Final = 10_000
"""A correlation that counts further is refused."""
MAX_SUMMED: Final = 4096
"""Events of one group that are summed."""

_NUMBER: Final = re2.compile(NUMBER_REGEX)
_HOLDS: Final[Mapping[Op, Callable[[float, int], bool]]] = {
    Op.EQ: lambda value, bound: value == bound,
    Op.NE: lambda value, bound: value != bound,
    Op.LT: lambda value, bound: value < bound,
    Op.LE: lambda value, bound: value <= bound,
    Op.GT: lambda value, bound: value > bound,
    Op.GE: lambda value, bound: value >= bound,
}


class Entry(NamedTuple):
    """One thing in a window: what it counts as (a value, a number, a part), and the events it is of."""

    label: str
    marks: tuple[Mark, ...]


class Window(NamedTuple):
    """What is remembered of a group: until when it is silent, when it last grew, and what lies in it, the oldest first."""

    silent_until_ns: int
    last_ns: int
    entries: tuple[Entry, ...]


Windows: TypeAlias = Mapping[Place, Window]
"""By tenant and the values of `group_by`; the group that grew last at the end."""
_NEW: Final = Window(0, 0, ())


class Correlating:
    """One correlation at work.

    Args:
        rule: Its rule.
        fields: What its own events carry.
        windows: What is remembered.
    """

    def __init__(self, rule: Rule, fields: Sequence[str], windows: Windows) -> None:
        assert isinstance(rule.when, Correlation)
        self._rule = rule
        self._when: Correlation = rule.when
        self._fields = fields
        self._windows = dict(windows)
        self._size = sum(map(_size, self._windows.values()))
        self.forgotten = 0
        """How many groups and events were forgotten since this object was made."""

    def take(self, event: Event) -> Event | None:
        """Take an event of a rule that it is over; give its own event where this one makes it true."""
        key = key_of(self._when, event)
        label = self._label(event)
        if key is None or label is None:
            return None
        before = self._windows.pop(key, None)
        if before is None:
            before = _NEW
        else:
            self._size -= _size(before)
        entries = self._grown(before.entries, label, event)
        fired = self._fired(entries) if event.at_ns >= before.silent_until_ns else ()
        silent = event.at_ns + self._when.window_ns if fired else before.silent_until_ns
        if entries or silent > event.at_ns:
            after = self._windows[key] = Window(silent, event.at_ns, entries)
            self._size += _size(after)
            self._bound(event.at_ns)
        return self._own(event, key, fired) if fired else None

    def _label(self, event: Event) -> str | None:
        """Say what an event counts as; None where it does not count."""
        if self._when.kind is CorrelationKind.VALUE_COUNT:
            return event.values.get(self._when.value_field or "")
        if self._when.kind is CorrelationKind.VALUE_SUM:
            value = event.values.get(self._when.value_field or "", "")
            return value if _NUMBER.search(value) else None
        return event.rule_id

    def _grown(self, entries: tuple[Entry, ...], label: str, event: Event) -> tuple[Entry, ...]:
        """Add an event to what lies in a window, and take out what left it."""
        kind, new = self._when.kind, mark(event)
        if kind is CorrelationKind.TEMPORAL_ORDERED:
            grown = self._chained(entries, event.rule_id, new)
        elif kind in (CorrelationKind.TEMPORAL, CorrelationKind.VALUE_COUNT):
            grown = (*(entry for entry in entries if entry.label != label), Entry(label, (new,)))
        else:
            grown = (*entries, Entry(label, (new,)))
        begin = event.at_ns - self._when.window_ns
        within = tuple(entry for entry in grown if entry.marks[0].at_ns > begin)
        if kind is CorrelationKind.VALUE_SUM:
            self.forgotten += max(0, len(within) - MAX_SUMMED)
            return within[-MAX_SUMMED:]
        return (
            within[-self._when.bound - 1 :] if kind in (CorrelationKind.EVENT_COUNT, CorrelationKind.VALUE_COUNT) else within
        )

    def _chained(self, entries: tuple[Entry, ...], rule_id: str, new: Mark) -> tuple[Entry, ...]:
        """Grow the chains of a temporal order: of each length the one that began last; no event stands in one twice."""
        chains = {entry.label: entry.marks for entry in entries}
        for at in reversed(range(len(self._when.rules))):
            if self._when.rules[at] == rule_id and (at == 0 or str(at - 1) in chains):
                chains[str(at)] = (*(chains[str(at - 1)] if at else ()), new)
        return tuple(Entry(label, marks) for label, marks in sorted(chains.items(), key=lambda chain: len(chain[1])))

    def _fired(self, entries: tuple[Entry, ...]) -> tuple[Mark, ...]:
        """Give the events that make the correlation true; none where it is not."""
        if self._when.kind is CorrelationKind.TEMPORAL_ORDERED:
            return entries[-1].marks if entries and len(entries[-1].marks) == len(self._when.rules) else ()
        if self._when.kind is CorrelationKind.TEMPORAL:
            holds = len(entries) == len(set(self._when.rules))
        else:
            summed = self._when.kind is CorrelationKind.VALUE_SUM
            value = math.fsum(float(entry.label) for entry in entries) if summed else len(entries)
            holds = _HOLDS[self._when.op](value, self._when.bound)
        return tuple(entry.marks[0] for entry in entries) if holds else ()

    def _own(self, event: Event, key: Place, fired: Sequence[Mark]) -> Event:
        values = {field: event.values[field] for field in self._fields if field in event.values}
        group = zip(self._when.group_by, key[1:], strict=True)
        return event._replace(
            rule_id=self._rule.rule_id,
            first_ns=min(one.first_ns for one in fired),
            time_ns=max(one.time_ns for one in fired),
            records=name_records(seq for one in fired for seq in one.records),
            claim=all(one.claim for one in fired),
            values=values | dict(group),
            detail={
                "correlation": str(self._when.kind),
                "events": str(len(fired)),
                "window": f"{self._when.window_ns / 1e9:g}s",
            },
        )

    def _bound(self, now_ns: int) -> None:
        """Keep within the limits: what is over goes unseen, then what was silent longest goes counted."""
        if len(self._windows) > MAX_GROUPS or self._size > MAX_MARKS:
            self._expire(now_ns)
        while len(self._windows) > MAX_GROUPS or self._size > MAX_MARKS:
            self._drop()
            self.forgotten += 1

    def _expire(self, now_ns: int) -> None:
        """Forget groups whose window is over: they stand first, as the order of groups is that of their last events."""
        while self._windows and next(iter(self._windows.values())).last_ns <= now_ns - self._when.window_ns:
            self._drop()

    def _drop(self) -> None:
        self._size -= _size(self._windows.pop(next(iter(self._windows))))

    def windows(self, watermark_ns: int) -> Windows:
        """Give what is to be remembered where no event before a time is to come."""
        self._expire(watermark_ns)
        return self._windows


def _size(window: Window) -> int:
    return 1 + sum(len(entry.marks) for entry in window.entries)
