r"""Which records of a shim relay what a hypervisor or its helper wrote on standard error, and as which dialect.

The fields that the shim adds decide, and for runtime-rs the words that it puts in front; what is relayed never does. Such a
text is the host's, but for the standard output of Cloud Hypervisor under runtime-rs: with `enable_debug` the guest's console
is connected to it.

Source: Kata `virtcontainers` (qemu.go, fc.go, stratovirt.go, nydusd.go, virtiofsd.go), `src/runtime-rs/crates` (hypervisor,
resource) and `src/dragonball`; captures of 4.1.0.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from kata_audit.parse.texts import unquote_go, unquote_rust
from kata_audit.schema.record import Component
from kata_audit.schema.severity import INFO, WARN


class Relay(NamedTuple):
    """A relayed text, the dialect that its position decides (None: none), and whether a guest can write there."""

    dialect: str | None
    text: str
    guest: bool = False


GO_SUBSYSTEMS: Final = frozenset(("qemu", "firecracker", "stratovirt", "nydusd", "virtiofsd", "cloudHypervisor"))
"""Subsystems of the Go shim some of whose records relay."""
RS_SUBSYSTEMS: Final = frozenset(("hypervisor", "resource", "cloud-hypervisor"))
"""Subsystems of runtime-rs some of whose records relay."""
GUEST_SUBSYSTEMS: Final = frozenset(("agent", "dmesg"))
"""Subsystems of runtime-rs that hold what the guest wrote: the agent's log port, and Dragonball's serial console."""
CONSOLE: Final = 'vm console: "'
"""What runtime-rs puts in front of a line of the guest's console."""
_STRATOVIRT_PID: Final = "StratoVirt Pid"
_SHIM_FIELDS: Final = frozenset(("name", "sandbox", "source"))
"""What the shim's logger adds to every record; what it says itself of nydusd at info has more, but for one message."""
_NYDUSD_QUITS: Final = "nydusd quits"
_PROGRAM: Final = re.compile(r"[^:]+: ")
_RS_WORDS: Final = (
    ("hypervisor", 'qemu stderr: "', "qemu"),
    ("hypervisor", 'fc stderr: "', "firecracker"),
    ("resource", "source: virtiofsd ", "virtiofsd"),
    ("resource", "nydusd stdout: ", "nydusd"),
    ("resource", "nydusd start: ", "nydusd"),
)
_DRAGONBALL: Final = frozenset(
    ("device_manager", "block_manager", "console_manager", "mem_dev_mgr", "shared-fs", "virito-fs")
)
"""Subsystems of Dragonball, which runs inside runtime-rs; the last is its own spelling."""


def of_go(subsystem: str | None, level: int | None, body: str, fields: Mapping[str, str]) -> Relay | None:
    """Find what a record of the Go shim relays.

    Args:
        subsystem: Its `subsystem`.
        level: Its severity number.
        body: Its message, unquoted.
        fields: Its other keys, but for `pid`; values as they stand in the line.

    Returns:
        The relayed text, or None where the record is the shim's own.
    """
    if fields.get("source") == "virtiofsd":
        return Relay("virtiofsd", body)
    if subsystem == "qemu" and "qemuPid" in fields and "error" not in fields and level is not None and level >= WARN:
        return Relay("qemu", _warning_again(body) if level == WARN else body)
    if subsystem == "stratovirt" and _STRATOVIRT_PID in fields:
        return Relay("stratovirt", body)
    if subsystem == "firecracker" and "contents" in fields and "fifoName" in fields:
        return Relay("firecracker", unquote_go(fields["contents"]))
    if subsystem == "nydusd" and level == INFO and body not in ("", _NYDUSD_QUITS) and fields.keys() <= _SHIM_FIELDS:
        return Relay("nydusd", body)
    return None


def _warning_again(text: str) -> str:
    """Put QEMU's `warning: ` back: the shim takes it away and logs at warning instead."""
    program = _PROGRAM.match(text)
    return f"{program[0]}warning: {text[program.end() :]}" if program is not None else text


def of_rs(subsystem: str | None, stream: str | None, body: str) -> Relay | None:
    """Find what a record of runtime-rs relays.

    Args:
        subsystem: Its `subsystem`.
        stream: Its `stream`, which only Cloud Hypervisor's output has.
        body: Its message.

    Returns:
        The relayed text, or None where the record is the shim's own.
    """
    if stream is not None:
        text = _debug_quoted(body)
        if text is None or subsystem not in RS_SUBSYSTEMS:
            return None
        return Relay(None, text, guest=True) if stream != "stderr" else Relay("cloud-hypervisor", text)
    if body.startswith(CONSOLE):
        text = _debug_quoted(body[len(CONSOLE) - 1 :])
        return None if text is None else Relay(None, text, guest=True)
    for of_subsystem, words, dialect in _RS_WORDS:
        if subsystem == of_subsystem and body.startswith(words):
            if not words.endswith('"'):
                return Relay(dialect, body[len(words) :])
            text = _debug_quoted(body[len(words) - 1 :])
            return None if text is None else Relay(dialect, text)
    return None


def _debug_quoted(text: str) -> str | None:
    """Read a text that Rust printed with `{:?}`; None where it is cut."""
    whole = len(text) > 1 and text[0] == text[-1] == '"'
    return unquote_rust(text[1:-1]) if whole else None


def hypervisor_inside(subsystem: str | None, body: str, *, has_id: bool, has_component: bool) -> str | None:
    """Name the hypervisor that runs inside runtime-rs, or is spoken of under its name, where a record is of one.

    Args:
        subsystem: The record's `subsystem`.
        body: Its message.
        has_id: Whether it has a field `id`: Dragonball's logger adds the machine's.
        has_component: Whether it has a field `component`, as the shim's own parts do.

    Returns:
        The component, or None where the record is the shim's.
    """
    if (has_id and not has_component) or subsystem in _DRAGONBALL:
        return Component.DRAGONBALL
    return Component.OPENVMM if subsystem == "hypervisor" and body.startswith("openvmm: ") else None
