"""What people are told of alerts, groups and storms: short, and never a raw line of a log."""

from collections.abc import Mapping
from typing import Final

from kata_audit.detect.alert_state import Group, Storm
from kata_audit.schema.alert import Alert
from kata_audit.schema.finding import Finding
from kata_audit.schema.notice import MAX_EVIDENCE, MAX_LABEL, MAX_SUMMARY, MAX_TITLE, NOTICE_LABELS, Notice, NoticeKind
from kata_audit.schema.own import spell_time

_CLAIM: Final = "Claim: it rests on a guest's text alone."
_MOST_NAMES: Final = 20
"""Nodes that a group's summary names."""
_ABOUT: Final = ("k8s_namespace", "k8s_pod", "sandbox_id", "container_id", "node")


def clean(text: str, most: int) -> str:
    r"""Make a text of a log fit for a notice: visible characters alone, and not many.

    Example:
        >>> clean("web\x1b]0;-1", 8)
        'web�]0;…'
    """
    shown = "".join(character if character.isprintable() else "\ufffd" for character in text[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def labels_of(finding: Finding, cluster: str) -> dict[str, str]:
    """Give the labels of an alert that opens with a finding."""
    known = {**finding.subject, "tenant": finding.tenant, "cluster": cluster, "node": finding.node}
    return {name: clean(known[name], MAX_LABEL) for name in NOTICE_LABELS if known.get(name)}


def alert_notice(kind: NoticeKind, alert: Alert, now_ns: int, runbook_url: str) -> Notice:
    """Tell of one alert."""
    about = {**alert.subject, "node": alert.node}
    parts = [f"{name} {clean(about[name], MAX_LABEL)}" for name in _ABOUT if about.get(name)]
    times = "once" if alert.count == 1 else f"{alert.count} times"
    said = [f"Seen {times}, first {_short(alert.first_ns)}, last {_short(alert.last_ns)}."]
    if alert.claim:
        said.append(_CLAIM)
    if kind is NoticeKind.ESCALATED:
        said.append("Nobody has acknowledged it.")
    if alert.round.verdict is not None:
        said.append(f"Closed as {alert.round.verdict} by {clean(alert.round.closed_by, MAX_LABEL)}.")
    return Notice(
        kind=kind,
        alert_id=alert.alert_id,
        rule_id=alert.rule_id,
        level=alert.level,
        title=clean(alert.title, MAX_TITLE),
        claim=alert.claim,
        labels=alert.labels,
        summary=clean(" ".join([*said, ", ".join(parts)]), MAX_SUMMARY),
        runbook_url=runbook_url.replace("{rule_id}", alert.rule_id),
        evidence=alert.evidence[:MAX_EVIDENCE],
        time_ns=now_ns,
        starts_ns=alert.round.opened_ns,
        ends_ns=alert.round.closed_ns,
        count=alert.count,
    )


def group_notice(kind: NoticeKind, group: Group, evidence: tuple[str, ...], now_ns: int, runbook_url: str) -> Notice:
    """Tell of one cause at many places."""
    names = ", ".join(clean(node, MAX_LABEL) for node in group.nodes[:_MOST_NAMES])
    more = f" and {len(group.nodes) - _MOST_NAMES} more" if len(group.nodes) > _MOST_NAMES else ""
    said = [f"One cause: {len(group.members)} alerts of {group.rule_id} on {len(group.nodes)} nodes: {names}{more}."]
    if group.claim:
        said.append(_CLAIM)
    if kind is NoticeKind.ESCALATED:
        said.append("Nobody has acknowledged any of them.")
    return Notice(
        kind=kind,
        alert_id=group.group_id,
        rule_id=group.rule_id,
        level=group.level,
        title=clean(f"{group.title} ({len(group.members)} alerts)", MAX_TITLE),
        claim=group.claim,
        labels=_labels(group.tenant, group.cluster),
        summary=clean(" ".join(said), MAX_SUMMARY),
        runbook_url=runbook_url.replace("{rule_id}", group.rule_id),
        evidence=evidence[:MAX_EVIDENCE],
        time_ns=now_ns,
        starts_ns=group.first_ns,
        ends_ns=now_ns if kind is NoticeKind.RESOLVED else None,
        count=len(group.members),
    )


def storm_notice(storm: Storm, now_ns: int, *, is_over: bool) -> Notice:
    """Tell that alerts were only counted: when the first of them was, and at the end of the hour how many there were."""
    whose = f"rule {storm.rule_id}" if storm.rule_id else f"{storm.key.partition(':')[2]} alerts"
    counted = f"{storm.capped} were only counted." if is_over else "The rest of this hour is only counted."
    said = f"People were told of {storm.told} alerts of {whose} within an hour. {counted} `kata-audit alerts list` has all."
    return Notice(
        kind=NoticeKind.STORM,
        alert_id=storm.storm_id,
        rule_id=storm.rule_id or f"storm-{storm.key.partition(':')[2]}",
        level=storm.level,
        title=clean(f"Storm: more alerts of {whose} than people are told of", MAX_TITLE),
        claim=storm.claim,
        labels={},
        summary=f"{said} {_CLAIM}" if storm.claim else said,
        runbook_url="",
        evidence=(),
        time_ns=now_ns,
        starts_ns=storm.since_ns,
        ends_ns=now_ns if is_over else None,
        count=storm.capped,
    )


def _labels(tenant: str, cluster: str) -> Mapping[str, str]:
    known = {"tenant": tenant, "cluster": cluster}
    return {name: clean(value, MAX_LABEL) for name, value in known.items() if value}


def _short(ns: int) -> str:
    return f"{spell_time(ns)[:19]}Z"
