"""How one alert begins, grows with each finding, and begins again."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypeVar

from kata_audit.detect.alert_notices import labels_of
from kata_audit.detect.alert_policy import RANK
from kata_audit.schema.alert import Alert, Round, cluster_of
from kata_audit.schema.finding import Finding

_T = TypeVar("_T")
_MOST_NAMES: Final = 20
"""Findings, and records of evidence, that an alert names: the first ones and the newest."""
_MOST_ROUNDS: Final = 32
_MOST_PLACES: Final = 64
"""Places whose newest count an alert knows."""


def fingerprint_of(finding: Finding) -> str:
    """Name what a finding shares with others of one alert.

    Returns:
        First 16 hex digits of SHA-256 over `kata-audit/alert/1`, tenant, cluster, rule and the values that the rule groups
        by, each behind a line end and its length; where the finding states none of these, its node stands for them.
    """
    group = {name: finding.subject[name] for name in group_of(finding)}
    parts = [finding.tenant, cluster_of(finding.node), finding.rule_id]
    parts += [part for pair in sorted((group or {"node": finding.node}).items()) for part in pair]
    return _hash("kata-audit/alert/1", *parts)


def group_of(finding: Finding) -> tuple[str, ...]:
    """Name the columns by which a finding is told from others of its rule, as far as it states them."""
    return tuple(name for name in finding.group_by or sorted(finding.subject) if finding.subject.get(name))


def _hash(*parts: str) -> str:
    return hashlib.sha256("".join(f"{len(part)}:{part}\n" for part in parts).encode()).hexdigest()[:16]


def begin(finding: Finding, seq: int, now_ns: int) -> Alert:
    """Open an alert with its first finding."""
    fingerprint = fingerprint_of(finding)
    return Alert(
        alert_id=_hash("kata-audit/alert-id/1", fingerprint, finding.finding_id),
        fingerprint=fingerprint,
        rule_id=finding.rule_id,
        rule_digest=finding.rule_digest,
        title=finding.title,
        level=finding.level,
        maturity=finding.maturity,
        claim=finding.claim,
        tenant=finding.tenant,
        node=finding.node,
        group_by=group_of(finding),
        subject=dict(finding.subject),
        labels=labels_of(finding, cluster_of(finding.node)),
        first_ns=finding.first_ns,
        last_ns=finding.time_ns,
        said_ns=now_ns,
        count=finding.count,
        counted={_place(finding): finding.count},
        findings=(seq,),
        finding_ids=(finding.finding_id,),
        evidence=finding.records[:_MOST_NAMES],
        rounds=(Round(now_ns),),
    )


def grow(alert: Alert, finding: Finding, seq: int, now_ns: int) -> Alert:
    """Add a finding to an alert: the worst level counts, and one finding that a host saw makes it no claim."""
    is_worse = RANK[finding.level] > RANK[alert.level]
    evidence = (*alert.evidence, *(name for name in finding.records if name not in alert.evidence))
    return replace(
        alert,
        rule_digest=finding.rule_digest,
        title=finding.title,
        level=finding.level if is_worse else alert.level,
        maturity=finding.maturity,
        claim=alert.claim and finding.claim,
        subject={**finding.subject, **{name: value for name, value in alert.subject.items() if value}},
        first_ns=min(alert.first_ns, finding.first_ns),
        last_ns=max(alert.last_ns, finding.time_ns),
        said_ns=now_ns,
        count=alert.count + _more(alert.counted, finding),
        counted=_counted(alert.counted, finding),
        findings=_ends((*alert.findings, seq)),
        finding_ids=_ends((*alert.finding_ids, finding.finding_id)),
        evidence=_ends(evidence),
    )


def begin_again(alert: Alert, now_ns: int) -> Alert:
    """Open an alert that was closed."""
    rounds = (*alert.rounds, Round(now_ns))[-_MOST_ROUNDS:]
    return replace(alert, rounds=rounds, muted=None, muted_by="", escalate_ns=None, escalations=0, group_id="")


def is_worse(alert: Alert, before: Alert) -> bool:
    """Say whether an alert is worse than people were told: of a higher level, or no claim any more."""
    return RANK[alert.level] > RANK[before.level] or (before.claim and not alert.claim)


def _place(finding: Finding) -> str:
    return f"{finding.node} {finding.subject.get('sandbox_id', '')}"


def _more(counted: Mapping[str, int], finding: Finding) -> int:
    """Say how many there were since the last finding of the same place, whose count this one goes on from."""
    last = counted.get(_place(finding), 0)
    return finding.count - last if finding.count > last else finding.count


def _counted(counted: Mapping[str, int], finding: Finding) -> dict[str, int]:
    """Note the newest count of a place; of too many, those with the lowest counts are forgotten."""
    place = _place(finding)
    others = sorted(((count, name) for name, count in counted.items() if name != place), reverse=True)
    return {place: finding.count, **{name: count for count, name in others[: _MOST_PLACES - 1]}}


def _ends(values: tuple[_T, ...]) -> tuple[_T, ...]:
    """Keep the first ones and the newest."""
    half = _MOST_NAMES // 2
    return values if len(values) <= _MOST_NAMES else (*values[:half], *values[-half:])
