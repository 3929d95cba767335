"""Against a real cluster with Kata: whose doing each exec on the node was, and what nobody can tell."""

import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.evidence import derive
from tests.stores import KEY

from kata_audit.clock import ManualClock
from kata_audit.pipeline.ingest import CutPolicy, Sealer, take
from kata_audit.predicate.language import parse_query
from kata_audit.predicate.tree import Everything
from kata_audit.receivers.file import FileReceiver, Place
from kata_audit.schema.source import Transport
from kata_audit.store.reader import EVERYTHING_IN_SCOPE
from kata_audit.store.writer import open_writer
from kata_audit.wiring import reading

pytestmark = pytest.mark.corpus

COLUMNS = (
    "seq", "timestamp", "origin", "component", "event_name", "action", "outcome", "actor", "actor_source", "actor_confidence",
    "k8s_namespace", "k8s_pod", "k8s_container", "exec_id", "body", "attributes",
)  # fmt: skip


def store_of(folder: Path, root: Path, *, with_api: bool = True) -> Path:
    """Make a store of a node's journal and the API server's audit log."""
    sources = [("journal.export.gz", Transport.JOURNAL_EXPORT), ("audit.log.gz", Transport.HOST_FILE)]
    clock = ManualClock()
    with open_writer(root, clock=clock, node="lab/worker-a") as writer:
        sealer = Sealer(writer, CutPolicy(max_records=4_000), derive, clock, int)
        for name, transport in sources[: 2 if with_api else 1]:
            with FileReceiver(str(folder / name), Place("lab/worker-a", "default", transport), clock=clock, key=KEY) as file:
                for _ in take(file, writer, sealer, key=KEY):
                    pass
        sealer.seal_all()
    return root


def rows_of(root: Path, query: str = "", columns: tuple[str, ...] = COLUMNS) -> list[dict[str, Any]]:
    with reading(root) as reader:
        where = parse_query(query) if query else Everything()
        batches = list(reader.scan(EVERYTHING_IN_SCOPE, where, columns))
    found = []
    for rows in batches:
        values = [rows.column(name).cast("int64") if name == "timestamp" else rows.column(name) for name in columns]
        listed = zip(*(value.to_pylist() for value in values), strict=True)
        found += [dict(zip(columns, one, strict=True)) for one in listed]
    for row in found:
        row["attributes"] = dict(row.get("attributes") or ())
    return found


class Call:
    """One `kubectl exec` of the truth: who, when, which pod, which command, and what came of it."""

    def __init__(self, line: dict[str, Any]) -> None:
        argv = line["argv"]
        split = argv.index("--")
        self.user = line["user"]
        self.namespace = argv[argv.index("-n") + 1]
        self.pod = argv[split - 1]
        self.command = argv[split + 1 :]
        self.scenario = line["scenario"]
        self.start, self.end = (int(datetime.fromisoformat(line[key]).timestamp() * 1e9) for key in ("start", "end"))

    def __repr__(self) -> str:
        return f"{self.scenario} {self.user} {self.namespace}/{self.pod} {self.command}"


def calls_of(folder: Path) -> Iterator[Call]:
    for text in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if "exec" in line["argv"]:
            yield Call(line)


def during(call: Call, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the records of a call's pod and time; a record may come a little after the caller had its answer."""
    return [
        row
        for row in rows
        if row["k8s_namespace"] == call.namespace
        and row["k8s_pod"] == call.pod
        and call.start <= row["timestamp"] <= call.end + 5_000_000
    ]


def verdict(call: Call, rows: list[dict[str, Any]]) -> str:
    """Say how an exec ended, as records alone tell it."""
    api = [row for row in during(call, rows) if row["component"] == "kube-apiserver"]
    node = [row for row in during(call, rows) if row["component"] != "kube-apiserver" and row["action"] == "exec"]
    if any(row["outcome"] == "denied" for row in api):
        return "refused by the API server"
    if any(row["outcome"] == "denied" for row in node):
        return "refused by the guest's policy"
    if any(row["outcome"] == "failure" for row in node):
        return "failed in the guest"
    return "no failure told"


EXPECTED = {
    "exec-forbidden": "refused by the API server",
    "policy-denied-exec": "refused by the guest's policy",
    "exec-fails": "failed in the guest",
}


@pytest.fixture(scope="module", params=["k8s-kata-debug", "k8s-kata-info"])
def cluster(
    request: pytest.FixtureRequest, corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Path]:
    folder = corpus / "captures" / request.param
    return request.param, folder, store_of(folder, tmp_path_factory.mktemp("store") / "s")


def test_every_exec_has_its_user_pod_and_container(cluster: tuple[str, Path, Path]) -> None:
    """The request says who asked for which command where; with debug on, containerd's record of it is certainly theirs."""
    run, folder, root = cluster
    rows = rows_of(root)
    calls = list(calls_of(folder))
    on_node = 0
    for call in calls:
        asked = [row for row in during(call, rows) if row["event_name"] == "api.exec"]
        if call.scenario == "exec-forbidden":
            assert {row["event_name"] for row in during(call, rows) if row["outcome"] == "denied"} == {"api.request"}
            continue
        assert {row["actor"] for row in asked} == {call.user}, call
        assert {row["k8s_container"] for row in asked} == {call.pod}, call
        commands = {row["attributes"]["process.command_args"] for row in asked}
        assert [json.loads(command) for command in commands] == [call.command], call
        done = [row for row in during(call, rows) if row["body"].startswith("Exec for ") and row["action"] == "exec"]
        assert [(row["actor"], row["actor_confidence"]) for row in done] == [(call.user, "certain")] * len(done), call
        assert {row["k8s_container"] for row in done} <= {call.pod}
        on_node += len(done)

    assert len(calls) == 13
    assert on_node == (12 if run == "k8s-kata-debug" else 0)


def test_refusals_and_failures_are_told_apart(cluster: tuple[str, Path, Path]) -> None:
    """By RBAC, by the guest's policy, by a missing program: each is another record, at default log levels too."""
    _, folder, root = cluster
    rows = rows_of(root)

    told = {repr(call): (verdict(call, rows), EXPECTED.get(call.scenario, "no failure told")) for call in calls_of(folder)}

    assert {call: seen for call, (seen, truth) in told.items() if seen != truth} == {}


def test_no_record_of_an_exec_is_given_to_the_wrong_user(cluster: tuple[str, Path, Path]) -> None:
    """Every joined actor is the user of a call of that pod and time; a guess among several users says that it is one."""
    _, folder, root = cluster
    calls = [call for call in calls_of(folder) if call.scenario != "exec-forbidden"]
    wrong, joined = [], 0
    for row in rows_of(root, "action:exec"):
        if row["actor_source"] == "api-audit" and row["component"] != "kube-apiserver":
            joined += 1
            users = {call.user for call in calls if row in during(call, [row])}
            if row["actor"] not in users and row["actor_confidence"] != "possible":
                wrong.append((row["seq"], row["body"][:40], row["actor"], users))

    assert wrong == []
    assert joined >= 5


def test_how_an_exec_ended_is_told_of_its_pod_and_user(cluster: tuple[str, Path, Path]) -> None:
    """containerd names the exec alone; other records tell its container. A probe's end is nobody's."""
    run, folder, root = cluster
    ends = [row for row in rows_of(root, "event_name:exec.exited") if row["body"].startswith("Exec process ")]
    calls = [call for call in calls_of(folder) if call.scenario not in EXPECTED]
    told = {repr(call): [row["actor"] for row in during(call, ends) if row["actor"] != "unknown"] for call in calls}

    assert all(row["k8s_pod"] and row["k8s_container"] for row in ends)
    assert told == {repr(call): [call.user] if run == "k8s-kata-debug" else [] for call in calls}


def test_probes_of_the_kubelet_are_nobodys(cluster: tuple[str, Path, Path]) -> None:
    """Commands that the kubelet runs by itself have no user, however near a user's request they are."""
    _, _, root = cluster

    probes = [row for row in rows_of(root, "action:exec") if row["body"].startswith("ExecSync for ")]

    assert {row["actor"] for row in probes} <= {"unknown"}


def test_what_default_levels_cannot_show(cluster: tuple[str, Path, Path]) -> None:
    """At default levels the node says nothing of an exec that worked: the API server's event is all there is of it."""
    run, folder, root = cluster
    rows = rows_of(root)
    silent = [
        call
        for call in calls_of(folder)
        if not [row for row in during(call, rows) if row["action"] == "exec" and row["component"] != "kube-apiserver"]
    ]
    blind = {"exec", "exec-shadow", "exec-shell", "exec-impersonated", "privileged", "exec-forbidden"}

    assert {call.scenario for call in silent} == (blind if run == "k8s-kata-info" else {"exec-forbidden"})


def test_a_search_by_actor_finds_what_it_shows(cluster: tuple[str, Path, Path]) -> None:
    """A condition on an actor holds of exactly the records that show it."""
    _, _, root = cluster
    everything = rows_of(root, "", ("seq", "actor", "actor_source", "actor_confidence"))
    for query, name, value in (
        ("actor:alice", "actor", "alice"),
        ("actor:bob", "actor", "bob"),
        ("actor:unknown", "actor", "unknown"),
        ("actor_confidence:certain", "actor_confidence", "certain"),
        ("actor_source:api-audit", "actor_source", "api-audit"),
    ):
        shown = {row["seq"] for row in everything if row[name] == value}
        assert {row["seq"] for row in rows_of(root, query, ("seq",))} == shown, query
        with reading(root) as reader:
            assert reader.count(EVERYTHING_IN_SCOPE, parse_query(query)) == len(shown)


def test_without_the_api_servers_log_nobody_is_named(corpus: Path, tmp_path: Path) -> None:
    """The node's own records name no user."""
    root = store_of(corpus / "captures" / "k8s-kata-debug", tmp_path / "s", with_api=False)

    events = [row for row in rows_of(root) if row["action"] is not None]

    assert {(row["actor"], row["actor_source"], row["actor_confidence"]) for row in events} == {("unknown", "none", "none")}


def test_the_log_is_the_one_of_the_truth(corpus: Path) -> None:
    """The audit log of the run holds the users of its calls."""
    log = gzip.decompress((corpus / "captures" / "k8s-kata-debug" / "audit.log.gz").read_bytes())

    assert all(f'"username":"{user}"'.encode() in log for user in ("alice", "bob", "admin"))
