"""A real OpenTelemetry Collector of a test's own, on loopback: it takes logs, and passes them on to a server of the test."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests.loopback import closed_port
from tests.servers.shippers import OTELCOL

_READY_SECS = 60.0
# Without a queue it answers when what is behind it has answered, so that what it confirms is there.
CONFIG = """
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"{tls}}}}}}}
exporters:
  otlp_http:
    endpoint: {to}
    encoding: json
    compression: none
    sending_queue: {{enabled: false}}
    retry_on_failure: {{enabled: false}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{logs: {{receivers: [otlp], exporters: [otlp_http]}}}}
"""


def can_run() -> bool:
    """Say whether it is built."""
    return OTELCOL.is_file()


@contextmanager
def otelcol(folder: Path, to: str, *, tls: Path | None = None) -> Iterator[int]:
    """Run one until the block ends; give its port.

    Args:
        folder: Where its configuration and log are.
        to: The URL that it passes logs on to.
        tls: Certificate and key, in PEM; None for plain text.
    """
    port = closed_port()
    folder.mkdir(exist_ok=True)
    pair = "" if tls is None else f', tls: {{cert_file: "{tls}", key_file: "{tls}"}}'
    (folder / "otelcol.yml").write_text(CONFIG.format(port=port, to=to, tls=pair))
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([OTELCOL, "--config", folder / "otelcol.yml"], stdout=log, stderr=log)
    with process:
        try:
            until = time.monotonic() + _READY_SECS
            while not _is_ready(port, is_plain=tls is None):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.05)
            yield port
        finally:
            process.kill()


def _is_ready(port: int, *, is_plain: bool) -> bool:
    try:
        httpx.get(f"http{'' if is_plain else 's'}://127.0.0.1:{port}", trust_env=False, timeout=10, verify=False)
    except httpx.TransportError:
        return False
    return True
