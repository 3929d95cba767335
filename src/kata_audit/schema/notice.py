"""The notice: what people, or the systems that call them, are told of an alert.

`detect/alerts.py` makes notices, `pipeline/deliver.py` keeps them until every destination has taken them, and `exporters/`
spell them in each destination's form. A notice is made once and saved before it is first sent, so that sending it again
sends the same `dedup_key`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kata_audit.schema.finding import Level

NOTICE_LABELS = ("tenant", "cluster", "node", "k8s_namespace", "k8s_pod", "sandbox_id")
"""The only labels a notice may have. They are few and do not change while an alert lives: receivers group by them."""
MAX_LABEL = 128
"""Characters of a label's value at most."""
MAX_TITLE = 200
"""Characters of a title at most."""
MAX_SUMMARY = 1_000
"""Characters of a summary at most: it says what is the matter, and quotes no whole record."""
MAX_EVIDENCE = 20
"""Names of records that a notice gives at most."""


class NoticeKind(StrEnum):
    """What happened to the alert."""

    FIRED = "fired"
    """It is new."""
    REPEATED = "repeated"
    """It is still there, and `count` has grown."""
    ESCALATED = "escalated"
    """Nobody acknowledged it in time."""
    REOPENED = "reopened"
    """It was closed, and is there again."""
    RESOLVED = "resolved"
    """It is over: a person closed it, or its time ran out."""
    STORM = "storm"
    """More alerts than anybody can read: this one stands for the rest."""
    HEARTBEAT = "heartbeat"
    """Delivery is alive; whoever watches calls when it stops."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell of one alert.

    `alert_id` is the same for all notices of one alert: what a receiver opens at the first and closes at `resolved`. Times
    are nanoseconds since the Unix epoch, UTC: `time_ns` when the notice was made, `starts_ns` when the alert began (it does
    not change while the alert lives), `ends_ns` when it ended, None while it has not. `labels` has names of `NOTICE_LABELS`
    alone, none of them empty. `evidence` are names of records, `<origin>/<seq>`. `claim` tells that it rests on a guest's
    text alone. No text holds a raw line of a log.
    """

    kind: NoticeKind
    alert_id: str
    rule_id: str
    level: Level
    title: str
    claim: bool
    labels: Mapping[str, str]
    summary: str
    runbook_url: str
    evidence: tuple[str, ...]
    time_ns: int
    starts_ns: int
    ends_ns: int | None
    count: int

    @property
    def dedup_key(self) -> str:
        """The notice's own name, 32 hex digits: a receiver that has seen it may forget the second."""
        parts = (self.alert_id, self.kind, self.time_ns, self.starts_ns, self.ends_ns or "", self.count)
        text = "\n".join(("kata-audit/notice/1", *(str(part) for part in parts)))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def notice_values(notice: Notice) -> dict[str, Any]:
    """Spell a notice as values of JSON; `read_notice` is the inverse."""
    return {
        "kind": str(notice.kind),
        "alert_id": notice.alert_id,
        "rule_id": notice.rule_id,
        "level": str(notice.level),
        "title": notice.title,
        "claim": notice.claim,
        "labels": dict(notice.labels),
        "summary": notice.summary,
        "runbook_url": notice.runbook_url,
        "evidence": list(notice.evidence),
        "time_ns": notice.time_ns,
        "starts_ns": notice.starts_ns,
        "ends_ns": notice.ends_ns,
        "count": notice.count,
    }


def read_notice(values: Mapping[str, Any]) -> Notice:
    """Read what `notice_values` spelled.

    Raises:
        KeyError: A value is missing.
        ValueError: A kind or a level is none that we know.
    """
    return Notice(
        kind=NoticeKind(values["kind"]),
        alert_id=values["alert_id"],
        rule_id=values["rule_id"],
        level=Level(values["level"]),
        title=values["title"],
        claim=values["claim"],
        labels=dict(values["labels"]),
        summary=values["summary"],
        runbook_url=values["runbook_url"],
        evidence=tuple(values["evidence"]),
        time_ns=values["time_ns"],
        starts_ns=values["starts_ns"],
        ends_ns=values["ends_ns"],
        count=values["count"],
    )
