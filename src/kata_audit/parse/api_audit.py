"""What one stage of a Kubernetes API request means: who did what to which object, and how it went.

Both forms of kube-apiserver's audit log become `ApiRequest` rows; `columns_of()` turns them into columns of records. What
the client alone decides (audit ID, user agent, all addresses but the last) is kept under `client.claimed.*`; nothing is
keyed by it alone.

Source: Kubernetes `apiserver/pkg/apis/audit`, `pkg/audit`; captures of 1.34.4 with every level.
"""

import json
import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, NamedTuple

from kata_audit.parse.api_paths import KubeletTarget, read_kubelet, read_query
from kata_audit.schema.event import UNKNOWN_ACTOR, Action, ActorSource, Confidence, Outcome
from kata_audit.schema.record import Component, RetentionClass
from kata_audit.schema.severity import DEBUG, ERROR, INFO, WARN

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_PROXIED = re.compile(r"(?:https?:)?([^:]++)(?::[^:]*+)?")
_SWITCHED, _UNAUTHORIZED, _FORBIDDEN, _BAD, _SERVER = 101, 401, 403, 400, 500
"""HTTP codes: protocol switched, who are you, you may not, and where refusals and the server's errors begin."""


class ApiRequest(NamedTuple):
    """One stage of one request; an empty text is not stated, and `code` None is none yet.

    `time` is the stage's and `received` the request's, RFC 3339. `uid`, `image`, `runtime_class` and `container` are only
    what the server itself, the scheduler or a node states. `attributes` is what becomes no column.
    """

    audit_id: str
    stage: str
    time: str
    received: str
    verb: str
    uri: str
    user: str
    impersonated: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int | None
    decision: str
    message: str
    uid: str
    container: str
    image: str
    runtime_class: str
    attributes: dict[str, str]


_CONNECTIONS = {
    ("pods", "exec"): (Action.EXEC, "api.exec"),
    ("pods", "attach"): (Action.ATTACH, "api.attach"),
    ("pods", "portforward"): (Action.PORT_FORWARD, "api.port_forward"),
    ("pods", "proxy"): (Action.CONNECT, "api.proxy"),
    ("services", "proxy"): (Action.CONNECT, "api.proxy"),
    ("pods", "log"): (Action.READ, "api.logs"),
    ("pods", "ephemeralcontainers"): (Action.CREATE, "api.ephemeral_container"),
    ("pods", "binding"): (Action.UPDATE, "api.pod_bind"),
    ("pods", "eviction"): (Action.DELETE, "api.pod_evict"),
    ("serviceaccounts", "token"): (Action.CREATE, "api.token_create"),
    ("tokenreviews", ""): (Action.CALL, "api.token_review"),
    ("subjectaccessreviews", ""): (Action.CALL, "api.access_review"),
}
"""By resource and subresource, whatever the verb: an exec is `get` over WebSocket and `create` over SPDY."""
_KUBELET = {
    "exec": Action.EXEC,
    "run": Action.EXEC,
    "attach": Action.ATTACH,
    "portForward": Action.PORT_FORWARD,
    "containerLogs": Action.READ,
}
_VERBS = {
    "create": Action.CREATE,
    "update": Action.UPDATE,
    "patch": Action.UPDATE,
    "delete": Action.DELETE,
    "deletecollection": Action.DELETE,
}
_CHANGES = {Action.CREATE: "create", Action.UPDATE: "update", Action.DELETE: "delete"}
_CHANGED = {"pods": "pod", "runtimeclasses": "runtime_class"}
"""Resources whose changes have names of their own."""
EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "api.exec": "Somebody asked to run a command in a container; what ran, the node tells.",
        "api.attach": "Somebody asked to attach to a container's main process.",
        "api.port_forward": "Somebody asked for a connection to a port inside a pod.",
        "api.proxy": "Somebody spoke to a pod or a service through the API server.",
        "api.logs": "Somebody asked for a container's output.",
        "api.ephemeral_container": "Somebody asked to add a container to a running pod.",
        "api.pod_bind": "The scheduler gave a pod to a node.",
        "api.pod_evict": "Somebody asked to evict a pod.",
        "api.pod_create": "Somebody asked for a new pod.",
        "api.pod_update": "Somebody asked to change a pod.",
        "api.pod_delete": "Somebody asked to delete a pod.",
        "api.runtime_class_create": "Somebody asked for a new RuntimeClass, which decides how pods are isolated.",
        "api.runtime_class_update": "Somebody asked to change a RuntimeClass, which decides how pods are isolated.",
        "api.runtime_class_delete": "Somebody asked to delete a RuntimeClass.",
        "api.secret_read": "Somebody asked for Secret objects.",
        "api.token_create": "Somebody asked for a token of a service account.",
        "api.token_review": "Somebody asked whose a token is.",
        "api.access_review": "Somebody asked whether a user may do something.",
        "api.kubelet_access": "A kubelet asked whether somebody who came straight to it may use it.",
        "api.node_proxy": "Somebody spoke to a kubelet through the API server, past the rules for pods.",
        "api.request": "Any other request to the API server.",
    }
)
"""Every name that the event of a request may have, and what it means."""
_CONTAINER_IN_QUERY = frozenset({"exec", "attach", "log"})
_READS = frozenset({"get", "list", "watch"})
_SYSTEM = ("system:node:", "system:kube-", "system:apiserver", "system:serviceaccount:kube-system:")
"""Users that the control plane runs as; who becomes one of them has the cluster already."""
_CHATTER = frozenset({"leases", "events", "endpoints", "endpointslices"})
_REVIEWS = frozenset({"tokenreviews", "subjectaccessreviews"})
_API_SERVER = frozenset({"kube-apiserver-kubelet-client", "kube-apiserver", "system:apiserver"})
"""Users under which the API server itself calls kubelets, by kubeadm's and others' habit."""
_PROBES = ("/readyz", "/livez", "/healthz", "/metrics")
_DISCOVERY = ("/api", "/apis", "/openapi", "/version")
_ANONYMOUS = "system:anonymous"


def kind_of(request: ApiRequest, kubelet: KubeletTarget | None) -> tuple[Action, str]:
    """Tell what a request asks for, and the name of its event."""
    if kubelet is not None and request.resource == "nodes":
        action = _KUBELET.get(kubelet.endpoint, Action.READ if request.verb in _READS else Action.CONNECT)
        return action, "api.node_proxy"
    if _asks_of_kubelet(request):
        return Action.CONNECT, "api.kubelet_access"
    known = _CONNECTIONS.get((request.resource, request.subresource))
    if known is not None:
        return (Action.READ, known[1]) if request.verb in _READS and known[0] in _CHANGES else known
    action = _VERBS.get(request.verb, Action.READ if request.verb in _READS or not request.resource else Action.CALL)
    if action is Action.READ and request.resource == "secrets":
        return action, "api.secret_read"
    if action in _CHANGES and request.resource in _CHANGED:
        return action, f"api.{_CHANGED[request.resource]}_{_CHANGES[action]}"
    return action, "api.request"


def _asks_of_kubelet(request: ApiRequest) -> bool:
    """Tell whether a node asks if somebody may use its kubelet, who came straight to it and not through the API server."""
    if request.resource != "subjectaccessreviews":
        return False
    about = tuple(request.attributes.get(f"review.{key}", "") for key in ("resource", "subresource"))
    return about == ("nodes", "proxy") and request.attributes.get("review.user") not in _API_SERVER


def outcome_of(request: ApiRequest) -> Outcome:
    """Tell how a request went.

    101 says that bytes may flow, not that anything ran: over WebSocket it is sent before the node is even called. So the
    outcome of an exec is the node's to tell.
    """
    code = request.code
    if request.decision == "forbid" or code in (_UNAUTHORIZED, _FORBIDDEN):
        return Outcome.DENIED
    if request.stage == "Panic" or (code is not None and code >= _BAD):
        return Outcome.FAILURE
    if code is None or code == _SWITCHED or request.stage != "ResponseComplete":
        return Outcome.UNKNOWN
    return Outcome.SUCCESS


def class_of(request: ApiRequest, outcome: Outcome) -> RetentionClass:
    """Tell what a request is kept for: refusals and what people and workloads do are audit."""
    if outcome is Outcome.DENIED:
        return RetentionClass.AUDIT
    reads, system = request.verb in _READS, request.user.startswith(_SYSTEM)
    if not request.resource:
        quiet = request.uri.startswith(_PROBES) or (request.uri.startswith(_DISCOVERY) and request.user != _ANONYMOUS)
        return RetentionClass.DEBUG if reads and quiet else RetentionClass.AUDIT
    if request.resource in _REVIEWS and request.user.startswith("system:node:"):
        routine = request.attributes.get("review.user") in _API_SERVER
        return RetentionClass.OPERATIONAL if routine else RetentionClass.AUDIT
    if system and reads:
        return RetentionClass.DEBUG
    chatter = request.resource in _CHATTER or (system and (request.subresource == "status" or request.resource in _REVIEWS))
    return RetentionClass.OPERATIONAL if chatter else RetentionClass.AUDIT


def _severity(outcome: Outcome, kept_for: RetentionClass, code: int | None) -> int:
    if outcome is Outcome.DENIED:
        return WARN
    if code is not None and code >= _SERVER:
        return ERROR
    return DEBUG if kept_for is RetentionClass.DEBUG else INFO


def _object(request: ApiRequest, kubelet: KubeletTarget | None) -> str:
    """Say to what: `pods/exec shop/web`, `nodes/proxy worker-a shop/web`, or the path of what is no resource."""
    if not request.resource:
        return request.uri.partition("?")[0]
    if _asks_of_kubelet(request):
        return f"nodes/proxy {request.attributes.get('review.name', '')}".rstrip()
    what = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
    name = "/".join(part for part in (request.namespace, request.name) if part)
    through = f"{kubelet.namespace}/{kubelet.pod}" if kubelet is not None and kubelet.pod else ""
    return " ".join(part for part in (what, name, through) if part)


def _micros(time: str) -> str:
    """Cut a time to microseconds, so that both forms of the log give one key."""
    head, _, fraction = time.rstrip("Z").partition(".")
    return f"{head}.{fraction[:6].ljust(6, '0')}"


def _hash(*parts: object) -> int:
    text = "\0".join(map(str, parts)).encode("utf-8", "backslashreplace")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def _label(text: str) -> str | None:
    """Give a name that Kubernetes could have given; a client may put anything into a path."""
    return text if _LABEL.fullmatch(text) else None


def _pod(request: ApiRequest, kubelet: KubeletTarget | None) -> tuple[str | None, str | None, str | None]:
    """Give namespace, pod and container of a request, as far as it names them."""
    if kubelet is not None and request.resource == "nodes":
        return _label(kubelet.namespace), _label(kubelet.pod), _label(kubelet.container)
    namespace = _label(request.namespace)
    if request.resource != "pods":
        return namespace, None, None
    proxied = _PROXIED.fullmatch(request.name) if request.subresource == "proxy" else None
    name = _label(proxied[1] if proxied else request.name)
    if request.container:
        return namespace, name, _label(request.container)
    if request.subresource not in _CONTAINER_IN_QUERY:
        return namespace, name, None
    return namespace, name, _label(dict(read_query(request.uri)).get("container", ""))


def _attributes(request: ApiRequest, action: Action, kubelet: KubeletTarget | None) -> dict[str, str]:
    """Add what the request line says to what the dialect read."""
    stated = {
        "verb": request.verb,
        "resource": request.resource,
        "subresource": request.subresource,
        "name": request.name,
        "requestURI": request.uri,
        "stage": request.stage,
        "code": "" if request.code is None else str(request.code),
        "decision": request.decision,
        "requestReceivedTimestamp": request.received,
        "message": request.message,
        "client.claimed.auditID": request.audit_id,
    }
    if request.impersonated:
        stated["impersonatedUser.username"] = request.impersonated
    if action is Action.EXEC:
        key = "cmd" if kubelet is not None and kubelet.endpoint == "run" else "command"
        command = [value for name, value in read_query(request.uri) if name == key]
        stated["process.command_args"] = json.dumps(command, ensure_ascii=False) if command else ""
    return {**{key: value for key, value in stated.items() if value}, **request.attributes}


def _body(request: ApiRequest) -> str:
    """Say the request in one line: the log has no message of its own."""
    acting = f" as {request.impersonated}" if request.impersonated else ""
    answer = "" if request.code is None else f" -> {request.code}"
    return f"{request.verb} {request.uri}{acting}{answer}{': ' if request.message else ''}{request.message}"


def columns_of(
    requests: Sequence[ApiRequest | None], texts: Sequence[str]
) -> tuple[dict[str, list[Any]], list[dict[str, str]]]:
    """Turn requests into columns and attributes.

    Args:
        requests: In order; None states nothing but its text.
        texts: What the requests were read from, aligned with them.

    Returns:
        Columns as a dialect's scan gives them, `stated_class` among them (what a record is kept for), and attributes. A
        request that is not kept for an audit has an actor and an event name, but no action, object or outcome.
    """
    rows = [
        _columns(request) if request is not None else ({"body": text}, {})
        for request, text in zip(requests, texts, strict=True)
    ]
    names = dict.fromkeys(name for columns, _ in rows for name in columns)
    return {name: [columns.get(name) for columns, _ in rows] for name in names}, [attributes for _, attributes in rows]


def _columns(request: ApiRequest) -> tuple[dict[str, Any], dict[str, str]]:
    kubelet = read_kubelet(request.uri) if request.resource == "nodes" and request.subresource == "proxy" else None
    action, event = kind_of(request, kubelet)
    outcome = outcome_of(request)
    kept_for = class_of(request, outcome)
    namespace, pod, container = _pod(request, kubelet)
    known = bool(request.user)
    columns: dict[str, Any] = {
        "time": request.time or None,
        "severity_number": _severity(outcome, kept_for, request.code),
        "body": _body(request),
        "component": Component.KUBE_APISERVER,
        "actor": request.user or UNKNOWN_ACTOR,
        "actor_source": ActorSource.API_AUDIT if known else ActorSource.NONE,
        "actor_confidence": Confidence.STATED if known else Confidence.NONE,
        "k8s_namespace": namespace,
        "k8s_pod": pod,
        "k8s_container": container,
        "k8s_pod_uid": request.uid or None,
        "image": request.image or None,
        "runtime_class": request.runtime_class or None,
        "identity_basis": "api" if namespace or pod or request.uid else None,
        "fold_key": _hash(request.audit_id, _micros(request.received), request.uri),
        "copy_key": _hash(
            request.audit_id, _micros(request.received), request.uri, request.stage, request.time, request.code
        ),
        "event_name": event,
        "stated_class": kept_for,
    }
    if kept_for is RetentionClass.AUDIT:
        columns |= {"action": action, "object": _object(request, kubelet), "outcome": outcome}
    return columns, _attributes(request, action, kubelet)
