"""Exports for tests: a destination that does as it is told, and a real store that is exported to it."""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from kata_audit.clock import ManualClock
from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.file import DeadLetterFile
from kata_audit.exporters.records import Receipt
from kata_audit.pipeline.export import Exporting
from kata_audit.pipeline.export_source import StoreSource, Wanted
from kata_audit.predicate.language import parse_query
from kata_audit.schema.exported import Exported
from kata_audit.schema.fieldset import FieldSetName
from kata_audit.store.layout import Layout
from kata_audit.store.log import read_checkpoint
from kata_audit.store.outbox import Outbox
from kata_audit.store.reader import Reader
from kata_audit.wiring import reading
from kata_audit.wiring_export import fieldset

Answer = Callable[[Sequence[Exported]], Receipt]


def everything(records: Sequence[Exported]) -> Receipt:
    """Take all records."""
    return Receipt(len(records))


class Taking:
    """A destination in memory: what it took, and how it answers."""

    def __init__(self, answer: Answer = everything) -> None:
        self.answer = answer
        self.names: list[str] = []
        self.closed = False

    def export(self, records: Sequence[Exported]) -> Receipt:
        receipt = self.answer(records)
        refused = {one.at for one in receipt.rejected}
        self.names += [one.name for at, one in enumerate(records[: receipt.taken]) if at not in refused]
        return receipt

    def close(self) -> None:
        self.closed = True


def source(root: Path, query: str = "", *, raw: bool = False, words: FieldSetName | None = FieldSetName.OTEL) -> StoreSource:
    """Read a store as a destination wants it; without words as evidence."""

    def opened() -> AbstractContextManager[Reader]:
        return reading(root)

    wanted = Wanted(parse_query(query), raw, None if words is None else fieldset(words))
    return StoreSource(opened, lambda: read_checkpoint(Layout(root)), wanted)


class World:
    """A store, an outbox, a clock, and what was said."""

    def __init__(self, root: Path, outbox: Outbox) -> None:
        self.root, self.outbox = root, outbox
        self.clock = ManualClock()
        self.said: list[str] = []
        self.dead_letters = root.with_name("rejected.jsonl")
        self.is_stopped = False

    def exporting(self, exporter: Taking, query: str = "", *, dead_bytes: int = 1 << 20, **settings: object) -> Exporting:
        """Make what hands the store's records to a destination."""
        values: dict[str, object] = {"name": "siem", "kind": ExportKind.FILE, "max_records": 100, **settings}
        return Exporting(
            Export(**values),  # type: ignore[arg-type] # settings of a test
            exporter,
            source(self.root, query),
            self.outbox,
            DeadLetterFile(self.dead_letters, dead_bytes),
            clock=self.clock,
            chance=random.Random(7),
            tell=self.said.append,
            stopped=lambda: self.is_stopped,
        )
