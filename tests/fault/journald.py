"""A real systemd-journald of a test's own: in a mount namespace, with its own journal, sockets and configuration.

Its socket and its files are reachable from outside below the folder it was given. Needs root, `unshare` and systemd.
"""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

PROGRAM = "/usr/lib/systemd/systemd-journald"
_SETTINGS = "[Journal]\nStorage=persistent\nRateLimitBurst=0\nSystemMaxFileSize=4M\nSystemMaxFiles=100000\nSystemMaxUse=20G\nSystemKeepFree=1M\nSyncIntervalSec=1\nCompress=no\n"
_PRIVATE = """
mount --bind "$0/run" /run && mount --bind "$0/log" /var/log && mount --bind "$0/machine-id" /etc/machine-id &&
mount --bind "$0/systemd" /etc/systemd && exec {program}
"""


def can_run() -> bool:
    """Say whether one can run here: as root, in a mount namespace."""
    command = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    try:
        return Path(PROGRAM).exists() and subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class Journald:
    """A journald that runs below a folder; a context manager that ends it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("run/systemd/journal", "log/journal", "systemd"):
            (folder / name).mkdir(parents=True)
        (folder / "run/systemd/journal/flushed").touch()
        (folder / "machine-id").write_text("4f6a0b1c2d3e4f5061728394a5b6c7d8\n")
        (folder / "systemd/journald.conf").write_text(_SETTINGS)
        self.directory = folder / "log" / "journal"
        self._process: subprocess.Popen[bytes] | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        address = self.folder / "run/systemd/journal/socket"
        address.unlink(missing_ok=True)
        for path in (Path("/etc/machine-id"), Path("/etc/systemd")):
            assert path.exists(), f"{path} is missing: nothing can be mounted over it"
        self._process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", _PRIVATE.format(program=PROGRAM), str(self.folder)],
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 20
        while not address.exists():
            assert self._process.poll() is None, "systemd-journald did not start"
            assert time.monotonic() < until, "systemd-journald does not listen"
            time.sleep(0.02)

    def send(self, first: int, end: int) -> None:
        """Send records numbered `[first, end)`, waiting where its queue is full."""
        folder = os.open(self.folder / "run/systemd/journal", os.O_PATH)
        address = f"/proc/self/fd/{folder}/socket"  # the name of a socket has at most 107 bytes
        for number in range(first, end):
            text = f'time="2026-11-23T06:07:28.903288138Z" level=info msg="n {number}" name=containerd-shim-v2 source=shim'
            self._socket.sendto(f"MESSAGE={text}\nPRIORITY=6\nSYSLOG_IDENTIFIER=kata\nN={number}\n".encode(), address)
        os.close(folder)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def rotate(self) -> None:
        """Let it begin a new file."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGUSR2)
        time.sleep(0.2)

    def journalctl(self, *arguments: str) -> str:
        """Ask its files."""
        command = ["journalctl", f"--directory={self.directory}", "--no-pager", "--quiet", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def numbers(self) -> list[int]:
        """Give the numbers that its files hold, in order."""
        found = self.journalctl("--output=cat", "--output-fields=N", "SYSLOG_IDENTIFIER=kata")
        return [int(line) for line in found.split()]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
