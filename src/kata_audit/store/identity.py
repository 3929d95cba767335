"""Identity: whose record is it, by what the record states and by all facts.

A stored row holds only what the record itself states. What a reader sees is filled from facts, whenever they became known:

- the sandbox: as stated; else the container's; else, for a host record that states neither and no exec, the one whose
  process wrote it. A sandbox that facts know as a container of another one means that other one.
- the container: as stated; else what was stated as the sandbox, where facts know that as a container; else, for a host
  record that states neither, the one of the exec that it states.
- namespace, pod, pod uid, runtime class: as stated; namespace and pod else by the stated pod uid; else the sandbox's.
- name and image of the container: as stated; else the container's.

`fill()` does that to rows. `rewrite()` turns a condition on what a reader sees into one on what is stored, so that an engine
can evaluate it where the rows lie; a property test holds the two together. Only host records make facts (law L7): nothing
that a guest claims names another row.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.errors import UsageError
from kata_audit.predicate.rows import evaluate
from kata_audit.predicate.tree import (
    And,
    Compare,
    InNetwork,
    Leaf,
    Match,
    Not,
    Number,
    OneOf,
    Op,
    Or,
    Predicate,
    Present,
    SameAs,
    all_of,
    any_of,
    replace_leaves,
)
from kata_audit.schema.fact import FactKind
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import Origin
from kata_audit.store.facts import Fact, Facts, Tenure, earliest_of_each, first_of_each, tenures

FILLED = (
    "sandbox_id",
    "container_id",
    "k8s_namespace",
    "k8s_pod",
    "k8s_pod_uid",
    "k8s_container",
    "image",
    "runtime_class",
)
"""Columns that facts fill."""
CLUES = ("seq", "node", "origin", "pid", "boot_id", "sandbox_id", "container_id", "exec_id", "k8s_pod_uid")
"""Columns that `fill()` reads beside the ones it fills."""

_Leaf: TypeAlias = Compare | OneOf | Present | Match | Number | InNetwork
"""A condition on one field of identity."""
_OF_SANDBOX = {
    "k8s_namespace": FactKind.SANDBOX_NAMESPACE,
    "k8s_pod": FactKind.SANDBOX_POD,
    "k8s_pod_uid": FactKind.SANDBOX_POD_UID,
    "runtime_class": FactKind.SANDBOX_RUNTIME_CLASS,
}
_OF_UID = {"k8s_namespace": FactKind.POD_UID_NAMESPACE, "k8s_pod": FactKind.POD_UID_POD}
_OF_CONTAINER = {"k8s_container": FactKind.CONTAINER_NAME, "image": FactKind.CONTAINER_IMAGE}


def fill(rows: RecordRows, facts: Facts, *, as_stated: bool = False) -> RecordRows:
    """Fill the identity columns that a record does not state.

    Args:
        rows: Rows with the columns `CLUES` and any of `FILLED`.
        facts: All facts known.
        as_stated: Join to a record only what records up to it had stated, as detection does; readers of history join all.

    Returns:
        The same rows in order (L2), with more values in those of the columns `FILLED` that are there.
    """
    join = _Join(rows, facts, as_stated=as_stated)
    stated = rows.column("sandbox_id")
    container = pc.coalesce(rows.column("container_id"), _by_exec(rows, join))
    above = join.known(FactKind.CONTAINER_SANDBOX, stated, container)
    sandbox = pc.coalesce(stated, join.mapped(container, above), _by_process(rows, facts, as_stated=as_stated))
    sandbox = pc.coalesce(join.looked_up(sandbox, FactKind.CONTAINER_SANDBOX), sandbox)
    named = pc.if_else(pc.is_valid(join.mapped(stated, above)), stated, None)
    seen = {"sandbox_id": sandbox, "container_id": pc.coalesce(container, named)}
    for name, kind in _OF_CONTAINER.items():
        if name in rows.schema.names:
            seen[name] = pc.coalesce(rows.column(name), join.looked_up(seen["container_id"], kind))
    for name, kind in _OF_SANDBOX.items():
        if name in rows.schema.names:
            seen[name] = _by_sandbox(rows, name, kind, sandbox, join)
    for name, column in seen.items():
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), column)
    return rows


class _Join:
    """Looks up what facts say of the subjects in columns of some rows."""

    def __init__(self, rows: RecordRows, facts: Facts, *, as_stated: bool) -> None:
        self._facts = facts
        self._seqs = rows.column("seq") if as_stated and rows.num_rows else None
        self._first = pc.min(self._seqs).as_py() if self._seqs is not None else 0

    def known(self, kind: FactKind, *columns: Any) -> dict[str, Fact]:
        """Give the earliest fact about each value of some columns."""
        values = {value for column in columns for value in pc.unique(column).to_pylist() if value is not None}
        return earliest_of_each(self._facts.of_subjects(kind, values))

    def mapped(self, column: Any, known: Mapping[str, Fact]) -> Any:
        """Give for each value of a column the object of its fact, where the row may know it."""
        if not known:
            return pa.nulls(len(column), pa.string())
        coded = column.dictionary_encode()
        facts = [known.get(value) for value in coded.dictionary.to_pylist()]
        objects = pa.array([None if fact is None else fact.object for fact in facts], pa.string()).take(coded.indices)
        if self._seqs is None or all(fact.seq <= self._first for fact in known.values()):
            return objects
        stated = pa.array([None if fact is None else fact.seq for fact in facts], pa.uint64()).take(coded.indices)
        return pc.if_else(pc.less_equal(stated, self._seqs), objects, None)

    def looked_up(self, column: Any, kind: FactKind) -> Any:
        """Give for each value of a column what facts of a kind say of it."""
        return self.mapped(column, self.known(kind, column))


def _by_sandbox(rows: RecordRows, name: str, kind: FactKind, sandbox: Any, join: _Join) -> Any:
    column = rows.column(name)
    if name in _OF_UID:
        column = pc.coalesce(column, join.looked_up(rows.column("k8s_pod_uid"), _OF_UID[name]))
    return pc.coalesce(column, join.looked_up(sandbox, kind))


def _silent_host(rows: RecordRows) -> Any:
    """Say which rows are the host's and state neither sandbox nor container."""
    silent = pc.and_(pc.is_null(rows.column("sandbox_id")), pc.is_null(rows.column("container_id")))
    return pc.and_(silent, pc.fill_null(pc.equal(rows.column("origin").cast(pa.string()), str(Origin.HOST)), False))


def _by_exec(rows: RecordRows, join: _Join) -> Any:
    """Give the container of the exec that a record states, for host records that state no other identity."""
    execs = pc.if_else(_silent_host(rows), rows.column("exec_id"), None)
    return join.looked_up(execs, FactKind.EXEC_CONTAINER)


def _by_process(rows: RecordRows, facts: Facts, *, as_stated: bool) -> Any:
    """Give the sandbox whose process wrote a record, for host records that state no identity."""
    silent = pc.and_(_silent_host(rows), pc.is_null(rows.column("exec_id")))
    at = pc.indices_nonzero(pc.and_(silent, pc.is_valid(rows.column("pid"))))
    found: list[str | None] = [None] * rows.num_rows
    if not len(at):
        return pa.array(found, pa.string())
    asked = rows.select(["node", "boot_id", "pid", "seq"]).take(at).to_pydict()
    pids = [str(pid) for pid in asked["pid"]]
    held = defaultdict(list)
    for tenure in tenures(facts.of_subjects(FactKind.PID_SANDBOX, set(pids)), reach_back=not as_stated):
        held[tenure.node, tenure.boot_id, tenure.pid].append(tenure)
    for row, node, boot, pid, seq in zip(at.to_pylist(), asked["node"], asked["boot_id"], pids, asked["seq"], strict=True):
        for tenure in held.get((node, boot or "", pid), ()):
            if tenure.first <= seq and (tenure.end is None or seq < tenure.end):
                found[row] = tenure.sandbox
    return pa.array(found, pa.string())


def rewrite(where: Predicate, facts: Facts) -> Predicate:
    """Turn a condition on what a reader sees into one on what is stored.

    Args:
        where: The condition, on columns as `fill()` leaves them.
        facts: All facts known.

    Returns:
        A condition that holds of a stored row exactly where `where` holds of the filled one.

    Raises:
        UsageError: It compares a field of identity with another field.
    """
    return replace_leaves(where, lambda leaf: _rewrite_leaf(leaf, facts))


def _rewrite_leaf(leaf: Leaf, facts: Facts) -> Predicate:
    if isinstance(leaf, SameAs) and {leaf.field, leaf.other} & set(FILLED):
        raise UsageError(
            f"`{leaf.field}` and `{leaf.other}` cannot be compared with each other in a store.",
            hint="Identities are joined when records are read; compare other fields, or ask for values.",
        )
    if not isinstance(leaf, _Leaf) or leaf.field not in FILLED:
        return leaf
    if leaf.field == "sandbox_id":
        return _sandbox_condition(leaf, facts)
    if leaf.field == "container_id":
        return _container_condition(leaf, facts)
    missing = Not(Present(leaf.field))
    if leaf.field in _OF_CONTAINER:
        containers = _subjects(leaf, _OF_CONTAINER[leaf.field], facts)
        return any_of(leaf, _both(missing, _container_is(containers, facts)))
    by_sandbox = _sandbox_is(_subjects(leaf, _OF_SANDBOX[leaf.field], facts), facts)
    if leaf.field not in _OF_UID:
        return any_of(leaf, _both(missing, by_sandbox))
    uids = _subjects(leaf, _OF_UID[leaf.field], facts)
    named = frozenset(fact.subject for fact in facts.every(_OF_UID[leaf.field])) if by_sandbox != Or(()) else frozenset()
    by_sandbox = _both(by_sandbox, Not(OneOf("k8s_pod_uid", named)) if named else And(()))
    return any_of(leaf, _both(missing, any_of(OneOf("k8s_pod_uid", uids), by_sandbox)))


def _both(left: Predicate, right: Predicate) -> Predicate:
    """Join two conditions, of which one that never holds decides."""
    if Or(()) in (left, right):
        return Or(())
    return left if right == And(()) else all_of(left, right)


def _values(leaf: Leaf) -> frozenset[str] | None:
    """Give the texts that a condition names one by one; None where it describes them."""
    if isinstance(leaf, OneOf):
        return frozenset(value for value in leaf.values if isinstance(value, str))
    return (
        frozenset({leaf.value}) if isinstance(leaf, Compare) and leaf.op is Op.EQ and isinstance(leaf.value, str) else None
    )


def _test_of(leaf: _Leaf) -> Callable[[Iterable[str]], frozenset[str]]:
    """Make of a condition the function that picks the values it holds of."""

    def pick(values: Iterable[str]) -> frozenset[str]:
        listed = sorted(set(values))
        rows = pa.RecordBatch.from_arrays([pa.array(listed, pa.string())], names=[leaf.field])
        return frozenset(rows.column(0).filter(evaluate(leaf, rows)).to_pylist())

    return pick


def _subjects(leaf: _Leaf, kind: FactKind, facts: Facts) -> frozenset[str]:
    """Give the subjects whose object, by the earliest fact, a condition holds of."""
    values = _values(leaf)
    if values is None:
        known = first_of_each(facts.every(kind))
    else:
        candidates = {fact.subject for fact in facts.of_objects(kind, values)}
        known = first_of_each(facts.of_subjects(kind, candidates))
    fitting = _test_of(leaf)(known.values())
    return frozenset(subject for subject, named in known.items() if named in fitting)


def _container_condition(leaf: _Leaf, facts: Facts) -> Predicate:
    values = _values(leaf)
    kind = FactKind.CONTAINER_SANDBOX
    known = facts.every(kind) if values is None else facts.of_subjects(kind, values)
    as_sandbox = _test_of(leaf)(fact.subject for fact in known)
    return any_of(
        leaf,
        And((Not(Present("container_id")), OneOf("sandbox_id", as_sandbox))) if as_sandbox else Or(()),
        _exec_is(_subjects(leaf, FactKind.EXEC_CONTAINER, facts)),
    )


def _exec_is(execs: frozenset[str]) -> Predicate:
    """Say which host records are known by one of some execs alone."""
    silent = (Not(Present("sandbox_id")), Not(Present("container_id")), Compare("origin", Op.EQ, str(Origin.HOST)))
    return And((*silent, OneOf("exec_id", execs))) if execs else Or(())


def _container_is(containers: frozenset[str], facts: Facts) -> Predicate:
    return _container_condition(OneOf("container_id", containers), facts) if containers else Or(())


def _sandbox_is(sandboxes: frozenset[str], facts: Facts) -> Predicate:
    return _sandbox_condition(OneOf("sandbox_id", sandboxes), facts) if sandboxes else Or(())


def _sandbox_condition(leaf: _Leaf, facts: Facts) -> Predicate:
    """Say which stored rows belong to the sandboxes that a condition holds of."""
    values, pick = _values(leaf), _test_of(leaf)
    kind = FactKind.CONTAINER_SANDBOX
    if values is None:
        owner = first_of_each(facts.every(kind))
    else:
        below = {fact.subject for fact in facts.of_objects(kind, values)}
        owner = first_of_each(facts.of_subjects(kind, below | values))
    mine = pick(owner.values())
    inside = frozenset(container for container, sandbox in owner.items() if sandbox in mine)
    moved = pick(owner) - inside
    stated = any_of(OneOf("sandbox_id", inside), all_of(leaf, Not(OneOf("sandbox_id", moved))) if moved else leaf)
    if values is not None:
        stated = OneOf("sandbox_id", (values - moved) | inside)
    by_container, by_process = _bases(leaf, values, inside, moved, facts)
    silent = Not(Present("sandbox_id"))
    return any_of(
        stated,
        And((silent, OneOf("container_id", by_container))) if by_container else Or(()),
        _exec_is(_subjects(OneOf("container_id", by_container), FactKind.EXEC_CONTAINER, facts)) if by_container else Or(()),
        _both(And((silent, Not(Present("container_id")), Not(Present("exec_id")))), by_process),
    )


def _bases(
    leaf: _Leaf,
    values: frozenset[str] | None,
    inside: frozenset[str],
    moved: frozenset[str],
    facts: Facts,
) -> tuple[frozenset[str], Predicate]:
    """Give the containers, and the processes as a condition, that lead to the sandboxes of a condition."""
    owned, held = FactKind.CONTAINER_SANDBOX, FactKind.PID_SANDBOX
    if values is None:
        owner, told = first_of_each(facts.every(owned)), facts.every(held)
        pick = _test_of(leaf)
        ids = (pick({*owner.values(), *(fact.object for fact in told)}) - moved) | inside
    else:
        ids = (values - moved) | inside
        owner = first_of_each(facts.of_subjects(owned, {fact.subject for fact in facts.of_objects(owned, ids)}))
        told = facts.of_subjects(held, {fact.subject for fact in facts.of_objects(held, ids)})
    containers = frozenset(container for container, sandbox in owner.items() if sandbox in ids)
    return containers, _processes([tenure for tenure in tenures(told) if tenure.sandbox in ids])


def _processes(held: Iterable[Tenure]) -> Predicate:
    """Say which host records were written by processes; those that never changed hands are asked together."""
    whole: dict[tuple[str, str], list[int]] = defaultdict(list)
    parts: list[Predicate] = []
    for tenure in held:
        if tenure.first == 0 and tenure.end is None:
            whole[tenure.node, tenure.boot_id].append(int(tenure.pid))
            continue
        ends = () if tenure.end is None else (Compare("seq", Op.LT, tenure.end),)
        when = (Compare("pid", Op.EQ, int(tenure.pid)), Compare("seq", Op.GE, tenure.first), *ends)
        parts.append(And((*_place(tenure.node, tenure.boot_id), *when)))
    for (node, boot_id), pids in whole.items():
        parts.append(And((*_place(node, boot_id), OneOf("pid", frozenset(pids)))))
    return And((Compare("origin", Op.EQ, str(Origin.HOST)), any_of(*parts))) if parts else Or(())


def _place(node: str, boot_id: str) -> tuple[Predicate, Predicate]:
    boot = Compare("boot_id", Op.EQ, boot_id) if boot_id else Not(Present("boot_id"))
    return Compare("node", Op.EQ, node), boot
