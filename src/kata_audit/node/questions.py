"""The five questions of an auditor, answered for each runtime class: what its logs can tell, and what nobody will ever see.

The answers were held against what real runs of the same settings wrote down.

Source: captures of Kata 4.1.0 and containerd 2.4.2 at their defaults and with debug on.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from kata_audit.node.check import (
    Answer,
    Evidence,
    Node,
    blind,
    kernel_parameters,
    of_classes,
    passed,
    setting_of,
    warned,
)
from kata_audit.node.keys import Release, Runtime
from kata_audit.node.layout import RuntimeClass

_AGENT_PORT: Final = "agent.log_vport"
_READERLESS: Final = frozenset({"firecracker", "stratovirt"})
"""Hypervisors for which the Go runtime opens the agent's log port, and nothing in Kata reads it."""
_SHIM_INFO: Final = Release(4, 0)
"""From here on the Go shim writes at info where nobody asked for debug; before, warnings only."""


def engine_is_debug(node: Node, one: RuntimeClass) -> bool:
    """Say whether the engine of a class writes at debug; then it also tells shims to."""
    return any(
        engine.name == one.handler.engine and engine.log_level in {"debug", "trace"} for engine in node.layout.engines
    )


def agent_lines(node: Node, one: RuntimeClass) -> tuple[bool, str, tuple[Evidence, ...]]:
    """Tell whether the agent's lines at info reach the host, and why or why not."""
    hypervisor_debug = setting_of(one, "hypervisor.enable_debug")
    debug = bool(hypervisor_debug and hypervisor_debug.value)
    evidence = _places(one, "hypervisor.enable_debug", "hypervisor.kernel_params")
    has_port = any(name == _AGENT_PORT for name, _ in kernel_parameters(one))
    if one.shim.runtime is Runtime.RUST:
        if debug or has_port:
            return True, "runtime-rs reads the agent's log port", evidence
        return False, "the agent's log port is closed (agent.log_vport is not set, hypervisor debug is off)", evidence
    runtime_debug = setting_of(one, "runtime.enable_debug")
    if debug and runtime_debug and runtime_debug.value and engine_is_debug(node, one):
        return True, "the shim relays the guest's console at debug", evidence
    hypervisor = one.hypervisors[0] if one.hypervisors else ""
    if not debug and hypervisor in _READERLESS:
        return False, "the agent's log port is open, but nothing in Kata reads it: a collector has to", evidence
    missing = [
        name
        for name, on in (
            ("[hypervisor] enable_debug", debug),
            ("[runtime] enable_debug", bool(runtime_debug and runtime_debug.value)),
            (f"{one.handler.engine}'s debug level", engine_is_debug(node, one)),
        )
        if not on
    ]
    return False, f"the guest's console is not relayed: {', '.join(missing)} is off", evidence


def _places(one: RuntimeClass, *keys: str) -> tuple[Evidence, ...]:
    found = []
    for key in keys:
        setting = setting_of(one, key)
        if setting is not None:
            found.append(Evidence(setting.place.path, setting.place.line, f"{key} = {setting.value!r}"))
    return tuple(found)


def _who(node: Node, _: RuntimeClass) -> Answer:
    audit = node.host.api_audit
    if audit.path is None:
        return blind("No log of a node names a user; the API server that would is not on this node.")
    if "audit-log-path" not in audit.flags and "audit-webhook-config-file" not in audit.flags:
        return blind("The API server writes no audit log.", Evidence(audit.path, None, "no audit flags"))
    return passed("The API server's audit log names who asked.", Evidence(audit.path, None, "audit-log-path is set"))


def _what(node: Node, one: RuntimeClass) -> Answer:
    on, why, evidence = agent_lines(node, one)
    if on:
        return passed(f"The agent's record of each command reaches the host: {why}.", *evidence)
    if engine_is_debug(node, one):
        return passed(f"{one.handler.engine} writes each command at debug; the guest's own record does not come: {why}.")
    return blind(
        f"No command of an exec is written on this node: {why}, and {one.handler.engine} is not at debug.", *evidence
    )


def _denied(node: Node, one: RuntimeClass) -> Answer:
    engine = next((engine for engine in node.layout.engines if engine.name == one.handler.engine), None)
    level = engine.log_level if engine is not None else None
    if level in {"fatal", "panic"}:
        return blind(f"{one.handler.engine} writes nothing below {level}: a refused exec stands in its log only.")
    return passed(
        f"{one.handler.engine} writes a refused exec and a refused container as errors; Kata's own log has neither verdict."
    )


def _why(node: Node, one: RuntimeClass) -> Answer:
    if one.shim.runtime is Runtime.GO and one.release.release < _SHIM_INFO and not _shim_is_debug(node, one):
        return warned("Before 4.0 the Go shim writes warnings only: the cause is there, what led to it is not.")
    if one.shim.runtime is Runtime.RUST:
        return passed(
            f"Causes of failed starts stand in {one.handler.engine}'s log; runtime-rs itself writes only what follows."
        )
    return passed(f"The shim and {one.handler.engine} write causes at error.")


def _shim_is_debug(node: Node, one: RuntimeClass) -> bool:
    debug = setting_of(one, "runtime.enable_debug")
    return bool(debug and debug.value) and engine_is_debug(node, one)


def _guest(node: Node, one: RuntimeClass) -> Answer:
    on, why, evidence = agent_lines(node, one)
    if on:
        return passed(f"What the agent says arrives, as the guest's claim: {why}.", *evidence)
    return blind(f"Nothing that the guest says arrives: {why}.", *evidence)


JUDGES: Final[Mapping[str, Callable[[Node], Iterable[Answer]]]] = {
    "KN-001": of_classes(_who),
    "KN-002": of_classes(_what),
    "KN-003": of_classes(_denied),
    "KN-004": of_classes(_why),
    "KN-005": of_classes(_guest),
}
"""What answers each question."""
