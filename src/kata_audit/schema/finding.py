"""The finding: what a rule says of records, and the words in which it says it.

A finding enters the store as a record of ours (receiver `kata-audit:finding`), its parts as attributes of that record. It
names the records that it rests on and the rule that judged them, so that anybody can judge them again (law L5).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

FINDING_EVENT = "detect.finding"
"""`event_name` of a finding's record."""
FINDING_KIND = "finding"
"""A finding's receiver is `kata-audit:finding`."""
MAX_RECORDS = 20
"""A finding names so many records at most: the first ones and the last; `count` tells how many there were."""


class Level(StrEnum):
    """How bad it is, in Sigma's words."""

    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Maturity(StrEnum):
    """How far a rule is trusted, in Sigma's words: in its first week at a place, only a stable rule calls people."""

    EXPERIMENTAL = "experimental"
    TEST = "test"
    STABLE = "stable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule found.

    `time_ns` is the time of the last record it rests on; `first_ns` that of the first. `records` are names
    `<origin>/<seq>` in order of `seq`. `claim` tells that it rests on a guest's text alone. `subject` is what it is about:
    columns of the record schema and their values, among them the rule's `group_by`. `detail` is what else the rule states,
    such as what was expected and from which days.
    """

    rule_id: str
    rule_digest: str
    title: str
    level: Level
    maturity: Maturity
    claim: bool
    node: str
    tenant: str
    first_ns: int
    time_ns: int
    count: int
    records: tuple[str, ...]
    subject: Mapping[str, str]
    detail: Mapping[str, str]

    @property
    def finding_id(self) -> str:
        """The finding's name: the same records judged by the same rule give the same."""
        return finding_id(self.rule_digest, self.records, self.count)


def finding_id(rule_digest: str, records: Sequence[str], count: int) -> str:
    """Name a finding.

    Returns:
        First 32 hex digits of SHA-256 of `kata-audit/finding/1`, the rule's digest, the count and the records' names, each
        behind a line end.
    """
    text = "\n".join(("kata-audit/finding/1", rule_digest, str(count), *records))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
