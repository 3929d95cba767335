"""What alerts say of rules: how often each calls people, how often it is right, and how long people need."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kata_audit.schema.act import Verdict
from kata_audit.schema.alert import Alert, Round, Status

_NS = 1_000_000_000


class RuleStatistics(NamedTuple):
    """One rule in numbers.

    Args:
        rule_id: The rule.
        alerts: Alerts of it.
        events: How often it saw something.
        told: How often people were told of one of its alerts.
        open: Alerts that are not closed.
        true_positive: Closings with this verdict; the other three likewise.
        false_positive: See above.
        benign: See above.
        duplicate: See above.
        precision: Right ones of those that were right or wrong; None where nobody has judged any.
        ack_secs: Median seconds from telling people to an acknowledgement; None without any.
        close_secs: Median seconds from opening to closing; None without any.
    """

    rule_id: str
    alerts: int
    events: int
    told: int
    open: int
    true_positive: int
    false_positive: int
    benign: int
    duplicate: int
    precision: float | None
    ack_secs: float | None
    close_secs: float | None


def rule_statistics(alerts: Iterable[Alert]) -> list[RuleStatistics]:
    """Count alerts by rule, the rule that tells people most first."""
    by_rule: dict[str, list[Alert]] = {}
    for alert in alerts:
        by_rule.setdefault(alert.rule_id, []).append(alert)
    found = [_of_rule(rule_id, listed) for rule_id, listed in by_rule.items()]
    return sorted(found, key=lambda one: (-one.told, -one.alerts, one.rule_id))


def _of_rule(rule_id: str, alerts: Sequence[Alert]) -> RuleStatistics:
    rounds = [one for alert in alerts for one in alert.rounds]
    verdicts = {verdict: sum(one.verdict is verdict for one in rounds) for verdict in Verdict}
    right, wrong = verdicts[Verdict.TRUE_POSITIVE], verdicts[Verdict.FALSE_POSITIVE]
    return RuleStatistics(
        rule_id=rule_id,
        alerts=len(alerts),
        events=sum(alert.count for alert in alerts),
        told=sum(alert.told for alert in alerts),
        open=sum(alert.status is not Status.CLOSED for alert in alerts),
        true_positive=right,
        false_positive=wrong,
        benign=verdicts[Verdict.BENIGN],
        duplicate=verdicts[Verdict.DUPLICATE],
        precision=right / (right + wrong) if right + wrong else None,
        ack_secs=_median([secs for one in rounds if (secs := _ack_secs(one)) is not None]),
        close_secs=_median([(one.closed_ns - one.opened_ns) / _NS for one in rounds if one.closed_ns is not None]),
    )


def _ack_secs(one: Round) -> float | None:
    if one.acked_ns is None:
        return None
    since = one.opened_ns if one.told_ns is None else one.told_ns
    return max(one.acked_ns - since, 0) / _NS


def _median(values: list[float]) -> float | None:
    if not values:
        return None
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2
