"""Collect: follow every source for as long as the process lives, and lose nothing that the sources still have.

One thread, one loop: what has come of all sources becomes one group commit. A source that fails is opened again later,
behind its last durable record; the others go on. A full disk, or a spool at its limit, stops the reading, so that journal
and files keep what they have, until there is room again. Only what cannot wait is read on, and held; what of it must be
dropped is dropped by class, and told. Nothing is acknowledged, counted or forgotten before it is durable (law L4).
"""

from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import NamedTuple

import pyarrow.compute as pc

from kata_audit.clock import Clock
from kata_audit.errors import ReceiverError, StoreError, StoreStoppedError
from kata_audit.parse.mask import Open, mask_onward
from kata_audit.parse.split import Held, finish, split
from kata_audit.pipeline.ingest import Sealer, behind_only
from kata_audit.pipeline.own import OwnRecords, together
from kata_audit.pipeline.shedding import Holding
from kata_audit.receivers.base import Follower, Told, Watch
from kata_audit.receivers.file import CHUNK_BYTES
from kata_audit.schema.cursor import parse_cursor
from kata_audit.schema.record import EvidenceRows
from kata_audit.schema.source import Chunk
from kata_audit.store.durable import FULL
from kata_audit.store.writer import Writer

_SECOND = 1_000_000_000
_DISCOVER_NS = _SECOND
"""How often new files are looked for, and broken sources opened again at first."""
_ALIVE_NS = 60 * _SECOND
_LONGEST_WAIT_NS = 60 * _SECOND
_URGENT_BYTES = CHUNK_BYTES // 2
"""How much of one commit is for sources that cannot wait: no guest that floods its port keeps the others from being read."""
_PORTION = 256 << 10
"""How much of one such source is read at once."""
SPOOL_BYTES = 2 << 30
_LAST_TURNS = 3
"""What waits for room at the end comes with the first seal, what was held meanwhile with the second."""
_HOLD_NS = _SECOND
"""How long rows wait for the end of what may be one secret in several lines, where nothing more comes."""


class Counts(NamedTuple):
    """What a collector has done since it began.

    `records` and `raw_bytes` are durable; `lost` is how many records the sources say they have removed unread; `failures`
    is how often a source broke off; `retries` how often there was no room; `dropped` how many records of sources that cannot
    wait were dropped meanwhile.
    """

    records: int = 0
    raw_bytes: int = 0
    lost: int = 0
    failures: int = 0
    retries: int = 0
    dropped: int = 0


class _Retry(NamedTuple):
    """When a source that failed is opened again, and how long that was waited for."""

    at_ns: int
    wait_ns: int


class _Tail:
    """One followed stream, and what is held of it between two polls."""

    def __init__(self, follower: Follower, clock: Clock, key: bytes) -> None:
        self.follower = follower
        self._clock, self._key = clock, key
        self._held: Held | None = None
        self._waiting = Open()
        self._last: Chunk | None = None
        self._last_ns = 0
        self._resumes = True

    def take(self, size: int) -> Iterator[EvidenceRows]:
        """Give the rows that are ready, masked; none where nothing has come.

        Raises:
            ReceiverError: The source failed; what it held is read again when it is opened again.
        """
        chunk = self.follower.poll(size)
        if chunk is not None:
            self._held, rows = split(self._held or Held(offset=chunk.offset), chunk)
            self._last, self._last_ns = chunk, self._clock.now_ns()
            if chunk.frames:  # what sealed them had masked them: a second time, marks of it would look like forged ones
                yield self._new(rows)
                return
            self._waiting, ready = mask_onward(self._waiting, rows, self._key, in_line=self._held.group is not None)
            yield self._new(ready)
        elif self._last is not None and self.follower.ended:
            rest = finish(self._held or Held(), self._last)
            yield self._new(mask_onward(self._waiting, rest, self._key, in_line=False, ended=True)[1])
            self._waiting = Open()
        elif self._last is not None and self._is_held_long():
            nothing = finish(Held(), self._last)
            ready = mask_onward(self._waiting, nothing, self._key, in_line=False, ended=True)[1]
            self._waiting = Open()
            yield self._new(ready)

    def acknowledge(self) -> None:
        """Say how far all that was given is durable, now that it is; what is held back here is not."""
        if self._last is None or not self.follower.waits:
            return
        end = self._last.offset + len(self._last.data)
        if self._held is not None and len(self._held.data) > self._held.given:
            end = self._held.offset + self._held.given
        if self._waiting.rows is not None and self._waiting.rows.num_rows:
            first = parse_cursor(self._waiting.rows.column("cursor")[0].as_py())
            end = first.offset if first is not None else self._last.offset
        self.follower.acknowledge(end)

    def _is_held_long(self) -> bool:
        waits = self._waiting.rows is not None and self._waiting.rows.num_rows > 0
        in_line = self._held is not None and self._held.group is not None
        return waits and not in_line and not 0 <= self._clock.now_ns() - self._last_ns < _HOLD_NS

    def _new(self, rows: EvidenceRows) -> EvidenceRows:
        """Leave out what was durable before the source was opened: only its first rows can be."""
        if not self._resumes or not rows.num_rows:
            return rows
        new = behind_only(rows, self.follower.behind)
        self._resumes = not new.num_rows
        return new


class Collector:
    """Follows sources into a store.

    Args:
        watches: What finds the sources.
        writer: The store's one writer.
        sealer: Seals what is due.
        own: Says what became of sources.
        clock: For waiting and holding.
        key: Key of the fingerprints in masks.
        holding: Holds what cannot wait while there is no room.
        wake: Set by whoever has something to be taken at once.
        spool_bytes: How much may wait to be sealed until nothing more is read.
    """

    def __init__(
        self,
        watches: Sequence[Watch],
        writer: Writer,
        sealer: Sealer,
        own: OwnRecords,
        *,
        clock: Clock,
        key: bytes,
        holding: Holding,
        wake: Event | None = None,
        spool_bytes: int = SPOOL_BYTES,
    ) -> None:
        self._watches, self._writer, self._sealer, self._own = watches, writer, sealer, own
        self._clock, self._key, self._holding, self._spool_bytes = clock, key, holding, spool_bytes
        self._wake = wake or Event()
        self._tails: list[_Tail] = []
        self._discover_ns = self._alive_ns = 0
        self._broken: dict[str, _Retry] = {}
        self._kept: list[EvidenceRows] = []
        self._ended: list[str] = []
        self._is_over = False
        self.counts = Counts()

    @property
    def following(self) -> int:
        """How many sources are open."""
        return len(self._tails)

    @property
    def is_stuck(self) -> bool:
        """Whether rows wait for room on the disk or in the spool."""
        return bool(self._kept)

    def numbers(self) -> dict[str, tuple[str, str, float]]:
        """Give what Prometheus is told: by name the kind, what it is, and the value."""
        counts, writer = self.counts, self._writer
        return {
            "kata_audit_collected_records_total": ("counter", "Records made durable.", counts.records),
            "kata_audit_collected_bytes_total": ("counter", "Bytes of records made durable, masked.", counts.raw_bytes),
            "kata_audit_lost_records_total": ("counter", "Records that sources removed unread.", counts.lost),
            "kata_audit_source_failures_total": ("counter", "How often a source broke off.", counts.failures),
            "kata_audit_disk_full_retries_total": ("counter", "How often disk or spool had no room.", counts.retries),
            "kata_audit_dropped_records_total": ("counter", "Records dropped for want of room.", counts.dropped),
            "kata_audit_spooled_bytes": ("gauge", "Bytes that wait to be sealed.", writer.spooled_bytes),
            "kata_audit_sources": ("gauge", "Sources that are followed now.", self.following),
            "kata_audit_unsealed_records": ("gauge", "Durable records not sealed yet.", writer.next_seq - writer.sealed_to),
            "kata_audit_time_seconds": ("gauge", "When these numbers were written.", self._clock.now_ns() / _SECOND),
        }

    def step(self) -> int:
        """Take what has come of all sources, make it durable, seal what is due.

        Returns:
            How many records became durable.

        Raises:
            StoreStoppedError: The disk failed; start again.
        """
        rows = self._take()
        if rows is None:
            if not self._kept or self._is_over:
                self._seal(self._sealer.seal_due)
            return 0
        self._seal(lambda: self._sealer.appended(rows))
        return int(rows.num_rows)

    def rest(self, secs: float) -> None:
        """Wait a little, where nothing has come; less where something does come meanwhile that cannot be looked for."""
        self._wake.wait(secs)
        self._wake.clear()

    def _seal(self, act: Callable[[], object]) -> None:
        """Seal what is due; where a cut was sealed, merge segments, and take in what comes meanwhile."""
        before = self._writer.sealed_to
        self._with_room(act)
        if self._writer.sealed_to != before:
            self._with_room(lambda: self._writer.compact(between=self._take_in))

    def _say_alive(self) -> None:
        """Say now and then that the collector is alive, so that something is sealed even where nothing happens.

        A store whose newest cut is old has lost its collector, and nobody has to guess.
        """
        now = self._clock.now_ns()
        if self._alive_ns <= now or now < self._alive_ns - _ALIVE_NS:
            if self._alive_ns:
                self._own.say("collect.alive", "INFO", "The collector is alive.", sources=str(self.following))
            self._alive_ns = now + _ALIVE_NS

    def _take_in(self) -> None:
        """Take what has come and make it durable, and seal nothing."""
        rows = self._take()
        if rows is not None:
            self._sealer.noted(rows)

    def _take(self) -> EvidenceRows | None:
        """Take what has come of all sources and make it durable; None where nothing has, or where it does not fit."""
        if self._kept:
            self._hold()
        else:
            self._tell_dropped()
            self._kept = self._holding.take()
            self._look_around(self._watches)
            self._read_all(_URGENT_BYTES, waits=False)
            self._read_all(CHUNK_BYTES, waits=True)
            self._say_alive()
            if self._own.waiting:
                self._kept.append(self._own.rows())
        if not self._kept:
            self._forget()
            return None
        return self._commit()

    def _read_all(self, limit: int, *, waits: bool) -> None:
        """Read sources that wait, or those that do not, in turn, until together they are one commit."""
        for tail in [one for one in self._tails if one.follower.waits is waits]:
            if sum(rows.nbytes for rows in self._kept) >= limit:
                break
            self._kept.extend(self._read(tail, CHUNK_BYTES if waits else _PORTION))
            if tail in self._tails:
                self._tails.remove(tail)
                self._tails.append(tail)

    def _hold(self) -> None:
        """Read on, while there is no room, what cannot wait; the others keep what they have."""
        self._look_around([watch for watch in self._watches if not watch.waits])
        for tail in [one for one in self._tails if not one.follower.waits]:
            if self._holding.is_full:
                break
            name = tail.follower.name
            for rows in self._read(tail, _PORTION):
                self._holding.add(name, rows)

    def _tell_dropped(self) -> None:
        """Say what was dropped, of which source and class, now that there is room for it."""
        for (source, retention_class), count in self._holding.dropped().items():
            self.counts = self.counts._replace(dropped=self.counts.dropped + count)
            message = "Records were dropped: there was no room for them, and their source cannot wait."
            details = {"source": source, "log.class": retention_class, "log.records.lost": str(count)}
            self._own.say("collect.dropped", "ERROR", message, action="lose-records", object=source, **details)

    def finish(self) -> None:
        """Make durable and seal what has come by now, and close all sources: they keep the rest."""
        self._own.say("collect.stopped", "INFO", "The collector was told to stop.")
        for _ in range(_LAST_TURNS):
            self._take_in()
            self._with_room(self._sealer.seal_all)
            if not self.is_stuck and self._holding.is_empty and not self._own.waiting:
                break
        for tail in self._tails:
            tail.follower.close()

    def _commit(self) -> EvidenceRows | None:
        rows = together(self._kept)
        spooled = self._writer.spooled_bytes
        self._is_over = spooled > 0 and spooled + rows.nbytes > self._spool_bytes
        if self._is_over:
            self.counts = self.counts._replace(retries=self.counts.retries + 1)
            return None
        if not self._with_room(lambda: self._writer.append(rows)):
            return None
        self._kept = []
        if self._holding.is_empty:
            self._forget()
        size = int(pc.sum(pc.binary_length(rows.column("raw"))).as_py() or 0)
        self.counts = self.counts._replace(
            records=self.counts.records + rows.num_rows, raw_bytes=self.counts.raw_bytes + size
        )
        for tail in self._tails:
            tail.acknowledge()
        return rows

    def _forget(self) -> None:
        """Keep no cursor of what was read to its end: all of it is durable."""
        self._writer.forget(self._ended)
        self._ended = []

    def _with_room(self, act: Callable[[], object]) -> bool:
        """Do something that needs room on the disk; say whether there was any. What did not fit is done again later."""
        try:
            act()
        except StoreStoppedError:
            raise
        except StoreError as error:
            if not (isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL):
                raise
            self.counts = self.counts._replace(retries=self.counts.retries + 1)
            return False
        return True

    def _read(self, tail: _Tail, size: int) -> list[EvidenceRows]:
        """Read one source; one that fails is closed and opened again later."""
        name = tail.follower.name
        try:
            found = [rows for rows in tail.take(size) if rows.num_rows]
        except ReceiverError as error:
            self._drop(tail)
            self._fail(name, error)
            return []
        if found:
            self._broken.pop(name, None)
        for told in tail.follower.told():
            self._tell(name, told)
        if tail.follower.ended:
            self._drop(tail)
            self._ended.append(tail.follower.stream)
            self._discover_ns = 0
        return found

    def _drop(self, tail: _Tail) -> None:
        self._tails.remove(tail)
        tail.follower.close()

    def _look_around(self, watches: Sequence[Watch]) -> None:
        """Look for what is not followed yet, now and then, and less and less often where that fails."""
        now = self._clock.now_ns()
        if self._discover_ns - _DISCOVER_NS <= now < self._discover_ns:
            return
        self._discover_ns = now + _DISCOVER_NS
        known = self._writer.last_cursors()
        taken = {name for name, retry in self._broken.items() if retry.at_ns - retry.wait_ns <= now < retry.at_ns}
        taken.update(tail.follower.name for tail in self._tails)
        for watch in watches:
            try:
                for follower in watch.discover(known, taken):
                    self._tails.append(_Tail(follower, self._clock, self._key))
            except ReceiverError as error:
                self._fail(error.where or "", error)

    def _fail(self, name: str, error: ReceiverError) -> None:
        """Count and tell a failure, and wait twice as long as the last time before the source is opened again."""
        wait = min(2 * self._broken[name].wait_ns if name in self._broken else _DISCOVER_NS, _LONGEST_WAIT_NS)
        self._broken[name] = _Retry(self._clock.now_ns() + wait, wait)
        self.counts = self.counts._replace(failures=self.counts.failures + 1)
        self._own.say("collect.source_failed", "WARN", error.message, source=name)

    def _tell(self, name: str, told: Told) -> None:
        """Say what a source's reader knows; what is lost is counted where its number is known."""
        details = {"source": name, **told.details}
        if told.lost is not None:
            details |= {"action": "lose-records", "object": name}
            if told.lost.isdecimal():
                details["log.records.lost"] = told.lost
                self.counts = self.counts._replace(lost=self.counts.lost + int(told.lost))
        self._own.say(told.event, told.severity if told.lost is None else "ERROR", told.message, **details)


def run(collector: Collector, *, stopped: Callable[[], bool], rest: Callable[[], None], told: Callable[[], None]) -> None:
    """Collect until told to stop.

    Args:
        collector: What to run.
        stopped: Whether it shall stop.
        rest: Called where nothing has come: waits a little.
        told: Called after each step, for whoever watches over the collector.
    """
    while not stopped():
        if not collector.step():
            rest()
        told()
    collector.finish()
