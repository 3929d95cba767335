"""What a long-running process says of itself to those who watch over it: systemd, and Prometheus through a file.

Source: systemd `sd_notify(3)`; Prometheus text exposition format 0.0.4, as node_exporter's textfile collector reads it.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

_NOTIFY_SOCKET = "NOTIFY_SOCKET"
_WATCHDOG_USEC = "WATCHDOG_USEC"


def notify(state: str) -> bool:
    """Tell systemd how the service is; nothing happens where systemd did not start it.

    Args:
        state: Lines of `sd_notify`: `READY=1`, `WATCHDOG=1`, `STATUS=…`, `STOPPING=1`.

    Returns:
        Whether it was told.
    """
    address = os.environ.get(_NOTIFY_SOCKET, "")
    if address[:1] not in ("/", "@"):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
        except OSError:
            return False
    return True


def watchdog_secs() -> float | None:
    """Give how often systemd wants to hear of the service, in seconds: half of the time after which it ends it."""
    microseconds = os.environ.get(_WATCHDOG_USEC, "")
    return int(microseconds) / 2_000_000 if microseconds.isdecimal() and int(microseconds) else None


def write_metrics(path: Path, numbers: Mapping[str, tuple[str, str, float]]) -> None:
    """Write numbers for Prometheus, whole or not at all.

    Args:
        path: The file, whose name ends in `.prom` where node_exporter reads it.
        numbers: By name: kind (`counter` or `gauge`), what it is, and its value.

    Raises:
        OSError: The file cannot be written.
    """
    lines = [
        f"# HELP {name} {told}\n# TYPE {name} {kind}\n{name} {value:.3f}\n".replace(".000\n", "\n")
        for name, (kind, told, value) in numbers.items()
    ]
    fresh = path.with_name(f".{path.name}.tmp")
    fresh.unlink(missing_ok=True)
    with fresh.open("x") as file:  # a new file: whoever put a link there has nothing of ours follow it
        file.write("".join(lines))
    fresh.replace(path)
