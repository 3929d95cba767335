"""The stream of events: put in order, and led through the correlations and absences over their rules.

What a rule over others holds for is an event again, for the rules over it. Everything happens in the order of the events'
times, then of their records, whatever the cuts.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from kata_audit.detect.absence import NOBODY, Company, Missing
from kata_audit.detect.correlation import Correlating, Windows
from kata_audit.detect.event import Event
from kata_audit.detect.ordering import MAX_LATE_NS, Ordering
from kata_audit.detect.rule import Absence, Correlation
from kata_audit.detect.ruleset import Ruleset
from kata_audit.detect.sources import Sources

FOREVER: Final = (1 << 63) - 1
"""A watermark that lets everything go."""
ORDER: Final = "order"
"""What forgets an event's place: too many waited for theirs, and later ones went on before it."""


class Memory(NamedTuple):
    """What the stream remembers between cuts, each rule's under its key.

    `watermark_ns` is the time before which no event is to come, `released_ns` that up to which events were given out in
    order, `held` are those that wait for their place, and `late` is how many came behind the watermark.
    """

    watermark_ns: int = 0
    released_ns: int = 0
    held: tuple[tuple[str, Event], ...] = ()
    windows: Mapping[str, Windows] = MappingProxyType({})
    companies: Mapping[str, Company] = MappingProxyType({})
    late: int = 0


class Lost(NamedTuple):
    """So much was forgotten by a rule, or by the order of events, when an event came."""

    rule_id: str
    more: int
    event: Event


class Stream:
    """The stream during one cut.

    Args:
        rules: The rules.
        memory: What was remembered. What belongs to rules that are no more is dropped.
        sources: Who speaks: an absence is none where nobody would have told.
    """

    def __init__(self, rules: Ruleset, memory: Memory, sources: Sources) -> None:
        self._rules = rules
        self._sources = sources
        self.late = memory.late
        """How many events came behind the watermark."""
        self.watermark_ns = memory.watermark_ns
        held = [event for key, event in memory.held if rules.keys.get(event.rule_id) == key]
        self._ordering = Ordering(held, memory.released_ns)
        self._correlating: dict[str, Correlating] = {}
        self.missing: dict[str, Missing] = {}
        """The absences, by their rules."""
        for rule_id, rule in rules.rules.items():
            key, fields = rules.keys[rule_id], rules.fields[rule_id]
            if isinstance(rule.when, Correlation):
                self._correlating[rule_id] = Correlating(rule, fields, memory.windows.get(key, {}))
            elif isinstance(rule.when, Absence):
                self.missing[rule_id] = Missing(rule, fields, memory.companies.get(key, NOBODY))
        self._due = self._next_due()

    def add(self, event: Event) -> Iterator[Event | Lost]:
        """Take an event of a rule on records that others are over; give what follows at once, where too many wait."""
        values = {field: event.values[field] for field in self._rules.fields[event.rule_id] if field in event.values}
        if event.at_ns < self.watermark_ns:
            self.late += 1
            if event.at_ns < self.watermark_ns - MAX_LATE_NS:
                return
        event = event._replace(values=values, at_ns=max(event.at_ns, self.watermark_ns))
        readers = self._rules.readers[event.rule_id]
        for reader in readers:
            if reader.rule_id in self.missing:
                yield from self._seek(reader.rule_id, event)
        if any(reader.rule_id in self._correlating for reader in readers):
            if event.at_ns < self._ordering.watermark_ns:
                yield Lost(ORDER, 1, event)
            if self._ordering.add(event):
                yield from self._release()

    def advance(self, watermark_ns: int) -> Iterator[Event | Lost]:
        """Go on to a time before which no event is to come; give what rules over others hold for."""
        while True:
            first, due = self._ordering.next_ns(), self._due
            if first is not None and first <= watermark_ns and (due is None or first <= due[0]):
                yield from self._release()
            elif due is not None and due[0] < watermark_ns:
                self._ordering.pass_by(due[0])
                fired = self.missing[due[1]].decide()
                self._due = self._next_due()
                if fired is not None and self._sources.are_there(self._rules.rules[due[1]], due[0]):
                    fired = fired._replace(at_ns=self._ordering.watermark_ns)
                    yield fired
                    yield from self._lead(fired)
            else:
                break
        end = watermark_ns if watermark_ns != FOREVER else self._ordering.watermark_ns
        self.watermark_ns = max(self.watermark_ns, end)

    def _release(self) -> Iterator[Event | Lost]:
        """Give the first event that waits its place."""
        event = self._ordering.pop()
        self._ordering.pass_by(event.at_ns)
        yield from self._lead(event, directly=False)

    def _next_due(self) -> tuple[int, str] | None:
        """Say which absence is due first, and when."""
        due = [(time, rule_id) for rule_id, one in self.missing.items() if (time := one.due_ns()) is not None]
        return min(due, default=None)

    def _seek(self, rule_id: str, event: Event) -> Iterator[Lost]:
        """Let an absence take an event."""
        missing = self.missing[rule_id]
        before = missing.forgotten
        missing.take(event, self.watermark_ns)
        self._due = self._next_due()
        if missing.forgotten != before:
            yield Lost(rule_id, missing.forgotten - before, event)

    def _lead(self, event: Event, *, directly: bool = True) -> Iterator[Event | Lost]:
        """Lead an event through the rules over its own, and what they hold for through those over them.

        Args:
            event: The event, at its place.
            directly: Whether absences over its own rule have it still to come: events of records they had on arrival.
        """
        coming = deque((event,))
        while coming:
            one = coming.popleft()
            for reader in self._rules.readers[one.rule_id]:
                working = self._correlating.get(reader.rule_id)
                if working is None:
                    if directly or one is not event:
                        yield from self._seek(reader.rule_id, one)
                    continue
                before = working.forgotten
                fired = working.take(one)
                if fired is not None:
                    yield fired
                    coming.append(fired)
                if working.forgotten != before:
                    yield Lost(reader.rule_id, working.forgotten - before, one)

    def memory(self) -> Memory:
        """Give what is to be remembered."""
        released = self._ordering.watermark_ns
        windows = {self._rules.keys[rule_id]: one.windows(released) for rule_id, one in self._correlating.items()}
        decided = self.watermark_ns
        companies = {self._rules.keys[rule_id]: one.company(decided) for rule_id, one in self.missing.items()}
        return Memory(
            decided,
            released,
            tuple((self._rules.keys[event.rule_id], event) for event in self._ordering.held),
            {key: one for key, one in windows.items() if one},
            {key: one for key, one in companies.items() if one.times or one.waiting},
            self.late,
        )
