"""From records of ours to what alerts are folded of: findings and acts, each with its number and when it was said."""

from typing import Any, Final, NamedTuple

import pyarrow as pa

from kata_audit.detect.alerts import SaidAct, SaidFinding
from kata_audit.schema import act, finding
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import OWN_RECEIVER

SAID_COLUMNS: Final = ("seq", "observed_timestamp", "node", "receiver", "tenant", "attributes")
"""What is read of a record."""
SAID_KINDS: Final = (finding.FINDING_KIND, act.ACT_KIND)
"""Whose records they are: of the receivers `kata-audit:<kind>`, which no sender can have."""
_FINDINGS, _ACTS = (f"{OWN_RECEIVER}:{kind}" for kind in SAID_KINDS)


class Read(NamedTuple):
    """What records say, in order; `unread` of them are of these receivers and say nothing that can be read."""

    findings: list[SaidFinding]
    acts: list[SaidAct]
    unread: int


def read_said(rows: RecordRows) -> Read:
    """Read findings and acts.

    Args:
        rows: Records in order of `seq`, at least `SAID_COLUMNS`; those of other receivers are passed over.
    """
    said_ns = rows.column("observed_timestamp").cast(pa.int64()).to_pylist()
    found = Read([], [], 0)
    columns = [rows.column(name).to_pylist() for name in ("seq", "receiver", "node", "tenant", "attributes")]
    for seq, ns, receiver, node, tenant, pairs in zip(columns[0], said_ns, *columns[1:], strict=True):
        if receiver not in (_FINDINGS, _ACTS):
            continue
        attributes: dict[str, Any] = dict(pairs or ())
        if receiver == _FINDINGS:
            one = finding.from_attributes(attributes, node=node, tenant=tenant)
            if one is not None:
                found.findings.append(SaidFinding(seq, ns, one))
        else:
            done = act.from_attributes(attributes)
            if done is not None:
                found.acts.append(SaidAct(seq, ns, done))
    unread = sum(receiver in (_FINDINGS, _ACTS) for receiver in columns[1]) - len(found.findings) - len(found.acts)
    return found._replace(unread=unread)
