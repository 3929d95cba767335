"""Audit events in JSON: who did what to which object and how it went; what a client claims stays its claim."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import DATA, capture, column, derive, evidence
from tests.mutations import json_mutations

from kata_audit.parse.dialects.kube_audit import DIALECT
from kata_audit.parse.link import link
from kata_audit.schema.source import Transport

EXEC = DIALECT.about.examples[0]
LINES = gzip.decompress((DATA / "captures" / "k8s-audit.log.gz").read_bytes()).decode().splitlines()


def read(*lines: str, transport: Transport = Transport.HOST_FILE) -> list[dict[str, Any]]:
    records = derive(evidence("".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass"), transport))
    rows = [
        dict(zip(records.schema.names, values, strict=True)) for values in zip(*records.to_pydict().values(), strict=True)
    ]
    for row in rows:
        row["attributes"] = dict(row["attributes"] or ())
    return rows


def changed(line: str = EXEC, **fields: Any) -> str:
    """Give an event with other fields; None takes one away."""
    event = {**json.loads(line), **fields}
    return json.dumps({key: value for key, value in event.items() if value is not None}, separators=(",", ":"))


def real(audit_id: str, stage: str = "ResponseComplete") -> dict[str, Any]:
    """Read the one line of the capture with that id and stage."""
    (line,) = [line for line in LINES if f'"auditID":"{audit_id}","stage":"{stage}"' in line]
    return read(line)[0]


@pytest.mark.parametrize(
    ("answer", "allowed"),
    [("true", "true"), ("false", "false"), ("null", None), ('"yes"', None), ('{"a":' * 1_000 + "1" + "}" * 1_000, None)],
    ids=["yes", "no", "null", "a text", "depth"],
)
def test_a_review_is_answered_with_yes_or_no(answer: str, allowed: str | None) -> None:
    """Whatever else stands there is no answer, and stops nothing."""
    line = changed(requestObject={"kind": "SubjectAccessReview"}, responseObject={"status": {"allowed": "?"}})
    (row,) = read(line.replace('"?"', answer))

    assert row["dialect"] == "kube-audit"
    assert row["attributes"].get("review.allowed") == allowed


def test_an_exec_says_who_what_where() -> None:
    """The command stands in the URI alone, and 101 leaves open how it went."""
    (row,) = read(EXEC)

    wanted = {
        "actor": "alice", "actor_source": "api-audit", "actor_confidence": "stated", "action": "exec",
        "object": "pods/exec payments/api", "outcome": "unknown", "event_name": "api.exec", "class": "audit",
        "component": "kube-apiserver", "origin": "host", "k8s_namespace": "payments", "k8s_pod": "api",
        "k8s_container": "api", "k8s_pod_uid": None, "dialect": "kube-audit", "parse_status": "parsed",
        "severity_text": "INFO", "timestamp_basis": "host",
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted
    stated = row["attributes"]
    assert json.loads(stated["process.command_args"]) == ["ls", "-l", "/app"]
    assert stated["network.peer.address"] == "10.20.8.11"
    assert json.loads(stated["user.groups"]) == ["dev", "system:authenticated"]
    assert stated["client.claimed.auditID"] == "21e9a086-371f-4635-a526-3059de589ce8"
    assert "auditID" not in stated


@pytest.mark.parametrize(
    ("stage", "code", "decision", "outcome"),
    [
        ("RequestReceived", None, None, "unknown"),
        ("ResponseStarted", 101, "allow", "unknown"),
        ("ResponseComplete", 101, "allow", "unknown"),
        ("ResponseStarted", 200, "allow", "unknown"),
        ("ResponseComplete", 200, "allow", "success"),
        ("ResponseComplete", 403, "forbid", "denied"),
        ("ResponseComplete", 403, "allow", "denied"),
        ("ResponseComplete", 403, None, "denied"),
        ("ResponseStarted", 401, None, "denied"),
        ("ResponseComplete", 404, "allow", "failure"),
        ("ResponseStarted", 500, "allow", "failure"),
        ("Panic", 200, "allow", "failure"),
    ],
)
def test_how_it_went(stage: str, code: int | None, decision: str | None, outcome: str) -> None:
    """Refused by RBAC or by admission is denied, an open way is no success, and an unfinished request is unknown."""
    status = None if code is None else {"metadata": {}, "code": code}
    notes = None if decision is None else {"authorization.k8s.io/decision": decision}

    (row,) = read(changed(stage=stage, responseStatus=status, annotations=notes))

    assert row["outcome"] == outcome


def test_bad_credentials_have_no_actor() -> None:
    (row,) = read(changed(user={}, stage="ResponseStarted", responseStatus={"code": 401}, annotations=None))

    assert (row["actor"], row["actor_source"], row["actor_confidence"], row["outcome"]) == (
        "unknown",
        "none",
        "none",
        "denied",
    )


def test_impersonation_never_hides_who_authenticated() -> None:
    """`actor` is who came; whom they acted as stands beside it, and in the text."""
    row = real("4fd3d5bb-1a8b-48ef-9f2d-6486db4c697a")

    assert row["actor"] == "bob"
    assert row["attributes"]["impersonatedUser.username"] == "alice"
    assert json.loads(row["attributes"]["impersonatedUser.groups"]) == ["dev", "system:authenticated"]
    assert " as alice -> 101" in row["body"]


def test_only_the_last_address_is_the_peer() -> None:
    """What a client put into forwarding headers is its claim."""
    (row,) = read(changed(sourceIPs=["1.2.3.4", "::1", "10.20.8.11"]))

    assert row["attributes"]["network.peer.address"] == "10.20.8.11"
    assert json.loads(row["attributes"]["client.claimed.sourceIPs"]) == ["1.2.3.4", "::1"]


def test_the_stages_of_one_request_fold_and_those_of_another_under_its_id_do_not() -> None:
    """A client may choose the audit ID, so when and for what the request came decides too."""
    stages = [changed(stage=stage) for stage in ("RequestReceived", "ResponseStarted", "ResponseComplete")]
    forged = changed(requestReceivedTimestamp="2026-11-23T07:38:14.764468Z")
    other = changed(requestURI="/api/v1/namespaces/payments/pods/api/exec?command=sh")

    keys = [row["fold_key"] for row in read(*stages, forged, other)]

    assert keys[0] == keys[1] == keys[2]
    assert len(set(keys)) == 3


def test_events_sent_twice_are_copies_and_stages_are_not() -> None:
    """The webhook sends a batch again after an error; counts use distinct keys."""
    keys = [row["copy_key"] for row in read(EXEC, EXEC, changed(stage="ResponseStarted"))]

    assert keys[0] == keys[1] != keys[2]


def test_an_ephemeral_container_is_named_and_the_servers_answer_tells_the_pods_uid() -> None:
    row = real("0a7e878e-e4f0-4a35-979b-60785fa0f6dc")

    assert (row["event_name"], row["action"], row["actor"], row["outcome"]) == (
        "api.ephemeral_container", "create", "bob", "success",
    )  # fmt: skip
    assert (row["k8s_container"], row["image"]) == ("dbg1", "registry.example/busybox:1.36")
    assert row["k8s_pod_uid"] == "39cd6ace-6a42-4585-8bab-3bfe25348252"


def test_a_uid_that_a_client_writes_makes_no_fact() -> None:
    """Whoever creates a pod may put any uid into its body; only nodes, the scheduler and the server's answer are believed."""
    body = {"metadata": {"uid": "39cd6ace-6a42-4585-8bab-3bfe25348252"}, "spec": {"runtimeClassName": "kata"}}
    ref = {"resource": "pods", "namespace": "evil", "name": "x", "uid": "39cd6ace-6a42-4585-8bab-3bfe25348252"}
    lines = [
        changed(verb="create", requestURI="/api/v1/namespaces/evil/pods", objectRef=ref, requestObject=body, user={"username": user})
        for user in ("eve", "system:node:worker-a")
    ]  # fmt: skip
    records = derive(evidence("".join(line + "\n" for line in lines).encode(), Transport.HOST_FILE))

    assert column(records, "k8s_pod_uid") == [None, "39cd6ace-6a42-4585-8bab-3bfe25348252"]
    assert column(records, "runtime_class") == ["kata", "kata"]
    assert set(link(records.slice(0, 1)).to_pydict()["kind"]) == set()


def test_a_node_that_asks_about_a_caller_tells_of_straight_access() -> None:
    """There is no other event of it; the API server's own calls are routine."""
    spec = {"resourceAttributes": {"verb": "get", "resource": "nodes", "subresource": "proxy", "name": "worker-a"}}
    lines = [
        changed(
            verb="create",
            requestURI="/apis/authorization.k8s.io/v1/subjectaccessreviews",
            user={"username": "system:node:worker-a"},
            objectRef={"resource": "subjectaccessreviews", "apiGroup": "authorization.k8s.io"},
            requestObject={"kind": "SubjectAccessReview", "spec": {**spec, "user": user}},
            responseStatus={"code": 201},
        )
        for user in ("bob", "kube-apiserver-kubelet-client")
    ]

    straight, routine = read(*lines)

    assert (straight["event_name"], straight["action"], straight["object"]) == (
        "api.kubelet_access", "connect", "nodes/proxy worker-a",
    )  # fmt: skip
    assert straight["attributes"]["review.user"] == "bob"
    assert (routine["class"], routine["action"]) == ("operational", None)


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"verb": "watch", "user": {"username": "system:kube-scheduler"}}, "debug"),
        ({"verb": "update", "objectRef": {"resource": "leases"}, "user": {"username": "system:node:a"}}, "operational"),
        ({"verb": "patch", "objectRef": {"resource": "pods", "subresource": "status"},
          "user": {"username": "system:node:a"}}, "operational"),
        ({"verb": "watch", "user": {"username": "system:kube-scheduler"}, "responseStatus": {"code": 403}}, "audit"),
        ({"verb": "list", "objectRef": {"resource": "secrets"}, "user": {"username": "alice"}}, "audit"),
        ({"verb": "get", "objectRef": None, "requestURI": "/readyz?verbose"}, "debug"),
        ({"verb": "get", "objectRef": None, "requestURI": "/version", "user": {"username": "system:anonymous"}}, "audit"),
    ],
)  # fmt: skip
def test_what_a_request_is_kept_for(fields: dict[str, Any], kept: str) -> None:
    """The control plane's own reading and reporting is no audit event, and whatever was refused is one."""
    reads = {"objectRef": {"resource": "pods"}, "responseStatus": {"code": 200}}

    (row,) = read(changed(**{**reads, **fields}))

    assert row["class"] == kept
    assert (row["action"] is not None) == (kept == "audit")
    assert row["event_name"].startswith("api.")
    assert row["actor"] == ({**json.loads(EXEC), **fields})["user"]["username"]


@pytest.mark.parametrize("name", ["../../x", "api\n", "<img src=x>", "a" * 300, "\u202eipa"])
def test_a_name_that_no_object_can_have_is_no_identity(name: str) -> None:
    """A client may put anything into a path; it stays an attribute."""
    (row,) = read(changed(objectRef={"resource": "pods", "namespace": name, "name": name, "subresource": "exec"}))

    assert (row["k8s_namespace"], row["k8s_pod"]) == (None, None)
    assert row["attributes"]["name"] == name


def test_a_guest_that_prints_an_event_stays_a_guest() -> None:
    """L7: no actor, no action, no identity, no host component comes from a guest's position."""
    (row,) = read(EXEC, transport=Transport.CONSOLE)

    empty = ("actor", "action", "object", "outcome", "k8s_namespace", "k8s_pod", "fold_key", "actor_source")
    assert [row[name] for name in empty] == [None] * len(empty)
    assert (row["origin"], row["component"], row["class"]) == ("guest", None, "debug")


def test_bodies_of_the_webhook_give_the_same_events() -> None:
    """Items lack `kind`; the head and the tail of each body are envelope, and state nothing."""
    records = derive(capture("k8s-audit.webhook.jsonl.gz", Transport.AUDIT_EVENTLIST))

    data = gzip.decompress((DATA / "captures" / "k8s-audit.webhook.jsonl.gz").read_bytes())
    sent = [json.loads(line)["items"] for line in data.splitlines()]
    assert b"".join(column(records, "raw")) == data
    statuses = column(records, "parse_status")
    assert statuses == [one for items in sent for one in ["envelope", *["parsed"] * len(items), "envelope"]]
    users = [actor for actor in column(records, "actor") if actor is not None]
    assert users == [event["user"]["username"] for items in sent for event in items]


@pytest.mark.parametrize("line", [EXEC, *LINES[5::23]])
def test_mutations_are_read_right_or_marked(line: str) -> None:
    """New keys, another order, blanks and escapes change nothing that is read; a torn event is malformed and states nothing."""
    plain = DIALECT.scan([line], [False])
    for kind, text in json_mutations(line, seed=4):
        scan = DIALECT.scan([text], [False])
        if kind == "torn":
            assert scan.malformed == [0]
            assert scan.columns == {"body": [text]}
        else:
            assert scan.malformed == []
            assert (scan.columns, scan.attributes) == (plain.columns, plain.attributes)


SCALARS = st.none() | st.integers() | st.text(max_size=6) | st.floats(allow_nan=False)
VALUES = SCALARS | st.lists(SCALARS | st.lists(SCALARS, max_size=2), max_size=2)
KEYS = st.sampled_from([*json.loads(EXEC), "requestObject", "responseObject", "impersonatedUser"])


@given(
    st.dictionaries(KEYS, VALUES | st.dictionaries(st.sampled_from(["username", "groups", "code", "spec", "name"]), VALUES))
)
def test_values_of_any_type_are_rows(fields: dict[str, Any]) -> None:
    """L2: whatever a field holds instead of what it should, one row comes out, with its text."""
    (row,) = read(changed(**fields))

    assert row["parse_status"] in ("parsed", "malformed", "plain")
    assert row["body"]
