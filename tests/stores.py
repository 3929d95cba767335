"""Stores for tests: real captures through the real pipeline, with small cuts so that there is something to merge."""

from collections.abc import Callable
from pathlib import Path

from kata_audit.clock import ManualClock
from kata_audit.pipeline.ingest import CutPolicy, Sealer, take
from kata_audit.receivers.file import FileReceiver, Place
from kata_audit.store.writer import Writer, open_writer
from tests.evidence import DATA, derive

KEY = b"k" * 32
CAPTURES = sorted((DATA / "captures").glob("*.journal.*.gz"))


def fill(
    writer: Writer,
    paths: list[Path],
    *,
    max_records: int = 200,
    after_seal: Callable[[], object] = int,
    clock: ManualClock | None = None,
) -> int:
    """Take files into an open store and seal them; return how many records they had."""
    clock = clock or ManualClock()
    sealer = Sealer(writer, CutPolicy(max_records=max_records), derive, clock, after_seal)
    records = 0
    for path in paths:
        with FileReceiver(str(path), Place("lab/node", "default", None), clock=clock, key=KEY) as receiver:
            for taken in take(receiver, writer, sealer, key=KEY):
                last = taken
        records += last.records
    sealer.seal_all()
    return records


def captured_store(root: Path, *, max_records: int = 200, clock: ManualClock | None = None) -> int:
    """Make a store of the captures in `tests/data`; return how many records it holds."""
    clock = clock or ManualClock()
    with open_writer(root, clock=clock, node="lab/node") as writer:
        return fill(writer, CAPTURES, max_records=max_records, clock=clock)
