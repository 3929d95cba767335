"""The one door for what we say ourselves: rows under a receiver's name that nothing else can have."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa

from kata_audit.clock import Clock
from kata_audit.parse.dialects.own import spell
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.record import EVIDENCE_SCHEMA, EvidenceRows
from kata_audit.schema.source import OWN_RECEIVER

_NS = 1_000_000_000


class OwnRecords:
    """Makes records of ours of one kind.

    Args:
        kind: The kind: it ends the receiver's name, `kata-audit:<kind>`.
        node: Of which node they are.
        tenant: Whose they are.
        clock: When they are said.
    """

    def __init__(self, kind: str, *, node: str, tenant: str, clock: Clock) -> None:
        self._receiver, self._node, self._tenant, self._clock = f"{OWN_RECEIVER}:{kind}", node, tenant, clock
        self._said: list[tuple[int, bytes]] = []
        self._last_ns = 0

    def say(self, event: str, severity: str, message: str, **attributes: str) -> None:
        """Note one record; `rows` gives it out."""
        now = self._last_ns = max(self._clock.now_ns(), self._last_ns + 1)
        time = datetime.fromtimestamp(now // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{now % _NS:09d}Z"
        self._said.append((now, spell(event, severity, message, time=time, **attributes)))

    def rows(self) -> EvidenceRows:
        """Give what was said since the last call, as evidence with null `seq`; its place in its stream is its time."""
        said, self._said = self._said, []
        cursors = [str(Cursor(self._receiver, now, len(raw))) for now, raw in said]
        return pa.RecordBatch.from_arrays(
            [
                pa.nulls(len(said), pa.uint64()),
                pa.array([now for now, _ in said], pa.int64()).cast(pa.timestamp("ns", tz="UTC")),
                *(pa.array([text] * len(said), pa.string()) for text in (self._node, self._receiver)),
                pa.array(cursors, pa.string()),
                pa.array([raw for _, raw in said], pa.large_binary()),
                pa.array([self._tenant] * len(said), pa.string()),
            ],
            schema=EVIDENCE_SCHEMA,
        )

    @property
    def waiting(self) -> int:
        """How many records wait to be given out."""
        return len(self._said)


def together(parts: Sequence[EvidenceRows]) -> EvidenceRows:
    """Put rows of several streams together, in the order given."""
    return parts[0] if len(parts) == 1 else pa.Table.from_batches(parts, EVIDENCE_SCHEMA).combine_chunks().to_batches()[0]
