"""Events in the order of their times, though they come otherwise: each waits until the watermark has passed its time.

Where too many wait, the first goes on before its turn, and what comes for an earlier place takes one behind it.
"""

import heapq
from collections.abc import Sequence
from typing import Final

from kata_audit.detect.event import Event

MAX_HELD: Final = 50_000
"""Events that wait for their place."""


MAX_LATE_NS: Final = 600_000_000_000
"""So far from its time an event may be placed: ten minutes. What is older did not happen together with what happens now."""


class Ordering:
    """Events that wait for their place.

    Args:
        held: Those that waited before.
        watermark_ns: The time up to which events were given out.
    """

    def __init__(self, held: Sequence[Event], watermark_ns: int) -> None:
        self._held = [(event.at_ns, event.seq, event.rule_id, event) for event in held]
        heapq.heapify(self._held)
        self.watermark_ns = watermark_ns

    def add(self, event: Event) -> bool:
        """Let an event wait; say whether too many do."""
        if event.at_ns < self.watermark_ns:
            event = event._replace(at_ns=self.watermark_ns)
        heapq.heappush(self._held, (event.at_ns, event.seq, event.rule_id, event))
        return len(self._held) > MAX_HELD

    def pass_by(self, time_ns: int) -> None:
        """Let the watermark pass a time; it never goes back."""
        self.watermark_ns = max(self.watermark_ns, time_ns)

    def next_ns(self) -> int | None:
        """Say the time of the first."""
        return self._held[0][0] if self._held else None

    def pop(self) -> Event:
        """Take the first out."""
        return heapq.heappop(self._held)[3]

    @property
    def held(self) -> tuple[Event, ...]:
        """Those that wait, in their order."""
        return tuple(one[3] for one in sorted(self._held, key=lambda one: one[:3]))
