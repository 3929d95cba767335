"""runtime-rs over journald's native protocol (from 3.20): the record is the journal entry's own fields.

`NAME=kata-runtime`, `SOURCE` is the sandbox, `SUBSYSTEM` and `COMPONENT` say which part; PRIORITY is one off from syslog's.
Lines of the guest's agent come with `SUBSYSTEM=agent`, and the shim's own lines there cannot be told from forged ones: all
of them are the guest's (law L7). A console line stands in `vm console: "…"`.

Source: Kata `src/libs/logging` (journald drain), `src/runtime-rs/crates/agent` log forwarder; captures of 4.1.0.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Inner, Scan, inner_of
from kata_audit.parse.relays import CONSOLE, GUEST_SUBSYSTEMS, RS_SUBSYSTEMS, Relay, hypervisor_inside, of_rs
from kata_audit.parse.texts import journal_text
from kata_audit.schema.record import Component
from kata_audit.schema.severity import RUNTIME_RS_PRIORITY

NAME = "journal-native"

_STANDARD = frozenset(
    {
        "MESSAGE",
        "PRIORITY",
        "SYSLOG_IDENTIFIER",
        "NAME",
        "SOURCE",
        "SUBSYSTEM",
        "VERSION",
        "PID",
        "CODE_FILE",
        "CODE_LINE",
        "CODE_MODULE",
        "CODE_FUNCTION",
        "COMPONENT",
        "CONTAINER_ID",
        "EXEC_ID",
        "__CURSOR",
        "__REALTIME_TIMESTAMP",
        "__MONOTONIC_TIMESTAMP",
        "_BOOT_ID",
        "_MACHINE_ID",
        "_HOSTNAME",
        "_RUNTIME_SCOPE",
        "_TRANSPORT",
        "_PID",
        "_UID",
        "_GID",
        "_COMM",
        "_EXE",
        "_CMDLINE",
        "_CAP_EFFECTIVE",
        "_SYSTEMD_CGROUP",
        "_SYSTEMD_UNIT",
        "_SYSTEMD_SLICE",
        "_SOURCE_REALTIME_TIMESTAMP",
        "_STREAM_ID",
    }
)
"""Fields that are columns, constants of the logging crate, or journald's own."""
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")


def is_native(fields: Mapping[str, Any]) -> bool:
    """Tell whether journald fields are a record that runtime-rs wrote itself."""
    return fields.get("NAME") == "kata-runtime" and fields.get("_TRANSPORT") == "journal"


def _texts(entries: Sequence[Mapping[str, Any]], name: str) -> list[str | None]:
    """Give a field of each entry as text."""
    values = [fields.get(name) for fields in entries]
    return [value if type(value) is str else journal_text(value) for value in values]


def _component(fields: Mapping[str, Any], subsystem: str | None, body: str, *, guest: bool) -> str:
    if not guest:
        inside = hypervisor_inside(subsystem, body, has_id="ID" in fields, has_component="COMPONENT" in fields)
        return inside or Component.RUNTIME_RS
    return Component.GUEST_KERNEL if subsystem == "dmesg" else Component.AGENT


def _inner(
    entries: Sequence[Mapping[str, Any]], columns: Mapping[str, Sequence[Any]], guest: Sequence[bool]
) -> Inner | None:
    """Find what is relayed.

    The guest's own records are JSON that the agent's log port gave, what has a form on Dragonball's serial console, and
    console lines in Rust's quotes; the rest is what hypervisors and their helpers wrote.
    """
    found = []
    for row, (subsystem, body) in enumerate(zip(columns["subsystem"], columns["body"], strict=True)):
        if guest[row]:
            if body.startswith("{") or (subsystem == "dmesg" and body.startswith("[")):
                found.append((row, Relay(None, body, guest=True)))
        elif subsystem in RS_SUBSYSTEMS or body.startswith(CONSOLE):
            relay = of_rs(subsystem, journal_text(entries[row].get("STREAM")), body)
            if relay is not None:
                found.append((row, relay))
    return inner_of(found)


def scan(entries: Sequence[Mapping[str, Any]]) -> tuple[Scan, list[bool]]:
    """Read runtime-rs records.

    Args:
        entries: Fields of journal entries for which `is_native()` holds.

    Returns:
        The scan, and of each record whether the guest wrote its text.
    """
    subsystems = _texts(entries, "SUBSYSTEM")
    guest = [subsystem in GUEST_SUBSYSTEMS for subsystem in subsystems]
    bodies = [text or "" for text in _texts(entries, "MESSAGE")]
    sources = [text or "" for text in _texts(entries, "SOURCE")]
    sandboxes = [source if _IDENTIFIER.match(source) else None for source in sources]
    columns: dict[str, list[Any]] = {
        "severity_number": [RUNTIME_RS_PRIORITY.get(text or "") for text in _texts(entries, "PRIORITY")],
        "body": bodies,
        "component": [
            _component(fields, subsystem, body, guest=is_guest)
            for fields, subsystem, body, is_guest in zip(entries, subsystems, bodies, guest, strict=True)
        ],
        "subsystem": subsystems,
        "pid": [fields.get("PID") for fields in entries],
        "exec_id": [text or None for text in _texts(entries, "EXEC_ID")],
        "sandbox_id": sandboxes,
        "container_id": [
            None if is_guest else journal_text(fields.get("CONTAINER_ID") or fields.get("CONTAINER"))
            for fields, is_guest in zip(entries, guest, strict=True)
        ],
        "identity_basis": ["source" if sandbox else None for sandbox in sandboxes],
    }
    attributes = [
        {key.lower(): journal_text(fields[key]) or "" for key in sorted(fields.keys() - _STANDARD) if key[:1] != "_"}
        for fields in entries
    ]
    return Scan(columns, attributes, [], _inner(entries, columns, guest)), guest


ABOUT = About(
    producer="runtime-rs, which writes to journald itself.",
    versions="Kata 3.20 to 4.1; captures of 4.1.0.",
    examples=(
        (
            "__CURSOR=s=0be7ddae0dfc4b5f8bf53798bb542296;i=ce5;b=6b1a7c520f3e4c8d9a552d7e90c4b1aa"
            ";m=7fb32ef6;t=660eb5b38898d;x=1e20715432f8e4a\n"
            "__REALTIME_TIMESTAMP=1795413824276877\n"
            "__MONOTONIC_TIMESTAMP=2142449398\n"
            "_BOOT_ID=6b1a7c520f3e4c8d9a552d7e90c4b1aa\n"
            "_UID=0\n"
            "_GID=0\n"
            "_CAP_EFFECTIVE=1fffeffffff\n"
            "_MACHINE_ID=0123456789abcdef0123456789abcdef\n"
            "_HOSTNAME=worker-b\n"
            "_RUNTIME_SCOPE=system\n"
            "PRIORITY=5\n"
            "CODE_FILE=src/libs/logging/src/lib.rs\n"
            "CODE_LINE=310\n"
            "CODE_MODULE=logging\n"
            "CODE_FUNCTION=\n"
            "VERSION=0.1.0\n"
            "SYSLOG_IDENTIFIER=kata\n"
            "COMPONENT=runtimes\n"
            "NAME=kata-runtime\n"
            "_TRANSPORT=journal\n"
            "_COMM=containerd-shim\n"
            "_EXE=/opt/kata/runtime-rs/bin/containerd-shim-kata-v2\n"
            "SUBSYSTEM=virt-container\n"
            "MESSAGE=container terminated\n"
            "SOURCE=d664cc7466e62f73a5d3d832385b5ddf3a1e77f536d34bee783de267b2c21f0d\n"
            "PID=3231\n"
            "_PID=3231\n"
            "_CMDLINE=/opt/kata/runtime-rs/bin/containerd-shim-kata-v2 -id d664cc7466e62f73a5d3d8"
            "32385b5ddf3a1e77f536d34bee783de267b2c21f0d -namespace k8s.io -address /run/container"
            "d/containerd.sock -publish-binary /opt/kata/bin/containerd\n"
            "CONTAINER_ID=d664cc7466e62f73a5d3d832385b5ddf3a1e77f536d34bee783de267b2c21f0d\n"
            "_SOURCE_REALTIME_TIMESTAMP=1795413824276875"
        ),
    ),
    holes=(
        "Records with `SUBSYSTEM=agent` may be the guest's or the shim's own, which nothing tells: all are claims.",
        "Pod and namespace stand only inside dumps of a container's specification.",
        "runtime-rs drops records when it writes fast, and says how many.",
    ),
    source="Kata `src/libs/logging` (journald drain); captures of 4.1.0.",
)
