r"""kube-apiserver's audit events as text: `--audit-log-format=legacy`, and the events that its own log names as lost.

`<time> AUDIT: id="…" stage="…" ip="…" method="…" user="…" groups="\"a\",\"b\"" as="<self>" … uri="…" response="200"`. The
time is the request's at every stage, the object only what the URI names, and there is no decision and no message.

Source: Kubernetes `apiserver/pkg/audit/format.go`; a capture of 1.34.4.
"""

import json
import re
from collections.abc import Sequence

from kata_audit.parse.about import About
from kata_audit.parse.api_audit import ApiRequest, columns_of
from kata_audit.parse.api_paths import read_object
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.texts import unquote_go

_QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_KEYS = ("id", "stage", "ip", "method", "user", "groups", "as", "asgroups", "user-agent", "namespace", "uri", "response")
_LINE = re.compile(r"(\S++) AUDIT: " + " ".join(rf"{key}=({_QUOTED})" for key in _KEYS), re.DOTALL)
_GROUP = re.compile(_QUOTED)
_UNSTATED = frozenset({"<none>", "<self>", "<lookup>", "<deferred>", "<unknown>"})
"""What the server writes where it has nothing to say."""


def _value(quoted: str) -> str:
    value = unquote_go(quoted)
    return "" if value in _UNSTATED else value


def _groups(quoted: str) -> str:
    groups = [unquote_go(group) for group in _GROUP.findall(_value(quoted))]
    return json.dumps(groups, ensure_ascii=False) if groups else ""


def _request(match: re.Match[str]) -> ApiRequest:
    time, *quoted = match.groups()
    fields = dict(zip(_KEYS, quoted, strict=True))
    uri, code = _value(fields["uri"]), _value(fields["response"])
    named = read_object(uri)
    addresses = _value(fields["ip"]).split(",")
    attributes = {
        "apiGroup": named.group,
        "user.groups": _groups(fields["groups"]),
        "impersonatedUser.groups": _groups(fields["asgroups"]),
        "network.peer.address": addresses[-1].strip(),
        "client.claimed.sourceIPs": json.dumps([one.strip() for one in addresses[:-1]]) if len(addresses) > 1 else "",
        "client.claimed.userAgent": _value(fields["user-agent"]),
    }
    return ApiRequest(
        audit_id=_value(fields["id"]),
        stage=_value(fields["stage"]),
        time=time,
        received=time,
        verb=_value(fields["method"]),
        uri=uri,
        user=_value(fields["user"]),
        impersonated=_value(fields["as"]),
        resource=named.resource,
        subresource=named.subresource,
        namespace=_value(fields["namespace"]) or named.namespace,
        name=named.name,
        code=int(code) if len(code) == 3 and code.isdigit() and code.isascii() else None,
        decision="",
        message="",
        uid="",
        container="",
        image="",
        runtime_class="",
        attributes={key: value for key, value in attributes.items() if value},
    )


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read audit events in text form; see `Dialect`. A guest's are no events of an API server: they stay text."""
    matches = [
        None if is_guest else _LINE.fullmatch(text.rstrip("\r\n")) for text, is_guest in zip(texts, guest, strict=True)
    ]
    columns, attributes = columns_of([None if match is None else _request(match) for match in matches], texts)
    return Scan(columns, attributes, [row for row, match in enumerate(matches) if match is None], None)


ABOUT = About(
    producer="kube-apiserver's audit log with `--audit-log-format=legacy`; its own log names events so that no backend took"
    " (`Impacted events:`).",
    versions="Kubernetes 1.8 and later; a capture of 1.34.4.",
    examples=(
        (
            '2026-11-23T07:44:04.405762439Z AUDIT: id="9b4d75e3-358a-4e50-958c-6855ea626ec2" stage="ResponseComplete"'
            r' ip="10.20.0.10" method="list" user="system:kube-scheduler" groups="\"system:authenticated\"" as="<self>"'
            ' asgroups="<lookup>" user-agent="kube-scheduler/v1.34.4 (linux/amd64) kubernetes/$Format/scheduler"'
            ' namespace="<none>" uri="/apis/storage.k8s.io/v1/volumeattachments?limit=500&resourceVersion=0" response="200"'
        ),
    ),
    holes=(
        "Every stage has the time of the request: how long a session lasted is not told.",
        "No decision, no message: a refusal by admission and one by authorization look alike.",
        "A name that the server chose is in no event.",
    ),
    source="Kubernetes `apiserver/pkg/audit/format.go` (`EventString`); captures.",
)
DIALECT = Dialect("kube-audit-legacy", r"\d{4}-\d\d-\d\dT\S++ AUDIT: id=", "0123456789", scan, ABOUT)
