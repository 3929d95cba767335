"""Exports to destinations that fail: records that need no store, positions that a crash forgets, faults by chance."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from tests.loopback import Reply, Request

from kata_audit.clock import ManualClock
from kata_audit.exporters.export_settings import Export
from kata_audit.exporters.file import DeadLetterFile
from kata_audit.exporters.records import RecordExporter
from kata_audit.pipeline.export import Exporting, Sealed
from kata_audit.schema.exported import Exported
from kata_audit.schema.fieldset import FieldSetName, spell_record
from kata_audit.wiring_export import fieldset

RECORDS = 100_000
SECOND = 1_000_000_000


class Made:
    """Records that are made as they are read: a source that needs no store."""

    def __init__(self, now: int, count: int, words: FieldSetName) -> None:
        self._now, self._count, self._fieldset = now, count, fieldset(words)

    def place(self) -> tuple[str, int]:
        return "kata-audit/lab/made", self._count

    def one(self, seq: int) -> Exported:
        now, name = self._now + seq * 1000, f"kata-audit/lab/made/{seq}"
        values = {"seq": seq, "observed_timestamp": now, "timestamp": now, "node": "lab/made", "body": f"line {seq}"}
        values |= {
            "component": ("runtime-rs", "agent")[seq % 2],
            "origin": "host",
            "class": "audit",
            "k8s_pod": f"web-{seq % 50}",
        }
        return Exported(name, seq, now, values, spell_record(self._fieldset, values, name))

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


def export_all(
    one: Export,
    make: Callable[[], RecordExporter],
    made: Made,
    folder: Path,
    chance: random.Random,
    *,
    between: Callable[[], object] = int,
) -> list[str]:
    """Export until all is there, in many short lives of ours, each ended by chance; give what was said.

    A life that came further may be ended before its last position was saved, and the next one sends those records again.
    `between` is called between two lives.
    """
    positions, clock, said = Positions(), ManualClock(time.time_ns()), list[str]()
    end = made.place()[1]
    while not positions.saved or positions.saved[-1]["seen_to"] < end:
        exporter, steps, before = make(), iter(range(chance.randrange(2, 9))), len(positions.saved)
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
        if exporting.numbers.seen_to < end and len(positions.saved) > before and chance.random() < 0.5:
            positions.crash()
        between()
    assert not (folder / "rejected.jsonl").exists()
    return said


def faulty(take: Callable[[Request], Reply], chance: random.Random, slow_secs: float = 0.5) -> Callable[[Request], Reply]:
    """Answer as a destination that often fails: before it took the records, or behind; at once, in half, or late."""

    def reply(request: Request) -> Reply:
        fault = chance.choice(
            ["", "", "", "", "429", "503", "500 after", "reset", "reset after", "half after", "slow after"]
        )
        if fault in ("429", "503"):
            return Reply(int(fault))
        if fault == "reset":
            raise ConnectionResetError
        answer = take(request)
        if fault == "reset after":
            raise ConnectionResetError
        if fault == "slow after":
            time.sleep(slow_secs)
        if fault == "half after":
            return answer._replace(body=answer.body[: len(answer.body) // 2], missing=len(answer.body) // 2 + 1)
        return Reply(500) if fault == "500 after" else answer

    return reply


@contextmanager
def through(place: Callable[[], str]) -> Iterator[Callable[[Request], Reply]]:
    """Pass requests on to where a server is now, until the block ends; one that is not there is not ready."""
    kept = ("content-type", "content-encoding")
    with httpx.Client(trust_env=False, timeout=60, verify=False) as client:

        def reply(request: Request) -> Reply:
            method = "PUT" if request.path.startswith("/_index_template/") else "POST"
            headers = {name: value for name, value in request.headers.items() if name.lower() in kept}
            try:
                answer = client.request(method, f"{place()}{request.path}", content=request.body, headers=headers)
            except httpx.TransportError:
                return Reply(503)
            return Reply(answer.status_code, {}, answer.content)

        yield reply


Server = TypeVar("Server")


@contextmanager
def killed_now_and_then(
    start: Callable[[], AbstractContextManager[Server]], chance: random.Random, times: int
) -> Iterator[tuple[Callable[[], Server], Callable[[], None]]]:
    """Run a server; give what it is now, and what is called where it may be killed and started again."""
    with ExitStack() as stack:
        now, left = [stack.enter_context(start())], times

        def perhaps() -> None:
            nonlocal left
            if left and chance.random() < 0.1:
                left -= 1
                stack.close()
                now[0] = stack.enter_context(start())

        yield lambda: now[0], perhaps
        assert left < times
