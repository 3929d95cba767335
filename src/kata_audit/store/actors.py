"""Actors of a node's records, as a reader sees them: joined from the API server's records in the same store.

A stored row holds only the actor that the record states. What a reader sees is filled from requests of the same pod,
whenever they were ingested, as far as the reader may see them. A condition on an actor is settled before it is asked: the
records that it holds of once they are filled are looked up, and named by `seq`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.predicate.rows import evaluate
from kata_audit.predicate.tree import (
    And,
    Compare,
    Everything,
    Leaf,
    Match,
    Not,
    OneOf,
    Op,
    Predicate,
    Present,
    all_of,
    any_of,
    fields_of,
    replace_leaves,
)
from kata_audit.schema.event import JOINED, UNKNOWN_ACTOR, ActorSource, Confidence
from kata_audit.schema.record import Component, RecordRows
from kata_audit.schema.source import Origin

ACTOR_COLUMNS: Final = ("actor", "actor_source", "actor_confidence")
"""Columns that requests fill."""
_PODS_AT_ONCE: Final = 50
_SPANS_AT_ONCE: Final = 100
_PODS_KEPT: Final = 5_000
_NO_ACTOR: Final = {
    "actor": UNKNOWN_ACTOR,
    "actor_source": str(ActorSource.NONE),
    "actor_confidence": str(Confidence.NONE),
}
_JOINED: Final = OneOf("action", frozenset(map(str, JOINED)))
_NAMELESS: Final = And(
    (
        Present("action"),
        Not(Compare("component", Op.EQ, str(Component.KUBE_APISERVER))),
        any_of(Not(Present("actor")), Compare("actor_source", Op.EQ, str(ActorSource.NONE))),
    )
)
"""Audit events whose records state no actor; what the API server does not know, nobody else does."""
API_RECORDS: Final = And(
    (
        Present("actor"),
        Compare("component", Op.EQ, str(Component.KUBE_APISERVER)),
        Compare("origin", Op.EQ, str(Origin.HOST)),
    )
)
"""Records of the API server's audit log, as far as the host wrote them."""
_REQUESTS: Final = And((_JOINED, API_RECORDS))

Pod = tuple[str, str]
Read = Callable[[Predicate, Sequence[str]], Iterator[RecordRows]]
"""Gives the records that a condition holds of, identities filled and actors as stored, of what the asker may see."""


class ApiRequest(Protocol):
    """What is asked of a request here."""

    @property
    def received_ns(self) -> int:
        """When it came."""
        ...


class ActorJoin(NamedTuple):
    """How requests and records are matched; `parse.actors` has the meaning.

    Args:
        request_columns: What `read_requests` needs of the API server's records.
        act_columns: What `name_actors` needs of records.
        read_requests: Makes requests of rows, by namespace and pod.
        name_actors: Gives the columns `ACTOR_COLUMNS` of rows, from requests.
        reach_ns: How far before and after a request records may be the doing of it.
    """

    request_columns: Sequence[str]
    act_columns: Sequence[str]
    read_requests: Callable[[Iterable[RecordRows]], Mapping[Pod, Sequence[ApiRequest]]]
    name_actors: Callable[[RecordRows, Mapping[Pod, Sequence[Any]]], Sequence[Sequence[str | None]]]
    reach_ns: tuple[int, int]


class Actors:
    """Fills actors, and settles conditions on them, for one asker.

    Args:
        join: How.
        read: Reads what the asker may see.
    """

    def __init__(self, join: ActorJoin, read: Read) -> None:
        self._join = join
        self._read = read
        self._requests: dict[Pod, Sequence[ApiRequest]] = {}

    @property
    def columns(self) -> Sequence[str]:
        """Columns that `fill()` needs."""
        return self._join.act_columns

    def fill(self, rows: RecordRows) -> RecordRows:
        """Fill the actors of audit events that state none.

        Args:
            rows: Rows with the columns `columns`, identities filled.

        Returns:
            The same rows in order (L2), with no audit event whose actor is null.
        """
        nameless = evaluate(_NAMELESS, rows)
        if not pc.any(nameless).as_py():
            return rows
        joinable = pc.and_(nameless, evaluate(_JOINED, rows))
        acts = rows.filter(joinable)
        names = (acts.column(name).to_pylist() for name in ("k8s_namespace", "k8s_pod"))
        pods = {(namespace, pod) for namespace, pod in zip(*names, strict=True) if namespace and pod}
        named = self._join.name_actors(acts, self._requests_of(pods))
        for name, values in zip(ACTOR_COLUMNS, named, strict=True):
            field = rows.schema.field(name)
            column = pc.if_else(nameless, _NO_ACTOR[name], rows.column(name).cast(pa.string()))
            column = pc.replace_with_mask(column, joinable, pa.array(values, pa.string()))
            column = column.dictionary_encode() if pa.types.is_dictionary(field.type) else column
            rows = rows.set_column(rows.schema.get_field_index(name), field, column.cast(field.type))
        return rows

    def _requests_of(self, pods: set[Pod]) -> Mapping[Pod, Sequence[ApiRequest]]:
        """Give the requests of some pods; those of pods that were asked for before are kept."""
        missing = sorted(pods - self._requests.keys())
        if len(self._requests) + len(missing) > _PODS_KEPT:
            self._requests = {}
            missing = sorted(pods)
        for start in range(0, len(missing), _PODS_AT_ONCE):
            chunk = missing[start : start + _PODS_AT_ONCE]
            # By pod alone: a namespace may have had a hundred thousand of them, and requests are told apart by both below.
            where = all_of(_REQUESTS, OneOf("k8s_pod", frozenset(name for _, name in chunk)))
            found = self._join.read_requests(self._read(where, self._join.request_columns))
            self._requests |= {pod: found.get(pod, ()) for pod in chunk}
        return self._requests

    def settle(self, where: Predicate) -> Predicate:
        """Turn a condition on actors as a reader sees them into one on what is stored.

        Returns:
            A condition that holds of a stored row exactly where `where` holds of the filled one.
        """
        if not set(ACTOR_COLUMNS).intersection(fields_of(where)):
            return where
        return replace_leaves(where, self._settle)

    def _settle(self, leaf: Leaf) -> Predicate:
        if not isinstance(leaf, Compare | OneOf | Present | Match) or leaf.field not in ACTOR_COLUMNS:
            return leaf
        nobody = pa.RecordBatch.from_arrays([pa.array([_NO_ACTOR[leaf.field]])], names=[leaf.field])
        holds_of_nobody = evaluate(leaf, nobody)[0].as_py()
        fitting, joined = self._joined(leaf, only_of=Everything() if holds_of_nobody or leaf.field != "actor" else leaf)
        named = OneOf("seq", fitting)
        if not holds_of_nobody:
            return any_of(leaf, named)
        others = Not(OneOf("seq", joined)) if joined else Everything()
        nobody_stated = And((Present("action"), Not(Present(leaf.field))))
        return any_of(all_of(any_of(leaf, nobody_stated), others), named)

    def _joined(
        self, leaf: Compare | OneOf | Present | Match, *, only_of: Predicate
    ) -> tuple[frozenset[int], frozenset[int]]:
        """Give the records whose joined actor a condition holds of, and all that have one, near certain requests."""
        fitting: set[int] = set()
        joined: set[int] = set()
        requests = self._join.read_requests(self._read(all_of(_REQUESTS, only_of), self._join.request_columns))
        times = sorted(request.received_ns for of_pod in requests.values() for request in of_pod)
        spans = _spans(times, self._join.reach_ns)
        columns = tuple(dict.fromkeys(("seq", *self._join.act_columns)))
        for start in range(0, len(spans), _SPANS_AT_ONCE):
            near = any_of(*(_between(*span) for span in spans[start : start + _SPANS_AT_ONCE]))
            for rows in self._read(all_of(_NAMELESS, _JOINED, near), columns):
                filled = self.fill(rows)
                known = pc.not_equal(filled.column("actor_source").cast(pa.string()), _NO_ACTOR["actor_source"])
                joined.update(filled.column("seq").filter(known).to_pylist())
                fitting.update(filled.column("seq").filter(pc.and_(known, evaluate(leaf, filled))).to_pylist())
        return frozenset(fitting), frozenset(joined)


def _spans(times: Sequence[int], reach: tuple[int, int]) -> list[tuple[int, int]]:
    """Give the spans of time near some ascending times; what touches is one."""
    spans: list[tuple[int, int]] = []
    for time in times:
        low, high = time - reach[0], time + reach[1]
        if spans and low <= spans[-1][1]:
            spans[-1] = (spans[-1][0], high)
        else:
            spans.append((low, high))
    return spans


def _between(low: int, high: int) -> Predicate:
    return And((Compare("timestamp", Op.GE, low), Compare("timestamp", Op.LE, high)))
