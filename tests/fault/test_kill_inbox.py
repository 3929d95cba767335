"""Acts left beside `kata-audit collect`, killed with signal 9 anywhere: each is in the store once, and in its order."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.fault.oracle import examine
from tests.findings import ACT

from kata_audit.schema.act import ACT_KIND, to_line
from kata_audit.store.inbox import Message, leave
from kata_audit.wiring import writing

CONFIG = """node = "lab/worker"
[batch]
max_age_secs = 0.05
[[file]]
path = "{folder}/node.log"
transport = "host-file"
"""


@contextmanager
def collecting(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the collector; whatever happens, it does not outlive the block."""
    environment = {**os.environ, "KATA_AUDIT_CONFIG": str(folder / "config.toml"), "KATA_AUDIT_STORE": str(folder / "store")}
    command = [sys.executable, "-m", "kata_audit.cli.main", "collect"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as child:
        try:
            yield child
        finally:
            child.kill()


def line(number: int) -> bytes:
    return to_line(dataclasses.replace(ACT, act_id=f"{number:032x}"))


def left(folder: Path, numbers: range) -> None:
    """Leave acts, whose order their times tell."""
    for number in numbers:
        leave(folder / "store", Message(f"{number:032x}", 10**18 + number, ACT_KIND, "lab/worker", "default", line(number)))


def waits(folder: Path) -> bool:
    return any((folder / "store" / "inbox").iterdir())


@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=[pytest.mark.torture, pytest.mark.timeout(1800)])])
def test_each_act_is_taken_in_once_whenever_the_collector_is_killed(tmp_path: Path, kills: int) -> None:
    """The one that takes the rest in is told to stop, and has sealed all of it."""
    chance, count = random.Random(kills), 0
    (tmp_path / "config.toml").write_text(CONFIG.format(folder=tmp_path))
    (tmp_path / "node.log").write_text("")
    with writing(tmp_path / "store", node="lab/worker"):
        pass
    for _ in range(kills):
        with collecting(tmp_path) as child:
            ends = time.monotonic() + chance.uniform(0.5, 4)
            while time.monotonic() < ends and child.poll() is None:
                left(tmp_path, range(count, count := count + chance.randrange(1, 4)))
                with (tmp_path / "node.log").open("a") as log:
                    log.write(f"line {count}\n")
                time.sleep(chance.uniform(0, 0.2))
    left(tmp_path, range(count, count := count + 1))  # it has begun once that is taken in
    with collecting(tmp_path) as child:
        while waits(tmp_path) and child.poll() is None:
            time.sleep(0.1)
        child.send_signal(signal.SIGTERM)
        assert child.wait() == 0

    held = examine(tmp_path / "store")
    acts = [raw for _, raw in sorted(held.sealed.items()) if b'"event":"alert.act"' in raw]
    assert held.waiting == {}
    assert acts == [line(number) for number in range(count)]
    assert count > kills
