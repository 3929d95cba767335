"""What alerts may ask of people: every number and every table that decides whether somebody is called."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kata_audit.schema.finding import Level

MINUTE_NS: Final = 60 * 1_000_000_000
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS

RANK: Final = {level: rank for rank, level in enumerate(Level)}
"""Levels by how bad they are."""
INHIBITED_BY: Final = {
    Level.INFORMATIONAL: (Level.HIGH, Level.CRITICAL),
    Level.LOW: (Level.HIGH, Level.CRITICAL),
    Level.MEDIUM: (Level.HIGH, Level.CRITICAL),
    Level.HIGH: (Level.CRITICAL,),
    Level.CRITICAL: (),
}
"""Which levels keep an alert of a level from calling people, where both are of one sandbox.

A claim inhibits claims alone: what a guest writes hides nothing that a host saw. A claim is inhibited by an alert of its own
rule too, where a host saw the same in the same sandbox.
"""
ESCALATIONS: Final = 3
"""How often an alert is escalated by itself."""
UPDATE_NS: Final = 5 * MINUTE_NS
"""How often people are told of a group that grows."""


class Lane(StrEnum):
    """Who shares the hour's room of the storm cap: nothing that a guest can make takes room from what a host saw."""

    CRITICAL = "critical"
    HIGH = "high"
    OTHER = "other"
    CLAIM = "claim"


def lane_of(level: Level, *, claim: bool) -> Lane:
    """Say whose room of the storm cap an alert takes."""
    if claim:
        return Lane.CLAIM
    return {Level.CRITICAL: Lane.CRITICAL, Level.HIGH: Lane.HIGH}.get(level, Lane.OTHER)


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """What may be configured of alerts, `[alerts]`."""

    shadow_days: float = 7.0
    """Days from the first finding on in which only rules of maturity `stable` call people."""
    reopen_hours: float = 24.0
    """Hours after closing in which a finding opens the same alert again; later it is a new one."""
    repeat_hours: float = 4.0
    """Hours until people are told again of an open alert that nobody has acknowledged and that goes on."""
    inhibit_minutes: float = 60.0
    """Minutes after its last finding that an alert keeps lower ones of its sandbox from calling people."""
    group_nodes: int = 3
    """Nodes on which one rule must open alerts to be told as one."""
    group_alerts: int = 5
    """Alerts of one rule, wherever they are, to be told as one."""
    group_minutes: float = 10.0
    """Minutes in which they must open."""
    storm_rule: int = 20
    """Alerts of one rule that people are told of in an hour; the rest is counted."""
    storm_all: int = 50
    """Alerts of one lane (critical, high, other, claims) that people are told of in an hour; the rest is counted."""
    escalate_critical_minutes: float = 15.0
    """Minutes until a critical alert that nobody acknowledged calls the next people."""
    escalate_high_minutes: float = 60.0
    """The same of a high one."""
    escalate_medium_minutes: float = 24 * 60.0
    """The same of a medium one."""
    escalate_low_minutes: float = 5 * 24 * 60.0
    """The same of a low one."""
    runbook_url: str = ""
    """Where people read what to do; `{rule_id}` in it becomes the rule's id."""

    def escalate_ns(self, level: Level) -> int | None:
        """Say after how long an alert of a level is escalated; None for one that calls nobody."""
        minutes = {
            Level.CRITICAL: self.escalate_critical_minutes,
            Level.HIGH: self.escalate_high_minutes,
            Level.MEDIUM: self.escalate_medium_minutes,
            Level.LOW: self.escalate_low_minutes,
        }.get(level)
        return None if minutes is None else int(minutes * MINUTE_NS)
