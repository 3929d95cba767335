"""How often a rule speaks: the first ten times, then the 16th, 32nd, 64th … with the count so far.

Counted for each rule and group; after an hour of the stream's clock without one it starts anew. The clock is the host's, so
no guest can turn it. A guest that makes up groups shares one count for what is beyond `MAX_GROUPS` in its sandbox.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from kata_audit.detect.event import Event, name_records

FIRST: Final = 10
"""So many are told one by one."""
QUIET_NS: Final = 3_600_000_000_000
"""After so long without one, counting starts anew: one hour."""
MAX_GROUPS: Final = 64
"""Groups of one rule in one sandbox that have counts of their own."""
MAX_PLACES: Final = 4096
"""Sandboxes with counts of one rule; beyond, the one that was silent longest is forgotten."""
Place: TypeAlias = tuple[str, str, str | None]
"""Tenant, node, and the sandbox where it is known."""
Group: TypeAlias = tuple[str | None, ...]
"""Values of a rule's `group_by`."""
_SHARED: Final[Group] = ("", "shared")
"""Under this the groups beyond `MAX_GROUPS` are counted; that a group of two such values shares it costs it nothing."""


class Tally(NamedTuple):
    """A count, when it last grew, and what was not told yet: its first time, its records, and whether all are claims."""

    total: int
    last_ns: int
    first_ns: int
    records: tuple[int, ...]
    claim: bool


Tallies: TypeAlias = Mapping[Place, Mapping[Group, Tally]]
"""Counts of one rule, the place that grew last at the end."""


def is_told(count: int) -> bool:
    """Say whether the so-manieth is told."""
    return count <= FIRST or count & (count - 1) == 0


class Limit:
    """Counts of one rule.

    Args:
        tallies: The counts so far.
    """

    def __init__(self, tallies: Tallies) -> None:
        self._places = {place: dict(groups) for place, groups in tallies.items()}

    def count(self, event: Event, group_by: tuple[str, ...], clock_ns: int) -> Tally | None:
        """Count one more.

        Args:
            event: What the rule holds for.
            group_by: The rule's.
            clock_ns: The stream's clock, which never runs back.

        Returns:
            The count so far and what it rests on since the last one that was told; None where this one is not.
        """
        get = event.values.get
        place: Place = (event.tenant, event.node, get("sandbox_id"))
        groups = self._places[place] = self._places.pop(place, {})
        if len(self._places) > MAX_PLACES:
            del self._places[next(iter(self._places))]
        group: Group = tuple(get(field) for field in group_by)
        if group not in groups and len(groups) >= MAX_GROUPS:
            for old in [one for one, tally in groups.items() if clock_ns - tally.last_ns >= QUIET_NS]:
                del groups[old]
            group = group if len(groups) < MAX_GROUPS else _SHARED
        tally = _grown(groups.get(group), event, clock_ns)
        told = is_told(tally.total)
        groups[group] = tally._replace(records=(), claim=True) if told else tally
        return tally if told else None

    def tallies(self, clock_ns: int) -> Tallies:
        """Give the counts that still matter."""
        places = {}
        for place, groups in self._places.items():
            if live := {group: one for group, one in groups.items() if clock_ns - one.last_ns < QUIET_NS}:
                places[place] = live
        return places


def _grown(before: Tally | None, event: Event, clock_ns: int) -> Tally:
    if before is None or clock_ns - before.last_ns >= QUIET_NS:
        return Tally(1, clock_ns, event.first_ns, name_records(event.records), event.claim)
    first = min(before.first_ns, event.first_ns) if before.records else event.first_ns
    records = name_records((*before.records, *event.records))
    return Tally(before.total + 1, clock_ns, first, records, before.claim and event.claim)
