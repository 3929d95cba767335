"""A real journald, a real collector, and everything that goes wrong between them: each entry once, or a counted gap."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pyarrow.parquet as pq
import pytest
from tests.fault.journald import Journald, can_run

from kata_audit.wiring import verify_store

pytestmark = pytest.mark.skipif(not can_run(), reason="systemd-journald cannot be run here; `make servers` installs it")
NUMBER = re.compile(rb'msg=\\?"n (\d+)\\?"')


class Collecting:
    """The command as a process of its own, over one journal and one store."""

    def __init__(self, folder: Path, journald: Journald) -> None:
        self.store = folder / "store"
        self.metrics = folder / "metrics.prom"
        config = folder / "config.toml"
        config.write_text(
            f'store = "{self.store}"\nnode = "lab/worker"\nmetrics_file = "{self.metrics}"\n'
            f'[batch]\nmax_age_secs = 0.5\n[[journal]]\ndirectory = "{journald.directory}"\n'
        )
        self._environment = {**os.environ, "KATA_AUDIT_CONFIG": str(config)}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kata_audit.cli.main", "collect"], env=self._environment, stderr=subprocess.DEVNULL
        )

    def end(self, number: int = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        assert self.process.wait(60) == (0 if number == signal.SIGTERM else -number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def sealed(self) -> list[tuple[int, bytes]]:
        """Give all sealed records, number and bytes, in order."""
        found: list[tuple[int, bytes]] = []
        for path in (self.store / "segments").rglob("*.parquet"):
            try:
                table = pq.read_table(path, columns=["seq", "raw"])
            except FileNotFoundError:  # merged away meanwhile
                continue
            found += zip(table["seq"].to_pylist(), table["raw"].to_pylist(), strict=True)
        return sorted(set(found))

    def numbers(self) -> list[int]:
        """Give the numbers of the records that the test sent, in order of `seq`."""
        return [int(match[1]) for _, raw in self.sealed() if (match := NUMBER.search(raw))]

    def wait_for(self, holds: Callable[[], bool], secs: float = 60) -> None:
        until = time.monotonic() + secs
        while not holds():
            assert time.monotonic() < until, "it did not come"
            time.sleep(0.2)


def test_every_entry_comes_once_whatever_dies(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """journald and the collector are killed in turn, files are rotated, and each entry of the journal is one record."""
    count = 1_000_000 if request.config.getoption("--torture") else 6_000
    with Journald(tmp_path / "journald") as journald, Collecting(tmp_path, journald) as collecting:
        parts = 12
        for part in range(parts):
            journald.send(part * count // parts, (part + 1) * count // parts)
            if part % 4 == 0:
                journald.rotate()
            elif part % 4 == 1:
                collecting.end(signal.SIGKILL)
                collecting.start()
            elif part % 4 == 2:
                journald.kill()
                journald.start()
        time.sleep(2)
        there = journald.numbers()
        collecting.wait_for(lambda: collecting.numbers()[-1:] == there[-1:], secs=count / 1_000 + 60)
        collecting.end()

        assert collecting.numbers() == there
        assert len(there) >= count - parts * 2_000, "journald itself loses what is in its queue when it is killed"
        assert b"collect.lost" not in b"".join(raw for _, raw in collecting.sealed())
    assert verify_store(collecting.store, deep=True, vkey=None, tell=lambda _: None).troubles == ()


def test_what_the_journal_removed_unread_is_counted(tmp_path: Path) -> None:
    """Vacuumed while the collector is down: the gap has the size that the journal's own numbers tell."""
    with Journald(tmp_path / "journald") as journald, Collecting(tmp_path, journald) as collecting:
        journald.send(0, 500)
        collecting.wait_for(lambda: collecting.numbers()[-1:] == [499])
        collecting.end()
        for number in range(1, 6):
            journald.send(number * 500, number * 500 + 500)
            journald.rotate()
        journald.send(3_000, 3_100)
        journald.journalctl("--vacuum-files=2")
        left = journald.numbers()
        collecting.start()
        collecting.wait_for(lambda: collecting.numbers()[-1:] == [3_099])
        collecting.end()

    assert left[0] > 500
    assert collecting.numbers() == [*range(500), *left]
    (told,) = [raw for _, raw in collecting.sealed() if b'"event":"collect.lost"' in raw]
    lost = int(re.search(rb'"log.records.lost":"(\d+)"', told)[1])  # type: ignore[index] # the message always has it
    assert 0 <= lost - (left[0] - 500) <= 20, "and journald's own entries about its files are among them"
