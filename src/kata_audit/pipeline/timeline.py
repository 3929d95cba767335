"""The story of a sandbox: from records in host order to what a person reads.

Pure: rows in, a summary and moments out; nothing here prints. Order is the host's: by `timestamp`, and `seq` where it is
equal. A guest's clock decides nothing, its skew is told instead.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from kata_audit.parse.losses import count_lost, is_workload
from kata_audit.schema.record import RecordRows
from kata_audit.schema.severity import ERROR
from kata_audit.schema.source import Origin

COLUMNS = (
    "seq",
    "timestamp",
    "timestamp_basis",
    "guest_timestamp",
    "severity_number",
    "body",
    "event_name",
    "origin",
    "component",
    "attributes",
    "copy_key",
    "sandbox_id",
    "container_id",
    "k8s_namespace",
    "k8s_pod",
    "k8s_pod_uid",
    "k8s_container",
    "runtime_class",
)
"""What a story needs of a record."""
SILENCE_NS = 30_000_000_000
"""Longest time without a record that is not worth a word: a running sandbox that logs at info is often quiet that long."""
_WINDOW = 512
"""Moments kept open for copies: both copies of a record carry one time, and this many records of one time are rare."""
_DETAILS = ("error", "err", "reason", "exit-code", "exit_code", "signal", "count")
"""Attributes that say how it went: without them an error's body often says nothing."""


class Moment(NamedTuple):
    """One line of the story: a record, its copies, and the equal ones right behind it.

    `copies` counts the times that the same record was received more than once; `repeats` the further equal records folded
    into this one, of which `last_ns` is the newest. `lost` is None unless the record says that records were lost: then
    their number, or 0 where it does not say how many.
    """

    seq: int
    timestamp_ns: int
    severity: int | None
    origin: str
    component: str
    body: str
    details: tuple[tuple[str, str], ...]
    event_name: str | None
    sandbox_id: str | None
    container_id: str | None
    container: str | None
    copy_key: int | None
    copies: int
    repeats: int
    last_ns: int
    lost: int | None

    @property
    def is_claim(self) -> bool:
        """Whether a guest, or nobody known, wrote it."""
        return self.origin != Origin.HOST


class Silence(NamedTuple):
    """A time without any record, longer than worth no word."""

    from_ns: int
    to_ns: int


class Skew(NamedTuple):
    """How far a guest's clock is behind the host's, in nanoseconds (negative: ahead), over `records` records."""

    median_ns: int
    least_ns: int
    most_ns: int
    records: int


@dataclass(slots=True)
class Summary:
    """What stands above a story; rows are added batch by batch, in any order."""

    records: int = 0
    copies: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    layers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Distinct records per (origin, component)."""
    errors: Counter[str] = field(default_factory=Counter)
    """Distinct records from error on, per origin."""
    lost: int = 0
    """Records that records of the host or a guest say were lost."""
    losses: int = 0
    named: dict[str, Counter[str]] = field(default_factory=dict)
    """Identity columns with the values stated, and how often."""
    _skews: dict[str, list[int]] = field(default_factory=dict)
    _seen: set[tuple[str | None, int]] = field(default_factory=set)

    def add(self, rows: RecordRows) -> None:
        """Count a batch of records; it holds the columns `COLUMNS`."""
        for moment, row in _moments(rows):
            self._add_time(moment.timestamp_ns)
            key = (moment.sandbox_id, moment.copy_key)
            if moment.copy_key is not None and key in self._seen:
                self.copies += 1
                continue
            if moment.copy_key is not None:
                self._seen.add((moment.sandbox_id, moment.copy_key))
            self.records += 1
            self.layers[moment.origin, moment.component] += 1
            self.errors[moment.origin] += (moment.severity or 0) >= ERROR
            if moment.lost is not None:
                self.losses += 1
                self.lost += moment.lost
            self._name(row, moment)

    def skews(self) -> Mapping[str, Skew]:
        """Give each sandbox's skew, where a host record carried a guest's time."""
        return {
            sandbox: Skew(int(median(values)), min(values), max(values), len(values))
            for sandbox, values in self._skews.items()
        }

    def _add_time(self, ns: int) -> None:
        self.first_ns = ns if self.first_ns is None else min(self.first_ns, ns)
        self.last_ns = ns if self.last_ns is None else max(self.last_ns, ns)

    def _name(self, row: Mapping[str, Any], moment: Moment) -> None:
        for column in ("k8s_namespace", "k8s_pod", "k8s_pod_uid", "sandbox_id", "runtime_class"):
            if row[column] is not None:
                self.named.setdefault(column, Counter())[row[column]] += 1
        guest_ns = row["guest_timestamp"]
        if guest_ns is not None and moment.sandbox_id and row["timestamp_basis"] in {"host", "journal"}:
            self._skews.setdefault(moment.sandbox_id, []).append(moment.timestamp_ns - guest_ns)


def tell(
    batches: Iterable[RecordRows], *, silence_ns: int = SILENCE_NS, keep: Callable[[Moment], bool] | None = None
) -> Iterator[Moment | Silence]:
    """Tell a story from records in host order.

    Args:
        batches: Records with the columns `COLUMNS`, ordered by `timestamp`, then `seq`.
        silence_ns: A longer time between two records becomes a `Silence`.
        keep: Which moments are told; a moment that is left out still breaks a silence. None tells all.

    Yields:
        Moments in order, with silences between them. Copies of a record within a sandbox are folded, and so are equal
        records that follow one another.
    """
    before: int | None = None
    told: Moment | None = None
    for moment in _without_copies(moment for rows in batches for moment, _ in _moments(rows)):
        if before is not None and moment.timestamp_ns - before > silence_ns:
            if told is not None:
                yield told
                told = None
            yield Silence(before, moment.timestamp_ns)
        before = max(before or 0, moment.timestamp_ns)
        if keep is not None and not keep(moment):
            continue
        if told is not None and _is_repeat(told, moment):
            told = _folded(told, moment)
            continue
        if told is not None:
            yield told
        told = moment
    if told is not None:
        yield told


def _is_repeat(told: Moment, moment: Moment) -> bool:
    """Whether a moment says the same again."""
    same = ("origin", "component", "severity", "body", "details", "sandbox_id", "container_id")
    return all(getattr(told, name) == getattr(moment, name) for name in same)


def _folded(told: Moment, moment: Moment) -> Moment:
    lost = None if told.lost is None else told.lost + (moment.lost or 0)
    return told._replace(
        repeats=told.repeats + 1 + moment.repeats, copies=told.copies + moment.copies, last_ns=moment.last_ns, lost=lost
    )


def _without_copies(moments: Iterable[Moment]) -> Iterator[Moment]:
    """Fold copies of one record of one sandbox into the first of them, within a window."""
    window: OrderedDict[tuple[Any, ...], Moment] = OrderedDict()
    for moment in moments:
        key = (moment.sandbox_id, moment.copy_key) if moment.copy_key is not None else (moment.seq, None, None)
        if key in window:
            window[key] = window[key]._replace(copies=window[key].copies + 1)
            continue
        window[key] = moment
        if len(window) > _WINDOW:
            yield window.popitem(last=False)[1]
    yield from window.values()


def _moments(rows: RecordRows) -> Iterator[tuple[Moment, Mapping[str, Any]]]:
    """Read each row as a moment of its own, beside the row as Python values with times in nanoseconds."""
    columns = [_values(rows.column(name)) for name in COLUMNS]
    for values in zip(*columns, strict=True):
        row = dict(zip(COLUMNS, values, strict=True))
        body = row["body"] or ""
        yield (
            Moment(
                seq=row["seq"],
                timestamp_ns=row["timestamp"],
                severity=row["severity_number"],
                origin=row["origin"] or str(Origin.UNKNOWN),
                component=row["component"] or "other",
                body=body,
                details=_details(row["attributes"]),
                event_name=row["event_name"],
                sandbox_id=row["sandbox_id"],
                container_id=row["container_id"],
                container=row["k8s_container"],
                copy_key=row["copy_key"],
                copies=1,
                repeats=0,
                last_ns=row["timestamp"],
                lost=_lost(row),
            ),
            row,
        )


def _values(column: Any) -> list[Any]:
    return list((column.cast("int64") if str(column.type).startswith("timestamp") else column).to_pylist())


def _details(attributes: Any) -> tuple[tuple[str, str], ...]:
    if not attributes:
        return ()
    stated = dict(attributes)
    return tuple((name, stated[name]) for name in _DETAILS if stated.get(name))


def _lost(row: Mapping[str, Any]) -> int | None:
    """Read how many records a record says were lost; None where it says nothing of the kind."""
    return None if is_workload(row["component"], row["origin"]) else count_lost(row["body"] or "", row["attributes"] or ())
