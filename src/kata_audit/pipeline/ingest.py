"""Ingest: receive, split, mask, append, acknowledge; then derive and seal. Nothing here decides anything else.

Everything before `append` returns may be lost in a crash and is read again; everything after is the store's promise. A
receiver is acknowledged only behind that line (law L4), and a stream that was taken before goes on behind its last durable
record.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pyarrow.compute as pc

from kata_audit.clock import Clock
from kata_audit.pipeline.derive import DERIVE_VERSION, Derive, batches, evidence_of
from kata_audit.pipeline.judging import Judge
from kata_audit.receivers.base import Receiver
from kata_audit.receivers.file import STDIN_STREAM
from kata_audit.schema.cursor import Cursor, parse_cursor
from kata_audit.schema.record import EvidenceRows
from kata_audit.store.writer import Writer

_NS = 1_000_000_000
_ASK_NS = _NS
"""How often the inbox is looked at where nothing else comes."""


class CutPolicy(NamedTuple):
    """When the next cut closes: records, bytes of `raw`, or seconds since the last one, whichever comes first.

    The bytes bound the memory of a seal: a cut's evidence, its derived columns and one batch's copy are held at once.
    """

    max_records: int = 65_536
    max_bytes: int = 12 << 20
    max_age_secs: float = 5.0


class Taken(NamedTuple):
    """What became of one stream.

    `records` were appended now; `resumed_at` is the byte it was resumed at, 0 for a new stream; `nothing_new` tells that
    the whole stream was known.
    """

    stream: str
    records: int
    raw_bytes: int
    resumed_at: int

    @property
    def nothing_new(self) -> bool:
        """Whether every byte of the stream was in the store already."""
        return self.records == 0 and self.resumed_at > 0


class Sealer:
    """Seals cuts of a writer as its policy says.

    Args:
        writer: The store's one writer.
        policy: When cuts close.
        derive: Makes records of evidence.
        clock: For the age of a cut.
        after_seal: Called after each sealed cut: the place for tending the store.
        judge: Takes each cut past the rules before it is sealed; without one, what an earlier one knew is kept.
    """

    def __init__(
        self,
        writer: Writer,
        policy: CutPolicy,
        derive: Derive,
        clock: Clock,
        after_seal: Callable[[], object],
        *,
        judge: Judge | None = None,
    ) -> None:
        self._writer = writer
        self._derive = derive
        self._policy = policy
        self._clock = clock
        self._after_seal = after_seal
        self._judge = judge
        self._waiting = writer.next_seq - writer.sealed_to
        self._waiting_bytes = 0
        self._since_ns = self._asked_ns = clock.now_ns()

    def appended(self, rows: EvidenceRows) -> None:
        """Count what was appended and seal what is due: where as much again would not fit, so that a cut is whole groups."""
        size = self.noted(rows)
        full = self._waiting >= self._policy.max_records or self._waiting_bytes + size > self._policy.max_bytes
        if full or self._is_old():
            self.seal_all()

    def _is_old(self) -> bool:
        return self._has_passed(self._since_ns, int(self._policy.max_age_secs * _NS))

    def _has_passed(self, since_ns: int, span_ns: int) -> bool:
        """Say whether a span is over; one that began in the future is, because the clock was set back."""
        return not 0 <= self._clock.now_ns() - since_ns < span_ns

    def noted(self, rows: EvidenceRows) -> int:
        """Count what was appended, and seal nothing; give its bytes."""
        size = int(pc.sum(pc.binary_length(rows.column("raw"))).as_py() or 0)
        self._waiting += rows.num_rows
        self._waiting_bytes += size
        return size

    def seal_due(self) -> None:
        """Seal what has waited long enough, where nothing new has come.

        Look what commands have left, and judge what only time decides.
        """
        if self._has_passed(self._asked_ns, _ASK_NS):
            self._take_inbox()
        if (self._waiting and self._is_old()) or (self._judge is not None and self._judge.pass_time()):
            self.seal_all()

    def seal_all(self) -> None:
        """Seal every record that was acknowledged when this began, and what judging them found.

        What commands have left is taken in first; what is appended meanwhile waits.
        """
        self._take_inbox()
        self._seal_to(self._writer.next_seq)
        if self._judge is not None and self._writer.sealed_to < self._writer.next_seq:
            self._seal_to(self._writer.next_seq)

    def finish(self) -> int:
        """Seal every record, and judge what waited for the end of the input; give how many findings there were."""
        self.seal_all()
        if self._judge is None:
            return 0
        if self._judge.flush():
            self.seal_all()
        return self._judge.told

    def _seal_to(self, end: int) -> None:
        self._since_ns = self._clock.now_ns()
        self._waiting, self._waiting_bytes = 1, 0  # where sealing fails, it is tried again when that is due by time
        while (
            self._writer.sealed_to < end
            and (found := self._writer.unsealed(max_rows=self._policy.max_records, max_bytes=self._policy.max_bytes))
            is not None
        ):
            cut, evidence = found
            records = self._derive(evidence)
            states = self._writer.states() if self._judge is None else self._judge.judge(records)
            sealing = batches(records)
            del evidence, records, found
            self._writer.seal(cut, sealing, derive=DERIVE_VERSION, states=states)
            if self._judge is not None:
                self._judge.settle()
            self._after_seal()
        self._waiting = self._writer.next_seq - self._writer.sealed_to

    def _take_inbox(self) -> None:
        """Take in what commands have left for the writer."""
        self._asked_ns = self._clock.now_ns()
        while (rows := self._writer.take_inbox()) is not None:
            self.noted(rows)


def take(receiver: Receiver, writer: Writer, sealer: Sealer, *, key: bytes) -> Iterator[Taken]:
    """Take one stream into the store.

    Args:
        receiver: Whose stream to take.
        writer: The store's one writer.
        sealer: Seals what is due.
        key: Key of the fingerprints in masks.

    Returns:
        How far it is, after each durable group and at the end.

    Raises:
        ReceiverError: The input failed; what was durable stays.
        StoreError: The store failed; nothing more was promised.
    """
    known = writer.last_cursors().get(receiver.stream)
    start = 0 if known is None else known.end if known.line is None else known.line
    behind = known.end if known is not None else 0
    taken = Taken(receiver.stream, 0, 0, behind)
    resumes_inside = start != behind
    for evidence in evidence_of(receiver, start=start, key=key):
        rows = behind_only(evidence, behind) if resumes_inside else evidence
        if not rows.num_rows:
            continue
        resumes_inside = False
        writer.append(rows)
        last = parse_cursor(rows.column("cursor")[-1].as_py())
        assert last is not None
        receiver.acknowledge(last)
        taken = taken._replace(records=taken.records + rows.num_rows, raw_bytes=taken.raw_bytes + last.end - behind)
        behind = last.end
        sealer.appended(rows)
        yield taken
    if receiver.stream.startswith(STDIN_STREAM):
        writer.forget([receiver.stream])
    yield taken


def behind_only(rows: EvidenceRows, offset: int) -> EvidenceRows:
    """Leave out rows that end at a byte of their stream or before: what was durable already."""
    ends = [_end(cursor) for cursor in rows.column("cursor").to_pylist()]
    first = next((index for index, end in enumerate(ends) if end > offset), len(ends))
    return rows.slice(first)


def _end(text: str) -> int:
    cursor = parse_cursor(text)
    return cursor.end if isinstance(cursor, Cursor) else 0
