"""A real OpenSearch or Elasticsearch of a test's own, on loopback, with its own folder."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from tests.loopback import closed_port

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_READY_SECS = 120.0
_QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Half of the work of a start is left; what else Java does pays only in a server that runs for minutes."""


class Product(NamedTuple):
    """One of the two: its name, and the version that `make servers-all` installs."""

    name: str
    version: str

    @property
    def folder(self) -> Path:
        """Where it is installed."""
        return _CACHE / "kata-audit" / "servers" / f"{self.name}-{self.version}"

    def can_run(self) -> bool:
        """Say whether it is there, and Java to run it."""
        return shutil.which("java") is not None and (self.folder / "Node.class").is_file()


OPENSEARCH = Product("opensearch", "2.19.1")
ELASTICSEARCH = Product("elasticsearch", "7.10.2")
"""The last one under the Apache licence: it has index templates, and neither data streams nor `flattened`, which are Elastic's own."""


class Running:
    """One that runs: where it is, and what it holds."""

    def __init__(self, product: Product, port: int) -> None:
        self.product = product
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask its API."""
        answer = httpx.request(method, f"{self.url}{path}", json=body, trust_env=False, timeout=60)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def search(self, index: str, query: dict[str, Any], **more: Any) -> Any:
        """Search what was sent up to now."""
        self.ask("POST", f"/{index}/_refresh")
        return self.ask("POST", f"/{index}/_search", {"query": query, "track_total_hits": True, **more})

    def count(self, index: str) -> int:
        """Count the documents."""
        self.ask("POST", f"/{index}/_refresh")
        return int(self.ask("GET", f"/{index}/_count")["count"])


@contextmanager
def search_server(product: Product, folder: Path, port: int | None = None, *, lasting: bool = False) -> Iterator[Running]:
    """Run one until the block ends; its state stays in the folder. One that is lasting starts slower and then is faster."""
    port = port or _free_port()
    quick = () if lasting else _QUICK
    classes = f"{product.folder}:{product.folder}/libs/*"
    command = ["java", "-Xmx512m", *quick, "-cp", classes, "Node", str(folder), str(port - 1)]
    log = folder.with_name(f"{folder.name}.log")
    with log.open("ab") as out, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out) as process:
        running = Running(product, port)
        try:
            until = time.monotonic() + _READY_SECS
            while not _is_ready(running):
                assert process.poll() is None, log.read_text()[-4000:]
                assert time.monotonic() < until, log.read_text()[-4000:]
                time.sleep(0.2)
            yield running
        finally:
            process.kill()


def _free_port() -> int:
    """Find a port that it may have: its own rules want one below 9299."""
    for _ in range(200):
        port = 9201 + closed_port() % 98
        try:
            httpx.get(f"http://127.0.0.1:{port}", trust_env=False, timeout=1)
        except httpx.TransportError:
            return port
    raise AssertionError("no port is free")


def _is_ready(running: Running) -> bool:
    try:
        path = f"{running.url}/_cluster/health?wait_for_status=yellow&timeout=1s"
        return httpx.get(path, trust_env=False, timeout=10).status_code == 200
    except httpx.TransportError:
        return False
