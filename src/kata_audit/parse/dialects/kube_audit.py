"""kube-apiserver's audit events as JSON: lines of the audit log's file, and items of the webhook's bodies (without `kind`).

One request is up to three events of one audit ID (RequestReceived, ResponseStarted, ResponseComplete); the last stands for
it. `fold_key` joins them: a client may choose the audit ID, so the key takes in when and for what the request came.
`actor` is who authenticated, alone, so that a search for a user finds all that this user did; whom the user impersonated is
`impersonatedUser.username`.

Source: Kubernetes `audit.k8s.io/v1`; captures of kube-apiserver 1.34.4 at every level.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.api_audit import ApiRequest, columns_of
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.frames.journal_json import load_object
from kata_audit.parse.texts import json_text

_LEVELS = frozenset({"None", "Metadata", "Request", "RequestResponse"})
_DECISION = "authorization.k8s.io/decision"
_REASON = "authorization.k8s.io/reason"
_TRUSTED_WRITERS = ("system:node:", "system:kube-scheduler")
"""Whose requests state a pod's uid truly: it is of the body, and everybody else may write any there."""
_CREATED = range(200, 300)
_NO_FIELDS: Mapping[str, Any] = {}


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else _NO_FIELDS


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _listed(value: Any) -> str:
    """Write a list of texts as JSON; nothing for an empty one."""
    texts = _texts(value)
    return json.dumps(texts, ensure_ascii=False) if texts else ""


def _user_attributes(key: str, user: Mapping[str, Any]) -> dict[str, str]:
    """Give a user's groups, uid and extra fields."""
    stated = {f"{key}.groups": _listed(user.get("groups")), f"{key}.uid": _text(user.get("uid"))}
    stated |= {f"{key}.extra.{name}": _listed(values) for name, values in _map(user.get("extra")).items()}
    return stated


def _attributes(event: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, str]:
    """Give what becomes no column: the client's own claims marked as such, the peer apart from them."""
    addresses = _texts(event.get("sourceIPs"))
    annotations = _map(event.get("annotations"))
    stated = {
        "level": _text(event.get("level")),
        "apiGroup": _text(_map(event.get("objectRef")).get("apiGroup")),
        "reason": _text(annotations.get(_REASON)),
        "status.reason": _text(status.get("reason")),
        "stageTimestamp": _text(event.get("stageTimestamp")),
        **_user_attributes("user", _map(event.get("user"))),
        **_user_attributes("impersonatedUser", _map(event.get("impersonatedUser"))),
        "network.peer.address": addresses[-1] if addresses else "",
        "client.claimed.sourceIPs": _listed(addresses[:-1]),
        "client.claimed.userAgent": _text(event.get("userAgent")),
        **{f"annotations.{key}": _text(value) for key, value in annotations.items() if key not in (_DECISION, _REASON)},
        **_review(_map(event.get("requestObject")), _map(event.get("responseObject"))),
    }
    return {key: value for key, value in stated.items() if value}


def _review(asked: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, str]:
    """Give whom and what an access or token review is about: the only trace of who calls a kubelet straight."""
    spec, status = _map(asked.get("spec")), _map(answer.get("status"))
    what = _map(spec.get("resourceAttributes"))
    allowed = status.get("allowed", status.get("authenticated"))
    if asked.get("kind") not in ("SubjectAccessReview", "TokenReview"):
        return {}
    return {
        "review.user": _text(spec.get("user")) or _text(_map(status.get("user")).get("username")),
        "review.groups": _listed(spec.get("groups") or _map(status.get("user")).get("groups")),
        **{f"review.{key}": _text(what.get(key)) for key in ("verb", "resource", "subresource", "namespace", "name")},
        "review.allowed": json_text(allowed) if isinstance(allowed, bool) else "",
    }


def _pod_fields(event: Mapping[str, Any], user: str, code: int | None) -> dict[str, str]:
    """Give what an event states of its pod beyond the path: name, uid, container, image, runtime class."""
    ref, asked, made = (_map(event.get(key)) for key in ("objectRef", "requestObject", "responseObject"))
    if ref.get("resource") != "pods":
        return {}
    by_server = code in _CREATED and made.get("kind") == "Pod"
    trusted = user.startswith(_TRUSTED_WRITERS) and "impersonatedUser" not in event
    meta, asked_meta = _map(made.get("metadata")) if by_server else {}, _map(asked.get("metadata"))
    uid = _text(meta.get("uid")) or (_text(asked_meta.get("uid")) or _text(ref.get("uid")) if trusted else "")
    spec = _map((made if by_server else asked).get("spec"))
    return {
        "name": _text(ref.get("name")) or _text(meta.get("name")),
        "uid": uid,
        "runtime_class": _text(spec.get("runtimeClassName")),
        **(_new_container(asked) if ref.get("subresource") == "ephemeralcontainers" else {}),
    }


def _new_container(asked: Mapping[str, Any]) -> dict[str, str]:
    """Give name and image of the ephemeral container that a patch adds, where it adds one."""
    listed = _map(asked.get("spec")).get("ephemeralContainers")
    added = [one for one in listed if isinstance(one, dict) and "image" in one] if isinstance(listed, list) else []
    return {"container": _text(added[-1].get("name")), "image": _text(added[-1].get("image"))} if added else {}


def _request(event: Mapping[str, Any]) -> ApiRequest:
    ref, status = _map(event.get("objectRef")), _map(event.get("responseStatus"))
    code = status.get("code")
    code = code if type(code) is int else None
    user = _text(_map(event.get("user")).get("username"))
    pod = _pod_fields(event, user, code)
    return ApiRequest(
        audit_id=_text(event.get("auditID")),
        stage=_text(event.get("stage")),
        time=_text(event.get("stageTimestamp")),
        received=_text(event.get("requestReceivedTimestamp")),
        verb=_text(event.get("verb")),
        uri=_text(event.get("requestURI")),
        user=user,
        impersonated=_text(_map(event.get("impersonatedUser")).get("username")),
        resource=_text(ref.get("resource")),
        subresource=_text(ref.get("subresource")),
        namespace=_text(ref.get("namespace")),
        name=pod.get("name", _text(ref.get("name"))),
        code=code,
        decision=_text(_map(event.get("annotations")).get(_DECISION)),
        message=_text(status.get("message")),
        uid=pod.get("uid", ""),
        container=pod.get("container", ""),
        image=pod.get("image", ""),
        runtime_class=pod.get("runtime_class", ""),
        attributes=_attributes(event, status),
    )


def _load(text: str) -> Mapping[str, Any] | None:
    """Load one event; None where the text is none."""
    event = load_object(text.encode("utf-8", "surrogatepass"))
    if event is None or event.get("kind", "Event") != "Event" or _text(event.get("level")) not in _LEVELS:
        return None
    return event if _text(event.get("auditID")) and _text(event.get("stage")) else None


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read audit events; see `Dialect`. A guest's are no events of an API server: they stay text."""
    events = [None if is_guest else _load(text) for text, is_guest in zip(texts, guest, strict=True)]
    columns, attributes = columns_of([None if event is None else _request(event) for event in events], texts)
    return Scan(columns, attributes, [row for row, event in enumerate(events) if event is None], None)


ABOUT = About(
    producer="kube-apiserver's audit log in JSON (`--audit-log-format=json`, the default), declared as `--transport"
    " host-file`; and its webhook's bodies, declared as `--transport audit-eventlist`.",
    versions="`audit.k8s.io/v1`, Kubernetes 1.12 and later; captures of 1.34.4 at every level, to file and webhook.",
    examples=(
        (
            '{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse",'
            '"auditID":"21e9a086-371f-4635-a526-3059de589ce8","stage":"ResponseComplete",'
            r'"requestURI":"/api/v1/namespaces/payments/pods/api/exec?command=ls\u0026command=-l\u0026command=%2Fapp'
            r'\u0026container=api\u0026stderr=true\u0026stdout=true","verb":"get","user":{"username":"alice",'
            '"groups":["dev","system:authenticated"],"extra":{"authentication.kubernetes.io/credential-id":'
            '["X509SHA256=e0d164dfb2b76ed5e0a823e02524388d346c4e20d23c419cacb3fa1d22a8d856"]}},'
            '"sourceIPs":["10.20.8.11"],"userAgent":"kubectl/v1.34.4 (linux/amd64) kubernetes/$Format",'
            '"objectRef":{"resource":"pods","namespace":"payments","name":"api","apiVersion":"v1","subresource":"exec"},'
            '"responseStatus":{"metadata":{},"code":101},"requestReceivedTimestamp":"2026-11-23T07:38:14.764467Z",'
            '"stageTimestamp":"2026-11-23T07:38:14.780917Z","annotations":{"authorization.k8s.io/decision":"allow",'
            r'"authorization.k8s.io/reason":"RBAC: allowed by RoleBinding \"dev/payments\" of Role \"dev\" to Group'
            r' \"dev\""}}'
        ),
    ),
    holes=(
        "101 is no success: whether the command of an exec ran, only the node's records tell; the outcome is unknown.",
        "What is typed into a session is in no event, nor which port a port-forward goes to.",
        "The peer is the last address: behind a load balancer it is the balancer's.",
        "Straight access to a kubelet leaves only its reviews of token and access; the reviewed user is `review.user`.",
        "The uid of a pod is taken from nodes, the scheduler and the server's own answer only: a client may write any.",
        "Bodies of requests and answers stay in `raw`.",
    ),
    source="Kubernetes `staging/src/k8s.io/apiserver/pkg/apis/audit/v1`; captures.",
)
DIALECT = Dialect("kube-audit", r'\{"kind":"Event","apiVersion":"audit\.k8s\.io/', "{", scan, ABOUT)
