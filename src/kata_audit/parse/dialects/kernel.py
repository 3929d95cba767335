r"""Linux kernel lines as a console or `dmesg` shows them: `[    0.395399] text`, seconds since boot first.

A line may begin with its priority `<N>` (as in `/dev/kmsg` copies) and name its caller after the time (`[    T1]` a task,
`[    C0]` a processor). The first lines of a boot, before the console has its driver, carry nothing: they are plain.

Source: Linux `kernel/printk/printk.c` (`info_print_prefix`); captures of Kata 4.1.0 on QEMU.
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.schema.record import Component
from kata_audit.schema.severity import SYSLOG_PRIORITY

_STAMP = r"(?:<(\d{1,3})>)?\[ {0,7}(\d{1,10}\.\d{6})\](?:\[ {0,11}([TC]\d{1,10})\])?"
_LINE = re.compile(_STAMP + r"(?: (.*)|)", re.DOTALL)
_SYSTEMD = re.compile(r"systemd(?:-[a-z]++)*+\[(\d{1,10})\]: ")
"""What systemd says through the kernel's log while it has no other."""


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read kernel lines; see `Dialect`. Which kernel it is, only a guest's position tells."""
    malformed, severities, bodies, components, pids = [], [], [], [], []
    attributes: list[dict[str, str]] = []
    for row, (text, is_guest) in enumerate(zip(texts, guest, strict=True)):
        match = _LINE.fullmatch(text.rstrip("\r\n"))
        priority, elapsed, caller, message = match.groups() if match is not None else (None, None, None, text)
        said = {}
        if elapsed is None:
            malformed.append(row)
        else:
            said["elapsed"] = elapsed
        if caller is not None:
            said["kernel.caller"] = caller
        body = message or ""
        systemd = _SYSTEMD.match(body) if body[:7] == "systemd" else None
        attributes.append(said)
        severities.append(SYSLOG_PRIORITY[str(int(priority) & 7)] if priority is not None else None)
        bodies.append(body)
        pids.append(systemd[1] if systemd is not None else None)
        component = Component.GUEST_KERNEL if systemd is None else Component.GUEST_SYSTEMD
        components.append(component if is_guest and elapsed is not None else None)
    columns: dict[str, list[Any]] = {
        "severity_number": severities,
        "body": bodies,
        "component": components,
        "pid": pids,
    }
    return Scan(columns, attributes, malformed, None)


ABOUT = About(
    producer="The guest's kernel on its console: console files, `vmconsole=` of the Go shim, `vm console:` of runtime-rs.",
    versions="Any Linux with printk times; captures of 6.1 in QEMU machines.",
    examples=(
        "[    4.409069] reboot: Power down",
        "[    3.473601] Rebooting in 1 seconds..",
    ),
    holes=(
        "A console shows no priority, so most lines have no severity.",
        "Times count from the guest's boot; `elapsed` holds them, and no absolute time follows.",
        "At a position that nobody declared it may be any kernel: then no component is told.",
        "Every process of the guest that may write to `/dev/kmsg` can write such lines.",
    ),
    source="Linux `kernel/printk/printk.c`; captures of 4.1.0.",
)
DIALECT = Dialect(
    "kernel", r"(?:<\d{1,3}>)?\[ {0,7}\d{1,10}\.\d{6}\](?:\[ {0,11}[TC]\d{1,10}\])?(?: |\r?\Z)", "[<", scan, ABOUT
)
