"""A real Fluent Bit of a test's own, on loopback: the one inside Tenzir's engine, which prints what it took."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.loopback import closed_port

VERSION = "6.20.0"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
PROGRAM = _CACHE / "kata-audit" / "servers" / f"tenzir-{VERSION}" / "bin" / "tenzir"
_READY_SECS = 60.0


def can_run() -> bool:
    """Say whether it is installed."""
    return PROGRAM.is_file()


class Running:
    """One that runs: its port, and what it took."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self._folder = port, folder

    def events(self) -> list[dict[str, Any]]:
        """Give what it took up to now, each with `timestamp` and `message`."""
        text = (self._folder / "taken.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def wait_for(self, holds: Callable[[], bool], secs: float = 120) -> None:
        """Wait until something holds."""
        until = time.monotonic() + secs
        while not holds():
            assert time.monotonic() < until, (self._folder / "log").read_text()[-4000:]
            time.sleep(0.1)


@contextmanager
def fluent_bit(folder: Path, plugin: str, options: Mapping[str, str] = {}, *, tls: Path | None = None) -> Iterator[Running]:
    """Run one until the block ends; what it took before stays in the folder.

    Args:
        folder: Its own.
        plugin: The input that listens.
        options: Further properties of the input.
        tls: Certificate and key, in PEM; None for plain text.
    """
    port = closed_port()
    folder.mkdir(exist_ok=True)
    told = ", ".join(f'"{key}": "{value}"' for key, value in options.items())
    pair = "" if tls is None else f', tls={{certfile: "{tls}", keyfile: "{tls}"}}'
    pipeline = (
        f'from_fluent_bit "{plugin}", options={{listen: "127.0.0.1", port: {port}, {told}}}{pair}, raw=true | write_ndjson'
    )
    environment = {**os.environ, "HOME": str(folder), "XDG_STATE_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    with (folder / "taken.jsonl").open("ab") as out, (folder / "log").open("ab") as log:
        process = subprocess.Popen([PROGRAM, pipeline], stdin=subprocess.DEVNULL, stdout=out, stderr=log, env=environment)
    with process:
        running = Running(port, folder)
        try:
            running.wait_for(lambda: process.poll() is not None or _listens(port), _READY_SECS)
            assert process.poll() is None, (folder / "log").read_text()
            yield running
        finally:
            process.kill()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
