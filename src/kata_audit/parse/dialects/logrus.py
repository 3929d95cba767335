r"""logrus text: the Go shim, kata-monitor, kata-runtime, containerd, CRI-O.

`time="…" level=… msg=… key=value …`; keys may hold spaces, values are bare or quoted by Go; `msg` is left out when empty,
an empty value is `key=`. The same record of the shim arrives twice, once through containerd and once through syslog, with
another number of zeros in its time: `copy_key` is equal.

Source: sirupsen/logrus `TextFormatter`; Kata `src/runtime/pkg/katautils` (syslog hook), seen in captures of 4.1.0.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from kata_audit.parse.dialects.base import About, Dialect, Inner, Scan, inner_of
from kata_audit.parse.relays import GO_SUBSYSTEMS, Relay, of_go
from kata_audit.parse.texts import unquote_go
from kata_audit.schema.record import Component
from kata_audit.schema.severity import LOGRUS

_PAIR = re.compile(r' ?([^=]+)=("[^"\\]*+(?:\\.[^"\\]*+)*+"|[^" ]*+)|.+', re.DOTALL)
"""One pair, or all the rest of a text that goes on otherwise: then both groups are empty."""
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
_CONTAINER = re.compile(
    r"(?:(?:k8s\.io|moby|default)/\d+/|/run/containerd/io\.containerd\.runtime\.v2\.task/[a-z0-9.-]+/)?([0-9a-f]{64})\Z"
)
"""A container's id, alone or at the end of containerd's snapshot keys and bundle paths."""

_KATA_NAMES = {
    "containerd-shim-v2": Component.RUNTIME_GO,
    "kata-runtime": Component.RUNTIME_GO,
    "kata-monitor": Component.KATA_MONITOR,
    "kata-proxy": Component.PROXY,
    "kata-shim": Component.SHIM_V1,
}
_CRIO_NAMES = ("/runtime.v1.", "/runtime.v1alpha2.")
"""CRI-O names the CRI method that it serves."""
_KATA_SOURCES = ("virtcontainers", "containerd-kata-shim-v2", "katautils", "cgroups", "runtime")
"""Package families that the shim writes as `source`; records of early loggers carry no `name`."""


_ID_DIGITS = 64
_CONTAINER_KEYS = ("container", "containerid", "container-id", "id", "name", "key", "path")
"""Where a container stands; all but the first three are containerd's, and hold other things too."""


def _pairs(texts: Sequence[str]) -> tuple[list[dict[str, str]], list[int]]:
    """Cut texts into their pairs, values still quoted; of a key that comes twice the first is kept."""
    fields, malformed = [], []
    for row, text in enumerate(texts):
        pairs = _PAIR.findall(text)
        record = dict(pairs)
        if len(record) != len(pairs):
            record = dict(reversed(pairs))
        if record.pop("", None) is not None:
            malformed.append(row)
        fields.append(record)
    return fields, malformed


def _component(record: dict[str, str], *, guest: bool) -> str | None:
    """Tell the Kata program that wrote a record, from its fixed fields; None is the envelope's to tell.

    At a guest's position it can be the agent of 1.x only, which wrote logrus text too.
    """
    if guest:
        return Component.AGENT if record.get("name") == "kata-agent" else None
    name = record.get("name") or record.get("app", "")
    named = _KATA_NAMES.get(name)
    if named is not None:
        return named
    if name.startswith(_CRIO_NAMES):
        return Component.CRIO
    source = record.get("source", "")
    return Component.RUNTIME_GO if source.startswith(_KATA_SOURCES) else None


def copy_keys(texts: Sequence[str], times: Sequence[str | None], components: Sequence[str | None]) -> list[int | None]:
    """Make the key that copies of one record share: its text, with the time's trailing zeros trimmed.

    Args:
        texts: Whole lines.
        times: Their times as written, unquoted.
        components: Who wrote them; only the shim writes copies.

    Returns:
        64-bit numbers; None where a line states no time or has no copies.
    """
    keys: list[int | None] = []
    for text, time, component in zip(texts, times, components, strict=True):
        if time is None or component is not Component.RUNTIME_GO:
            keys.append(None)
            continue
        trimmed = time[:-1].rstrip("0").rstrip(".") if "." in time and time.endswith("Z") else time
        rest = text[len(time) + 7 :].rstrip(" \n")
        digest = blake2b(f"{trimmed} {rest}".encode("utf-8", "replace"), digest_size=8).digest()
        keys.append(int.from_bytes(digest, "big"))
    return keys


def _container(record: dict[str, str]) -> str | None:
    """Find the first container's id among the keys that may hold one; most values are too short to be looked at."""
    for key in _CONTAINER_KEYS:
        value = record.get(key)
        if value is not None and len(value) >= _ID_DIGITS and (match := _CONTAINER.match(value)):
            return match[1]
    return None


def _identities(fields: Sequence[dict[str, str]]) -> dict[str, list[Any]]:
    """Take the ids a record states; those of a form that no id has stay attributes."""
    sandboxes, containers = [], []
    for record in fields:
        get = record.get
        sandbox = get("sandbox") or get("sandboxid") or get("podsandboxid") or get("sandbox_id")
        if sandbox is None and get("name") == "kata-monitor":
            sandbox = get("pod")
        sandboxes.append(sandbox if sandbox and _IDENTIFIER.match(sandbox) else None)
        containers.append(_container(record))
    return {
        "sandbox_id": sandboxes,
        "container_id": containers,
        "exec_id": [record.get("exec") or record.get("exec-id") or None for record in fields],
        "identity_basis": ["shim" if sandbox else None for sandbox in sandboxes],
    }


def _inner(fields: Sequence[dict[str, str]], columns: dict[str, list[Any]]) -> Inner | None:
    """Find what is relayed.

    The guest's own text is the value of `vmconsole`, and what the 1.x proxy relayed as its message, with line end. What a
    hypervisor or its helper wrote is the host's.
    """
    found = []
    levels, bodies, components = columns["severity_number"], columns["body"], columns["component"]
    for row, (record, subsystem) in enumerate(zip(fields, columns["subsystem"], strict=True)):
        source = record.get("source")
        if "vmconsole" in record:
            found.append((row, Relay(None, unquote_go(record.pop("vmconsole")), guest=True)))
        elif source == "agent" and record.get("name") == "kata-proxy":
            found.append((row, Relay(None, bodies[row].rstrip("\n"), guest=True)))
        elif (subsystem in GO_SUBSYSTEMS or source == "virtiofsd") and components[row] == Component.RUNTIME_GO:
            relay = of_go(subsystem, levels[row], bodies[row], record)
            if relay is not None:
                found.append((row, relay))
    return inner_of(found)


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read logrus lines; see `Dialect`."""
    fields, malformed = _pairs(texts)
    times = [unquote_go(record.pop("time", "")) or None for record in fields]
    levels = [LOGRUS.get(record.pop("level", "")) for record in fields]
    bodies = [unquote_go(record.pop("msg", "")) for record in fields]
    components = [_component(record, guest=is_guest) for record, is_guest in zip(fields, guest, strict=True)]
    columns: dict[str, list[Any]] = {
        "time": times,
        "severity_number": levels,
        "body": bodies,
        "component": components,
        "subsystem": [record.pop("subsystem", None) for record in fields],
        "pid": [record.pop("pid", None) for record in fields],
        "copy_key": copy_keys(texts, times, components),
        **_identities(fields),
    }
    inner = _inner(fields, columns)
    attributes = [
        {key: value if value[:1] != '"' else unquote_go(value) for key, value in record.items()} for record in fields
    ]
    return Scan(columns, attributes, malformed, inner)


ABOUT = About(
    producer="The Go shim (in containerd's stream and, a second time, through syslog), kata-runtime, kata-monitor,"
    " containerd and CRI-O on stderr.",
    versions="Kata 1.x to 4.1 with the Go runtime, containerd 1.6 to 2.4; captures of Kata 4.1.0 and containerd 2.4.2.",
    examples=(
        (
            'time="2026-11-23T06:06:45.548138013Z" level=info msg="Sandbox is started" name=containerd-shim-v2 pid=270'
            " sandbox=b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f source=virtcontainers"
            " subsystem=sandbox"
        ),
    ),
    holes=(
        "Records of some early loggers name no program; then the envelope tells, or nobody.",
        "Of a key that comes twice the first value is kept.",
    ),
    source="sirupsen/logrus `TextFormatter`; captures.",
)
DIALECT = Dialect("logrus", r'time="', "t", scan, ABOUT)
