"""Export put together: for each configured system its exporter, its reading of the store, its position, its dead letters."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import resources
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from kata_audit.clock import SystemClock
from kata_audit.wiring import collect_seldom, reading

if TYPE_CHECKING:
    from kata_audit.config import Config
    from kata_audit.exporters.export_settings import Export
    from kata_audit.exporters.records import RecordExporter
    from kata_audit.pipeline.export import Exporting
    from kata_audit.schema.exported import Exported
    from kata_audit.schema.fieldset import FieldSet, FieldSetName
    from kata_audit.store.reader import Reader

_DEAD_LETTERS = "rejected.jsonl"


def fieldset(name: "FieldSetName") -> "FieldSet":
    """Read one of the product's field sets."""
    from kata_audit.schema.fieldset import read_fieldset

    return read_fieldset(resources.files("kata_audit.schema").joinpath(f"fieldsets/{name}.toml").read_bytes())


def record_exporter(one: "Export") -> "RecordExporter":
    """Give what hands records to one configured system; what other kinds need is not loaded."""
    from kata_audit.exporters.export_settings import ExportKind

    match one.kind:
        case ExportKind.FILE:
            from kata_audit.exporters.file import RecordFile

            return RecordFile(one)
        case ExportKind.ELASTICSEARCH | ExportKind.OPENSEARCH:
            from kata_audit.exporters.elastic import Elastic

            return Elastic(one)
        case ExportKind.LOKI:
            from kata_audit.exporters.loki import Loki

            return Loki(one, SystemClock())
        case ExportKind.SPLUNK:
            from kata_audit.exporters.splunk import Splunk

            return Splunk(one)
        case ExportKind.OTLP:
            from kata_audit.exporters.otlp import Otlp

            return Otlp(one)
        case ExportKind.FORWARD:
            from kata_audit.exporters.forward import Forward

            return Forward(one)
        case ExportKind.SYSLOG:
            from kata_audit.exporters.syslog import Syslog

            return Syslog(one)
        case ExportKind.KAFKA:
            return _kafka(one)


def form_of(one: "Export") -> "Callable[[Exported], Any] | None":
    """Give what makes of a document what the exporter of one configured system takes; None where it takes documents."""
    from kata_audit.exporters.export_settings import ExportKind

    if one.kind is not ExportKind.LOKI:
        return None
    from kata_audit.exporters.loki_entry import entry_of

    return entry_of


def _kafka(one: "Export") -> "RecordExporter":
    """Give what hands records to Kafka.

    Raises:
        UsageError: Its client library is not installed.
    """
    from kata_audit.errors import Problem, UsageError
    from kata_audit.wiring_kafka import has_kafka

    if not has_kafka():
        problems = [Problem(one.name, "is of kind `kafka`")]
        hint = "Install it: pip install 'kata-audit[kafka]'."
        raise UsageError("Kafka's client library is not installed.", problems=problems, hint=hint)
    from kata_audit.exporters.kafka import Kafka

    return Kafka(one)


@contextmanager
def exporting(
    root: Path, config: "Config", names: tuple[str, ...], tell: Callable[[str], None], stopped: Callable[[], bool]
) -> Iterator["list[Exporting]"]:
    """Open what hands the records of a store to the configured systems.

    Args:
        root: The store's directory.
        config: Its `[[export]]` tables.
        names: Which of them; none for all.
        tell: Takes sentences for people.
        stopped: Whether to stop.

    Raises:
        UsageError: None is configured, or one that is named is not.
        StoreError: The store cannot be read, or a position cannot be written.
    """
    collect_seldom()
    opening = Lock()  # each brings the index up to date, and one at a time is enough

    @contextmanager
    def open_reader() -> Iterator["Reader"]:
        with ExitStack() as opened:
            with opening:
                reader = opened.enter_context(reading(root))
            yield reader

    with ExitStack() as opened:
        yield [_exporting(root, one, open_reader, opened, tell=tell, stopped=stopped) for one in _chosen(config, names)]


def _chosen(config: "Config", names: tuple[str, ...]) -> "list[Export]":
    from kata_audit.errors import Problem, UsageError

    if not config.export:
        hint = "Name one in the configuration, `[[export]]`; docs/how-to/export-records.md shows how."
        raise UsageError("Records go nowhere: no export is configured.", hint=hint)
    known = {one.name for one in config.export}
    unknown = [Problem(name, "no such export") for name in names if name not in known]
    if unknown:
        raise UsageError("An export is not configured.", problems=unknown, hint=f"There are: {', '.join(sorted(known))}.")
    return [one for one in config.export if not names or one.name in names]


def _exporting(
    root: Path,
    one: "Export",
    open_reader: "Callable[[], AbstractContextManager[Reader]]",
    opened: ExitStack,
    *,
    tell: Callable[[str], None],
    stopped: Callable[[], bool],
) -> "Exporting":
    from kata_audit.exporters.export_settings import FIELDS
    from kata_audit.exporters.file import DeadLetterFile
    from kata_audit.pipeline.export import Exporting
    from kata_audit.pipeline.export_source import StoreSource, Wanted
    from kata_audit.predicate.language import parse_query
    from kata_audit.store.layout import Layout
    from kata_audit.store.log import read_checkpoint
    from kata_audit.store.outbox import export_outbox, open_outbox

    folder, layout = export_outbox(root, one.name), Layout(root)
    exporter = record_exporter(one)
    opened.callback(exporter.close)
    words = None if one.evidence else fieldset(one.fields or FIELDS[one.kind])
    wanted = Wanted(parse_query(one.query), one.raw, words, form_of(one))
    return Exporting(
        one,
        exporter,
        StoreSource(open_reader, lambda: read_checkpoint(layout), wanted),
        opened.enter_context(open_outbox(folder)),
        DeadLetterFile(folder / _DEAD_LETTERS, one.dead_letters_max_bytes),
        clock=SystemClock(),
        chance=random.Random(),  # noqa: S311 - spreads retries
        tell=tell,
        stopped=stopped,
    )
