"""A hundred thousand records come to Loki, all of them and once, whatever fails on the way."""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.loki_double import LokiDouble
from tests.loopback import LOOPBACK, Http, Reply, Request
from tests.servers.test_loki import record

from kata_audit.clock import ManualClock, SystemClock
from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.file import DeadLetterFile
from kata_audit.exporters.loki import Loki
from kata_audit.pipeline.export import Exporting, Sealed
from kata_audit.schema.exported import Exported

pytestmark = pytest.mark.torture
RECORDS = 100_000
SECOND = 1_000_000_000


class Made:
    """Records that are made as they are read: a source that needs no store."""

    def __init__(self, now: int, count: int) -> None:
        self._now, self._count = now, count

    def place(self) -> tuple[str, int]:
        return "kata-audit/lab/made", self._count

    def one(self, seq: int) -> Exported:
        return record(seq, self._now + seq * 1000, k8s_pod=f"web-{seq % 50}", severity_number=9 + 4 * (seq % 3))

    @contextmanager
    def read(self, after: int) -> Iterator[Iterator[Sealed]]:
        yield (
            Sealed([self.one(seq) for seq in range(first, min(first + 2000, self._count))], min(first + 2000, self._count))
            for first in range(after, self._count, 2000)
        )


class Positions:
    """Keeps positions, and gives back an older one as a crash does that comes before the saving."""

    def __init__(self) -> None:
        self.saved: list[dict[str, Any]] = []

    def load(self, _name: str) -> dict[str, Any] | None:
        return self.saved[-1] if self.saved else None

    def save(self, _name: str, value: Mapping[str, Any]) -> None:
        self.saved.append(dict(value))

    def crash(self) -> None:
        if len(self.saved) > 1:
            self.saved.pop()


def export_all(url: str, made: Made, folder: Path, chance: random.Random) -> list[str]:
    """Export until all is there, with crashes of ours; give what was said."""
    positions, clock, said = Positions(), ManualClock(time.time_ns()), list[str]()
    one = Export("loki", ExportKind.LOKI, url=url, allow=(LOOPBACK,), plaintext=True)
    end = made.place()[1]
    while not positions.saved or positions.saved[-1]["seen_to"] < end:
        exporter, steps = Loki(one, SystemClock()), iter(range(chance.randrange(2, 9)))
        exporting = Exporting(
            one,
            exporter,
            made,
            positions,
            DeadLetterFile(folder / "rejected.jsonl", 1 << 20),
            clock=clock,
            chance=chance,
            tell=said.append,
            stopped=lambda steps=steps: next(steps, None) is None,  # type: ignore[misc]
        )
        exporting.step()
        exporter.close()
        if exporting.numbers.seen_to < end and chance.random() < 0.5:
            positions.crash()
    assert not (folder / "rejected.jsonl").exists()
    return said


def test_all_come_to_one_that_fails_in_every_way(tmp_path: Path) -> None:
    """429, 5xx before and after it took them, connections that break, restarts of ours that forget the last request."""
    chance, double, made = random.Random(11), LokiDouble(), Made(time.time_ns(), RECORDS)

    def reply(request: Request) -> Reply:
        fault = chance.choice(["", "", "", "429", "503", "500 after", "reset", "reset after"])
        if fault in ("429", "503"):
            return Reply(int(fault))
        if fault == "reset":
            raise ConnectionResetError
        answer = double.reply(request)
        if fault == "reset after":
            raise ConnectionResetError
        return Reply(500) if fault else answer

    with Http().running() as server:
        server.reply = reply
        said = export_all(f"http://127.0.0.1:{server.port}", made, tmp_path, chance)

    assert sorted(int(name.rpartition("/")[2]) for name in double.names()) == list(range(RECORDS))
    assert double.again > 0
    assert said
