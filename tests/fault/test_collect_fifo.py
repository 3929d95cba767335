"""The command over a fifo and a log port that are really there: killed, started again, and what it missed is told."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

SANDBOX = "b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f"
IS_ROOT = os.getuid() == 0


class Sandbox:
    """What Firecracker under the Go runtime lays out for a sandbox: the fifo of its log, and the socket to its guest."""

    def __init__(self, root: Path) -> None:
        folder = root / "firecracker" / SANDBOX / "root"
        folder.mkdir(parents=True)
        for path in (folder, *folder.parents[:2]):
            path.chmod(0o755)
        os.mkfifo(folder.parent / "logs.fifo", 0o600)
        self._fifo = os.open(folder.parent / "logs.fifo", os.O_RDWR | os.O_NONBLOCK)
        directory = os.open(folder, os.O_RDONLY)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(f"/proc/self/fd/{directory}/kata.hvsock")
        os.close(directory)
        self._socket.listen(1)
        self._socket.settimeout(60)

    def log(self, text: str) -> None:
        os.write(self._fifo, f"2026-03-30T17:09:28.145771637 [a:fc_api:ERROR:src/x.rs:1] {text}\n".encode())

    def guest(self) -> socket.socket:
        """Wait for somebody who asks for the agent's log port, and let them in."""
        connection, _ = self._socket.accept()
        assert connection.recv(100) == b"CONNECT 1025\n"
        connection.sendall(b"OK 1073741824\n")
        return connection

    def close(self) -> None:
        os.close(self._fifo)
        self._socket.close()


@contextmanager
def collecting(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the command; what still runs at the end is killed."""
    (folder / "config.toml").write_text(
        f'store = "{folder}/store"\n[batch]\nmax_age_secs = 0.5\n'
        f'[[fifo]]\npath = "{folder}/firecracker/*/logs.fifo"\n[[agent]]\npath = "{folder}/firecracker/*/root/kata.hvsock"\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "kata_audit.cli.main", "collect"],
        env={**os.environ, "KATA_AUDIT_CONFIG": str(folder / "config.toml")},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def texts(folder: Path) -> list[str]:
    """Give all sealed texts."""
    found: list[tuple[int, bytes]] = []
    for path in (folder / "store" / "segments").rglob("*.parquet"):
        try:
            table = pq.read_table(path, columns=["seq", "raw"])
        except FileNotFoundError:  # merged away meanwhile
            continue
        found += zip(table["seq"].to_pylist(), table["raw"].to_pylist(), strict=True)
    return [raw.decode() for _, raw in sorted(set(found))]


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.1)


def told(folder: Path, event: str) -> list[dict[str, str]]:
    return [json.loads(text)["attributes"] for text in texts(folder) if f'"event":"{event}"' in text]


def test_a_fifo_and_a_log_port_are_read_through_a_kill_and_the_gap_is_told(tmp_path: Path) -> None:
    """As root; for whoever is not, fifo and socket are not root's, and that is told of both."""
    sandbox = Sandbox(tmp_path)
    try:
        with collecting(tmp_path) as process:
            if not IS_ROOT:
                wait_for(lambda: len({one["source"] for one in told(tmp_path, "collect.source_failed")}) == 2)
                return
            guest = sandbox.guest()
            sandbox.log("first")
            guest.sendall(b"the guest's first\n")
            wait_for(
                lambda: {"first", "the guest's first"} <= {text.rpartition("] ")[2].strip() for text in texts(tmp_path)}
            )
            process.send_signal(signal.SIGKILL)
            process.wait()
            guest.close()
        sandbox.log("kept in the fifo")
        with collecting(tmp_path) as process:
            guest = sandbox.guest()
            guest.sendall(b"the guest's second\n")
            wait_for(lambda: any("the guest's second" in text for text in texts(tmp_path)))
            wait_for(lambda: any("kept in the fifo" in text for text in texts(tmp_path)))
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            guest.close()
        lost = told(tmp_path, "collect.lost")
    finally:
        sandbox.close()

    folder = tmp_path / "firecracker" / SANDBOX
    assert sorted(one["log.file.path"] for one in lost) == [f"{folder}/logs.fifo", f"{folder}/root/kata.hvsock"]
    assert not any("log.records.lost" in one for one in lost)
    assert sum(text.endswith("first\n") for text in texts(tmp_path)) == 2
