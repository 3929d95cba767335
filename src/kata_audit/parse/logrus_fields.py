"""What the fields of a logrus record say of its writer and of ids, however the record was spelled."""

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from kata_audit.schema.record import Component

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


def component_of(record: dict[str, str], *, guest: bool) -> str | None:
    """Tell the Kata program that wrote a record, from its fixed fields; None is the envelope's to tell.

    Args:
        record: Its fields.
        guest: Whether its position is a guest's: there it can be the agent of 1.x only, which wrote logrus text too.
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


def container_of(record: dict[str, str]) -> str | None:
    """Find the first container's id among the keys that may hold one; most values are too short to be looked at."""
    for key in _CONTAINER_KEYS:
        value = record.get(key)
        if value is not None and len(value) >= _ID_DIGITS and (match := _CONTAINER.match(value)):
            return match[1]
    return None


def sandbox_of(record: dict[str, str]) -> str | None:
    """Take the sandbox that a record states, in the form that an id has."""
    get = record.get
    sandbox = get("sandbox") or get("sandboxid") or get("podsandboxid") or get("sandbox_id")
    if sandbox is None and get("name") == "kata-monitor":
        sandbox = get("pod")
    return sandbox if sandbox and _IDENTIFIER.match(sandbox) else None


def exec_of(record: dict[str, str]) -> str | None:
    """Take the exec that a record states."""
    return record.get("exec") or record.get("exec-id") or None


def identities_of(fields: Sequence[dict[str, str]]) -> dict[str, list[Any]]:
    """Take the ids that records state, as columns; those of a form that no id has stay attributes."""
    sandboxes = [sandbox_of(record) for record in fields]
    return {
        "sandbox_id": sandboxes,
        "container_id": [container_of(record) for record in fields],
        "exec_id": [exec_of(record) for record in fields],
        "identity_basis": ["shim" if sandbox else None for sandbox in sandboxes],
    }
