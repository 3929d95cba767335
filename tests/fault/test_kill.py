"""A writer that is killed with signal 9 at random moments loses nothing that it acknowledged and repeats nothing."""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.fault.oracle import examine, text

SCRIPT = Path(__file__).with_name("kill_ingest.py")
REPOSITORY = Path(__file__).resolve().parents[2]
ENDLESS = 1_000_000


def run_and_kill(root: Path, rng: random.Random) -> int:
    """Let a writer run, kill it some acknowledgements and a moment later, and return how far it had acknowledged."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, str(SCRIPT), str(root), str(ENDLESS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as child:
        assert child.stdout is not None
        for _ in range(rng.randrange(1, 7)):
            child.stdout.readline()
        timer = threading.Timer(rng.random() * 0.03, child.send_signal, (signal.SIGKILL,))
        timer.start()
        acknowledged = [int(line) for line in child.stdout if line.endswith("\n")]
        child.wait()
        timer.join()
    assert child.returncode == -signal.SIGKILL
    return max(acknowledged, default=0)


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.torture)])
def test_a_killed_writer_keeps_its_promises(tmp_path: Path, kills: int) -> None:
    """One store through all kills: after each, every acknowledged text is there once, in order, without a hole."""
    root = tmp_path / "store"
    rng = random.Random(kills)
    for _ in range(kills):
        acknowledged = run_and_kill(root, rng)
        found = examine(root)
        held = found.sealed | found.waiting

        assert found.lost == set()
        assert len(held) >= acknowledged
        assert [held[seq] for seq in sorted(held)] == [text(number) for number in range(len(held))]
    print(f"{kills} kills; {len(held)} records, {len(found.sealed)} of them sealed")
