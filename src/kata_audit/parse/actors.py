"""Actors: which user's request to the API server a node's record is the doing of.

A node says what was done in which container and when, never for whom. Who asked stands in the API server's audit events. The
two have pod, container, time and often the command in common, and nothing else: the API server hands no id on. So each
answer has a confidence, and what no request fits stays `unknown`. Rows in, columns out; nothing is kept.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from kata_audit.parse.draft import times
from kata_audit.schema.event import JOINED, UNKNOWN_ACTOR, ActorSource, Confidence, Outcome
from kata_audit.schema.record import Component, RecordRows
from kata_audit.schema.source import Origin

REQUEST_COLUMNS = (
    "timestamp",
    "origin",
    "actor",
    "action",
    "outcome",
    "fold_key",
    "k8s_namespace",
    "k8s_pod",
    "k8s_container",
    "attributes",
)
"""What `read_requests()` reads of the API server's records."""
ACT_COLUMNS = (
    "timestamp",
    "origin",
    "component",
    "action",
    "body",
    "actor",
    "actor_source",
    "actor_confidence",
    "k8s_namespace",
    "k8s_pod",
    "k8s_container",
    "attributes",
)
"""What `name_actors()` reads of records, identities filled."""

_SECOND = 1_000_000_000
_EARLY = 1 * _SECOND
"""How far a node's clock may be behind the API server's."""
_SOON = 2 * _SECOND
"""How long after a request the node does it, where the command is not known on both sides. On one machine: 9 to 60 ms."""
_SAME_COMMAND = 30 * _SECOND
"""The same where both name one command: then only a request for just that can be meant."""
_CHANGE = 120 * _SECOND
"""How long after a pod is created or deleted its node acts: scheduling before, the grace period after."""
REACH_NS = (_EARLY, _CHANGE)
"""How far before and after a request records may be the doing of it."""
_CHANGES = frozenset({"create", "delete"})
_KUBELETS_OWN = "ExecSync "
"""containerd's words for a command that the kubelet runs by itself: probes and hooks. Users' commands are streamed."""
_NODES = "system:node:"
"""Users that nodes are: a node that deletes a pod's object reports what it did, and was not asked by itself."""
_MASK = "*masked:"


class Request(NamedTuple):
    """One request to the API server, its stages folded; times in nanoseconds since the Unix epoch.

    `command` is its arguments, None where it names none or a secret in them is masked; `end_ns` None where no last stage is
    known.
    """

    actor: str
    action: str
    container: str | None
    command: tuple[str, ...] | None
    received_ns: int
    end_ns: int | None


Requests = Mapping[tuple[str, str], Sequence[Request]]
"""Requests by namespace and pod."""


class Named(NamedTuple):
    """Columns `actor`, `actor_source` and `actor_confidence` of rows, null where a row is no audit event."""

    actors: list[str | None]
    sources: list[str | None]
    confidences: list[str | None]


_UNKNOWN = (UNKNOWN_ACTOR, str(ActorSource.NONE), str(Confidence.NONE))


def _lists(rows: RecordRows, columns: Sequence[str]) -> Iterable[dict[str, Any]]:
    """Give rows as mappings; times as nanoseconds, attributes as a dictionary."""
    values = [rows.column(name) for name in columns]
    plain = [one.cast(pa.int64()) if pa.types.is_timestamp(one.type) else one for one in values]
    for found in zip(*(one.to_pylist() for one in plain), strict=True):
        row = dict(zip(columns, found, strict=True))
        row["attributes"] = dict(row["attributes"] or ())
        yield row


def _command(text: str | None) -> tuple[str, ...] | None:
    if text is None or _MASK in text:
        return None
    try:
        arguments = json.loads(text)
    except ValueError:
        return None
    return tuple(map(str, arguments)) if isinstance(arguments, list) else None


def read_requests(batches: Iterable[RecordRows]) -> Requests:
    """Read the requests that a node acts on, from the API server's records.

    Args:
        batches: Rows of host origin and component kube-apiserver with the columns `REQUEST_COLUMNS`.

    Returns:
        Requests that were neither refused nor failed, in order of arrival.
    """
    stages: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for rows in batches:
        for row in _lists(rows, REQUEST_COLUMNS):
            whole = row["fold_key"] is not None and row["actor"] is not None and row["k8s_namespace"] and row["k8s_pod"]
            if whole and row["origin"] == Origin.HOST and row["action"] in JOINED:
                stages[row["fold_key"]].append(row)
    found: dict[tuple[str, str], list[Request]] = defaultdict(list)
    for rows_of_one in stages.values():
        request = _request(rows_of_one)
        if request is not None:
            found[rows_of_one[0]["k8s_namespace"], rows_of_one[0]["k8s_pod"]].append(request)
    for requests in found.values():
        requests.sort(key=lambda request: (request.received_ns, request.actor))
    return found


def _request(stages: Sequence[dict[str, Any]]) -> Request | None:
    """Fold the stages of one request; None where it never came as far as a node, or has no time."""
    if any(row["outcome"] in (Outcome.DENIED, Outcome.FAILURE) for row in stages):
        return None
    first, stated = stages[0], stages[0]["attributes"]
    received = times([stated.get("requestReceivedTimestamp")]).cast(pa.int64())[0].as_py()
    known = [row["timestamp"] for row in stages if row["timestamp"] is not None]
    received = received if received is not None else min(known, default=None)
    if received is None or first["actor"] == UNKNOWN_ACTOR or first["actor"].startswith(_NODES):
        return None
    ends = [row["timestamp"] for row in stages if row["attributes"].get("stage") == "ResponseComplete"]
    command = _command(stated.get("process.command_args"))
    container = next((row["k8s_container"] for row in stages if row["k8s_container"]), None)
    return Request(first["actor"], first["action"], container, command, received, max(filter(None, ends), default=None))


def name_actors(rows: RecordRows, requests: Requests) -> Named:
    """Name the actors of audit events that state none.

    Args:
        rows: Records with the columns `ACT_COLUMNS`.
        requests: Of the pods that the records are of, at least those within `REACH_NS` of them.

    Returns:
        The three columns, aligned with the rows (L2); what a record states itself stays.
    """
    named = Named([], [], [])
    for row in _lists(rows, ACT_COLUMNS):
        found = (row["actor"], row["actor_source"], row["actor_confidence"])
        nameless = row["actor"] is None or row["actor_source"] == ActorSource.NONE
        if nameless and row["action"] is not None:
            found = _actor_of(row, requests.get((row["k8s_namespace"], row["k8s_pod"]), ()))
        for column, value in zip(named, found, strict=True):
            column.append(value)
    return named


def _actor_of(act: dict[str, Any], requests: Sequence[Request]) -> tuple[str, str, str]:
    """Choose among the requests of one pod."""
    by_itself = (act["body"] or "").startswith(_KUBELETS_OWN) or act["component"] == Component.KUBE_APISERVER
    if not requests or act["timestamp"] is None or by_itself:
        return _UNKNOWN
    fitting = [request for request in requests if request.action == act["action"] and _fits(act, request)]
    if not fitting:
        return _UNKNOWN
    nearest = min(fitting, key=lambda request: (abs(act["timestamp"] - request.received_ns), request.actor))
    if any(request.actor != nearest.actor for request in fitting):
        confidence = Confidence.POSSIBLE
    else:
        told = act["origin"] == Origin.HOST and all(_compare(act, request) for request in fitting)
        confidence = Confidence.CERTAIN if told else Confidence.LIKELY
    return nearest.actor, str(ActorSource.API_AUDIT), str(confidence)


def _fits(act: dict[str, Any], request: Request) -> bool:
    """Say whether a record may be the doing of a request of its pod and action."""
    if act["k8s_container"] and request.container and act["k8s_container"] != request.container:
        return False
    after = act["timestamp"] - request.received_ns
    if after < -_EARLY:
        return False
    if request.action in _CHANGES:
        return bool(after <= _CHANGE)
    same = _compare(act, request)
    if same is not None:
        return same and after <= _SAME_COMMAND
    ended = request.end_ns is not None and act["timestamp"] > request.end_ns + _EARLY
    return after <= _SOON and not ended


def _compare(act: dict[str, Any], request: Request) -> bool | None:
    """Say whether record and request name the same command; None where one of them does not name it."""
    stated = act["attributes"]
    line = stated.get("process.command_line")
    if request.command is None:
        return None
    if line is not None and _MASK not in line:
        return bool(" ".join(request.command) == line)
    command = _command(stated.get("process.command_args"))
    return None if command is None else command == request.command
