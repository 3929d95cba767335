"""The finding: what a rule says of records, and the words in which it says it.

A finding enters the store as a record of ours (receiver `kata-audit:finding`), its parts as attributes of that record. It
names the records that it rests on and the rule that judged them, so that anybody can judge them again (law L5).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kata_audit.schema.own import read_integer, read_prefixed, spell

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
    such as what was expected and from which days. `group_by` names the columns of `subject` that tell one alert of the rule
    from another; none means all of them.
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
    group_by: tuple[str, ...] = ()

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


SEVERITY_OF: dict[Level, str] = {
    Level.INFORMATIONAL: "INFO",
    Level.LOW: "INFO",
    Level.MEDIUM: "WARN",
    Level.HIGH: "ERROR",
    Level.CRITICAL: "FATAL",
}
"""The OTel word of a finding's record: its level is an attribute."""
_SUBJECT, _DETAIL = "finding.subject.", "finding.detail."


def to_line(finding: Finding) -> bytes:
    """Spell a finding as the record of ours that is spooled: the same finding gives the same bytes.

    `node` and `tenant` are columns of the record, and no part of the line.

    Args:
        finding: Its texts hold no lone surrogates, its `group_by` and `records` no commas.
    """
    attributes = {
        "finding.id": finding.finding_id,
        "finding.rule_id": finding.rule_id,
        "finding.rule_digest": finding.rule_digest,
        "finding.title": finding.title,
        "finding.level": str(finding.level),
        "finding.maturity": str(finding.maturity),
        "finding.claim": "true" if finding.claim else "false",
        "finding.first_ns": str(finding.first_ns),
        "finding.time_ns": str(finding.time_ns),
        "finding.count": str(finding.count),
        "finding.records": ",".join(finding.records),
        "finding.group_by": ",".join(finding.group_by),
        **{f"{_SUBJECT}{name}": value for name, value in sorted(finding.subject.items())},
        **{f"{_DETAIL}{name}": value for name, value in sorted(finding.detail.items())},
    }
    severity = SEVERITY_OF[finding.level]
    message = f"{finding.title} (claim)" if finding.claim else finding.title
    return spell(FINDING_EVENT, severity, message, time_ns=finding.time_ns, attributes=attributes)


def from_attributes(attributes: Mapping[str, str], *, node: str, tenant: str) -> Finding | None:
    """Read a finding back from its record.

    Args:
        attributes: Of a record of receiver `kata-audit:finding`.
        node: Of the record.
        tenant: Of the record.

    Returns:
        The finding; None where a part is missing or not in its form, or its name is not what its parts give.
    """
    try:
        found = Finding(
            rule_id=attributes["finding.rule_id"],
            rule_digest=attributes["finding.rule_digest"],
            title=attributes["finding.title"],
            level=Level(attributes["finding.level"]),
            maturity=Maturity(attributes["finding.maturity"]),
            claim={"true": True, "false": False}[attributes["finding.claim"]],
            node=node,
            tenant=tenant,
            first_ns=read_integer(attributes["finding.first_ns"]),
            time_ns=read_integer(attributes["finding.time_ns"]),
            count=read_integer(attributes["finding.count"]),
            records=_names(attributes["finding.records"]),
            subject=read_prefixed(attributes, _SUBJECT),
            detail=read_prefixed(attributes, _DETAIL),
            group_by=_names(attributes["finding.group_by"]),
        )
    except (KeyError, ValueError):
        return None
    return found if found.finding_id == attributes.get("finding.id") else None


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def subject_of(attributes: Mapping[str, str]) -> dict[str, str]:
    """Give what a finding is about, from the attributes of its record: columns and their values."""
    return read_prefixed(attributes, _SUBJECT)
