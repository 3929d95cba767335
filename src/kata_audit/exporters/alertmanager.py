"""Prometheus' Alertmanager: it groups, silences and routes; we tell it which alerts there are, again and again.

An alert there is its labels, so ours are few and never change while an alert lives. Alertmanager forgets an alert at its
`endsAt`; each telling moves that on, and so the alerts of a sender that is gone resolve by themselves.

Source: Alertmanager, OpenAPI description `api/v2/openapi.yaml`, `postAlerts`.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from kata_audit.clock import Clock
from kata_audit.errors import UsageError
from kata_audit.exporters.answers import judge
from kata_audit.exporters.authorization import bearer
from kata_audit.exporters.base import Delivery
from kata_audit.exporters.post import PostError, post
from kata_audit.exporters.settings import Destination
from kata_audit.exporters.text import instant, labels_of, plain
from kata_audit.schema.notice import MAX_EVIDENCE, MAX_LABEL, MAX_SUMMARY, MAX_TITLE, Notice, NoticeKind

KEEP_NS: Final = 5 * 60 * 1_000_000_000
"""How long Alertmanager keeps an alert that it is not told of again."""
REFRESH_NS: Final = 60 * 1_000_000_000
"""How often it is told again: four times may fail."""
_PATH: Final = "/api/v2/alerts"
_TOGETHER: Final = 64
"""Alerts in one POST."""


class Alertmanager:
    """Tells one Alertmanager.

    Args:
        one: Its settings.
        clock: For how long an alert is kept.
    """

    def __init__(self, one: Destination, clock: Clock) -> None:
        self._one, self._clock = one, clock

    def export(self, notices: Sequence[Notice]) -> Delivery:
        """Hand notices over; of one alert only the newest is told, as only that counts there."""
        together = notices[:_TOGETHER]
        newest = {notice.alert_id: notice for notice in together}
        delivery = self._tell(list(newest.values()), self._clock.now_ns())
        if delivery.refused and len(together) > 1:  # one of them is refused: find out which
            return self._tell(together[:1], self._clock.now_ns())
        return delivery._replace(taken=len(together)) if delivery.taken else delivery

    def refresh(self, notices: Sequence[Notice], now_ns: int) -> Delivery:
        """Tell again which alerts there are, before they resolve by themselves."""
        for first in range(0, len(notices), _TOGETHER):
            delivery = self._tell(notices[first : first + _TOGETHER], now_ns)
            if delivery.problem is not None:
                return delivery._replace(taken=first)
        return Delivery(len(notices))

    def _tell(self, notices: Sequence[Notice], now_ns: int) -> Delivery:
        body = json.dumps([alert_of(notice, now_ns) for notice in notices]).encode()
        try:
            headers = {"Content-Type": "application/json", **bearer(self._one)}
            answer = post(self._one, f"{(self._one.url or '').rstrip('/')}{_PATH}", body, headers)
        except (PostError, UsageError) as error:
            return Delivery(0, problem=str(error))
        return judge(answer, len(notices))


def alert_of(notice: Notice, now_ns: int) -> dict[str, Any]:
    """Spell a notice as an alert of Alertmanager.

    Args:
        notice: The newest of its alert.
        now_ns: From when it is kept, if it has not ended.
    """
    alive = notice.kind is NoticeKind.HEARTBEAT
    labels = {
        "alertname": "KataAuditHeartbeat" if alive else plain(notice.rule_id, MAX_LABEL),
        "severity": "none" if alive else str(notice.level),
        **{name: plain(value, MAX_LABEL) for name, value in labels_of(notice).items()},
    }
    if not alive:
        labels |= {"alert_id": plain(notice.alert_id, MAX_LABEL), "claim": str(notice.claim).lower()}
    annotations = {
        "title": plain(notice.title, MAX_TITLE),
        "summary": plain(notice.summary, MAX_SUMMARY),
        "runbook_url": notice.runbook_url,
        "evidence": ", ".join(plain(name, MAX_LABEL) for name in notice.evidence[:MAX_EVIDENCE]),
        "count": str(notice.count),
    }
    starts_ns = min(notice.starts_ns, now_ns)  # it refuses an end before the start, and the clock may have been put back
    ends_ns = now_ns + KEEP_NS if notice.ends_ns is None else max(notice.ends_ns, starts_ns + 1_000_000)
    return {
        "labels": labels,
        "annotations": {name: text for name, text in annotations.items() if text},
        "startsAt": instant(starts_ns),
        "endsAt": instant(ends_ns),
    }
