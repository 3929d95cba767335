"""runtime-rs as text: what is left of its journal records where only the message was kept, as in syslog files.

The message is there, its fields are not: neither level nor sandbox, and not whether the guest's agent wrote it. A console
line stands in `vm console: "…"`, and is the guest's; lines of QEMU and virtiofsd stand behind words of the shim's. Read
where the position names it: no text shows that it is one.

Source: Kata `src/runtime-rs`, captures of 4.1.0 printed with `journalctl -o short-iso`.
"""

from collections.abc import Sequence
from typing import Any, Final

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan, inner_of
from kata_audit.parse.relays import Relay, of_rs
from kata_audit.schema.record import Component

_RELAYING: Final = ("hypervisor", "resource")
"""Subsystems whose messages relay other programs' lines."""


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read messages; see `Dialect`."""
    relays = [(row, relay) for row, text in enumerate(texts) if (relay := _relay(text)) is not None]
    components = [None if is_guest else Component.RUNTIME_RS for is_guest in guest]
    columns: dict[str, list[Any]] = {"body": list(texts), "component": components}
    return Scan(columns, [{} for _ in texts], [], inner_of(relays))


def _relay(text: str) -> Relay | None:
    """Find what a message relays, by its words alone: the subsystem is one of the fields that are lost."""
    return next((relay for subsystem in _RELAYING if (relay := of_rs(subsystem, None, text)) is not None), None)


ABOUT = About(
    producer="runtime-rs from 3.20, in syslog files and in what `journalctl` prints as text.",
    versions="Kata 3.20 to 4.1; real captures of 4.1.0.",
    examples=('get config path "/etc/kata-containers/runtime-rs/configuration-remote.toml"',),
    holes=(
        "Neither level, sandbox nor subsystem was kept: prefer the journal itself.",
        "Lines of the guest's agent that are no JSON cannot be told from the shim's own: all are of unknown origin.",
    ),
    source="Captures of 4.1.0.",
)
DIALECT = Dialect("runtime-rs-text", None, "", scan, ABOUT)
