"""Request URIs of the Kubernetes API: the object that a path names, and the parameters behind it, decoded as Go does.

The URI of an audit event is as the client wrote it; the API server acts on the decoded form, and so does this.

Source: Go `net/url` (`ParseQuery`, `URL.Path`); Kubernetes `apiserver/pkg/endpoints/request` (`RequestInfo`), kubelet
`pkg/kubelet/server` (its paths behind `nodes/proxy`).
"""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from kata_audit.parse.texts import decode

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MAX_PARAMETERS = 10_000
_NAMED_ACTIONS = frozenset({"exec", "run", "attach", "portForward", "containerLogs"})


class ApiObject(NamedTuple):
    """What a path names; an empty text is not named. All empty where the path is not of a resource."""

    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    group: str = ""


class KubeletTarget(NamedTuple):
    """What a path of the kubelet's own server names: the endpoint, and the pod and container, empty where not named."""

    endpoint: str
    namespace: str = ""
    pod: str = ""
    container: str = ""


def _unescape(text: str) -> str | None:
    """Decode one escaped part; None where an escape is broken."""
    if "%" not in text:
        return text
    return None if _BAD_ESCAPE.search(text) else decode(unquote_to_bytes(text))


def read_query(uri: str) -> list[tuple[str, str]]:
    """Read the parameters of a URI in order; what Go's server drops (a broken escape, a semicolon) is dropped.

    Args:
        uri: A request URI; of more than 10,000 parameters the first are read.

    Example:
        >>> read_query("/x?command=sh&command=a+b%2B&command=")
        [('command', 'sh'), ('command', 'a b+'), ('command', '')]
    """
    found = []
    for part in uri.partition("?")[2].split("&", _MAX_PARAMETERS)[:_MAX_PARAMETERS]:
        if not part or ";" in part:
            continue
        name, _, value = part.replace("+", " ").partition("=")
        decoded_name, decoded = _unescape(name), _unescape(value)
        if decoded_name is not None and decoded is not None:
            found.append((decoded_name, decoded))
    return found


def _segments(uri: str) -> list[str]:
    path = _unescape(uri.partition("?")[0])
    return [] if path is None else path.strip("/").split("/")


def read_object(uri: str) -> ApiObject:
    """Read the object that a request URI names, as the API server's `RequestInfo` does.

    Example:
        >>> read_object("/api/v1/namespaces/shop/pods/web/exec?command=id")
        ApiObject(resource='pods', subresource='exec', namespace='shop', name='web', group='')
    """
    parts = _segments(uri)
    if len(parts) > 2 and parts[0] == "api":
        group, rest = "", parts[2:]
    elif len(parts) > 3 and parts[0] == "apis":
        group, rest = parts[1], parts[3:]
    else:
        return ApiObject()
    if rest[0] == "watch":
        rest = rest[1:]
    namespace = ""
    if len(rest) > 1 and rest[0] == "namespaces":
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in ("status", "finalize"):
            rest = rest[2:]
    resource, name, subresource = (*rest[:3], "", "", "")[:3]
    return ApiObject(resource, subresource, namespace, name, group)


def read_kubelet(uri: str) -> KubeletTarget | None:
    """Read what a request to a kubelet through `nodes/<node>/proxy` names; None for another request.

    Example:
        >>> read_kubelet("/api/v1/nodes/worker-a/proxy/run/shop/web/app?cmd=id")
        KubeletTarget(endpoint='run', namespace='shop', pod='web', container='app')
    """
    parts = _segments(uri)
    if parts[:1] != ["api"] or parts[2:3] != ["nodes"] or parts[4:5] != ["proxy"]:
        return None
    endpoint, *rest = parts[5:] or [""]
    if endpoint not in _NAMED_ACTIONS or len(rest) < 2:
        return KubeletTarget(endpoint)
    container = rest[-1] if len(rest) > 2 and endpoint != "portForward" else ""
    return KubeletTarget(endpoint, rest[0], rest[1], container)
