"""The story of a sandbox: from records in host order to what a person reads.

Pure: rows in, a summary and moments out; nothing here prints. Order is the host's: by `timestamp`, and `seq` where it is
equal. What only a guest's clock tells is placed by its skew, and claims no order that this does not prove.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kata_audit.pipeline.clocks import Clocks, Jump
from kata_audit.pipeline.folding import WINDOW, Key, copy_keys, fold
from kata_audit.pipeline.moments import GUEST, OBSERVED, Moment, read_moments
from kata_audit.pipeline.ordering import in_host_order, mark_unordered
from kata_audit.predicate.tree import Compare, Not, Op, Predicate, Present, all_of
from kata_audit.schema.record import RecordRows
from kata_audit.schema.severity import ERROR

SILENCE_NS = 30_000_000_000
"""Longest time without a record that is not worth a word: a running sandbox that logs at info is often quiet that long."""
HOST = "host"
"""The clock of every record whose time the host wrote, in the journal too."""


class Silence(NamedTuple):
    """A time without any record, longer than worth no word."""

    from_ns: int
    to_ns: int


Told = Moment | Silence | Jump
"""What a story is made of."""


@dataclass(slots=True)
class Summary:
    """What stands above a story; rows are added batch by batch, in host order."""

    records: int = 0
    copies: int = 0
    layers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Distinct records per (origin, component)."""
    errors: Counter[str] = field(default_factory=Counter)
    """Distinct records from error on, per origin."""
    lost: int = 0
    """Records that records of the host or a guest say were lost."""
    losses: int = 0
    named: dict[str, Counter[str]] = field(default_factory=dict)
    """Identity columns with the values stated, and how often."""
    clocks: Clocks = field(default_factory=Clocks)
    """The guests' clocks, where a host record carried their time."""
    guest_timed: Counter[str | None] = field(default_factory=Counter)
    """Records whose only time is a guest's, by sandbox."""
    _times: dict[str, tuple[int, int]] = field(default_factory=dict)
    _seen: OrderedDict[Key, None] = field(default_factory=OrderedDict)

    def add(self, rows: RecordRows) -> None:
        """Count a batch of records; it holds the columns `COLUMNS`."""
        for moment, row in read_moments(rows, Clocks()):
            self._add_time(moment.basis, row["timestamp"])
            self._read_clock(row)
            if self._is_copy(copy_keys(moment)):
                self.copies += 1
                continue
            self.records += 1
            self.layers[moment.origin, moment.component] += 1
            self.errors[moment.origin] += (moment.severity or 0) >= ERROR
            if moment.lost is not None:
                self.losses += 1
                self.lost += moment.lost
            self._name(row)

    def range(self) -> tuple[int, int] | None:
        """Give the first and the last time: by the host's clock; else by a guest's, else when the records were received."""
        return next((self._times[clock] for clock in (HOST, GUEST, OBSERVED) if clock in self._times), None)

    def _add_time(self, basis: str, ns: int) -> None:
        clock = basis if basis in {GUEST, OBSERVED} else HOST
        first, last = self._times.get(clock, (ns, ns))
        self._times[clock] = min(first, ns), max(last, ns)

    def _is_copy(self, keys: list[Key]) -> bool:
        """Say whether a record was seen a short while ago."""
        is_copy = any(key in self._seen for key in keys)
        self._seen.update(dict.fromkeys(keys))
        while len(self._seen) > 2 * WINDOW:
            self._seen.popitem(last=False)
        return is_copy

    def _name(self, row: Mapping[str, Any]) -> None:
        for column in ("k8s_namespace", "k8s_pod", "k8s_pod_uid", "sandbox_id", "runtime_class"):
            if row[column] is not None:
                self.named.setdefault(column, Counter())[row[column]] += 1

    def _read_clock(self, row: Mapping[str, Any]) -> None:
        sandbox, guest_ns, basis = row["sandbox_id"], row["guest_timestamp"], row["timestamp_basis"]
        if basis == GUEST:
            self.guest_timed[sandbox] += 1
        elif guest_ns is not None and sandbox is not None and basis != OBSERVED:
            self.clocks.add(sandbox, row["timestamp"], guest_ns)


def ways(summary: Summary) -> Iterator[Predicate]:
    """Say how to ask for a story's records, so that each answer is in the order of the host's clock.

    Yields:
        First what asks for the records with a time of the host's; then, for each stretch of a guest's clock, what asks for
        those whose only time is that. Together they are all records.
    """
    by_guest = Compare("timestamp_basis", Op.EQ, GUEST)
    yield Not(by_guest)
    for sandbox in sorted(summary.guest_timed, key=str):
        its = Not(Present("sandbox_id")) if sandbox is None else Compare("sandbox_id", Op.EQ, sandbox)
        clock = summary.clocks.of(sandbox)
        for begin, end in clock.stretches() if clock is not None else [(None, None)]:
            bounds = [Compare("timestamp", op, ns) for op, ns in ((Op.GE, begin), (Op.LT, end)) if ns is not None]
            yield all_of(by_guest, its, *bounds)


def tell(
    answers: Iterable[Iterable[RecordRows]],
    clocks: Clocks,
    *,
    silence_ns: int = SILENCE_NS,
    keep: Callable[[Moment], bool] | None = None,
) -> Iterator[Told]:
    """Tell a story.

    Args:
        answers: Records with the columns `COLUMNS`, as asked for by `ways()`: each ordered by `timestamp`, then `seq`.
        clocks: The guests' clocks.
        silence_ns: A longer time between two records becomes a `Silence`.
        keep: Which moments are told; a moment that is left out still breaks a silence. None tells all.

    Yields:
        Moments in order, with silences between them, and the times at which a guest's clock was set. Copies of a record
        within a sandbox are folded, records of one event too, and equal records that follow one another.
    """
    streams = ((moment for rows in answer for moment, _ in read_moments(rows, clocks)) for answer in answers)
    told: Moment | None = None
    for one in _with_breaks(mark_unordered(fold(in_host_order(streams))), clocks, silence_ns):
        if isinstance(one, Moment) and keep is not None and not keep(one):
            continue
        if isinstance(one, Moment) and told is not None and _is_repeat(told, one):
            told = _folded(told, one)
            continue
        if told is not None:
            yield told
        told = one if isinstance(one, Moment) else None
        if told is None:
            yield one
    if told is not None:
        yield told


def _with_breaks(moments: Iterable[Moment], clocks: Clocks, silence_ns: int) -> Iterator[Told]:
    """Put silences and the settings of clocks between moments; a moment that nobody can place breaks no silence."""
    before: int | None = None
    jumps = list(clocks.jumps())
    for moment in moments:
        while jumps and jumps[0].at_ns <= moment.timestamp_ns:
            yield jumps.pop(0)
        if moment.band_ns is not None:
            if before is not None and moment.timestamp_ns - before > silence_ns:
                yield Silence(before, moment.timestamp_ns)
            before = max(before or 0, moment.timestamp_ns)
        yield moment


def _is_repeat(told: Moment, moment: Moment) -> bool:
    """Whether a moment says the same again."""
    same = ("origin", "component", "severity", "body", "details", "sandbox_id", "container_id", "basis", "act")
    return all(getattr(told, name) == getattr(moment, name) for name in same)


def _folded(told: Moment, moment: Moment) -> Moment:
    lost = None if told.lost is None else told.lost + (moment.lost or 0)
    return told._replace(
        repeats=told.repeats + 1 + moment.repeats,
        copies=told.copies + moment.copies,
        last_ns=moment.last_ns,
        lost=lost,
        is_unordered=told.is_unordered or moment.is_unordered,
    )
