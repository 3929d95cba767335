"""Lines of a node that no capture holds, and changes to those that one does.

They are written: those of systemd, journald and the kernel at a reboot as Debian 12 writes them, those of the kubelet's eviction
as its source has them (Kubernetes 1.34, pkg/kubelet/eviction/eviction_manager.go).
"""

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from tests.simulated_life import Life
from tests.simulated_times import ORDINAL, NodeValues

KILLED_FOR_US: Final = 1_400_000
"""How long containerd still writes after it has lost a shim to the node's shutdown."""
_GUEST_TIME: Final = re.compile(rb'(ts(?:\\)*":(?:\\)*")(20[0-9-]{8}T[0-9:]{8})')
_SECOND: Final = 1_000_000
_KLOG: Final = "{klog}     900 "
_MEMORY: Final = 'resourceName="memory"'
_POD: Final = 'pod="staging/report-5d9c8"'
_NODE: Final = {
    "pressure": (
        (0, "kubelet", f'W{_KLOG}eviction_manager.go:376] "Eviction manager: attempting to reclaim" {_MEMORY}'),
        (1, "kubelet", f'I{_KLOG}eviction_manager.go:387] "Eviction manager: must evict pod(s) to reclaim" {_MEMORY}'),
        (3, "kubelet", f'I{_KLOG}eviction_manager.go:614] "Eviction manager: pod is evicted successfully" {_POD}'),
    ),
    "shutdown": (
        (0, "systemd-logind", "The system will reboot now!"),
        (1, "systemd", "Stopping containerd.service - containerd container runtime..."),
        (1, "systemd", "Stopping kubelet.service - kubelet: The Kubernetes Node Agent..."),
        (3, "systemd", "containerd.service: Deactivated successfully."),
        (3, "systemd", "Stopped containerd.service - containerd container runtime."),
        (5, "systemd", "Reached target reboot.target - System Reboot."),
        (6, "systemd-journald", "Journal stopped"),
    ),
    "boot": (
        (0, "kernel", "Linux version 6.12.0-91-amd64 (debian-kernel@lists.debian.org) (gcc 12.2.0) #1 SMP PREEMPT_DYNAMIC"),
        (1, "systemd-journald", "Journal started"),
        (2, "systemd-journald", "Runtime Journal (/run/log/journal/{machine}) is 8.0M, max 160.0M, 152.0M free."),
        (9, "systemd", "Starting containerd.service - containerd container runtime..."),
        (12, "systemd", "Started containerd.service - containerd container runtime."),
        (13, "systemd", "Started kubelet.service - kubelet: The Kubernetes Node Agent."),
    ),
}  # fmt: skip


class Piece(NamedTuple):
    """A life, or a part of one, that is told again; `containers` is how many it has."""

    life: Life
    containers: int


def rewrite(captured: Sequence[str], command: Sequence[str]) -> Callable[[bytes], bytes]:
    """Give what puts another command in the place of the captured one, in the agent's words for it."""
    words = [
        ", ".join(json.dumps(json.dumps(word)[1:-1])[1:-1].join(('\\\\\\"', '\\\\\\"')) for word in one)
        for one in (captured, command)
    ]
    return lambda line: line.replace(f"[{words[0]}]".encode(), f"[{words[1]}]".encode())


def shift_guest_clock(line: bytes, seconds: int) -> bytes:
    """Let the agent's own times in a line go ahead by some seconds, as where a guest's clock was set."""

    def ahead(match: re.Match[bytes]) -> bytes:
        later = datetime.fromisoformat(match.group(2).decode()) + timedelta(seconds=seconds)
        return match.group(1) + later.strftime("%Y-%m-%dT%H:%M:%S").encode()

    return _GUEST_TIME.sub(ahead, line)


def node_lines(kind: str, node: str, at_us: int, values: NodeValues) -> list[tuple[int, bytes]]:
    """Write the lines of a node's shutdown, boot or pressure: when each is written, and its journal entry."""
    found = []
    for after, identifier, text in _NODE[kind]:
        at = at_us + after * _SECOND
        moment = datetime.fromtimestamp(at / 1e6, UTC)
        klog = moment.strftime("%m%d %H:%M:%S.%f")
        machine = values.texts["machine"].decode()
        kernel = identifier == "kernel"
        entry = {
            "__CURSOR": f"s={values.journal.decode()};i=@;b={values.texts['boot'].decode()};m={at - values.booted_us:x};t={at:x};x=1",
            "__REALTIME_TIMESTAMP": str(at),
            "__MONOTONIC_TIMESTAMP": str(at - values.booted_us),
            "_BOOT_ID": values.texts["boot"].decode(),
            "_MACHINE_ID": machine,
            "_HOSTNAME": node,
            "_TRANSPORT": "kernel" if kernel else "journal" if identifier == "systemd" else "stdout",
            "PRIORITY": "6",
            "SYSLOG_IDENTIFIER": identifier,
            **({} if kernel else {"_PID": "1" if identifier == "systemd" else "900", "_COMM": identifier[:15]}),
            "MESSAGE": text.format(klog=klog, node=node, machine=machine),
        }
        found.append((at, json.dumps(entry, separators=(",", ":")).encode().replace(b"i=@", b"i=" + ORDINAL) + b"\n"))
    return found
