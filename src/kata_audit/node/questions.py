"""The five questions of an auditor, answered for each runtime class: what its logs can tell, and what nobody will ever see.

The answers were held against what real runs of the same settings wrote down.

Source: captures of Kata 4.1.0 and containerd 2.4.2 at their defaults and with debug on.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

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
from kata_audit.node.class_checks import QUIET
from kata_audit.node.keys import Release, Runtime
from kata_audit.node.layout import RuntimeClass

_AGENT_PORT: Final = "agent.log_vport"
_FIRECRACKER: Final = "firecracker"
_READERLESS: Final = frozenset({_FIRECRACKER, "stratovirt"})
"""Hypervisors for which the Go runtime opens the agent's log port, and nothing in Kata reads it."""
_REMOTE: Final = "remote"
"""The hypervisor whose machines run elsewhere: neither their command line nor their console is set on this node.

Two captures with the same settings differ: one holds the guest's lines, the other none.
"""
_REFUSED: Final = re.compile(r": (?:syntax error|symbolic link refused|is a directory|unknown key \S+|\S+: wrong type)$")
"""What a runtime refuses, unlike what only we cannot read."""
_SHIM_INFO: Final = Release(4, 0)
"""From here on the Go shim writes at info where nobody asked for debug; before, warnings only."""


def engine_is_debug(node: Node, one: RuntimeClass) -> bool:
    """Say whether the engine of a class writes at debug; then it also tells shims to."""
    return any(
        engine.name == one.handler.engine and engine.log_level in {"debug", "trace"} for engine in node.layout.engines
    )


class Heard(NamedTuple):
    """Whether the agent's lines at info reach the host, why, and where that stands; None where no file of the node tells."""

    arrives: bool | None
    why: str
    evidence: tuple[Evidence, ...]


def agent_lines(node: Node, one: RuntimeClass) -> Heard:
    """Tell whether the agent's lines at info reach the host."""
    silenced = _silenced(one)
    judge = _rust_lines if one.shim.runtime is Runtime.RUST else _go_lines
    arrives, why = judge(node, one) if silenced is None else (False, silenced)
    return Heard(arrives, why, _places(one, "hypervisor.enable_debug", "hypervisor.kernel_params"))


def _silenced(one: RuntimeClass) -> str | None:
    """Say what keeps the agent's lines at info from being written, or the shim from passing them on."""
    levels = [value for name, value in kernel_parameters(one) if name == "agent.log"]
    if levels and levels[-1] in QUIET:
        return f"the agent is told to be quiet (agent.log={levels[-1]})"
    passed_on = setting_of(one, "agent.log_level")
    if one.shim.runtime is Runtime.RUST and passed_on is not None and passed_on.value in QUIET:
        return f"the shim passes on the agent's lines from {passed_on.value} up ([agent] log_level)"
    return None


def _rust_lines(_: Node, one: RuntimeClass) -> tuple[bool | None, str]:
    if one.hypervisor == _REMOTE:
        return None, "runtime-rs asks for the agent's log port, which the machine elsewhere opens or does not"
    if _is_set(one, "hypervisor.enable_debug") or any(name == _AGENT_PORT for name, _ in kernel_parameters(one)):
        return True, "runtime-rs reads the agent's log port; what it drops under load, it counts"
    return False, "the agent's log port is closed (agent.log_vport is not set, hypervisor debug is off)"


def _go_lines(node: Node, one: RuntimeClass) -> tuple[bool | None, str]:
    debug = _is_set(one, "hypervisor.enable_debug")
    switches = {
        "[hypervisor] enable_debug": debug,
        "[runtime] enable_debug": _is_set(one, "runtime.enable_debug"),
        f"{one.handler.engine}'s debug level": engine_is_debug(node, one),
    }
    if all(switches.values()) and one.hypervisor == _REMOTE:
        return None, "the shim would relay a console at debug, and Kata's own remote driver offers it none"
    if all(switches.values()):
        return True, "the shim relays the guest's console at debug"
    if not debug and one.hypervisor == _FIRECRACKER and node.host.reads_log_ports:
        return True, "kata-audit's collector is set up to read the agent's log port; what it drops unread, the agent counts"
    if not debug and one.hypervisor in _READERLESS:
        return False, "the agent's log port is open, but nothing in Kata reads it: a collector has to"
    missing = ", ".join(name for name, on in switches.items() if not on)
    return False, f"the guest's console is not relayed: {missing} is off"


def _is_set(one: RuntimeClass, key: str) -> bool:
    setting = setting_of(one, key)
    return bool(setting and setting.value)


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
    heard, engine = agent_lines(node, one), one.handler.engine
    if heard.arrives:
        return passed(f"The agent's record of a command reaches the host: {heard.why}.", *heard.evidence)
    if engine_is_debug(node, one):
        return passed(f"{engine} writes each command at debug; of the guest's own record: {heard.why}.")
    if heard.arrives is None:
        said = f"Commands are written if the agent's lines come, and no file here tells: {heard.why}. Look at one sandbox."
        return warned(said, *heard.evidence)
    said = f"No command of an exec is written on this node: {heard.why}, and {engine} is not at debug."
    return blind(said, *heard.evidence)


def _engine_is_quiet(node: Node, one: RuntimeClass) -> Answer | None:
    """Answer blind where the engine does not write errors, or where nobody can tell."""
    for path, why in node.layout.unreadable.items():
        return blind(f"{one.handler.engine}'s level may be set where it cannot be read.", Evidence(path, None, why))
    levels = [engine.log_level for engine in node.layout.engines if engine.name == one.handler.engine]
    quiet = next((level for level in levels if level in {"fatal", "panic"}), None)
    said = f"{one.handler.engine} writes nothing below {quiet}, and this stands in its log only."
    return None if quiet is None else blind(said)


def _denied(node: Node, one: RuntimeClass) -> Answer:
    return _engine_is_quiet(node, one) or passed(
        f"{one.handler.engine} writes a refused exec and a refused container as errors; Kata's own log has neither verdict."
    )


def _why(node: Node, one: RuntimeClass) -> Answer:
    engine = one.handler.engine
    if one.shim.runtime is Runtime.RUST:
        said = f"Causes of failed starts stand in {engine}'s log; runtime-rs itself writes only what follows."
        return _engine_is_quiet(node, one) or passed(said)
    if one.release.release < _SHIM_INFO and not (_is_set(one, "runtime.enable_debug") and engine_is_debug(node, one)):
        return warned("Before 4.0 the Go shim writes warnings only: the cause is there, what led to it is not.")
    return passed(f"The shim and {engine} write causes at error.")


def _why_idle(node: Node, one: RuntimeClass) -> Answer | None:
    """Answer for a class that does not load: that is a cause, and the engine writes it at each try."""
    engine = one.handler.engine
    if one.merged is None:
        told = warned(f"Its file was not found. If it is not there, {engine} writes so at each try.")
        return _engine_is_quiet(node, one) or told if one.handler.config_path is not None else None
    if not _REFUSED.search(one.merged.error or ""):
        return None
    return _engine_is_quiet(node, one) or passed(f"No sandbox of it starts, and {engine} writes why at each try.")


def _guest(node: Node, one: RuntimeClass) -> Answer:
    arrives, why, evidence = agent_lines(node, one)
    if arrives:
        return passed(f"What the agent says arrives, as the guest's claim: {why}.", *evidence)
    if arrives is None:
        return warned(f"Whether the guest is heard, no file here tells: {why}. Look at one sandbox.", *evidence)
    return blind(f"Nothing that the guest says arrives: {why}.", *evidence)


JUDGES: Final[Mapping[str, Callable[[Node], Iterable[Answer]]]] = {
    "KN-001": of_classes(_who),
    "KN-002": of_classes(_what),
    "KN-003": of_classes(_denied),
    "KN-004": of_classes(_why, idle=_why_idle),
    "KN-005": of_classes(_guest),
}
"""What answers each question."""
