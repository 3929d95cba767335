r"""Identities that host records state outside their own `sandbox=`: containerd's CRI lines, cgroups, command lines, dumps.

Only text at a host-written position is read, and only whole templates with the host's own quoting: a pod that calls
itself like a template comes out escaped and does not match.

Source: containerd `internal/cri/server` (1.6 to 2.x log calls); Kata reference captures of 4.1.0.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from kata_audit.parse.texts import unquote_go

_ID_DIGITS = 64
_ID = r"[0-9a-f]{64}"
_NAME = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
_UID = r"[0-9a-zA-Z-]{1,64}"
_QUOTED = r"\"(?:[^\"\\]|\\.)*+\""
_POD_2 = rf"name:(?P<pod>{_QUOTED}) +uid:(?P<uid>{_QUOTED}) +namespace:(?P<namespace>{_QUOTED})(?: +attempt:\d+)?"
_POD_1 = (
    rf"&PodSandboxMetadata\{{Name:(?P<pod1>{_NAME}),Uid:(?P<uid1>{_UID}),Namespace:(?P<namespace1>{_NAME}),Attempt:\d+,\}}"
)
_RUN_POD = re.compile(rf'RunPodSandbox for (?:{_POD_2}|{_POD_1})(?:,? returns sandbox id "(?P<sandbox>{_ID})")?')
_RUN_POD_ERROR = re.compile(
    r"(?:rpc error: code = \w+ desc = )?failed to (?:start|create|setup network for) sandbox (?:container task )?"
    rf'"(?P<sandbox>{_ID})": '
)
_CREATE = re.compile(
    rf'CreateContainer within sandbox "(?P<sandbox>{_ID})" for (?:container )?'
    rf"(?:name:(?P<name>{_QUOTED})(?: +attempt:\d+)?|&ContainerMetadata\{{Name:(?P<name1>{_NAME}),Attempt:\d+,\}})"
    rf'(?:,? returns container id "(?P<container>{_ID})")?'
)
_CONNECT = re.compile(rf"connecting to shim (?P<container>{_ID})\Z")
_ON_CONTAINER = re.compile(rf'(?:Start|Stop|Remove)Container for "(?P<container>{_ID})"|Exec(?:Sync)? for "(?P<exec>{_ID})"')
_ON_SANDBOX = re.compile(
    rf'(?:Stop|Remove)PodSandbox for "(?P<sandbox>{_ID})"|Forcibly stopping sandbox "(?P<forced>{_ID})"'
)
_RUNTIME = re.compile(r"[uU]se OCI runtime \{Type:io\.containerd\.(?P<handler>[a-z0-9][a-z0-9.-]{0,251})\.v2 ")
_RUNTIME_OF = re.compile(rf'\}} for sandbox "(?P<sandbox>{_ID})" and container "(?P<container>{_ID})"\Z')
_CRI_STARTS = (
    "use OCI runtime {",
    "Use OCI runtime {",
    "connecting to shim ",
    "RunPodSandbox for",
    "CreateContainer within",
    "StartContainer for",
    "StopContainer for",
    "RemoveContainer for",
    "ExecSync for",
    "Exec for",
    "StopPodSandbox for",
    "RemovePodSandbox for",
    "Forcibly stopping sandbox",
)
_HEAD = 8
"""Characters that rule most messages out at once."""
_CRI_HEADS = frozenset(start[:_HEAD] for start in _CRI_STARTS)

_SANDBOX_PATH = r"/run/(?:vc/vm|vc/sbs|vc/firecracker|kata|kata-containers/shared/sandboxes|peerpod/pods)/"
_BUNDLE_PATH = r"/run/containerd/io\.containerd\.runtime\.v2\.task/[a-z0-9.-]{1,64}/"
_FIRST_ID = re.compile(rf"{_ID}\b")
_OWN_WORDS = re.compile(
    rf'[A-Za-z][A-Za-z ,_:-]{{2,79}}"?(?:{_SANDBOX_PATH}|{_BUNDLE_PATH})?|Generated exec id "{_ID}" for container "'
)
_PIPING = re.compile(r'(?:Finish piping|Failed to pipe) "std(?:in|out|err)" (?:of|for) container exec "')
"""Words of containerd that quote another word of its own before an exec's id."""
_MAX_WORDS = 320
"""How far into a message its first id is looked for: the longest words, a path, and two ids."""
_EXEC_WORDS = 'Generated exec id "'
"""An id that a host message of containerd or the shim names after nothing but its own words, or in a path of theirs."""
_OF_EXEC = re.compile(r'(?:Exec process|[Cc]ontainer exec) "\Z')
"""Words of containerd after which an exec's id stands."""
_OF_SANDBOX = re.compile(rf'(?:[Ss]andbox(?:_id:)? ?"?|{_SANDBOX_PATH})\Z')

_CGROUP = re.compile(
    rf"[/-]pod(?P<uid>[0-9a-f]{{8}}[-_][0-9a-f_-]{{27}})(?:\.slice)?/(?:cri-containerd-|crio-|kata_)?(?P<sandbox>{_ID})"
)
_OVERHEAD_CGROUP = re.compile(rf"/kata_overhead/(?P<sandbox>{_ID})")
_SHIM = "containerd-shim-kata-"
"""How every shim's program is called, whatever its runtime class: `containerd-shim-kata-qemu-v2`."""
_COMMAND_LINE = re.compile(rf"{_SHIM}[a-z0-9-]+ (?:.* )?-id ([A-Za-z0-9][A-Za-z0-9_.-]{{0,127}})(?: |\Z)")

_DUMP_STARTS = ("OCI Spec ", "Preparing REMOTE VM req")
_DUMP_HEADS = frozenset(start[:_HEAD] for start in _DUMP_STARTS)
_DUMP = re.compile(
    r'(?<!\\)"io\.kubernetes\.cri\.(sandbox-id|sandbox-name|sandbox-namespace|sandbox-uid|container-name|image-name)"'
    r': "([^"\\]{1,512})"'
)
_DUMP_COLUMNS = {
    "sandbox-id": "sandbox_id",
    "sandbox-name": "k8s_pod",
    "sandbox-namespace": "k8s_namespace",
    "sandbox-uid": "k8s_pod_uid",
    "container-name": "k8s_container",
    "image-name": "image",
}


class Stated(NamedTuple):
    """Identities that some rows state: positions, and a mapping of identity columns for each."""

    rows: list[int]
    identities: list[dict[str, str]]


def _named(match: re.Match[str], **columns: str) -> dict[str, str]:
    """Take the groups that matched; a column may have two groups, one per containerd generation."""
    found: dict[str, str] = {}
    for group, column in columns.items():
        value = match[group]
        if value is not None:
            found[column] = unquote_go(value)
    return found


def read_cri(body: str, error: str = "") -> dict[str, str]:
    """Read what one of containerd's CRI messages states; nothing where it is none.

    Args:
        body: The message.
        error: The record's `error`: a failed RunPodSandbox names its sandbox only there, in front of what the shim says.

    Example:
        >>> read_cri('StartContainer for "' + "ab" * 32 + '"')["container_id"][:4]
        'abab'
    """
    if match := _RUN_POD.match(body):
        stated = _named(
            match,
            pod="k8s_pod", uid="k8s_pod_uid", namespace="k8s_namespace",
            pod1="k8s_pod", uid1="k8s_pod_uid", namespace1="k8s_namespace", sandbox="sandbox_id",
        )  # fmt: skip
        failed = _RUN_POD_ERROR.match(error) if body.endswith(" failed, error") else None
        return {**stated, "sandbox_id": failed["sandbox"]} if failed else stated
    if match := _CREATE.match(body):
        return _named(match, sandbox="sandbox_id", name="k8s_container", name1="k8s_container", container="container_id")
    if match := _ON_CONTAINER.match(body):
        return _named(match, container="container_id", exec="container_id")
    if match := _CONNECT.match(body):
        return _named(match, container="container_id")
    if match := _RUNTIME.match(body):
        tail = _RUNTIME_OF.search(body)
        return {
            **_named(match, handler="runtime_class"),
            **(_named(tail, sandbox="sandbox_id", container="container_id") if tail else {}),
        }
    match = _ON_SANDBOX.match(body)
    return _named(match, sandbox="sandbox_id", forced="sandbox_id") if match else {}


def from_cri(bodies: Sequence[str | None], attributes: Sequence[dict[str, str] | None], rows: Sequence[int]) -> Stated:
    """Read containerd's CRI messages among `rows`."""
    found = Stated([], [])
    for row in rows:
        body = bodies[row]
        if body and body[:_HEAD] in _CRI_HEADS and body.startswith(_CRI_STARTS):
            stated = read_cri(body, (attributes[row] or {}).get("error", ""))
            if stated:
                found.rows.append(row)
                found.identities.append(stated)
    return found


def from_words(bodies: Sequence[str | None], rows: Sequence[int]) -> Stated:
    """Read the id that a host message names first, among `rows`, which state none otherwise.

    Whatever stands before the id is words of the message's template: text that a tenant chose comes quoted, and a quote
    may stand only right before the id.
    """
    found = Stated([], [])
    for row in rows:
        body = bodies[row] or ""
        if len(body) < _ID_DIGITS:
            continue
        match = _FIRST_ID.search(body, 0, _MAX_WORDS)
        made = {}
        if match is not None and body.startswith(_EXEC_WORDS):
            made = {"exec_id": match[0]}
            match = _FIRST_ID.search(body, match.end(), _MAX_WORDS)
        if match is None or not (_OWN_WORDS.fullmatch(body, 0, match.start()) or _PIPING.fullmatch(body, 0, match.start())):
            continue
        found.rows.append(row)
        found.identities.append({_column_of(body, match.start()): match[0], **made})
    return found


def _column_of(body: str, place: int) -> str:
    """Tell what the id at a place is of, by the words before it."""
    if _OF_EXEC.search(body, 0, place):
        return "exec_id"
    return "sandbox_id" if _OF_SANDBOX.search(body, 0, place) else "container_id"


def from_dumps(bodies: Sequence[str | None], rows: Sequence[int]) -> Stated:
    """Read the pod annotations out of runtime-rs's dumps of a container's specification among `rows`."""
    found = Stated([], [])
    for row in rows:
        body = bodies[row]
        if body and body[:_HEAD] in _DUMP_HEADS and body.startswith(_DUMP_STARTS):
            stated: dict[str, str] = {}
            for key, value in _DUMP.findall(body):
                stated.setdefault(_DUMP_COLUMNS[key], value)
            if stated:
                found.rows.append(row)
                found.identities.append(stated)
    return found


def from_cgroups(cgroups: Sequence[Any]) -> Stated:
    """Read pod uid and sandbox from the cgroup of the process that wrote, as the kernel told journald."""
    found = Stated([], [])
    known: dict[str, dict[str, str]] = {}
    for row, cgroup in enumerate(cgroups):
        if type(cgroup) is not str:
            continue
        if cgroup not in known:
            known[cgroup] = _read_cgroup(cgroup)
        if known[cgroup]:
            found.rows.append(row)
            found.identities.append(known[cgroup])
    return found


def _read_cgroup(cgroup: str) -> dict[str, str]:
    if "pod" not in cgroup and "/kata_overhead/" not in cgroup:
        return {}
    if match := _CGROUP.search(cgroup):
        return {"sandbox_id": match["sandbox"], "k8s_pod_uid": match["uid"].replace("_", "-")}
    match = _OVERHEAD_CGROUP.search(cgroup)
    return {"sandbox_id": match["sandbox"]} if match else {}


def from_command_lines(command_lines: Sequence[Any], rows: Sequence[int]) -> Stated:
    """Read the sandbox from the command line of a shim, as the kernel told journald, for the given rows."""
    found = Stated([], [])
    for row in rows:
        command_line = command_lines[row]
        if isinstance(command_line, str) and _SHIM in command_line:
            match = _COMMAND_LINE.search(command_line)
            if match:
                found.rows.append(row)
                found.identities.append({"sandbox_id": match[1]})
    return found
