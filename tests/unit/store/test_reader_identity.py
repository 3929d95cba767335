"""Identity: what facts fill, and that a condition on it finds the same rows where they are stored."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kata_audit.errors import UsageError
from kata_audit.predicate.rows import evaluate
from kata_audit.predicate.tree import (
    And,
    Compare,
    InNetwork,
    Match,
    Not,
    Number,
    OneOf,
    Op,
    Or,
    Predicate,
    Present,
    Relation,
    SameAs,
    Syntax,
)
from kata_audit.schema.fact import FACT_SCHEMA, FactKind
from kata_audit.schema.record import RECORD_SCHEMA
from kata_audit.store.facts import Fact, FactTable, tenures
from kata_audit.store.identity import FILLED, fill, rewrite

NODE, BOOT = "lab/worker-a", "b1"
IDS = ("s1", "s2", "s3", "c1", "c2")
NAMES = ("one", "two", "c1", "1", "10.0.0.1")


def records(*rows: dict[str, Any]) -> pa.RecordBatch:
    """Make records of a few columns; host, of one node and boot, numbered in order, unless said otherwise."""
    said = [{"seq": seq, "node": NODE, "boot_id": BOOT, "origin": "host", **row} for seq, row in enumerate(rows)]
    columns = []
    for field in RECORD_SCHEMA:
        values = [row.get(field.name) for row in said]
        if pa.types.is_dictionary(field.type):
            columns.append(pa.array(values, pa.string()).dictionary_encode().cast(field.type))
        else:
            columns.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=RECORD_SCHEMA)


def known(*facts: tuple[FactKind, str, str, int]) -> FactTable:
    """Know some facts of one node and boot."""
    rows = [
        {"kind": str(kind), "subject": subject, "object": named, "node": NODE, "boot_id": BOOT, "seq": seq}
        for kind, subject, named, seq in facts
    ]
    return FactTable([pa.RecordBatch.from_pylist(rows, schema=FACT_SCHEMA)])


def seen(rows: pa.RecordBatch, facts: FactTable, *columns: str) -> list[tuple[Any, ...]]:
    """Fill rows and give some columns of each."""
    return [tuple(row[name] for name in columns) for row in fill(rows, facts).to_pylist()]


POD = (
    (FactKind.SANDBOX_NAMESPACE, "s1", "prod", 5),
    (FactKind.SANDBOX_POD, "s1", "api", 5),
    (FactKind.SANDBOX_POD_UID, "s1", "u1", 5),
    (FactKind.SANDBOX_RUNTIME_CLASS, "s1", "kata-qemu", 5),
    (FactKind.CONTAINER_SANDBOX, "c1", "s1", 6),
    (FactKind.CONTAINER_NAME, "c1", "app", 6),
    (FactKind.CONTAINER_IMAGE, "c1", "img", 6),
)


def test_a_record_before_its_pod_was_known_gets_it() -> None:
    """Record 0 states the sandbox only; the pod was named at 5."""
    rows = records({"sandbox_id": "s1"}, {"sandbox_id": "other"})

    assert seen(rows, known(*POD), "k8s_namespace", "k8s_pod", "k8s_pod_uid", "runtime_class") == [
        ("prod", "api", "u1", "kata-qemu"),
        (None, None, None, None),
    ]


def test_a_container_leads_to_its_sandbox_and_pod() -> None:
    """A record that states a container only is of its sandbox, and carries its name and image."""
    rows = records({"container_id": "c1"})

    assert seen(rows, known(*POD), "sandbox_id", "k8s_pod", "k8s_container", "image") == [("s1", "api", "app", "img")]


def test_a_container_stated_as_sandbox_means_its_sandbox() -> None:
    """The Go shim's delete says `sandbox=` and the container's id."""
    rows = records({"sandbox_id": "c1"})

    assert seen(rows, known(*POD), "sandbox_id", "container_id", "k8s_pod") == [("s1", "c1", "api")]


def test_what_a_record_states_stays() -> None:
    """A fact never overwrites a statement."""
    rows = records({"sandbox_id": "s1", "k8s_pod": "own", "image": "own", "container_id": "c1"})

    assert seen(rows, known(*POD), "k8s_pod", "image", "k8s_namespace") == [("own", "own", "prod")]


def test_a_process_names_host_records_only() -> None:
    """A guest's own pid, another node's or another boot's is nobody here (L7)."""
    facts = known((FactKind.PID_SANDBOX, "77", "s1", 3))
    rows = records(
        {"pid": 77},
        {"pid": 77, "origin": "guest"},
        {"pid": 77, "origin": "unknown"},
        {"pid": 77, "node": "lab/other"},
        {"pid": 77, "boot_id": None},
        {"pid": 78},
        {"pid": 77, "container_id": "cx"},
    )

    assert [row[0] for row in seen(rows, facts, "sandbox_id")] == ["s1", None, None, None, None, None, None]


def test_a_process_id_that_is_used_again_changes_hands() -> None:
    """From the fact on that names another sandbox, the id is that one's; the first reaches back."""
    facts = known((FactKind.PID_SANDBOX, "77", "s1", 2), (FactKind.PID_SANDBOX, "77", "s2", 4))
    rows = records(*[{"pid": 77}] * 6)

    assert [row[0] for row in seen(rows, facts, "sandbox_id")] == ["s1", "s1", "s1", "s1", "s2", "s2"]
    assert [(t.first, t.end) for t in tenures([Fact("7", "s", NODE, "", 9)])] == [(0, None)]


def test_an_exec_leads_a_host_record_to_its_container() -> None:
    """containerd says how an exec ended by the exec's id alone; a guest's exec id is nobody's here (L7)."""
    facts = known(*POD, (FactKind.EXEC_CONTAINER, "e1", "c1", 7), (FactKind.PID_SANDBOX, "77", "s2", 1))
    rows = records(
        {"exec_id": "e1", "pid": 77},
        {"exec_id": "e1", "origin": "guest"},
        {"exec_id": "e1", "container_id": "cx"},
        {"exec_id": "e9", "pid": 77},
    )

    assert seen(rows, facts, "sandbox_id", "container_id", "k8s_pod", "k8s_container") == [
        ("s1", "c1", "api", "app"), (None, None, None, None), (None, "cx", None, None), (None, None, None, None),
    ]  # fmt: skip


def test_a_pod_uid_names_its_pod() -> None:
    """The kubelet states uids."""
    facts = known((FactKind.POD_UID_NAMESPACE, "u1", "prod", 1), (FactKind.POD_UID_POD, "u1", "api", 1))

    assert seen(records({"k8s_pod_uid": "u1"}), facts, "k8s_namespace", "k8s_pod") == [("prod", "api")]


def test_of_two_facts_the_earlier_holds() -> None:
    """A later record cannot rename a sandbox."""
    facts = known((FactKind.SANDBOX_POD, "s1", "late", 9), (FactKind.SANDBOX_POD, "s1", "api", 5))

    assert seen(records({"sandbox_id": "s1"}), facts, "k8s_pod") == [("api",)]
    assert evaluate(rewrite(Compare("k8s_pod", Op.EQ, "late"), facts), records({"sandbox_id": "s1"})).to_pylist() == [False]


def any_facts() -> st.SearchStrategy[FactTable]:
    objects = {
        FactKind.CONTAINER_SANDBOX: IDS,
        FactKind.PID_SANDBOX: IDS,
        FactKind.EXEC_CONTAINER: IDS,
    }
    subjects = {
        FactKind.PID_SANDBOX: ("1", "2"),
        FactKind.EXEC_CONTAINER: ("e1", "e2"),
        FactKind.POD_UID_NAMESPACE: NAMES,
        FactKind.POD_UID_POD: NAMES,
    }
    one = st.sampled_from(list(FactKind)).flatmap(
        lambda kind: st.tuples(
            st.just(kind),
            st.sampled_from(subjects.get(kind, IDS)),
            st.sampled_from(objects.get(kind, NAMES)),
            st.integers(0, 9),
        )
    )
    return st.lists(one, max_size=12).map(lambda facts: known(*facts))


def any_rows() -> st.SearchStrategy[pa.RecordBatch]:
    optional = {name: st.none() | st.sampled_from(NAMES) for name in FILLED}
    row = st.fixed_dictionaries(
        {
            **optional,
            "sandbox_id": st.none() | st.sampled_from(IDS),
            "container_id": st.none() | st.sampled_from(IDS),
            "pid": st.none() | st.integers(1, 3),
            "exec_id": st.none() | st.sampled_from(["e1", "e2", "e3"]),
            "origin": st.sampled_from(["host", "host", "guest", "unknown"]),
            "node": st.sampled_from([NODE, NODE, "lab/other"]),
            "boot_id": st.sampled_from([BOOT, BOOT, None]),
        }
    )
    return st.lists(row, max_size=8).map(lambda rows: records(*rows))


_VALUES = st.sampled_from([*IDS, *NAMES, "none"])
_FIELDS = st.sampled_from(FILLED)
_LEAVES: st.SearchStrategy[Predicate] = st.one_of(
    st.builds(Compare, _FIELDS, st.sampled_from([Op.EQ, Op.EQ, Op.NE, Op.LT, Op.GE]), _VALUES),
    st.builds(OneOf, _FIELDS, st.frozensets(_VALUES, max_size=4)),
    st.builds(Present, _FIELDS),
    st.builds(Match, _FIELDS, st.sampled_from(["s*", "C?", "*o*", "*"]), st.just(Syntax.WILDCARD), st.booleans()),
    st.builds(Number, _FIELDS, st.sampled_from([Op.GE, Op.NE]), st.integers(0, 2)),
    st.builds(InNetwork, _FIELDS, st.just("10.0.0.0/8")),
)
_CONDITIONS = st.recursive(
    _LEAVES,
    lambda parts: st.one_of(
        st.builds(And, st.lists(parts, max_size=3).map(tuple)),
        st.builds(Or, st.lists(parts, max_size=3).map(tuple)),
        st.builds(Not, parts),
    ),
    max_leaves=4,
)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=any_rows(), facts=any_facts(), where=_CONDITIONS)
def test_a_rewritten_condition_picks_what_the_filled_rows_show(
    rows: pa.RecordBatch, facts: FactTable, where: Predicate
) -> None:
    """The law of this file: filling and then asking is asking, rewritten, what is stored."""
    assert evaluate(rewrite(where, facts), rows).to_pylist() == evaluate(where, fill(rows, facts)).to_pylist()


def test_an_identity_is_not_compared_with_another_field() -> None:
    """What a store cannot ask exactly is refused, not asked inexactly."""
    with pytest.raises(UsageError, match="image"):
        rewrite(SameAs("image", "k8s_container", Relation.CONTAINS), known())


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=any_rows(), facts=any_facts())
def test_filling_keeps_rows_and_statements(rows: pa.RecordBatch, facts: FactTable) -> None:
    """L2; and whatever a record states beside its sandbox stays as it is."""
    filled = fill(rows, facts)

    assert filled.schema == rows.schema
    for name in set(RECORD_SCHEMA.names) - {"sandbox_id"}:
        kept = [(a, b) for a, b in zip(rows[name].to_pylist(), filled[name].to_pylist(), strict=True) if a is not None]
        assert all(a == b for a, b in kept)
