"""A real Alertmanager of a test's own, on loopback, with its own folder."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.loopback import closed_port

PROGRAM = "prometheus-alertmanager"
MISSING = f"{PROGRAM} is not here; `make servers` installs it"


def can_run() -> bool:
    """Say whether it is installed."""
    return shutil.which(PROGRAM) is not None


class Running:
    """One that runs: where it is, and what it knows."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str) -> Any:
        """Ask its API."""
        return httpx.get(f"{self.url}/api/v2/{path}", trust_env=False, timeout=10).raise_for_status().json()

    def alerts(self) -> list[dict[str, Any]]:
        """List the alerts that are not over."""
        return [alert for alert in self.ask("alerts") if alert["status"]["state"] != "suppressed"]

    def wait_for(self, holds: Callable[[], bool], secs: float = 60) -> None:
        """Wait until something holds."""
        until = time.monotonic() + secs
        while not holds():
            assert time.monotonic() < until, "it did not come"
            time.sleep(0.1)

    def is_ready(self) -> bool:
        """Say whether it answers."""
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False, timeout=10).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def alertmanager(folder: Path, config: str, port: int | None = None) -> Iterator[Running]:
    """Run one with a configuration until the block ends; its state stays in the folder."""
    port = port or closed_port()
    folder.mkdir(exist_ok=True)
    (folder / "am.yml").write_text(config)
    command = [
        PROGRAM,
        f"--config.file={folder / 'am.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (folder / "log").open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        running = Running(port)
        try:
            running.wait_for(lambda: process.poll() is not None or running.is_ready())
            assert process.poll() is None, (folder / "log").read_text()
            yield running
        finally:
            process.kill()
