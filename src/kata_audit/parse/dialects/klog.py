r"""klog text: the kubelet, kube-apiserver's own log, and containerd where it uses the kubelet's streaming server.

`I1123 08:04:41.922672     303 kubelet.go:2546] "SyncLoop (PLEG): event for pod" pod="ns/name" …`, or the older form with a
sentence behind the bracket. There is no year and no zone, so `time` is the envelope's, if it has one.

Source: k8s.io/klog v2 `internal/serialize`, `textlogger`; captures of Kubernetes 1.34.4, containerd 2.4.2.
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.texts import unquote_go
from kata_audit.schema.record import Component
from kata_audit.schema.severity import ERROR, FATAL, INFO, WARN

_QUOTED = r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"'
_HEADER = re.compile(
    r"(?P<level>[IWEF])(?P<day>\d{4}) (?P<clock>\d\d:\d\d:\d\d\.\d{6}) ++(?P<pid>\d+) (?P<file>[^ :\]]++):(?P<line>\d+)\] "
    rf"(?:(?P<message>{_QUOTED})(?P<pairs>(?: [^ =\n]++=.*+)?+)\s*+\Z|(?P<sentence>.*+))",
    re.DOTALL,
)
_FLAT = rf'(?:[^"\[\]{{}}\n]|{_QUOTED})*+'
_NESTED = rf"(?:{_FLAT}(?:[\[{{]{_FLAT}[\]}}])?+)*+"
_PAIR = re.compile(
    rf" ([^ =\n]++)=(?:({_QUOTED})|(&?[\[{{]{_NESTED}[\]}}])|<\n?((?:\t[^\n]*+\n)*+)(?: >)?"
    r"|([^ \"\[{<\n][^ \n]*+)?)(?= |\Z)"
)
"""One pair: quoted by Go, JSON or Go's own form of a struct, lines between `<` and `>`, or bare."""
_LEVELS = {"I": INFO, "W": WARN, "E": ERROR, "F": FATAL}
_OF_KUBELET = re.compile(r"(?:kubelet|kuberuntime|pod_workers|pod_startup_latency|pod_container_deletor)[a-z_]*\.go\Z")
"""Source files that only the kubelet has, for lines whose envelope names no program."""

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}")
_CONTAINER = re.compile(r"(?:[a-z-]{1,16}://)?([0-9a-f]{64})")
_PLEG = re.compile(
    r'\{"ID":"(?P<uid>[0-9a-f-]{32,36})","Type":"[A-Za-z]++","Data":"(?P<id>[0-9a-f]{64})"\}'
    r"|&\{ID:(?P<uid1>[0-9a-f-]{32,36}) Type:[A-Za-z]++ Data:(?P<id1>[0-9a-f]{64})\}"
)
_ONE_POD = re.compile(r'\["([a-z0-9./-]{1,512})"\]')
_ENTERED = re.compile(
    r"error executing command in container: failed to exec in container: failed to start exec"
    r' "(?P<exec>[0-9a-f]{64})": cannot enter container (?P<id>[0-9a-f]{64}), '
)


def _pairs(text: str) -> dict[str, str] | None:
    """Read all pairs of a text; None where something is no pair. Of a key that comes twice the first is kept."""
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _PAIR.match(text, position)
        if match is None:
            return None
        key, quoted, struct, lines, bare = match.groups()
        if quoted is not None:
            value = unquote_go(quoted)
        else:
            value = struct or bare or "\n".join(line[1:] for line in (lines or "").splitlines())
        found.setdefault(key, value)
        position = match.end()
    return found


def _identity(pairs: dict[str, str]) -> dict[str, str | None]:
    """Take the pod and container that keys state; what no such thing can be called stays an attribute alone."""
    one_pod = _ONE_POD.fullmatch(pairs.get("pods", ""))
    namespace, _, pod = (pairs.get("pod") or (one_pod[1] if one_pod else "")).partition("/")
    named = bool(_LABEL.fullmatch(namespace) and _LABEL.fullmatch(pod))
    uid, container = pairs.get("podUID") or pairs.get("podID", ""), pairs.get("containerID", "")
    event = _PLEG.fullmatch(pairs.get("event", ""))
    entered = _ENTERED.match(pairs.get("err", ""))
    if event is not None:
        uid, container = uid or event["uid"] or event["uid1"], container or event["id"] or event["id1"]
    elif entered is not None:
        container = container or entered["id"]
    found = _CONTAINER.fullmatch(container)
    name = pairs.get("containerName", "")
    return {
        "k8s_namespace": namespace if named else None,
        "k8s_pod": pod if named else None,
        "k8s_pod_uid": uid if _UID.fullmatch(uid) else None,
        "container_id": found[1] if found else None,
        "k8s_container": name if _LABEL.fullmatch(name) else None,
        "exec_id": entered["exec"] if entered is not None else None,
    }


_IDENTITY = tuple(_identity({}))
_NOTHING: dict[str, str | None] = dict.fromkeys(_IDENTITY)


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read klog lines; see `Dialect`."""
    matches = [_HEADER.fullmatch(text.rstrip()) for text in texts]
    pairs = [_pairs(match["pairs"] or "") if match is not None and match["message"] else {} for match in matches]
    broken = [row for row, (match, read) in enumerate(zip(matches, pairs, strict=True)) if match is None or read is None]
    fields = [read or {} for read in pairs]
    identities = [
        _NOTHING if is_guest or not read else _identity(read) for read, is_guest in zip(fields, guest, strict=True)
    ]
    columns: dict[str, list[Any]] = {
        "severity_number": [match and _LEVELS[match["level"]] for match in matches],
        "body": [_body(text, match, read) for text, match, read in zip(texts, matches, pairs, strict=True)],
        "component": [Component.KUBELET if match and _OF_KUBELET.match(match["file"]) else None for match in matches],
        "pid": [match and match["pid"] for match in matches],
        **{name: [identity[name] for identity in identities] for name in _IDENTITY},
        "identity_basis": ["text" if any(identity.values()) else None for identity in identities],
    }
    attributes = [{} if match is None else {**read, **_position(match)} for match, read in zip(matches, fields, strict=True)]
    return Scan(columns, attributes, broken, None)


def _body(text: str, match: re.Match[str] | None, pairs: dict[str, str] | None) -> str:
    if match is None or pairs is None:
        return text
    return unquote_go(match["message"]) if match["message"] else match["sentence"]


def _position(match: re.Match[str]) -> dict[str, str]:
    day = match["day"]
    return {
        "code.file.path": match["file"],
        "code.line.number": match["line"],
        "time.local": f"{day[:2]}-{day[2:]}T{match['clock']}",
    }


ABOUT = About(
    producer="kubelet and kube-apiserver on stderr; containerd's stream, where its streaming server fails an exec, an attach"
    " or a port-forward.",
    versions="klog v2 with structured logging (Kubernetes 1.19 and later) and the older form; captures of 1.34.4 and of"
    " containerd 2.4.2.",
    examples=(
        (
            'I1123 08:04:41.922672     303 kubelet.go:2546] "SyncLoop (PLEG): event for pod" pod="payments/api"'
            ' event={"ID":"4b1aa41a-4a5b-4ae8-b76c-b5a4f3503a8a","Type":"ContainerStarted",'
            '"Data":"ba53050b5e45c7c2c57f607baef817e848eba513c9972859f76c53a3917b37ec"}'
        ),
        (
            r'E1123 08:06:13.424314     103 runtime.go:31] "Unhandled Error" err="error executing command in container:'
            r" failed to exec in container: failed to start exec"
            r" \"502572e30128db67223f6ebf20314e10ccee9e2543864f3269e1e0831bc6ff4a\": cannot enter container"
            r" 160f516c8a09d8adc329406c4ecdcbb16061b4c73ba175422623b833cf00b33c, with err rpc error: code = PermissionDenied"
            r' desc = \"ExecProcessRequest is blocked by policy: \""'
        ),
        "I1123 07:38:03.862661   27173 server.go:150] Version: v1.34.4",
    ),
    holes=(
        "No year and no zone: the time is the envelope's; what the line says is `time.local`.",
        "An error of several lines becomes lines of their own: they are of whoever chose its text, and state nothing.",
        "The id in a PLEG event is a container's or a sandbox's: it fills `container_id`, other records tell which it is.",
    ),
    source="k8s.io/klog v2; Kubernetes `pkg/kubelet`; captures.",
)
DIALECT = Dialect("klog", r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} ", "IWEF", scan, ABOUT)
