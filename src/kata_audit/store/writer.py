"""The one writer of a store: bytes become durable evidence, and durable evidence becomes sealed.

`append` returns once its records are on the disk. `seal` goes in one order: states saved, segments durable and read back,
entry durable in the log, checkpoint signed and durable; only then the spool is trimmed. Whatever ends the process in
between, the next `open_writer` finds every acknowledged record exactly once, sealed or waiting.
"""

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from kata_audit.clock import Clock
from kata_audit.errors import SegmentMismatchError, StoreError, StoreStoppedError
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.own import own_rows
from kata_audit.schema.record import EVIDENCE_SCHEMA, EvidenceRows
from kata_audit.store import inbox
from kata_audit.store.compact import Merged, choose, merge
from kata_audit.store.cut import Batch, Cut, CutCheck, PendingCut, join_rows, keep_within_entry, stream_id
from kata_audit.store.durable import FULL, Disk, FsyncError, RealDisk, discard, explain, refuse, tidy
from kata_audit.store.layout import Layout, segment_name
from kata_audit.store.live import Live
from kata_audit.store.log import TileLog
from kata_audit.store.opening import Opened, locked, make_root, open_parts
from kata_audit.store.recover import Recovery
from kata_audit.store.segment import Head, check_segment, commit_batch, write_segment
from kata_audit.store.spool import Spool
from kata_audit.store.states import Saved, newest_cursors, save
from kata_audit.tlog.entry import encode_entry

__all__ = ["Batch", "Cut", "SeqRange", "Writer", "open_writer"]


class SeqRange(NamedTuple):
    """Numbers `[first, end)` that `append` gave."""

    first: int
    end: int


class Writer:
    """A store that is open for writing. Make it with `open_writer`.

    Attributes:
        recovery: What the last writer left and how it was put right.
    """

    def __init__(self, opened: Opened, *, disk: Disk, layout: Layout, clock: Clock) -> None:
        self._disk, self._layout, self._clock = disk, layout, clock
        self._log: TileLog = opened.log
        self._live: Live = opened.live
        self._spool: Spool = opened.spool
        self._saved: Saved = opened.saved
        self._cursors: dict[str, Cursor] = {**opened.saved.cursors, **opened.spooled_cursors}
        self._pending: PendingCut | None = None
        self._stopped = False
        self.recovery: Recovery = opened.recovery

    @property
    def origin(self) -> str:
        """The log's name; `<origin>/<seq>` names a record everywhere and for ever."""
        return self._live.origin

    @property
    def next_seq(self) -> int:
        """The number that the next record gets."""
        return self._spool.end

    @property
    def sealed_to(self) -> int:
        """The number after the last sealed record."""
        return self._live.sealed_to

    @property
    def spooled_bytes(self) -> int:
        """Bytes in the spool that wait to be sealed."""
        return self._spool.waiting_bytes

    @property
    def checkpoint(self) -> bytes:
        """The newest signed checkpoint, a C2SP note."""
        return self._log.checkpoint

    def states(self) -> Mapping[str, bytes]:
        """Give the states that the last sealed cut saved; empty where they are lost and must be rebuilt."""
        return dict(self._saved.states)

    def last_cursors(self) -> Mapping[str, Cursor]:
        """Give the newest durable cursor of each stream: a receiver goes on at its `end`."""
        return dict(self._cursors)

    def forget(self, streams: Iterable[str]) -> None:
        """Keep the cursors of streams no longer: they have ended, and nobody will go on with them."""
        for stream in streams:
            self._cursors.pop(stream, None)

    def append(self, rows: EvidenceRows) -> SeqRange:
        """Make rows durable and give them their numbers: one call is one group commit.

        Args:
            rows: Evidence in order; what stands in `seq` is replaced. No rows are no act.

        Returns:
            Their numbers. From now on they survive any crash.

        Raises:
            StoreError: The disk is full; nothing was taken, and the same rows may be given again.
            StoreStoppedError: The disk failed; open the store again and go on from `last_cursors`.
        """
        self._check_running()
        if rows.schema != EVIDENCE_SCHEMA or any(rows.column(number).null_count for number in range(1, rows.num_columns)):
            raise TypeError("append takes EVIDENCE_SCHEMA without nulls beside seq")
        first = self._spool.end
        if rows.num_rows:
            numbers = pa.array(range(first, first + rows.num_rows), pa.uint64())
            self._spool.append(rows.set_column(0, EVIDENCE_SCHEMA.field(0), numbers))
            self._cursors.update(newest_cursors(rows, self._cursors))
        return SeqRange(first, self._spool.end)

    def take_inbox(self) -> EvidenceRows | None:
        """Take in what commands have left: records of ours, durable when this returns, each once whatever happens.

        Returns:
            What was taken, without its numbers; None where nothing waits. A long queue takes several calls.

        Raises:
            StoreError: The inbox cannot be read, or the disk is full; what was not taken waits.
            StoreStoppedError: The disk failed; open the store again.
        """
        self._check_running()
        try:
            claimed = inbox.claim(self._disk, self._layout, self._spool.end, self._clock.now_ns())
            if not claimed:
                return None
            rows = join_rows([own_rows(one.kind, [one.said]) for one in claimed])
            self.append(rows)
        except StoreStoppedError:
            raise  # whether the records are in is told by the names, once the store is opened again
        except StoreError:
            self._give_back()
            raise
        except OSError as error:
            self._give_back()
            self._stopped = self._stopped or isinstance(error, FsyncError)
            raise explain(error, doing="take in what waits", where=self._layout.inbox, stopped=self._stopped) from error
        inbox.release(self._disk, claimed)
        return rows

    def _give_back(self) -> None:
        """Give messages that were not taken in their names back: a later record is about to get their numbers."""
        try:
            inbox.settle(self._disk, self._layout, self._spool.end)
        except OSError:
            self._stopped = True

    def unsealed(self, *, max_rows: int = 65_536, max_bytes: int = 64 << 20) -> tuple[Cut, EvidenceRows] | None:
        """Read the next cut's records back from the spool.

        Args:
            max_rows: Most records of the cut.
            max_bytes: Most bytes of `raw`; one record may be longer.

        Returns:
            The cut and its records, which are none where all of it is lost (`seal` it with no batches: the log then says
            so). None where nothing waits.

        Raises:
            StoreError: The spool cannot be read.
        """
        self._check_running()
        self._pending = None
        found = self._spool.take(max_rows=max_rows, max_bytes=max_bytes)
        if found is None:
            return None
        first, end, pieces, gaps = found
        self._pending = keep_within_entry(PendingCut(Cut(first, end), join_rows(pieces), tuple(gaps)))
        return self._pending.cut, self._pending.evidence

    def waiting(self) -> Iterator[EvidenceRows]:
        """Read every record that is durable and not sealed, a frame at a time.

        Raises:
            StoreError: The spool cannot be read.
        """
        return self._spool.waiting()

    def seal(self, cut: Cut, batches: Iterable[Batch], *, derive: str, states: Mapping[str, bytes]) -> bytes:
        """Commit a cut to the log.

        Args:
            cut: What `unsealed` returned last.
            batches: Its records by stream, one batch each; taken one at a time, so that they may be made one at a time.
            derive: Version of what filled the derived columns.
            states: What must outlive the cut, by name.

        Returns:
            The signed checkpoint that covers the cut.

        Raises:
            StoreError: A batch is not what was handed out, or the disk is full; nothing is sealed, the cut stays unsealed.
            StoreStoppedError: The disk failed; open the store again, which finds the cut sealed or unsealed.
        """
        self._check_running()
        pending = self._pending
        if pending is None or pending.cut != cut:
            raise RuntimeError("seal takes the cut that unsealed returned last")
        newest = newest_cursors(pending.evidence, self._saved.cursors)
        kept = {stream: cursor for stream, cursor in {**self._saved.cursors, **newest}.items() if stream in self._cursors}
        saved = Saved(dict(states), kept)
        written: list[Path] = []
        try:
            written.append(save(self._disk, self._layout, cut.end, saved))
            stated = self._write_batches(pending, batches, written)
        except Exception as error:
            for path in written:
                tidy(self._disk, path)
            if not isinstance(error, OSError | SegmentMismatchError):
                raise
            raise self._fail(error) from error
        entry = self._spell_cut(pending, stated, derive)
        try:
            note = self._log.append(encode_entry(entry))
        except OSError as error:
            self._stopped = True
            raise explain(error, doing="write its log", where=self._layout.log, stopped=True) from error
        self._settle(entry, saved)
        return note

    def compact(self, *, all_of_them: bool = False, between: Callable[[], object] = int) -> int:
        """Merge small segments, as long as there is something to merge.

        Args:
            all_of_them: Merge wherever two segments of a stream are small enough; else only where eight of one size are.
            between: Called now and then while a merge goes on; it may append, and must not seal.

        Returns:
            How many segments were merged away.

        Raises:
            StoreError: A segment is damaged or the disk is full; nothing is lost.
            StoreStoppedError: The disk failed; open the store again.
        """
        self._check_running()
        gone = 0
        while (plan := choose(self._live, all_of_them=all_of_them)) is not None:
            try:
                merged = merge(self._disk, self._layout, self._live, plan, between=between)
            except OSError as error:
                raise self._fail(error) from error
            self._replace(merged)
            gone += len(merged.inputs) - 1
        return gone

    def _replace(self, merged: Merged) -> None:
        """Commit a merged segment to the log, and only then delete what it replaces."""
        entry = {
            "t": "compact",
            "v": 1,
            "time": max(self._live.time_ns, self._clock.now_ns()),
            "inputs": list(merged.inputs),
            "outputs": [
                {
                    "name": merged.name,
                    "bytes": merged.mark.bytes,
                    "sha256": merged.mark.sha256,
                    "batches": list(merged.batches),
                }
            ],
        }
        try:
            self._log.append(encode_entry(entry))
        except OSError as error:
            self._stopped = True
            raise explain(error, doing="write its log", where=self._layout.log, stopped=True) from error
        self._live.apply(entry)
        try:
            for name in merged.inputs:
                discard(self._disk, self._layout.segment(name))
        except OSError:
            self._stopped = True  # the entry is sealed: whoever opens the store next removes what is left
        pa.default_memory_pool().release_unused()

    def close(self) -> None:
        """Let go of the store; everything acknowledged is durable already."""
        self._stopped = True
        self._spool.close()

    def _check_running(self) -> None:
        if self._stopped or self._spool.stopped:
            raise refuse(self._layout.root)

    def _fail(self, error: OSError | SegmentMismatchError) -> StoreError:
        """Say what a failure before the entry means: a full disk leaves everything as it was, any other stops us."""
        if isinstance(error, SegmentMismatchError):
            error = OSError(errno.EIO, "the disk gave other bytes back than it was given")
        self._stopped = isinstance(error, FsyncError) or error.errno not in FULL
        return explain(error, doing="write a segment", where=self._layout.segments, stopped=self._stopped)

    def _write_batches(self, pending: PendingCut, batches: Iterable[Batch], written: list[Path]) -> list[dict[str, Any]]:
        """Write each batch as a segment and read it back; return what the entry says of them."""
        check = CutCheck(pending)
        stated: list[dict[str, Any]] = []
        for batch in batches:
            check.take(batch)
            n = self._live.next_batch + len(stated)
            stream = stream_id(self.origin, batch.tenant, batch.retention_class)
            sealed = commit_batch(n, batch.rows, os.urandom(32))
            name = segment_name(stream, n, n, os.urandom(4).hex())
            path = self._layout.segment(name)
            written.append(path)
            head = Head(stream, batch.tenant, batch.retention_class, (sealed.head,))
            mark = write_segment(self._disk, path, head, sealed.rows, sealed.leaves)
            check_segment(path, mark, {n: sealed.head.root})
            file = {"name": name, "bytes": mark.bytes, "sha256": mark.sha256}
            root = sealed.head.root.hex()
            stated.append({"n": n, "stream": stream, "records": sealed.head.records, "root": root, "file": file})
        check.finish()
        return stated

    def _spell_cut(self, pending: PendingCut, stated: list[dict[str, Any]], derive: str) -> dict[str, Any]:
        return {
            "t": "cut",
            "v": 1,
            # Times are claims and never run backwards; order is by number.
            "time": max(self._live.time_ns, self._clock.now_ns()),
            "from": pending.cut.first,
            "to": pending.cut.end,
            "derive": derive,
            "batches": stated,
            "gaps": [{"from": gap.first, "to": gap.end, "reason": gap.reason} for gap in pending.gaps],
        }

    def _settle(self, entry: Mapping[str, Any], saved: Saved) -> None:
        """Go on from a cut that is sealed; what cannot be tidied now is tidied when the store is opened next."""
        self._live.apply(entry)
        self._saved, self._pending = saved, None
        try:
            self._spool.trim(entry["to"])
            discard(self._disk, self._layout.state_file(entry["from"]))
        except OSError:
            self._stopped = True
        pa.default_memory_pool().release_unused()


@contextmanager
def open_writer(
    root: Path, *, clock: Clock, node: str | None = None, create: bool = True, disk: Disk | None = None
) -> Iterator[Writer]:
    """Open a store as its one writer, and put right what the last one left.

    Args:
        root: The store's directory.
        clock: Gives entries their times.
        node: Goes into a new log's name; the host's name otherwise.
        create: Make a new store where there is none.
        disk: What all writing goes through; the operating system's by default.

    Raises:
        StoreLockedError: Another process writes to it.
        LayoutVersionError: It is of another version.
        StoreError: It is missing, or its disk or keys do not allow it.
        VerificationError: Its log is not what its checkpoint says; nothing was signed.
    """
    disk, layout = disk or RealDisk(), Layout(root)
    make_root(disk, layout, create=create)
    with locked(layout):
        writer = Writer(open_parts(disk, layout, clock, node), disk=disk, layout=layout, clock=clock)
        try:
            yield writer
        finally:
            writer.close()
