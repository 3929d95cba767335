"""What is queued to be told: notices in order, which alerts there are, and how far each destination has come."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from kata_audit.schema.notice import Notice, NoticeKind, notice_values, read_notice

MAX_QUEUED: Final = 10_000
"""Notices that wait at most: beyond it the oldest is given up, by whoever has not taken it."""


class Queued(NamedTuple):
    """A notice with its number and when it was queued, nanoseconds since the Unix epoch."""

    n: int
    queued_ns: int
    notice: Notice


@dataclass
class Position:
    """How far one destination has come.

    `next_n` is the number of the first notice that it has not passed; `extra` are numbers before it that it is to be told
    of all the same; `seconded` are numbers that went to its second destination. `sent`, `refused` and `given_up` count.
    """

    next_n: int
    extra: list[int] = field(default_factory=list)
    seconded: set[int] = field(default_factory=set)
    sent: int = 0
    refused: int = 0
    given_up: int = 0

    def values(self) -> dict[str, Any]:
        """Spell it as values of JSON; `read_position` is the inverse."""
        return {
            "next_n": self.next_n,
            "extra": self.extra,
            "seconded": sorted(self.seconded),
            "sent": self.sent,
            "refused": self.refused,
            "given_up": self.given_up,
        }


def read_position(values: Mapping[str, Any]) -> Position:
    """Read what `Position.values` spelled."""
    return Position(**{**values, "seconded": set(values["seconded"])})


@dataclass
class Queue:
    """The notices that somebody has not taken, oldest first, and the newest notice of each alert that is not over.

    `seen_to` is the number in the store that was read to, and `state` the state of the fold behind it. `next_n` is the
    number that the next notice gets.
    """

    seen_to: int = 0
    state: str = ""
    next_n: int = 0
    waiting: list[Queued] = field(default_factory=list)
    active: dict[str, Queued] = field(default_factory=dict)

    def add(self, notice: Notice, now_ns: int, *, silently: bool = False) -> None:
        """Queue a notice; silently, only remember which alerts there are."""
        queued = Queued(self.next_n, now_ns, notice)
        self.next_n += 1
        if not silently:
            self.waiting.append(queued)
        if notice.ends_ns is not None or notice.kind is NoticeKind.RESOLVED:
            self.active.pop(notice.alert_id, None)
        else:
            self.active.pop(notice.alert_id, None)  # to the end of the order
            self.active[notice.alert_id] = queued

    def keep(self, queued: Sequence[Queued]) -> None:
        """Put notices back among those that wait, where they are not."""
        known = {one.n for one in self.waiting}
        self.waiting = sorted([*self.waiting, *(one for one in queued if one.n not in known)])

    def cap_times(self, now_ns: int) -> None:
        """Let nothing have been queued later than now, where the clock was put back: its waiting begins now."""
        self.waiting = [_no_later(one, now_ns) for one in self.waiting]
        self.active = {name: _no_later(one, now_ns) for name, one in self.active.items()}

    def since(self, n: int) -> Iterator[Queued]:
        """Give the notices that wait, from a number on."""
        first = bisect_left(self.waiting, n, key=lambda one: one.n)
        return (self.waiting[at] for at in range(first, len(self.waiting)))

    def at(self, n: int) -> Queued | None:
        """Give the notice with a number; None where it waits no longer."""
        found = next(self.since(n), None)
        return found if found is not None and found.n == n else None

    def prune(self, each: Sequence[tuple[Position, Callable[[Notice], bool]]]) -> None:
        """Forget what no destination is still to be told, and what is too much; count the latter as given up.

        Args:
            each: How far a destination is, and what it wants.
        """
        owed = [{one.n for one in pending(self, position, wants)} for position, wants in each]
        self.waiting = [one for one in self.waiting if any(one.n in numbers for numbers in owed)]
        if len(self.waiting) <= MAX_QUEUED:
            return
        lost, self.waiting = self.waiting[:-MAX_QUEUED], self.waiting[-MAX_QUEUED:]
        gone, first = {one.n for one in lost}, self.waiting[0].n
        for (position, _), numbers in zip(each, owed, strict=True):
            position.given_up += len(gone & numbers)
            position.extra = [n for n in position.extra if n not in gone]
            position.next_n = max(position.next_n, first)

    def values(self) -> dict[str, Any]:
        """Spell it as values of JSON; `read_queue` is the inverse."""
        return {
            "seen_to": self.seen_to,
            "state": self.state,
            "next_n": self.next_n,
            "waiting": [_spell(one) for one in self.waiting],
            "active": [_spell(one) for one in self.active.values()],
        }


def read_queue(values: Mapping[str, Any]) -> Queue:
    """Read what `Queue.values` spelled.

    Raises:
        KeyError: A part is missing.
        ValueError: A notice is none.
    """
    active = [_read(one) for one in values["active"]]
    return Queue(
        seen_to=values["seen_to"],
        state=values["state"],
        next_n=values["next_n"],
        waiting=[_read(one) for one in values["waiting"]],
        active={one.notice.alert_id: one for one in active},
    )


def pending(queue: Queue, position: Position, wants: Callable[[Notice], bool]) -> Iterator[Queued]:
    """Give what a destination is to be told, oldest first: what it was told to take, then what it wants."""
    for n in position.extra:
        if (found := queue.at(n)) is not None:
            yield found
    yield from (one for one in queue.since(position.next_n) if wants(one.notice))


def _no_later(one: Queued, now_ns: int) -> Queued:
    return one if one.queued_ns <= now_ns else one._replace(queued_ns=now_ns)


def _spell(one: Queued) -> dict[str, Any]:
    return {"n": one.n, "queued_ns": one.queued_ns, "notice": notice_values(one.notice)}


def _read(values: Mapping[str, Any]) -> Queued:
    return Queued(values["n"], values["queued_ns"], read_notice(values["notice"]))
