"""A real Loki of a test's own, on loopback, with its own folder."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.loopback import closed_port

VERSION = "3.7.8"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
PROGRAM = _CACHE / "kata-audit" / "servers" / f"loki-{VERSION}" / "loki"
MISSING = "Loki is not here; `make servers-all` builds it"
CONFIG = """
auth_enabled: {auth}
server: {{http_listen_address: 127.0.0.1, http_listen_port: {port}, grpc_listen_address: 127.0.0.1, grpc_listen_port: {grpc}}}
common:
  instance_addr: 127.0.0.1
  path_prefix: {folder}
  replication_factor: 1
  ring: {{kvstore: {{store: inmemory}}}}
  storage: {{filesystem: {{chunks_directory: {folder}/chunks, rules_directory: {folder}/rules}}}}
schema_config:
  configs:
    - {{from: 2020-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {{prefix: index_, period: 24h}}}}
ingester: {{wal: {{enabled: true, dir: {folder}/wal}}, lifecycler: {{min_ready_duration: 0s}}}}
ruler: {{enable_api: true, rule_path: {folder}/rules-there}}
query_range: {{parallelise_shardable_queries: false}}
analytics: {{reporting_enabled: false}}
limits_config:
  allow_structured_metadata: {metadata}
{limits}
"""


def can_run() -> bool:
    """Say whether it is built."""
    return PROGRAM.is_file()


class Running:
    """One that runs: where it is, and what it holds."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, query: str, tenant: str | None = None, **params: Any) -> list[dict[str, Any]]:
        """Ask in LogQL; give the streams or series of the answer."""
        path = "query" if "time" in params else "query_range"
        asked = {"query": query, "limit": "5000", **params}
        headers = {} if tenant is None else {"X-Scope-OrgID": tenant}
        answer = httpx.get(f"{self.url}/loki/api/v1/{path}", params=asked, headers=headers, trust_env=False, timeout=300)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"]["result"])

    def is_ready(self) -> bool:
        """Say whether it takes entries."""
        try:
            return httpx.get(f"{self.url}/ready", trust_env=False, timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def wait_for(self, holds: Callable[[], bool], secs: float = 120) -> None:
        """Wait until something holds."""
        until = time.monotonic() + secs
        while not holds():
            assert time.monotonic() < until, "it did not come"
            time.sleep(0.1)


@contextmanager
def loki(
    folder: Path, *, auth: bool = False, metadata: bool = True, limits: str = "", port: int | None = None
) -> Iterator[Running]:
    """Run one until the block ends; its state stays in the folder."""
    port = port or closed_port()
    folder.mkdir(exist_ok=True)
    values = {"auth": str(auth).lower(), "port": port, "grpc": closed_port(), "folder": folder, "limits": limits}
    values["metadata"] = str(metadata).lower()
    (folder / "loki.yml").write_text(CONFIG.format(**values))
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([PROGRAM, f"-config.file={folder / 'loki.yml'}"], stdout=log, stderr=log)
    with process:
        running = Running(port)
        try:
            running.wait_for(lambda: process.poll() is not None or running.is_ready())
            assert process.poll() is None, (folder / "log").read_text()
            yield running
        finally:
            process.kill()
