"""What delivery says of itself to the destinations: that it is alive, and trials."""

from typing import Final

from kata_audit.schema.finding import Level
from kata_audit.schema.notice import Notice, NoticeKind

_SECOND: Final = 1_000_000_000


def heartbeat(node: str, now: int, age_ns: int, waiting: int) -> Notice:
    """Make a heartbeat.

    Args:
        node: `<cluster>/<node name>` of who is alive.
        now: When, in nanoseconds since the Unix epoch.
        age_ns: How old the newest checkpoint is.
        waiting: How many notices wait.
    """
    summary = f"The newest checkpoint is {age_ns // _SECOND} s old; {waiting} notices wait."
    return _own(node, now, NoticeKind.HEARTBEAT, "Delivery of alerts is alive", summary)


def trial(node: str, now_ns: int) -> tuple[Notice, Notice]:
    """Make the notices of an alert that is none, for trying a destination: that it is there, and that it is over."""
    title, summary = "A trial of delivery", "Somebody tries whether this place is told of alerts. Nothing is the matter."
    return (
        _own(node, now_ns, NoticeKind.FIRED, title, summary),
        _own(node, now_ns, NoticeKind.RESOLVED, title, summary),
    )


def _own(node: str, now: int, kind: NoticeKind, title: str, summary: str) -> Notice:
    """Make a notice that is about delivery itself."""
    cluster, _, name = node.rpartition("/")
    labels = {"cluster": cluster, "node": name}
    return Notice(
        kind=kind,
        alert_id=f"{'heartbeat' if kind is NoticeKind.HEARTBEAT else 'trial'}-{node}",
        rule_id="heartbeat" if kind is NoticeKind.HEARTBEAT else "trial",
        level=Level.INFORMATIONAL,
        title=title,
        claim=False,
        labels={key: value for key, value in labels.items() if value},
        summary=summary,
        runbook_url="",
        evidence=(),
        time_ns=now,
        starts_ns=now,
        ends_ns=now if kind is NoticeKind.RESOLVED else None,
        count=1,
    )
