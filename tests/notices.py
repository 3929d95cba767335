"""A notice for tests to change."""

from kata_audit.schema.finding import Level
from kata_audit.schema.notice import Notice, NoticeKind

NOTICE = Notice(
    kind=NoticeKind.FIRED,
    alert_id="9f86d081884c7d65",
    rule_id="KA-008",
    level=Level.HIGH,
    title="A policy refused a request",
    claim=False,
    labels={"cluster": "prod", "node": "worker-1"},
    summary="ExecProcessRequest was refused 3 times.",
    runbook_url="https://runbooks.example/KA-008",
    evidence=("prod/17", "prod/19"),
    time_ns=1_795_000_000_500_000_000,
    starts_ns=1_795_000_000_000_000_000,
    ends_ns=None,
    count=3,
)
