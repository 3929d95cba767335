"""Actors as a reader sees them: joined from requests in the store, searched as they are shown, within what one may see."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.evidence import DATA, derive
from tests.stores import KEY

from kata_audit.clock import ManualClock
from kata_audit.pipeline.ingest import CutPolicy, Sealer, take
from kata_audit.predicate.tree import (
    And,
    Compare,
    Everything,
    Match,
    Not,
    OneOf,
    Op,
    Or,
    Predicate,
    Present,
    Syntax,
    fields_of,
)
from kata_audit.receivers.file import FileReceiver, Place
from kata_audit.schema.source import Transport
from kata_audit.store.actors import _REQUESTS
from kata_audit.store.identity import FILLED
from kata_audit.store.reader import EVERYTHING_IN_SCOPE, Reader, Scope
from kata_audit.store.writer import open_writer
from kata_audit.wiring import reading

NODE_LOG, API_LOG = (DATA / "captures" / f"k8s-kata.{name}.log.gz" for name in ("containerd", "audit"))
SHOWN = ("seq", "actor", "actor_source", "actor_confidence", "action", "k8s_namespace", "component")


def make(root: Path, *files: tuple[Path, str]) -> Path:
    clock = ManualClock()
    with open_writer(root, clock=clock, node="lab/worker-a") as writer:
        sealer = Sealer(writer, CutPolicy(max_records=60), derive, clock, int)
        for path, tenant in files:
            with FileReceiver(str(path), Place("lab/worker-a", tenant, Transport.HOST_FILE), clock=clock, key=KEY) as file:
                for _ in take(file, writer, sealer, key=KEY):
                    pass
        sealer.seal_all()
    return root


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The node's log first: what was ingested later names it, too."""
    return make(tmp_path_factory.mktemp("actors") / "s", (NODE_LOG, "default"), (API_LOG, "default"))


@pytest.fixture(scope="module")
def reader(store: Path) -> Iterator[Reader]:
    with reading(store) as opened:
        yield opened


def rows(reader: Reader, where: Predicate, scope: Scope = EVERYTHING_IN_SCOPE) -> list[dict[str, Any]]:
    return [row for batch in reader.scan(scope, where, SHOWN) for row in batch.to_pylist()]


NODES = And((Compare("action", Op.EQ, "exec"), Compare("component", Op.EQ, "containerd")))


def test_a_nodes_records_have_the_actors_of_requests_ingested_later(reader: Reader) -> None:
    """Streamed execs by users; the kubelet's probes by nobody."""
    found = rows(reader, And((NODES, Compare("event_name", Op.EQ, "exec.requested"))))

    named = [(row["actor"], row["actor_confidence"]) for row in found if row["actor"] != "unknown"]
    assert set(named) == {("alice", "certain"), ("bob", "certain"), ("admin", "certain")}
    assert len(named) == 10
    assert {row["actor_source"] for row in found if row["actor"] == "unknown"} == {"none"}
    nobodys = rows(reader, And((NODES, Compare("actor", Op.EQ, "unknown"))))
    assert {row["actor"] for row in nobodys} == {"unknown"}


def test_columns_of_actors_alone_are_enough(reader: Reader) -> None:
    """What the join needs is fetched, and not shown."""
    (batch, *_) = reader.scan(EVERYTHING_IN_SCOPE, NODES, ["actor"])

    assert batch.schema.names == ["actor"]
    assert "alice" in batch.column(0).to_pylist()


def test_a_limit_counts_records_that_fit(reader: Reader) -> None:
    where = And((NODES, Compare("actor", Op.EQ, "bob")))

    found = list(reader.scan(EVERYTHING_IN_SCOPE, where, ["seq", "actor"], limit=2))

    assert [row["actor"] for batch in found for row in batch.to_pylist()] == ["bob", "bob"]


def test_who_may_not_see_a_request_does_not_see_its_actor(tmp_path: Path) -> None:
    """The join is within the scope: another tenant's audit log names nobody."""
    root = make(tmp_path / "s", (NODE_LOG, "nodes"), (API_LOG, "control"))

    with reading(root) as opened:
        alone = rows(opened, NODES, Scope(frozenset({"nodes"}), None))
        both = rows(opened, NODES, Scope(frozenset({"nodes", "control"}), None))
        asked = opened.count(Scope(frozenset({"nodes"}), None), Compare("actor", Op.EQ, "alice"))

    assert {row["actor"] for row in alone} == {"unknown"}
    assert "alice" in {row["actor"] for row in both}
    assert asked == 0


def test_a_namespace_is_no_way_around(reader: Reader) -> None:
    """Requests and records of one namespace are seen together, and no others."""
    found = rows(reader, NODES, Scope(None, frozenset({"shop"})))

    assert {row["k8s_namespace"] for row in found} == {"shop"}
    assert {row["actor"] for row in found} == {"bob", "unknown"}


def test_without_an_audit_log_every_event_is_nobodys(tmp_path: Path) -> None:
    with reading(make(tmp_path / "s", (NODE_LOG, "default"))) as opened:
        events = rows(opened, Present("action"))

        assert {(row["actor"], row["actor_source"], row["actor_confidence"]) for row in events} == {
            ("unknown", "none", "none")
        }
        assert not opened.has_requests(EVERYTHING_IN_SCOPE, 0, 2**63 - 1)
        assert opened.count(EVERYTHING_IN_SCOPE, Compare("actor", Op.EQ, "unknown")) == len(events)


def test_an_undeclared_audit_log_names_nobody(tmp_path: Path) -> None:
    """L7: what nobody declared may be anybody's; its events fill their own rows."""
    root = make(tmp_path / "s", (NODE_LOG, "default"))
    clock = ManualClock()
    with open_writer(root, clock=clock, node="lab/worker-a") as writer:
        sealer = Sealer(writer, CutPolicy(), derive, clock, int)
        with FileReceiver(str(API_LOG), Place("lab/worker-a", "default", None), clock=clock, key=KEY) as file:
            for _ in take(file, writer, sealer, key=KEY):
                pass
        sealer.seal_all()

    with reading(root) as opened:
        assert {row["actor"] for row in rows(opened, NODES)} == {"unknown"}
        assert not opened.has_requests(EVERYTHING_IN_SCOPE, 0, 2**63 - 1)
        assert opened.count(EVERYTHING_IN_SCOPE, Compare("actor", Op.EQ, "alice")) > 0


def test_an_audit_log_is_of_a_time_and_seen_within_a_scope(reader: Reader) -> None:
    api = reader.scan(EVERYTHING_IN_SCOPE, Compare("component", Op.EQ, "kube-apiserver"), ["timestamp"])
    (first, *_, last) = sorted(time for batch in api for time in batch.column(0).cast(pa.int64()).to_pylist())

    assert reader.has_requests(EVERYTHING_IN_SCOPE, last, last)
    assert not reader.has_requests(EVERYTHING_IN_SCOPE, 0, first - 1)
    assert not reader.has_requests(EVERYTHING_IN_SCOPE, last + 1, 2**63 - 1)
    assert not reader.has_requests(Scope(None, frozenset({"nowhere"})), 0, 2**63 - 1)


FIELDS = st.sampled_from(["actor", "actor_source", "actor_confidence"])
VALUES = st.sampled_from(["alice", "bob", "admin", "unknown", "none", "api-audit", "certain", "possible", "stated", "x"])
LEAVES: st.SearchStrategy[Predicate] = st.one_of(
    st.builds(Compare, FIELDS, st.sampled_from([Op.EQ, Op.NE, Op.LT, Op.GE]), VALUES),
    st.builds(OneOf, FIELDS, st.frozensets(VALUES, min_size=1, max_size=3)),
    st.builds(Present, FIELDS),
    st.builds(Match, FIELDS, st.sampled_from(["a*", "*n*", "*", "b?b"]), st.just(Syntax.WILDCARD)),
    st.just(Compare("component", Op.EQ, "containerd")),
    st.just(Compare("k8s_namespace", Op.EQ, "shop")),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.builds(And, st.lists(parts, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(parts, min_size=1, max_size=3).map(tuple)),
        st.builds(Not, parts),
    ),
    max_leaves=3,
)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(where=CONDITIONS)
def test_a_condition_holds_of_exactly_the_records_that_show_it(reader: Reader, where: Predicate) -> None:
    """The law of this file: asking is filling all records and then asking."""
    from kata_audit.predicate.rows import evaluate

    shown = [batch.filter(evaluate(where, batch)) for batch in reader.scan(EVERYTHING_IN_SCOPE, Everything(), SHOWN)]
    wanted = sorted(seq for batch in shown for seq in batch.column("seq").to_pylist())

    assert sorted(row["seq"] for row in rows(reader, where)) == wanted
    assert reader.count(EVERYTHING_IN_SCOPE, where) == len(wanted)


def test_the_captures_hold_what_the_tests_ask(store: Path) -> None:
    """The audit log names the users whose records are looked for."""
    import gzip

    events = [json.loads(line) for line in gzip.decompress(API_LOG.read_bytes()).splitlines()]

    assert {event["user"]["username"] for event in events} >= {"alice", "bob", "admin"}
    assert store.is_dir()


def test_requests_are_looked_for_by_nothing_that_all_pods_share() -> None:
    """A condition on identities is one on every sandbox that they hold of; a namespace, or having a pod at all, is all."""
    assert not set(fields_of(_REQUESTS)) & set(FILLED)
