"""slog JSON: the agent, runtime-rs up to 3.19 through containerd, kata-ctl and the trace forwarder.

One object a line: `msg`, `level`, `ts`, then keys in random order, every value a string; `version` is the logging crate's,
not Kata's; a container is `cid` or `container-id`, an exec `eid` or `exec-id`; no line names its sandbox, but runtime-rs
writes it as `source`. Dragonball's logger under its own command line writes `id` and no `name`.

Source: Kata `src/libs/logging`; captures of 4.1.0.
"""

import json
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Inner, Scan, inner_of
from kata_audit.parse.frames.journal_json import load_once_named
from kata_audit.parse.relays import CONSOLE, GUEST_SUBSYSTEMS, RS_SUBSYSTEMS, Relay, hypervisor_inside, of_rs
from kata_audit.parse.texts import journal_text
from kata_audit.schema.record import Component
from kata_audit.schema.severity import SLOG

_NAMES = {
    "kata-agent": Component.AGENT,
    "kata-runtime": Component.RUNTIME_RS,
    "kata-ctl": Component.KATA_CTL,
    "kata-trace-forwarder": Component.TRACE_FORWARDER,
}
_RELAYED = ('{"msg"', 'time="')
"""What a relayed record begins with; other messages are just text."""
_HOLDING = frozenset((Component.RUNTIME_RS, Component.DRAGONBALL, Component.OPENVMM))
"""Components of a host in whose records others' text stands."""
_TEXTS_ONLY = {str}
_MAX_SLOW = 1 << 20
"""The longest object that is looked at again for a key that comes twice."""


def _first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


def _load_first(text: str) -> dict[str, Any]:
    """Load an object that says a key twice, as the agent does where a logger has a `msg` of its own: the first counts."""
    try:
        fields = json.loads(text, object_pairs_hook=_first_of_each) if len(text) <= _MAX_SLOW else None
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _load(texts: Sequence[str]) -> tuple[list[dict[str, str]], list[int]]:
    """Load each text; one that is no slog record, or says a key twice, is malformed. Without `msg` it has no fields."""
    records: list[dict[str, str]] = []
    malformed = []
    for row, text in enumerate(texts):
        fields = load_once_named(text.strip().encode("utf-8", "surrogatepass"))
        if fields is None or "msg" not in fields or "level" not in fields:
            malformed.append(row)
            fields = _load_first(text)
            fields = fields if "msg" in fields and "level" in fields else {}
        if set(map(type, fields.values())) != _TEXTS_ONLY:
            fields = {key: value if type(value) is str else journal_text(value) or "" for key, value in fields.items()}
        records.append(fields)
    return records, malformed


def _component(record: dict[str, str], body: str, *, guest: bool) -> str:
    """Tell who wrote a record: in a guest only the agent can be meant, whatever the text says."""
    if guest:
        return Component.AGENT if record.get("name") == "kata-agent" else Component.OTHER
    named: str | None = _NAMES.get(record.get("name", ""))
    if named == Component.RUNTIME_RS or (named is None and "id" in record and "name" not in record):
        has_component = "component" in record
        named = hypervisor_inside(record.get("subsystem"), body, has_id="id" in record, has_component=has_component) or named
    return named or Component.OTHER


def _inner(records: Sequence[dict[str, str]], guest: Sequence[bool], columns: dict[str, list[Any]]) -> Inner | None:
    """Find what is relayed: agents' records, and under runtime-rs guests' consoles and what hypervisors wrote.

    All that comes with a subsystem of the guest is the guest's: the shim's own lines there cannot be told from forged ones.
    """
    found = []
    subsystems, components = columns["subsystem"], columns["component"]
    for row, body in enumerate(columns["body"]):
        subsystem = subsystems[row]
        relay = None
        if components[row] in _HOLDING:
            if subsystem in GUEST_SUBSYSTEMS:
                relay = Relay(None, body, guest=True)
            elif subsystem in RS_SUBSYSTEMS or body.startswith(CONSOLE):
                relay = of_rs(subsystem, records[row].get("stream"), body)
        if relay is None and components[row] is not None and body.startswith(_RELAYED):
            relay = Relay(None, body, guest=guest[row] or subsystem == "agent")
        if relay is not None:
            found.append((row, relay))
    return inner_of(found)


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read slog JSON lines; see `Dialect`."""
    records, malformed = _load(texts)
    bodies = [record.pop("msg") if record else texts[row] for row, record in enumerate(records)]
    components = [
        _component(record, body, guest=is_guest) if record else None
        for record, body, is_guest in zip(records, bodies, guest, strict=True)
    ]
    subsystems = [record.pop("subsystem", None) for record in records]
    sandboxes = [
        record.get("source") or None if component in _HOLDING and record.get("name") == "kata-runtime" else None
        for record, component in zip(records, components, strict=True)
    ]
    columns: dict[str, list[Any]] = {
        "time": [record.pop("ts", None) for record in records],
        "severity_number": [SLOG.get(record.pop("level", "")) for record in records],
        "body": bodies,
        "component": components,
        "subsystem": subsystems,
        "pid": [record.pop("pid", None) for record in records],
        "exec_id": [record.get("eid") or record.get("exec-id") for record in records],
        "sandbox_id": sandboxes,
        "container_id": [record.get("cid") or record.get("container-id") for record in records],
        "identity_basis": ["source" if sandbox else None for sandbox in sandboxes],
    }
    for record in records:
        record.pop("version", None)
        record.pop("name", None)
    return Scan(columns, records, malformed, _inner(records, guest, columns))


ABOUT = About(
    producer="kata-agent on the guest's console or log port; runtime-rs up to 3.19 in containerd's stream, and in it"
    " Dragonball, its QEMU, Firecracker, Cloud Hypervisor and virtiofsd; kata-ctl with"
    " `--json-logging` and kata-trace-forwarder on stderr.",
    versions="Kata 2.0 to 4.1; real captures of 4.1.0.",
    examples=(
        (
            r'{"msg":"rpc call from shim to agent: \"exec_process\"","level":"INFO","ts":"2026-11-23T06:07:28.903288304Z",'
            r'"name":"kata-agent","source":"agent","subsystem":"rpc","version":"0.1.0","pid":"46"}'
        ),
    ),
    holes=(
        "No line names its sandbox: it follows from what relayed it.",
        "A guest can write any such line; it stays a claim.",
        "An object that says one key twice is malformed, for two readers could read it differently; first values are read.",
        "The agent itself writes such records where it updates a tmpfs (`msg` twice).",
    ),
    source="Kata `src/libs/logging`; captures of 4.1.0.",
)
DIALECT = Dialect("slog-json", r'\{(?=[\s\S]*?"msg")', "{", scan, ABOUT)
