"""A real Fluent Bit of a test's own, on loopback: the one inside Tenzir's engine, which prints what it took, and one by itself."""

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
from tests.servers.shippers import FLUENT_BIT

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


_SINK = """
[SERVICE]
    Flush 0.2
    Log_Level error
{kept}
[INPUT]
    Name forward
    Listen 127.0.0.1
    Port {port}
{filed}
[OUTPUT]
    Name file
    Match *
    File {folder}/took
"""


class Sink:
    """A Fluent Bit that takes Forward and writes lines: its port, and what it wrote, also in an earlier life."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self._path = port, folder / "took"
        self._lines = self._at = 0

    def count(self) -> int:
        """Count the lines up to now."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            new = file.read()
        self._at, self._lines = self._at + len(new), self._lines + new.count(b"\n")
        return self._lines

    def read(self) -> bytes:
        """Give the lines; where it was killed, one may have no end."""
        return self._path.read_bytes()


@contextmanager
def fluent_bit_sink(folder: Path, *, is_filed: bool = False) -> Iterator[Sink]:
    """Run one until the block ends; what it wrote before, and what it keeps in files, stays in the folder.

    Args:
        folder: Its own; must be there.
        is_filed: Whether it keeps in files what it acknowledged and has not written yet; else in memory.
    """
    port = closed_port()
    kept = f"    storage.path {folder}/buffer" if is_filed else ""
    filed = "    storage.type filesystem" if is_filed else ""
    (folder / "sink.conf").write_text(_SINK.format(port=port, folder=folder, kept=kept, filed=filed))
    (folder / "took").touch()
    with subprocess.Popen([FLUENT_BIT, "sink.conf"], cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + _READY_SECS
            while not _listens(port):
                assert process.poll() is None, "it ended"
                assert time.monotonic() < until, "it does not listen"
                time.sleep(0.05)
            yield Sink(port, folder)
        finally:
            process.kill()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
