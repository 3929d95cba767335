"""Answers of a reader: sealed records, by any condition, for whoever may see them.

Every question names its scope; the store adds it, not the caller. Identities are filled from all facts, so that a search by
pod finds what was written before the pod was known. A reader stands on a snapshot of the log: records sealed later are not
in it, and a segment that a compaction replaced meanwhile is looked up once more.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

import pyarrow as pa

from kata_audit.errors import StoreError
from kata_audit.predicate.sql import Sql, print_sql
from kata_audit.predicate.tree import Compare, Everything, Not, OneOf, Op, Predicate, Present, all_of
from kata_audit.schema.fact import FactKind
from kata_audit.schema.record import RECORD_SCHEMA, RecordRows
from kata_audit.store.actors import ACTOR_COLUMNS, API_RECORDS, ActorJoin, Actors
from kata_audit.store.engine import Engine, MissingSegmentError, to_record_rows
from kata_audit.store.facts import Fact
from kata_audit.store.identity import CLUES, FILLED, fill, rewrite
from kata_audit.store.index import Index
from kata_audit.store.resolution import Resolution, find_sandboxes
from kata_audit.store.snapshot import Snapshot, candidates, spans_by
from kata_audit.store.statistics import SourceCount, add_sources, sources_of
from kata_audit.store.windows import FIRST_ROWS, Span, Window, next_rows, next_window


class Scope(NamedTuple):
    """What a reader may see: tenants and namespaces, None for all.

    Both must hold. A record whose namespace is not known is in no scope that names namespaces.
    """

    tenants: frozenset[str] | None
    namespaces: frozenset[str] | None


EVERYTHING_IN_SCOPE: Final = Scope(tenants=None, namespaces=None)
"""The scope of who may see all: the operator of an embedded store."""


class Order(NamedTuple):
    """By `timestamp` (then `seq`; records without a time come last) or by `seq` alone."""

    by: Literal["timestamp", "seq"] = "timestamp"
    newest_first: bool = False


class StoreStatus(NamedTuple):
    """A store in numbers; times in nanoseconds since the Unix epoch, None without records."""

    origin: str
    entries: int
    sealed_to: int
    segments: int
    records: int
    bytes: int
    first_ns: int | None
    last_ns: int | None
    unindexed_segments: int


class _Question(NamedTuple):
    """A scan, settled: a condition on what is stored, the columns to fetch, the order to give them in."""

    stored: Predicate
    columns: list[str]
    order: Order


class Reader:
    """Answers questions on one snapshot of a store.

    Args:
        take_snapshot: Looks at the log and gives what is live now.
        index: Facts and statistics.
        engine: Where queries run.
        join: How actors are joined from requests; None leaves them as records state them.
    """

    def __init__(
        self, take_snapshot: Callable[[], Snapshot], index: Index, engine: Engine, join: ActorJoin | None = None
    ) -> None:
        self._take_snapshot = take_snapshot
        self._snapshot = take_snapshot()
        self._sealed_to = self._snapshot.sealed_to
        self._index = index
        self._engine = engine
        self._join = join
        self._joining: dict[Scope, Actors] = {}

    def scan(
        self,
        scope: Scope,
        where: Predicate,
        columns: Sequence[str],
        *,
        order: Order = Order(),  # noqa: B008 -- immutable
        limit: int | None = None,
    ) -> Iterator[RecordRows]:
        """Give the records of a scope that a condition holds of, in order.

        Args:
            scope: What the asker may see.
            where: The condition, on records as they are given: identities and actors filled.
            columns: Columns of `RECORD_SCHEMA` to give, in this order.
            order: By what, and from which end.
            limit: At most so many records; None for all.

        Returns:
            Batches of those columns, none empty.

        Raises:
            StoreError: A segment cannot be read, or the answer needs more memory than the reader may take.
        """
        unknown = [name for name in columns if name not in RECORD_SCHEMA.names]
        if unknown or not columns:
            raise RuntimeError(f"no columns of a record: {unknown}")
        actors = self._actors(scope)
        stored = _scoped(scope, where if actors is None else actors.settle(where))
        needed = list(columns)
        if actors is not None and set(columns) & set(ACTOR_COLUMNS):
            needed += actors.columns
        else:
            actors = None
        needed = list(dict.fromkeys([*needed, *(CLUES if set(needed) & set(FILLED) else ())]))
        return self._scan(_Question(rewrite(stored, self._index), needed, order), list(columns), limit, actors)

    def _scan(
        self, question: "_Question", columns: list[str], limit: int | None, actors: Actors | None = None
    ) -> Iterator[RecordRows]:
        filled = set(question.columns) & set(FILLED)
        for batch in self._ordered(question, limit):
            rows = to_record_rows(batch, question.columns)
            rows = fill(rows, self._index) if filled else rows
            yield (rows if actors is None else actors.fill(rows)).select(columns)

    def _actors(self, scope: Scope) -> Actors | None:
        """Give what joins actors, of no more than the asker may see; it knows the requests that it has read before."""
        if self._join is None:
            return None
        if scope in self._joining:
            return self._joining[scope]

        def read(where: Predicate, columns: Sequence[str]) -> Iterator[RecordRows]:
            needed = list(dict.fromkeys([*columns, *CLUES]))
            stored = rewrite(_scoped(scope, where), self._index)
            return self._scan(_Question(stored, needed, Order("seq")), list(columns), None)

        self._joining[scope] = Actors(self._join, read)
        return self._joining[scope]

    def _ordered(self, question: "_Question", limit: int | None) -> Iterator[RecordRows]:
        """Go through the windows of a key, then through what has no key."""
        order, left, rows, after = question.order, limit, FIRST_ROWS, None
        while left is None or left > 0:
            spans = self._spans(question)
            window = next_window(spans, after=after, rows=rows, newest_first=order.newest_first)
            if window is None:
                break
            window, found = self._answer(question, window, left)
            yield from found
            count = sum(batch.num_rows for batch in found)
            left = None if left is None else left - count
            rows = next_rows(rows, count)
            after = window.low if order.newest_first else window.high
            if after is None:
                break
        if order.by == "timestamp" and (left is None or left > 0) and self._has_untimed(question):
            stored = all_of(question.stored, Not(Present("timestamp")))
            yield from self._ordered(question._replace(stored=stored, order=order._replace(by="seq")), left)

    def _spans(self, question: "_Question") -> list[Span]:
        return spans_by(question.order.by, candidates(question.stored, self._snapshot, self._index), self._snapshot)

    def _has_untimed(self, question: "_Question") -> bool:
        """Say whether records without a time may be asked for: redacted ones, for the most part."""
        names = candidates(question.stored, self._snapshot, self._index)
        return any(self._snapshot.segments[name].untimed for name in names)

    def _answer(self, question: "_Question", window: Window, limit: int | None) -> tuple[Window, list[RecordRows]]:
        """Answer one window, or the part of it that fits in memory; give which it was."""
        while True:
            try:
                return window, self._ask(question, window, limit)
            except MemoryError:
                window = _halve(window, self._spans(question), newest_first=question.order.newest_first)
            except MissingSegmentError as error:
                self._look_again(error)
                window = window._replace(names=_names_in(window, self._spans(question)))

    def _ask(self, question: "_Question", window: Window, limit: int | None) -> list[RecordRows]:
        if not window.names:
            return []
        order = question.order
        tail = print_sql(all_of(question.stored, *_bounds(order.by, window), self._sealed(window.names)))
        source = self._engine.source(window.names)
        shown = ", ".join(f'"{name}"' for name in question.columns)
        way = "DESC" if order.newest_first else "ASC"
        by = f'"timestamp" {way}, "seq" {way}' if order.by == "timestamp" else f'"seq" {way}'
        text = f"SELECT {shown} FROM {source.text} WHERE {tail.text} ORDER BY {by}"  # noqa: S608 -- names of the schema
        parameters = (*source.parameters, *tail.parameters)
        if limit is not None:
            text, parameters = f"{text} LIMIT ?", (*parameters, limit)
        return [batch for batch in self._engine.select(Sql(text, parameters)) if batch.num_rows]

    def _sealed(self, names: Sequence[str]) -> Predicate:
        """Leave out what was sealed after this reader opened, where a fresh snapshot brought it in."""
        newer = any(self._snapshot.segments[name].last_seq >= self._sealed_to for name in names)
        return Compare("seq", Op.LT, self._sealed_to) if newer else Everything()

    def count(self, scope: Scope, where: Predicate) -> int:
        """Count the records of a scope that a condition holds of; a record that was written twice counts twice.

        Raises:
            StoreError: A segment cannot be read.
        """
        actors = self._actors(scope)
        stored = rewrite(_scoped(scope, where if actors is None else actors.settle(where)), self._index)
        while True:
            try:
                return self._count(stored)
            except MemoryError as error:
                raise _too_large() from error
            except MissingSegmentError as error:
                self._look_again(error)

    def _count(self, stored: Predicate) -> int:
        names = sorted(candidates(stored, self._snapshot, self._index))
        where = all_of(stored, self._sealed(names))
        if where == Everything():
            return sum(self._snapshot.segments[name].rows for name in names)
        if not names:
            return 0
        source, condition = self._engine.source(names), print_sql(where)
        text = f"SELECT count(*) AS found FROM {source.text} WHERE {condition.text}"  # noqa: S608 -- names of the schema
        answer = list(self._engine.select(Sql(text, (*source.parameters, *condition.parameters))))
        return int(answer[0].column(0)[0].as_py())

    def _look_again(self, error: MissingSegmentError) -> None:
        """Take a fresh snapshot after a segment was gone. Where none was replaced, it is the store that lacks it.

        A merge puts its entry into the log before it removes a file. Beside a writer that merges often, a long answer may
        have to look again more than once.

        Raises:
            StoreError: All segments that were live still are.
        """
        before = self._snapshot.segments.keys()
        self._snapshot = self._take_snapshot()
        if before <= self._snapshot.segments.keys():
            hint = "Run `kata-audit verify`: it names the files that are missing."
            raise StoreError("A segment that the log names is missing or cannot be read.", hint=hint) from error

    def has_requests(self, scope: Scope, first_ns: int, last_ns: int) -> bool:
        """Say whether the asker may see a record of the API server's audit log of some time.

        Args:
            scope: What the asker may see.
            first_ns: When it begins, nanoseconds since the Unix epoch.
            last_ns: When it ends; it is part of it.
        """
        near = all_of(API_RECORDS, Compare("timestamp", Op.GE, first_ns), Compare("timestamp", Op.LE, last_ns))
        question = _Question(rewrite(_scoped(scope, near), self._index), ["seq"], Order("seq"))
        return any(True for _ in self._scan(question, question.columns, 1))

    def of_pod(self, scope: Scope, namespace: str, pod: str) -> Predicate:
        """Ask for the records of a pod by as little as tells it apart: its name, and its namespace where others share it.

        A condition on a namespace is one on every sandbox that was ever in it, and a hundred thousand may have been.

        Args:
            scope: What the asker may see.
            namespace: The pod's namespace.
            pod: Its name.
        """
        named = OneOf("k8s_pod", frozenset({pod}))
        spaces = {space for rows in self.scan(scope, named, ["k8s_namespace"]) for space in rows.column(0).to_pylist()}
        return named if spaces <= {namespace} else all_of(named, OneOf("k8s_namespace", frozenset({namespace})))

    def resolve(self, scope: Scope, name: str) -> Resolution:
        """Find the sandboxes that a name means.

        Args:
            scope: What the asker may see; a name outside it is as unknown as any other.
            name: `NAMESPACE/POD`, a pod's name or uid, the id of a sandbox or container, or the first 4 or more characters
                of an id.

        Raises:
            UsageError: Nothing has this name, or several things have; they are listed.
        """
        return find_sandboxes(name, self._index, lambda sandbox: self._is_visible(scope, sandbox))

    def _is_visible(self, scope: Scope, sandbox: str) -> bool:
        where = OneOf("sandbox_id", frozenset({sandbox}))
        return any(True for _ in self.scan(scope, where, ["seq"], order=Order("seq"), limit=1))

    def facts(self, kind: FactKind) -> list[Fact]:
        """Give every fact of a kind. Facts know no scope: this is for who may see all."""
        return self._index.every(kind)

    def sources(self) -> list[SourceCount]:
        """Count the records of each source, by name. Sources know no scope: this is for who may see all.

        Raises:
            StoreError: A segment cannot be read.
        """
        while True:
            unindexed = self._snapshot.unindexed
            try:
                found = self._index.sources(self._snapshot.segments.keys() - unindexed)
                return add_sources([*found, *self._sources_in(sorted(unindexed))])
            except MissingSegmentError as error:
                self._look_again(error)

    def _sources_in(self, names: Sequence[str]) -> list[SourceCount]:
        """Count in segments that the index has not seen."""
        if not names:
            return []
        source, columns = self._engine.source(names), '"cursor", "node", "receiver", "observed_timestamp"'
        query = Sql(f"SELECT {columns} FROM {source.text}", source.parameters)  # noqa: S608 -- names of the schema
        return [one for rows in self._engine.select(query) for one in sources_of(pa.Table.from_batches([rows]))]

    def status(self) -> StoreStatus:
        """Describe the store as the snapshot has it."""
        known = self._snapshot.segments.values()
        return StoreStatus(
            origin=self._snapshot.origin,
            entries=self._snapshot.entries,
            sealed_to=self._snapshot.sealed_to,
            segments=len(known),
            records=sum(one.rows for one in known),
            bytes=sum(one.bytes for one in known),
            first_ns=min((one.first_ns for one in known if one.first_ns is not None), default=None),
            last_ns=max((one.last_ns for one in known if one.last_ns is not None), default=None),
            unindexed_segments=len(self._snapshot.unindexed),
        )


def _scoped(scope: Scope, where: Predicate) -> Predicate:
    """Add what the asker may see, on records with filled identities."""
    tenants = Everything() if scope.tenants is None else OneOf("tenant", scope.tenants)
    namespaces = Everything() if scope.namespaces is None else OneOf("k8s_namespace", scope.namespaces)
    return all_of(tenants, namespaces, where)


def _bounds(key: str, window: Window) -> list[Predicate]:
    low = [] if window.low is None else [Compare(key, Op.GE, window.low)]
    return [*low, *([] if window.high is None else [Compare(key, Op.LT, window.high)])] or [Present(key)]


def _names_in(window: Window, spans: Sequence[Span]) -> tuple[str, ...]:
    return tuple(
        span.name
        for span in spans
        if (window.low is None or span.last >= window.low) and (window.high is None or span.first < window.high)
    )


def _halve(window: Window, spans: Sequence[Span], *, newest_first: bool) -> Window:
    """Give the half of a window that comes first in its order.

    Raises:
        StoreError: It is one key wide.
    """
    inside = [span for span in spans if span.name in window.names]
    low = max(window.low if window.low is not None else -(1 << 63), min(span.first for span in inside))
    high = min(window.high if window.high is not None else 1 << 64, max(span.last for span in inside) + 1)
    middle = (low + high) // 2
    if middle <= low:
        raise _too_large()
    half = window._replace(low=middle) if newest_first else window._replace(high=middle)
    return half._replace(names=_names_in(half, inside))


def _too_large() -> StoreError:
    hint = "Ask for less with --since and --limit, or for fewer columns."
    return StoreError("The answer needs more memory than the reader may take.", hint=hint)
