"""Against four real runs of kube-apiserver: every action that left an event is one audit event, as the truth has it."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.evidence import column, derive, evidence

from kata_audit.schema.source import Transport

pytestmark = pytest.mark.corpus

JSON_RUNS = ["", "metadata", "everything"]
COLUMNS = (
    "actor", "actor_source", "action", "object", "outcome", "event_name", "class", "fold_key", "k8s_namespace", "k8s_pod",
    "k8s_container", "attributes", "timestamp", "component", "origin", "parse_status",
)  # fmt: skip
STAGES = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]
ACTIONS = {
    "create": "create", "update": "update", "patch": "update", "delete": "delete", "deletecollection": "delete",
    "get": "read", "list": "read", "watch": "read",
}  # fmt: skip
ACTION_OF_SUBRESOURCE = {
    "exec": "exec", "attach": "attach", "portforward": "port-forward", "log": "read", "ephemeralcontainers": "create",
    "eviction": "delete", "binding": "update", "token": "create",
}  # fmt: skip


class Expected(NamedTuple):
    """One action of the truth and one of its requests."""

    action: dict[str, Any]
    request: dict[str, Any]


def rows_of(data: bytes, transport: Transport) -> list[dict[str, Any]]:
    records = derive(evidence(data, transport))
    columns = {name: column(records, name) for name in COLUMNS}
    rows = [dict(zip(COLUMNS, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    for row in rows:
        row["attributes"] = dict(row["attributes"] or ())
    return rows


def log_of(folder: Path) -> bytes:
    files = [*sorted(folder.glob("audit-*.log.gz")), folder / "audit.log.gz"]
    return b"".join(gzip.decompress(file.read_bytes()) for file in files)


def truth_of(folder: Path) -> Iterator[Expected]:
    for line in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines():
        action = json.loads(line)
        for request in action["expect"]:
            yield Expected(action, request)


def folded(rows: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """Give the stages of each request, the one that stands for it last."""
    requests = defaultdict(list)
    for row in rows:
        if row["fold_key"] is not None:
            requests[row["fold_key"]].append(row)
    for stages in requests.values():
        stages.sort(key=lambda row: STAGES.index(row["attributes"]["stage"]))
    return requests


def outcome_of(request: dict[str, Any]) -> str:
    """Say what the truth's status means: 101 opens a way, and says nothing of what goes over it."""
    status = request["status"]
    if status in (401, 403):
        return "denied"
    if status >= 400:
        return "failure"
    return "unknown" if status == 101 or request.get("stages", ["ResponseComplete"])[-1] != "ResponseComplete" else "success"


def action_of(request: dict[str, Any], row: dict[str, Any]) -> str:
    if request["resource"] == "nodes" and request["subresource"] == "proxy":
        path = row["attributes"]["requestURI"].partition("?")[0].partition("/proxy/")[2].partition("/")[0]
        return {"exec": "exec", "run": "exec", "pods": "read", "containerLogs": "read"}[path]
    if request["resource"] in ("tokenreviews", "subjectaccessreviews"):
        return "call" if row["event_name"] != "api.kubelet_access" else "connect"
    if request["resource"] in ("pods", "services") and request["subresource"] == "proxy":
        return "connect"
    return ACTION_OF_SUBRESOURCE.get(request["subresource"] or "", ACTIONS[request["verb"]])


def differences(expected: Expected, row: dict[str, Any]) -> list[str]:
    """Compare one folded event with the truth; what is in no event of that form is not asked."""
    action, request = expected
    stated = row["attributes"]
    wanted = {
        "actor": action["user"] or "unknown",
        "action": action_of(request, row),
        "outcome": outcome_of(request),
        "class": "audit",
        "component": "kube-apiserver",
        "origin": "host",
        "verb": request["verb"],
        "resource": request["resource"],
        "subresource": request["subresource"],
        "code": str(request["status"]),
        "network.peer.address": action["source_ip"],
        "impersonatedUser.username": action.get("impersonated"),
    }
    pod = action.get("pod")
    if request["resource"] == "pods" and request["namespace"] and request["subresource"] != "api\n":
        wanted["k8s_namespace"] = request["namespace"]
    if pod and request["subresource"] in ("exec", "attach"):
        wanted |= {"k8s_namespace": pod["namespace"], "k8s_pod": pod["name"]}
        if pod["container"] and "container=" in stated["requestURI"]:
            wanted["k8s_container"] = pod["container"]
    if action.get("argv") and row["action"] == "exec" and request["status"] not in (400, 404):
        wanted["process.command_args"] = action["argv"]
    seen = {name: row.get(name, stated.get(name)) for name in wanted}
    if "process.command_args" in wanted:
        seen["process.command_args"] = json.loads(stated["process.command_args"])
    return [f"{name}: {seen[name]!r}, truth {value!r}" for name, value in wanted.items() if seen[name] != value]


@pytest.mark.parametrize("run", JSON_RUNS)
def test_every_action_that_left_an_event_is_one_audit_event(corpus: Path, run: str) -> None:
    """Its stages share a key that no other request has, and the last of them says who, what, to what and how it went."""
    folder = corpus / "captures" / "k8s-audit" / run
    rows = rows_of(log_of(folder), Transport.HOST_FILE)
    requests = folded(rows)
    wrong, invisible, compared = [], [], 0
    for expected in truth_of(folder):
        request = expected.request
        lines = request["lines"]
        if not lines:
            invisible.append((expected.action["n"], request["absent"]))
            continue
        stages = requests[rows[lines[0] - 1]["fold_key"]]
        if {id(row) for row in stages} != {id(rows[line - 1]) for line in lines}:
            wrong.append((expected.action["n"], "its stages are not one event"))
        assert [row["attributes"]["stage"] for row in stages] == request["stages"]
        wrong += [(expected.action["n"], one) for one in differences(expected, stages[-1])]
        compared += 1

    assert wrong == []
    assert invisible == {"": [], "metadata": [(59, "policy")], "everything": [(16, "over the size limit")]}[run]
    assert compared == {"": 206, "metadata": 76, "everything": 22}[run]


@pytest.mark.parametrize("run", [*JSON_RUNS, "legacy"])
def test_the_webhook_says_what_the_file_says(corpus: Path, run: str) -> None:
    """Each event of a body is the event of the file, but for what the webhook alone has or lost; heads and tails are rows."""
    folder = corpus / "captures" / "k8s-audit" / run
    data = gzip.decompress((folder / "webhook-eventlists.jsonl.gz").read_bytes())
    rows = rows_of(data, Transport.AUDIT_EVENTLIST)
    items = [json.loads(line)["items"] for line in data.splitlines()]
    shared = ("actor", "action", "object", "outcome", "event_name", "class", "k8s_namespace", "k8s_pod", "k8s_container")

    events = [row for row in rows if row["fold_key"] is not None]
    assert [row["attributes"]["client.claimed.auditID"] for row in events] == [
        one["auditID"] for body in items for one in body
    ]
    assert {row["parse_status"] for row in rows if row["fold_key"] is None} == {"envelope"}
    assert len(rows) - len(events) == 2 * len(items)
    if run != "legacy":
        in_file = {
            (row["fold_key"], row["attributes"]["stage"]): row for row in rows_of(log_of(folder), Transport.HOST_FILE)
        }
        pairs = [(row, in_file.get((row["fold_key"], row["attributes"]["stage"]))) for row in events]
        both = [(row, twin) for row, twin in pairs if twin is not None]
        assert len(both) >= 0.96 * len(events)
        assert [[row[name] for name in shared] for row, _ in both] == [[twin[name] for name in shared] for _, twin in both]


def test_the_text_form_says_what_it_can(corpus: Path) -> None:
    """Without names of what a body creates, and without decisions, every action is still one audit event of its user."""
    folder = corpus / "captures" / "k8s-audit" / "legacy"
    data = log_of(folder)
    last = [stages[-1] for stages in folded(rows_of(data, Transport.HOST_FILE)).values()]
    missing, invisible, compared = [], [], 0
    for action, request in truth_of(folder):
        if "audit_id" in request and request["audit_id"].encode() not in data:
            invisible.append(action["n"])
            continue
        start, end = (datetime.fromisoformat(action[key]).timestamp() for key in ("start", "end"))
        found = [
            row
            for row in last
            if row["actor"] == (action["user"] or "unknown")
            and all(row["attributes"].get(key) == request[key] for key in ("verb", "resource", "subresource"))
            and row["attributes"].get("name") in (request["name"], None)
            and start <= row["timestamp"] / 1e9 <= end
        ]
        wrong = [differences(Expected(action, request), row) for row in found]
        compared += 1
        if [] not in wrong:
            missing.append((action["n"], request["verb"], wrong))

    assert missing == []
    assert invisible == [29]
    assert compared == 39
