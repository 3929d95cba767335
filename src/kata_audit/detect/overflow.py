"""What the engine says of itself: that it had to forget, and so may have missed something."""

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from kata_audit.detect.event import Event
from kata_audit.schema.finding import Finding, Level, Maturity

OVERFLOW_RULE: Final = "KA-ENGINE-OVERFLOW"
"""Rule id of such a finding."""
OVERFLOW_DIGEST: Final = hashlib.sha256(b"kata-audit/engine-overflow/1").hexdigest()
QUIET_NS: Final = 3_600_000_000_000
"""It is told once an hour at most for each rule that forgets."""


class Forgotten(NamedTuple):
    """How much a rule forgot so far, and when that was last told; `told_ns` is -1 before the first time."""

    total: int
    told_ns: int


class Overflows:
    """Counts what was forgotten, and tells it now and then.

    Args:
        forgotten: The counts so far, by the name of what forgets.
    """

    def __init__(self, forgotten: Mapping[str, Forgotten]) -> None:
        self.forgotten = dict(forgotten)

    def count(self, key: str, rule_id: str, more: int, event: Event, origin: str) -> Finding | None:
        """Count what was forgotten when an event came; give a finding where it is time for one.

        Args:
            key: Name of what forgets, kept between cuts.
            rule_id: Name of what forgets, for people.
            more: How much it forgot now.
            event: The event that had no room.
            origin: The log's name.
        """
        total, told = self.forgotten.get(key, Forgotten(0, -1))
        total += more
        if told >= 0 and event.at_ns - told < QUIET_NS:
            self.forgotten[key] = Forgotten(total, told)
            return None
        self.forgotten[key] = Forgotten(total, event.at_ns)
        return Finding(
            rule_id=OVERFLOW_RULE,
            rule_digest=OVERFLOW_DIGEST,
            title="Detection had to forget what it was counting",
            level=Level.MEDIUM,
            maturity=Maturity.STABLE,
            claim=False,
            node=event.node,
            tenant=event.tenant,
            first_ns=event.first_ns,
            time_ns=event.time_ns,
            count=total,
            records=tuple(f"{origin}/{seq}" for seq in event.records),
            subject={"node": event.node},
            detail={"rule": rule_id, "forgotten": str(total)},
        )
