"""`kata-audit alerts deliver` as a process of its own, beside a store that a test writes findings to."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.evidence import derive
from tests.findings import ACT, FINDING, own_rows

from kata_audit.clock import SystemClock
from kata_audit.pipeline.ingest import CutPolicy, Sealer
from kata_audit.schema.act import ACT_KIND, ActKind
from kata_audit.schema.act import to_line as act_line
from kata_audit.schema.finding import FINDING_KIND, Finding, to_line
from kata_audit.store.writer import open_writer

MANY = "storm_rule = 65536\nstorm_all = 65536\ngroup_nodes = 65536\ngroup_alerts = 65536\n"
"""Settings under which every finding of its own is told of on its own."""


def finding(number: int, **changes: object) -> Finding:
    """A finding that opens an alert of its own, now."""
    now = time.time_ns()
    subject = {"sandbox_id": f"{number:064x}", "k8s_namespace": "shop", "k8s_pod": f"web-{number}"}
    values = {"subject": subject, "records": (f"log/{number}",), "first_ns": now, "time_ns": now, **changes}
    return dataclasses.replace(FINDING, **values)  # type: ignore[arg-type]


class Delivering:
    """The command, its store and its configuration."""

    def __init__(self, folder: Path, destinations: str, alerts: str = MANY) -> None:
        self.store = folder / "store"
        self.outbox = folder / "store.outbox"
        self.config = folder / "config.toml"
        self.config.write_text(f'store = "{self.store}"\nnode = "lab/worker"\n[alerts]\n{alerts}\n{destinations}')
        self._environment = {**os.environ, "KATA_AUDIT_CONFIG": str(self.config)}
        self._environment.pop("KATA_AUDIT_KEYS", None)
        self._process: subprocess.Popen[str] | None = None
        self.find()

    def find(self, *findings: Finding) -> None:
        """Seal a cut with findings."""
        for node in sorted({one.node for one in findings}) or ["lab/worker"]:
            self._seal(FINDING_KIND, [to_line(one) for one in findings if one.node == node], node)

    def act(self, kind: ActKind, target: str, **changes: object) -> None:
        """Seal a cut with what a person did."""
        act = dataclasses.replace(ACT, kind=kind, target=target, time_ns=time.time_ns(), **changes)  # type: ignore[arg-type]
        self._seal(ACT_KIND, [act_line(act)], "lab/worker")

    def _seal(self, kind: str, lines: list[bytes], node: str) -> None:
        clock = SystemClock()
        with open_writer(self.store, clock=clock, node="lab/worker") as writer:
            sealer = Sealer(writer, CutPolicy(), derive, clock, int)
            if lines:
                writer.append(own_rows(kind, lines, said_ns=clock.now_ns(), node=node))
            sealer.seal_all()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "kata_audit.cli.main", "alerts", "deliver", *arguments]

    def once(self, secs: float = 120) -> subprocess.CompletedProcess[str]:
        """Tell what there is, and end."""
        return subprocess.run(
            self.command("--once"), env=self._environment, capture_output=True, text=True, check=False, timeout=secs
        )

    @contextmanager
    def running(self) -> Iterator["Delivering"]:
        """Run it until the block ends, or until it is killed in it."""
        self.start()
        try:
            yield self
        finally:
            assert self._process is not None
            if self._process.poll() is None:
                self._process.kill()
            self._process.communicate()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self.command(), env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send it a signal; give how it ended and what it said."""
        assert self._process is not None
        self._process.send_signal(number)
        _, said = self._process.communicate(timeout=60)
        return self._process.returncode, said

    def wait_for(self, holds: Callable[[], bool], secs: float = 60) -> None:
        until = time.monotonic() + secs
        while not holds():
            assert self._process is None or self._process.poll() is None, "it ended"
            assert time.monotonic() < until, "it did not come"
            time.sleep(0.05)
