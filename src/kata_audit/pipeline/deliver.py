"""Deliver: read what is sealed, make notices of it, and tell every destination, however long that takes.

A notice is durable in the outbox before it is first sent, and a destination is done with it only once it said so; so a crash
sends some again, with the same `dedup_key`, and forgets none. Each destination has a position and a patience of its own: one
that is dead holds up nobody else. One thread, one loop; each attempt has a limit of time.
"""

import random
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Final, NamedTuple, Protocol

from kata_audit.clock import Clock
from kata_audit.errors import StoreError
from kata_audit.exporters.base import Delivery, Exporter, Refreshing
from kata_audit.exporters.settings import Destination
from kata_audit.pipeline.delivery_notices import heartbeat
from kata_audit.pipeline.queue import Position, Queue, Queued, pending, read_position, read_queue
from kata_audit.schema.finding import Level
from kata_audit.schema.notice import Notice
from kata_audit.schema.record import RecordRows
from kata_audit.store.outbox import NOTICES, POSITIONS, Outbox
from kata_audit.store.tail import Tail

_SECOND: Final = 1_000_000_000
_LOOK_NS: Final = _SECOND // 4
"""How often the store is looked at."""
_TICK_NS: Final = 5 * _SECOND
"""How often the fold is told the time where nothing is said: escalations and ends of storms come of it."""
_SEEN_NS: Final = 600 * _SECOND
"""How often it is saved how far the store was read where nothing in it was ours; what was not saved is read again."""
_LATE_NS: Final = 15 * _SECOND
"""Time passes in the fold with so much delay: a record is sealed some seconds after it was said, and counts at its time."""
_FIRST_WAIT_NS: Final = _SECOND
_LONGEST_WAIT_NS: Final = 300 * _SECOND
"""How long a destination that fails is left alone: doubled each time, and a chance of half as much less."""
_TURN_NS: Final = 10 * _SECOND
"""How long one destination is served until the next one has its turn."""
_TOGETHER: Final = 64
_REFRESH_NS: Final = 60 * _SECOND
_YOUNG_NS: Final = 24 * 3600 * _SECOND
"""Where nothing was saved, alerts that were last told of so long ago are told again."""
_RANK: Final = {level: rank for rank, level in enumerate(Level)}


class Folding(Protocol):
    """What makes notices of records of ours; `pipeline/alerting.py` does."""

    def resume(self, state: str) -> None:
        """Go on from a state; an empty one is the beginning."""
        ...

    def fold(self, rows: RecordRows | None, now_ns: int) -> Sequence[Notice]:
        """Take in records, in order, each at the time it was said, and then the time; give what is to be told."""
        ...

    def state(self) -> str:
        """Give the state to go on from."""
        ...

    def is_muted(self, alert_id: str) -> bool:
        """Say whether an alert that was told of calls nobody just now."""
        ...


class Beat(NamedTuple):
    """When heartbeats are told: every so often, and not where the newest cut is older than `stale_ns`."""

    every_ns: int
    stale_ns: int
    node: str


class _Line:
    """One destination, and how it is doing."""

    def __init__(self, settings: Destination, exporter: Exporter, position: Position) -> None:
        self.settings, self.exporter, self.position = settings, exporter, position
        self.tries = 0
        self.retry_ns = 0
        self.problem: str | None = None

    def wants(self, notice: Notice) -> bool:
        """Say whether it is told of a notice by its settings alone."""
        return not self.settings.standby and _RANK[notice.level] >= _RANK[self.settings.min_level]


class Deliverer:
    """Delivers from one outbox.

    Args:
        follow: Opens the store from a number on.
        outbox: Where it is kept what was read and sent.
        folding: Makes the notices.
        destinations: Settings and exporter of each.
        beat: When heartbeats are told.
        clock: For all waiting.
        chance: Spreads the waiting.
        tell: Talks to a person; lines hold neither secrets nor text of a log.
    """

    def __init__(
        self,
        follow: Callable[[int], Tail],
        outbox: Outbox,
        folding: Folding,
        destinations: Sequence[tuple[Destination, Exporter]],
        *,
        beat: Beat,
        clock: Clock,
        chance: random.Random,
        tell: Callable[[str], None],
    ) -> None:
        self._outbox, self._folding, self._beat = outbox, folding, beat
        self._clock, self._chance, self._tell = clock, chance, tell
        self._fresh_ns: int | None = None
        self._now_ns = self._look_ns = self._tick_ns = self._seen_ns = self._beat_ns = self._refresh_ns = 0
        self._is_stuck = self._is_stale = self._is_changed = False
        self.failures = 0
        self._load(follow, destinations)

    def _load(self, follow: Callable[[int], Tail], destinations: Sequence[tuple[Destination, Exporter]]) -> None:
        """Go on from what was saved. Where nothing was, read the whole store, and tell of what is still the matter."""
        saved, positions = self._outbox.load(NOTICES), self._outbox.load(POSITIONS) or {}
        for path in self._outbox.damaged:
            self._tell(f"{path.name}: the file is damaged and was put aside; what is still the matter is told again")
        self._queue = Queue() if saved is None else read_queue(saved)
        self._queue.cap_times(self._clock.now_ns())
        if saved is None:
            positions = {}
        self._folding.resume(self._queue.state)
        self._tail = follow(self._queue.seen_to)
        self._durable_n = self._queue.next_n
        while saved is None and self._take(silently=True):
            pass
        self._fresh_ns = None
        if saved is None:
            oldest = self._clock.now_ns() - _YOUNG_NS
            self._queue.active = {name: one for name, one in self._queue.active.items() if one.notice.time_ns >= oldest}
        self._lines = []
        for settings, exporter in destinations:
            known = positions.get(settings.name)
            line = _Line(settings, exporter, Position(self._queue.next_n) if known is None else read_position(known))
            self._lines.append(line)
            if known is None:  # a destination that is new is told of every alert there is
                there = [one for one in self._queue.active.values() if line.wants(one.notice)]
                self._queue.keep(there)
                line.position.extra = [one.n for one in there]
        self._save()

    def step(self) -> bool:
        """Read what is new, and give each destination a turn.

        Returns:
            Whether something was done.

        Raises:
            StoreError: The store cannot be read.
            VerificationError: The store is not what it was.
        """
        now = self._clock.now_ns()
        if now < self._now_ns:
            self._forget_times()
        self._now_ns = now
        busy = False
        if self._is_stuck or now >= self._look_ns:
            busy = self._read()
            self._look_ns = now if busy else now + _LOOK_NS
        told = [self._turn(line) for line in self._lines]
        handed = self._second(now)
        self._refresh(now)
        self._heartbeat(now)
        return busy or handed or any(told)

    def _forget_times(self) -> None:
        """Wait for nothing: the clock was put back, and what was waited for may be far away."""
        self._look_ns = self._tick_ns = self._seen_ns = self._beat_ns = self._refresh_ns = 0
        self._fresh_ns = None if self._fresh_ns is None else min(self._fresh_ns, self._clock.now_ns())
        self._queue.cap_times(self._clock.now_ns())
        for line in self._lines:
            line.retry_ns = 0

    def _read(self) -> bool:
        """Take in what was sealed since, and the time; what comes of it is durable before it is sent."""
        if self._is_stuck:
            self._save()
            return False
        busy = self._take(silently=False)
        if self._is_changed or self._now_ns >= self._seen_ns:
            self._save()
        return busy

    def _take(self, *, silently: bool) -> bool:
        """Take in what was sealed since, and now and then the time alone; say whether there was a new cut."""
        step, before, now = self._tail.step(), self._queue.next_n, self._clock.now_ns()
        rows = None if step is None or not step.rows.num_rows else step.rows
        if rows is not None or now >= self._tick_ns:
            self._tick_ns = now + _TICK_NS
            for notice in self._folding.fold(rows, now - _LATE_NS):
                self._queue.add(notice, now, silently=silently)
        self._is_changed = self._is_changed or rows is not None or self._queue.next_n != before
        if step is not None:
            self._queue.seen_to = step.seen_to
        self._note_age(now, is_new=step is not None)
        return step is not None

    def _note_age(self, now: int, *, is_new: bool) -> None:
        """Note since when nothing was sealed, by this process' own clock: what the log says may lie in the future."""
        if self._fresh_ns is None:
            self._fresh_ns = None if self._tail.sealed_ns is None else min(self._tail.sealed_ns, now)
        elif is_new:
            self._fresh_ns = now

    def _save(self) -> None:
        """Save what was read; where the disk does not take it, nothing of it is sent, and nothing more is read."""
        self._queue.prune([(line.position, line.wants) for line in self._lines])
        if self._is_changed:
            self._queue.state = self._folding.state()
        self._seen_ns = self._clock.now_ns() + _SEEN_NS
        try:
            self._outbox.save(NOTICES, self._queue.values())
        except StoreError as error:
            if not self._is_stuck:
                self._tell(error.diagnostics())
            self._is_stuck = True
            return
        self._is_stuck, self._is_changed, self._durable_n = False, False, self._queue.next_n
        self._save_positions()

    def _save_positions(self) -> None:
        """Save how far the destinations are; where that fails, a crash sends again, and that is all."""
        try:
            self._outbox.save(POSITIONS, {line.settings.name: line.position.values() for line in self._lines})
        except StoreError as error:
            if not self._is_stuck:
                self._tell(error.diagnostics())

    def _due(self, line: _Line, most: int | None = None) -> list[Queued]:
        """List what a destination is to be told and what is durable, so many at most."""
        due = (one for one in pending(self._queue, line.position, line.wants) if one.n < self._durable_n)
        return list(islice(due, most))

    def _turn(self, line: _Line) -> bool:
        """Hand a destination what it has not taken, until it fails or its turn is over."""
        began = self._clock.now_ns()
        if began < line.retry_ns:
            return False
        done = False
        while (due := self._due(line, _TOGETHER)) and self._clock.now_ns() - began < _TURN_NS:
            delivery = self._attempt(line, partial(line.exporter.export, [one.notice for one in due]))
            if delivery.taken:
                self._passed(line, due[: delivery.taken], delivery.refused)
                self._save_positions()
                done = True
            if not delivery.taken or (delivery.problem is not None and not delivery.refused):
                break
        if not line.position.extra and not any(line.wants(one.notice) for one in self._queue.since(line.position.next_n)):
            line.position.next_n = max(line.position.next_n, self._durable_n)  # over what it is not told of
        return done

    def _passed(self, line: _Line, taken: Sequence[Queued], refused: int) -> None:
        position, numbers = line.position, {one.n for one in taken}
        position.extra = [n for n in position.extra if n not in numbers]
        position.seconded -= numbers
        position.next_n = max([position.next_n, *(n + 1 for n in numbers)])
        position.sent += len(taken) - refused
        position.refused += refused

    def _attempt(self, line: _Line, act: Callable[[], Delivery]) -> Delivery:
        """Try something with a destination, and keep how it went: it is left alone for a while where it failed."""
        try:
            delivery = act()
        except Exception as error:  # noqa: BLE001 - one destination's defect stops no other
            delivery = Delivery(0, problem=f"this is a defect of ours: {type(error).__name__}")
        name = line.settings.name
        if delivery.refused:
            self._tell(f"{name}: {delivery.problem}; it is not sent again")
        elif delivery.problem is not None:
            self.failures += 1
            line.tries += 1
            wait = min(_FIRST_WAIT_NS * 2 ** min(line.tries - 1, 20), _LONGEST_WAIT_NS)
            wait -= int(wait * self._chance.random() / 2)
            line.retry_ns = self._clock.now_ns() + max(wait, int((delivery.retry_after_secs or 0) * _SECOND))
            if delivery.problem != line.problem:
                self._tell(f"{name}: {delivery.problem}; it is tried again")
            line.problem = delivery.problem
        if delivery.problem is None or delivery.refused:
            if line.problem is not None:
                self._tell(f"{name}: it takes notices again")
            line.problem, line.tries, line.retry_ns = None, 0, 0
        return delivery

    def _second(self, now: int) -> bool:
        """Hand critical notices that a destination has not taken in time to its second one; say whether there were any."""
        handed = False
        by_name = {line.settings.name: line for line in self._lines}
        for line in self._lines:
            other = by_name.get(line.settings.second or "")
            if other is None:
                continue
            late_ns = int(line.settings.second_after_secs * _SECOND)
            for one in self._due(line):
                is_late = one.notice.level is Level.CRITICAL and now - one.queued_ns >= late_ns
                if not is_late or one.n in line.position.seconded:
                    continue
                line.position.seconded.add(one.n)
                if not other.wants(one.notice) and one.n not in other.position.extra:
                    other.position.extra.append(one.n)
                    handed = True
                    self._tell(f"{line.settings.name}: it has not taken a critical notice; {other.settings.name} is told")
        return handed

    def _refresh(self, now: int) -> None:
        """Tell destinations that forget which alerts there are."""
        if now < self._refresh_ns:
            return
        self._refresh_ns = now + _REFRESH_NS
        for line in self._lines:
            if not isinstance(line.exporter, Refreshing) or now < line.retry_ns:
                continue
            waiting = {one.notice.alert_id for one in self._due(line)}
            there = [
                one.notice
                for one in self._queue.active.values()
                if line.wants(one.notice) and one.n < self._durable_n and one.notice.alert_id not in waiting
                if not self._folding.is_muted(one.notice.alert_id)
            ]
            if there:
                self._attempt(line, partial(line.exporter.refresh, there, now))

    def _heartbeat(self, now: int) -> None:
        """Tell that all is well: the newest cut is young, and what is read can be saved."""
        if now < self._beat_ns:
            return
        self._beat_ns = now + self._beat.every_ns
        age = None if self._fresh_ns is None else now - self._fresh_ns
        if self._is_stuck or age is None or age > self._beat.stale_ns:
            if not self._is_stale:
                self._tell("no heartbeat is sent: nothing was sealed for too long, or the outbox cannot be written")
            self._is_stale = True
            return
        self._is_stale = False
        notice = heartbeat(self._beat.node, now, age, self.waiting)
        for line in self._lines:
            if line.settings.heartbeat:
                self._attempt(line, partial(line.exporter.export, [notice]))

    @property
    def sent(self) -> int:
        """How many notices were taken, by all destinations together, since they have been destinations."""
        return sum(line.position.sent for line in self._lines)

    @property
    def waiting(self) -> int:
        """How many notices the destination that is furthest behind has not taken."""
        return max((len(self._due(line)) for line in self._lines), default=0)

    def behind(self) -> dict[str, str]:
        """Name the destinations that have not taken everything, and why."""
        return {line.settings.name: line.problem or "it has not been told yet" for line in self._lines if self._due(line)}

    def numbers(self) -> dict[str, tuple[str, str, float]]:
        """Give what Prometheus is told: by name the kind, what it is, and the value."""
        positions = [line.position for line in self._lines]
        refused, given_up = sum(one.refused for one in positions), sum(one.given_up for one in positions)
        now = self._clock.now_ns()
        age = -1.0 if self._fresh_ns is None else (now - self._fresh_ns) / _SECOND
        return {
            "kata_audit_notices_sent_total": (
                "counter",
                "Notices taken, of all destinations.",
                self.sent,
            ),
            "kata_audit_notices_refused_total": ("counter", "Notices refused for good.", refused),
            "kata_audit_notices_given_up_total": ("counter", "Notices given up.", given_up),
            "kata_audit_delivery_failures_total": ("counter", "Attempts that failed.", self.failures),
            "kata_audit_notices_waiting": ("gauge", "Notices that the slowest destination has not taken.", self.waiting),
            "kata_audit_alerts_told": ("gauge", "Alerts that were told of and are not over.", len(self._queue.active)),
            "kata_audit_checkpoint_age_seconds": ("gauge", "Age of the newest cut; -1 before the first.", age),
            "kata_audit_delivery_time_seconds": ("gauge", "When these numbers were written.", now / _SECOND),
        }


def run(deliverer: Deliverer, *, stopped: Callable[[], bool], rest: Callable[[], None], told: Callable[[], None]) -> None:
    """Deliver until told to stop; an attempt that has begun is ended first.

    Args:
        deliverer: What to run.
        stopped: Whether it shall stop.
        rest: Called where nothing is to be done: waits a little.
        told: Called after each step, for whoever watches.
    """
    while not stopped():
        if not deliverer.step():
            rest()
        told()


def run_once(deliverer: Deliverer, *, stopped: Callable[[], bool], told: Callable[[], None]) -> dict[str, str]:
    """Deliver what there is, trying each destination until it fails.

    Returns:
        Destinations that have not taken everything, and why.
    """
    while not stopped() and deliverer.step():
        told()
    return deliverer.behind()
