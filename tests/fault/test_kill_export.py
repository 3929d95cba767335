"""`kata-audit export`, killed with signal 9 anywhere: every record arrives, and what comes twice has the same name."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.exports import source
from tests.stores import captured_store

CONFIG = """
[[export]]
name = "lines"
kind = "file"
path = "lines.jsonl"
max_records = {records}
"""


class Line(NamedTuple):
    """A line that arrived: which record, and what it said."""

    name: str
    text: str


def lines(path: Path) -> list[Line]:
    """Read what arrived; a line that a death cut off is none."""
    found = []
    for text in path.read_text().split("\n"):
        try:
            found.append(Line(json.loads(text)["log.record.uid"], text))
        except ValueError:
            continue
    return found


@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=[pytest.mark.torture, pytest.mark.timeout(3600)])])
def test_nothing_is_lost_whenever_it_is_killed(tmp_path: Path, kills: int) -> None:
    """The store has its records, and a process that is killed while it opens, reads, writes or saves sends them later."""
    chance = random.Random(kills)
    root = tmp_path / "store"
    captured_store(root)
    (tmp_path / "config.toml").write_text(CONFIG.format(records=1))
    environment = {**os.environ, "KATA_AUDIT_CONFIG": str(tmp_path / "config.toml")}
    command = [sys.executable, "-m", "kata_audit.cli.main", "export", "--once", "--store", str(root)]
    for _ in range(kills):
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(chance.uniform(0.2, 1.2))
            process.send_signal(signal.SIGKILL)
    (tmp_path / "config.toml").write_text(CONFIG.format(records=500))
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr

    arrived = lines(tmp_path / "lines.jsonl")
    origin, end = source(root).place()
    assert list(dict.fromkeys(one.name for one in arrived)) == [f"{origin}/{seq}" for seq in range(end)]
    assert len({one.text for one in arrived}) == end
