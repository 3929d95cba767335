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
from kata_audit.detect.ordering import Ordering
from kata_audit.detect.rule import Absence, Correlation
from kata_audit.detect.ruleset import Ruleset

FOREVER: Final = (1 << 63) - 1
"""A watermark that lets everything go."""
ORDER: Final = "order"
"""What forgets when too many events wait for their place."""


class Memory(NamedTuple):
    """What the stream remembers between cuts, each rule's under its key.

    `watermark_ns` is the time up to which events were given out in order, `held` are those that wait for their place, and
    `late` is how many came behind the watermark.
    """

    watermark_ns: int = 0
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
    """

    def __init__(self, rules: Ruleset, memory: Memory) -> None:
        self._rules = rules
        self._late = memory.late
        held = [event for key, event in memory.held if rules.keys.get(event.rule_id) == key]
        self._ordering = Ordering(held, memory.watermark_ns)
        self._correlating: dict[str, Correlating] = {}
        self._missing: dict[str, Missing] = {}
        for rule_id, rule in rules.rules.items():
            key, fields = rules.keys[rule_id], rules.fields[rule_id]
            if isinstance(rule.when, Correlation):
                self._correlating[rule_id] = Correlating(rule, fields, memory.windows.get(key, {}))
            elif isinstance(rule.when, Absence):
                self._missing[rule_id] = Missing(rule, fields, memory.companies.get(key, NOBODY))

    def add(self, event: Event) -> Iterator[Event | Lost]:
        """Take an event of a rule on records; give what follows at once, because too many wait."""
        if not self._rules.readers[event.rule_id]:
            return
        if self._ordering.add(event):
            first = self._ordering.next_ns()
            assert first is not None
            yield Lost(ORDER, 1, event)
            yield from self.advance(first)

    def advance(self, watermark_ns: int) -> Iterator[Event | Lost]:
        """Go on to a time, behind which no event is to come in its place; give what rules over others hold for."""
        while True:
            first, due = self._ordering.next_ns(), self._due()
            if first is not None and first <= watermark_ns and (due is None or first <= due[0]):
                self._ordering.pass_by(first)
                yield from self._lead(self._ordering.pop())
            elif due is not None and due[0] < watermark_ns:
                self._ordering.pass_by(due[0])
                fired = self._missing[due[1]].fire()
                yield fired
                yield from self._lead(fired)
            else:
                break
        if watermark_ns != FOREVER:
            self._ordering.pass_by(watermark_ns)

    def _due(self) -> tuple[int, str] | None:
        """Say which absence is due first, and when."""
        due = [(time, rule_id) for rule_id, one in self._missing.items() if (time := one.due_ns()) is not None]
        return min(due, default=None)

    def _lead(self, event: Event) -> Iterator[Event | Lost]:
        """Lead an event through the rules over its own, and what they hold for through those over them."""
        coming = deque((event,))
        while coming:
            one = coming.popleft()
            for reader in self._rules.readers[one.rule_id]:
                rule_id = reader.rule_id
                working = self._correlating.get(rule_id)
                if working is not None:
                    before = working.forgotten
                    fired = working.take(one)
                    if fired is not None:
                        yield fired
                        coming.append(fired)
                    forgotten = working.forgotten - before
                else:
                    missing = self._missing[rule_id]
                    before = missing.forgotten
                    missing.take(one)
                    forgotten = missing.forgotten - before
                if forgotten:
                    yield Lost(rule_id, forgotten, one)

    def memory(self) -> Memory:
        """Give what is to be remembered."""
        watermark = self._ordering.watermark_ns
        windows = {self._rules.keys[rule_id]: one.windows(watermark) for rule_id, one in self._correlating.items()}
        companies = {self._rules.keys[rule_id]: one.company(watermark) for rule_id, one in self._missing.items()}
        return Memory(
            watermark,
            tuple((self._rules.keys[event.rule_id], event) for event in self._ordering.held),
            {key: one for key, one in windows.items() if one},
            {key: one for key, one in companies.items() if one.last or one.waiting},
            self._late + self._ordering.late,
        )
