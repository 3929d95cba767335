"""Absences on the stream: an event without the company it should have, told once the stream is past the time for it.

An event that does not state a value of `group_by` takes no part. Company may come in any order: what counts is whether some
lies in `[t - before, t + after]` when that time is over. So of company only times are kept, and of those few: one between
two others that are no further apart than `before + after` never decides. Beyond the limits below what waits longest is
forgotten undecided, and so are the groups whose company is oldest; that is counted.
"""

import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from kata_audit.detect.event import Event, Place, key_of
from kata_audit.detect.rule import Absence, Rule

MAX_GROUPS: Final = 20_000
"""Groups of one absence whose company is remembered."""
MAX_WAITING: Final = 20_000
"""Events of one absence that wait for company."""


class Waiting(NamedTuple):
    """An event that waits for company until a time."""

    until_ns: int
    seq: int
    key: Place
    event: Event


Times: TypeAlias = tuple[int, ...]


class Company(NamedTuple):
    """What is remembered: of each group the times of its company, in order, and what waits, in the order of its time."""

    times: Mapping[Place, Times]
    waiting: Sequence[Waiting]


NOBODY: Final = Company({}, ())


class Missing:
    """One absence at work.

    Args:
        rule: Its rule.
        fields: What its own events carry.
        company: What is remembered.
    """

    def __init__(self, rule: Rule, fields: Sequence[str], company: Company) -> None:
        assert isinstance(rule.when, Absence)
        self._rule = rule
        self.when: Absence = rule.when
        self._fields = fields
        self._times = {key: list(times) for key, times in company.times.items()}
        self._waiting = sorted(company.waiting, key=_turn)
        self._oldest: list[tuple[int, Place]] | None = None
        self.forgotten = 0
        """How many groups and events were forgotten since this object was made."""

    @property
    def span_ns(self) -> int:
        """How long before and after an event together its company may be."""
        return self.when.before_ns + self.when.after_ns

    def take(self, event: Event, watermark_ns: int) -> None:
        """Take an event of a rule that it is over: one that waits, or company.

        Args:
            event: The event.
            watermark_ns: Time before which everything is decided.
        """
        key = key_of(self.when, event)
        if key is None:
            return
        if event.rule_id in self.when.unless:
            self.keep({key: (event.at_ns,)})
            self._bound(watermark_ns)
        if event.rule_id == self.when.trigger:
            insort(self._waiting, Waiting(event.at_ns + self.when.after_ns, event.seq, key, event), key=_turn)
            if len(self._waiting) > MAX_WAITING:
                del self._waiting[0]
                self.forgotten += 1

    def has_room(self, keys: Iterable[Place]) -> bool:
        """Say whether company of some groups can be kept without forgetting any."""
        return len(self._times.keys() | set(keys)) <= MAX_GROUPS

    def keep(self, company: Mapping[Place, Iterable[int]]) -> None:
        """Keep times of company, by group."""
        for key, times in company.items():
            kept = self._times.setdefault(key, [])
            for time in times:
                _insert(kept, time, self.span_ns)
            if self._oldest is not None:
                heapq.heappush(self._oldest, (kept[-1], key))

    def due_ns(self) -> int | None:
        """Say until when the first waits."""
        return self._waiting[0].until_ns if self._waiting else None

    def decide(self) -> Event | None:
        """Decide the event that waits first; give the absence's own event where it found no company."""
        until, _, key, event = self._waiting.pop(0)
        when, times = self.when, self._times.get(key, [])
        at = bisect_left(times, event.at_ns - when.before_ns)
        if at < len(times) and times[at] <= until:
            return None
        values = {field: event.values[field] for field in self._fields if field in event.values}
        return event._replace(
            rule_id=self._rule.rule_id,
            at_ns=until,
            values=values | dict(zip(when.group_by, key[1:], strict=True)),
            detail={
                "absent": ", ".join(when.unless),
                "before": f"{when.before_ns / 1e9:g}s",
                "after": f"{when.after_ns / 1e9:g}s",
            },
        )

    def _bound(self, watermark_ns: int) -> None:
        """Keep within the limit: company that is over goes unseen, as it is the oldest; then the oldest goes counted."""
        while len(self._times) > MAX_GROUPS:
            if self._oldest is None:
                self._oldest = [(times[-1], key) for key, times in self._times.items()]
                heapq.heapify(self._oldest)
            last, key = heapq.heappop(self._oldest)
            if key in self._times and self._times[key][-1] == last:
                del self._times[key]
                self.forgotten += 1 if last >= watermark_ns - self.span_ns else 0

    def _expire(self, watermark_ns: int) -> None:
        """Forget company that no event still to be decided can have; of what lies before all of them the latest stands."""
        decided = watermark_ns - self.when.after_ns
        kept = {}
        for key, times in self._times.items():
            first = max(0, bisect_right(times, decided) - 1)
            if times[first] < decided - self.when.before_ns:
                first += 1
            if first < len(times):
                kept[key] = times[first:]
        self._times = kept
        self._oldest = None

    def company(self, watermark_ns: int) -> Company:
        """Give what is to be remembered where everything before a time is decided."""
        self._expire(watermark_ns)
        return Company({key: tuple(times) for key, times in sorted(self._times.items())}, tuple(self._waiting))


def _turn(waiting: Waiting) -> tuple[int, int, Place]:
    """Order by what tells events apart; those that nothing does stay in the order in which they came."""
    return waiting[:3]


def _insert(times: list[int], time: int, span_ns: int) -> None:
    """Insert a time, leaving out those between two others no further apart than a span: what reaches one reaches another."""
    at = bisect_left(times, time)
    if at < len(times) and (times[at] == time or (at and times[at] - times[at - 1] <= span_ns)):
        return
    times.insert(at, time)
    if at + 2 < len(times) and times[at + 2] - time <= span_ns:
        del times[at + 1]
    if at > 1 and time - times[at - 2] <= span_ns:
        del times[at - 1]
