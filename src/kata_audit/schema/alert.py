"""The alert: findings of one rule about one thing, and what people made of it.

An alert is no record: it is what a fold over findings and acts gives (`detect/alerts.py`), the same for whoever folds them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from kata_audit.schema.act import Verdict
from kata_audit.schema.finding import Level, Maturity
from kata_audit.schema.own import spell_time

ALERT_FIELDS = (
    *("alert_id", "rule_id", "level", "status", "claim", "cluster", "node"),
    *("sandbox_id", "k8s_namespace", "k8s_pod", "first_seen", "last_seen", "count"),
)
"""What `alerts list` gives of each alert, in this order."""


class Status(StrEnum):
    """How an alert stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    """Somebody looks at it."""
    CLOSED = "closed"
    SILENCED = "silenced"
    """Open, and a silence keeps it from calling people."""
    INHIBITED = "inhibited"
    """Open, and a worse alert of the same sandbox calls people already."""
    SHADOW = "shadow"
    """Open, and its rule is not trusted here yet."""


class Muted(StrEnum):
    """Why people are not told of an open alert."""

    SHADOW = "shadow"
    SILENCED = "silenced"
    INHIBITED = "inhibited"
    CAPPED = "capped"
    """There was a storm: it is one of those that were only counted."""


@dataclass(frozen=True, slots=True)
class Round:
    """One time that an alert was open: from its first finding, or its opening again, to its closing.

    Times are those of the records, in nanoseconds since the Unix epoch; `told_ns` is when people were told of it first.
    """

    opened_ns: int
    told_ns: int | None = None
    acked_ns: int | None = None
    acked_by: str = ""
    closed_ns: int | None = None
    closed_by: str = ""
    verdict: Verdict | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    `fingerprint` is what its findings share: rule, tenant, cluster and the values that the rule groups by. `group_by` names
    them. `subject` is what it is about: of each column the first value that a finding gave. `labels` are fixed when it
    opens. `first_ns` and `last_ns` are times of events; all others are when a record was said. `counted` is the newest count
    of each place, because a finding's count goes on from the last. `findings` are `seq` of its findings' records, and
    `evidence` names of the records that they rest on: the first ones and the newest. `told_ns` is when people were last
    told. `escalate_ns` is when the next people are called, None while nobody needs to be.
    """

    alert_id: str
    fingerprint: str
    rule_id: str
    rule_digest: str
    title: str
    level: Level
    maturity: Maturity
    claim: bool
    tenant: str
    node: str
    group_by: tuple[str, ...]
    subject: Mapping[str, str]
    labels: Mapping[str, str]
    first_ns: int
    last_ns: int
    said_ns: int
    count: int
    counted: Mapping[str, int]
    findings: tuple[int, ...]
    finding_ids: tuple[str, ...]
    evidence: tuple[str, ...]
    rounds: tuple[Round, ...]
    muted: Muted | None = None
    muted_by: str = ""
    told_ns: int | None = None
    told: int = 0
    escalate_ns: int | None = None
    escalations: int = 0
    group_id: str = ""

    @property
    def round(self) -> Round:
        """The time that it is open now, or was last."""
        return self.rounds[-1]

    @property
    def is_closed(self) -> bool:
        """Whether it is closed."""
        return self.round.closed_ns is not None

    @property
    def cluster(self) -> str:
        """The cluster of its node; empty where the node names none."""
        return cluster_of(self.node)

    @property
    def status(self) -> Status:
        """How it stands."""
        if self.is_closed:
            return Status.CLOSED
        if self.round.acked_ns is not None:
            return Status.ACKNOWLEDGED
        return Status.OPEN if self.muted in (None, Muted.CAPPED) else Status(str(self.muted))


def cluster_of(node: str) -> str:
    """Give the cluster of a node's name.

    Example:
        >>> cluster_of("lab/worker-1")
        'lab'
    """
    return node.rpartition("/")[0]


def alert_fields(alert: Alert) -> dict[str, str | int | bool]:
    """Give what `alerts list` says of an alert: all of `ALERT_FIELDS`, what is not known as an empty text."""
    return {
        "alert_id": alert.alert_id,
        "rule_id": alert.rule_id,
        "level": str(alert.level),
        "status": str(alert.status),
        "claim": alert.claim,
        "cluster": alert.cluster,
        "node": alert.node,
        "sandbox_id": alert.subject.get("sandbox_id", ""),
        "k8s_namespace": alert.subject.get("k8s_namespace", ""),
        "k8s_pod": alert.subject.get("k8s_pod", ""),
        "first_seen": spell_time(alert.first_ns),
        "last_seen": spell_time(alert.last_ns),
        "count": alert.count,
    }
