"""Findings and acts for tests to change, and the rows in which they are spooled."""

from collections.abc import Sequence

from kata_audit.schema import own
from kata_audit.schema.act import Act, ActKind
from kata_audit.schema.finding import Finding, Level, Maturity
from kata_audit.schema.record import EvidenceRows

HOUR = 3600 * 1_000_000_000
START_NS = 1_795_000_000_000_000_000
FINDING = Finding(
    rule_id="KA-008",
    rule_digest="ab" * 32,
    title="A policy refused a request",
    level=Level.HIGH,
    maturity=Maturity.STABLE,
    claim=False,
    node="lab/node",
    tenant="default",
    first_ns=START_NS,
    time_ns=START_NS + 5,
    count=2,
    records=("kata-audit/lab/node/00112233/4", "kata-audit/lab/node/00112233/9"),
    subject={"sandbox_id": "5a" * 32, "k8s_namespace": "shop", "k8s_pod": "web-1"},
    detail={"expected": "none"},
    group_by=("sandbox_id",),
)
ACT = Act(act_id="0f" * 16, kind=ActKind.ACK, time_ns=START_NS + 9, user="root", reason="I look at it.", target="a1" * 8)


def own_rows(kind: str, lines: Sequence[bytes], *, said_ns: int = START_NS, node: str = "lab/node") -> EvidenceRows:
    """Give lines of ours as rows, each said a nanosecond after the one before."""
    return own.own_rows(kind, [own.Said(said_ns + at, node, "default", line) for at, line in enumerate(lines)])
