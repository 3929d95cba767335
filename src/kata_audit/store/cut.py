"""The cut: a range of records on its way from the spool to segments, and the proof that nothing was lost on it."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.errors import StoreError
from kata_audit.schema.record import EVIDENCE_SCHEMA, RECORD_SCHEMA, EvidenceRows, RecordRows
from kata_audit.store.spool import Gap

_SLICE_ROWS = 4096
MAX_TENANTS = 20
MAX_GAPS = 64
"""An entry says about 340 bytes of a batch and 70 of a gap: seven classes of these tenants stay below 65,535 bytes."""


class Cut(NamedTuple):
    """The records `[first, end)`, sealed by one log entry."""

    first: int
    end: int


class Batch(NamedTuple):
    """The records of one stream in one cut, in order of `seq`."""

    tenant: str
    retention_class: str
    rows: RecordRows


class PendingCut(NamedTuple):
    """A cut that was handed out: what `seal` must get back."""

    cut: Cut
    evidence: EvidenceRows
    gaps: tuple[Gap, ...]


def stream_id(origin: str, tenant: str, retention_class: str) -> str:
    """Name a stream opaquely: the log is public, tenants are not.

    Returns:
        First 16 hex digits of SHA-256 of `kata-audit/stream/1`, origin, tenant and class, a line end between them.
    """
    name = f"kata-audit/stream/1\n{origin}\n{tenant}\n{retention_class}"
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def join_rows(pieces: Sequence[EvidenceRows]) -> EvidenceRows:
    """Put pieces together one column at a time, so that at no time all of them are there twice."""
    if not pieces:
        return _no_rows()
    if len(pieces) == 1:
        return pieces[0]
    columns = [pa.concat_arrays([piece.column(number) for piece in pieces]) for number in range(len(EVIDENCE_SCHEMA))]
    return pa.RecordBatch.from_arrays(columns, schema=EVIDENCE_SCHEMA)


def _no_rows() -> EvidenceRows:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in EVIDENCE_SCHEMA], schema=EVIDENCE_SCHEMA)


class CutCheck:
    """Hold batches, as they come, against the records that were handed out (L2, L3).

    Args:
        pending: What was handed out.
    """

    def __init__(self, pending: PendingCut) -> None:
        self._pending = pending
        self._streams: set[tuple[str, str]] = set()
        self._used: list[Any] = []

    def take(self, batch: Batch) -> None:
        """Check one batch: known records in order, their evidence untouched, one stream's only.

        Raises:
            StoreError: A stage lost, doubled, reordered or changed a record.
        """
        rows, evidence = batch.rows, self._pending.evidence
        stream = (batch.tenant, batch.retention_class)
        if rows.num_rows == 0 or rows.schema != RECORD_SCHEMA or stream in self._streams:
            raise self._broken("a batch is empty, repeated or has other columns")
        places = pc.index_in(rows["seq"], evidence["seq"])
        if places.null_count or not places.equals(places.take(pc.sort_indices(places))):
            raise self._broken("a batch is out of order")
        for start in range(0, rows.num_rows, _SLICE_ROWS):
            given = rows.slice(start, _SLICE_ROWS).select(EVIDENCE_SCHEMA.names)
            if not given.equals(evidence.take(places.slice(start, _SLICE_ROWS))):
                raise self._broken("a stage changed evidence")
        if pc.any(pc.not_equal(rows["tenant"], batch.tenant)).as_py():
            raise self._broken("a record is in another tenant's batch")
        self._streams.add(stream)
        self._used.append(places)

    def finish(self) -> None:
        """Check that every record came, once.

        Raises:
            StoreError: A record is missing or came twice.
        """
        total = self._pending.evidence.num_rows
        used = pa.concat_arrays(self._used) if self._used else pa.array([], pa.int32())
        if len(used) != total or pc.count_distinct(used).as_py() != total:
            raise self._broken("records were lost or doubled")

    def _broken(self, what: str) -> StoreError:
        cut = self._pending.cut
        return StoreError(
            f"The cut cannot be sealed: {what} between the spool and the seal.",
            where=f"records {cut.first} to {cut.end - 1}",
            hint="This is a defect of ours: report it. The records are safe in the spool.",
        )


def keep_within_entry(pending: PendingCut) -> PendingCut:
    """Shorten a cut whose entry could grow past the log's limit: at most `MAX_TENANTS` and `MAX_GAPS`."""
    end, rows = pending.cut.end, pending.evidence
    tenants = pc.unique(rows["tenant"])
    if len(tenants) > MAX_TENANTS:
        end = rows["seq"][pc.index(rows["tenant"], tenants[MAX_TENANTS]).as_py()].as_py()
    if len(pending.gaps) > MAX_GAPS:
        end = min(end, pending.gaps[MAX_GAPS].first)
    if end == pending.cut.end:
        return pending
    kept = rows.slice(0, pc.sum(pc.less(rows["seq"], end)).as_py() or 0)
    return PendingCut(Cut(pending.cut.first, end), kept, tuple(gap for gap in pending.gaps if gap.first < end))
