"""Absences on the stream: an event without the company it should have, told once the stream is past the time for it.

Events come in their order. An event that does not state a value of `group_by` takes no part. Beyond the limits below what
waits longest is forgotten undecided, and that is counted.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from kata_audit.detect.event import Event, Place, key_of
from kata_audit.detect.rule import Absence, Rule

MAX_GROUPS: Final = 20_000
"""Groups of one absence whose last company is remembered."""
MAX_WAITING: Final = 10_000
"""Events of one absence that wait for company."""


class Waiting(NamedTuple):
    """An event that waits for company until a time."""

    until_ns: int
    key: Place
    event: Event


class Company(NamedTuple):
    """What is remembered: of each group when its last company came, and what waits, in the order of its time."""

    last: Mapping[Place, int]
    waiting: Sequence[Waiting]


NOBODY: Final = Company({}, ())
_Held: TypeAlias = dict[int, Waiting]


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
        self._when: Absence = rule.when
        self._fields = fields
        self._last = dict(company.last)
        self._waiting: _Held = dict(enumerate(company.waiting))
        self._next = len(self._waiting)
        self._of_group: dict[Place, list[int]] = {}
        for number, one in self._waiting.items():
            self._of_group.setdefault(one.key, []).append(number)
        self.forgotten = 0
        """How many groups and events were forgotten since this object was made."""

    def take(self, event: Event) -> None:
        """Take an event of a rule that it is over: one that waits, or company."""
        key = key_of(self._when, event)
        if key is None:
            return
        if event.rule_id in self._when.unless:
            self._last.pop(key, None)
            self._last[key] = event.at_ns
            for number in self._of_group.pop(key, ()):
                del self._waiting[number]
            if len(self._last) > MAX_GROUPS:
                self._bound(event.at_ns)
        last = self._last.get(key)
        alone = last is None or last < event.at_ns - self._when.before_ns
        if event.rule_id == self._when.trigger and alone:
            self._waiting[self._next] = Waiting(event.at_ns + self._when.after_ns, key, event)
            self._of_group.setdefault(key, []).append(self._next)
            self._next += 1
            if len(self._waiting) > MAX_WAITING:
                self._pop()
                self.forgotten += 1

    def due_ns(self) -> int | None:
        """Say until when the first waits."""
        return next(iter(self._waiting.values())).until_ns if self._waiting else None

    def fire(self) -> Event:
        """Give the absence's own event for the one that waited first and found no company."""
        until, key, event = self._pop()
        values = {field: event.values[field] for field in self._fields if field in event.values}
        when = self._when
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

    def _pop(self) -> Waiting:
        number = next(iter(self._waiting))
        waited = self._waiting.pop(number)
        group = self._of_group[waited.key]
        group.remove(number)
        if not group:
            del self._of_group[waited.key]
        return waited

    def _bound(self, now_ns: int) -> None:
        self._expire(now_ns)
        while len(self._last) > MAX_GROUPS:
            del self._last[next(iter(self._last))]
            self.forgotten += 1

    def _expire(self, now_ns: int) -> None:
        """Forget company that came too early for any event to come."""
        while self._last and next(iter(self._last.values())) < now_ns - self._when.before_ns:
            del self._last[next(iter(self._last))]

    def company(self, watermark_ns: int) -> Company:
        """Give what is to be remembered where no event before a time is to come."""
        self._expire(watermark_ns)
        return Company(self._last, tuple(self._waiting.values()))
