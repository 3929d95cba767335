"""`kata-audit parse`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from kata_audit.cli.coverage import coverage_lines, share
from kata_audit.cli.inputs import Inputs, input_options
from kata_audit.cli.options import columns_option, example
from kata_audit.cli.output import FORMATS, csv_lines, json_line, json_lines, output_option, write_lines, write_rows
from kata_audit.cli.terminal import escape_json

if TYPE_CHECKING:
    from kata_audit.pipeline.coverage import Coverage
    from kata_audit.receivers.file import Place

_STATUSES = ("parsed", "envelope", "plain", "malformed", "fragment")
_TALLY = ("source", "transport", "records", "understood", *_STATUSES, "masked", "named")
_OTLP_JSON = "otlp-json"
_SETS = ("otel", "ecs", "ocsf", "cim", _OTLP_JSON)
_DEFAULT = click.core.ParameterSource.DEFAULT


@click.command("parse")
@input_options
@columns_option
@click.option("--stats", is_flag=True, help="Print how much of each source was understood, named and lost, and no records.")
@click.option(
    "--to",
    type=click.Choice(_SETS),
    help="Print documents in the words of this field set, one per line, as lines come in; otlp-json: requests of OTLP.",
)
@output_option("jsonl", FORMATS)
@example(
    "parse node.json",
    "parse --to ecs - < node.json",
    "parse --stats node.json containerd.log",
    "parse -o text - < console.log",
)
def command(
    *,
    inputs: Inputs,
    columns: tuple[str, ...] | None,
    form: str,
    stats: bool,
    to: str | None,
) -> None:
    """Print any Kata log as one record per frame.

    Reads FILEs, or stdin: plain, gzip or zstd; the journal as JSON or in export form, CRI logs, and bare lines of every
    component. A line that nobody understands is a record too. Nothing is stored, and no record has a number.
    """
    if to is not None and (stats or form != "jsonl"):
        raise click.UsageError("`--to` prints one JSON document per line; leave `--stats` and `--output` out.")
    places = inputs.places()
    if to is not None:
        _write_documents(places, to, columns)
        return
    if stats:
        _write_stats(
            _coverages(places), "text" if click.get_current_context().get_parameter_source("form") is _DEFAULT else form
        )
        return
    write_rows(_records(places), form, columns or _columns(form))


def _columns(form: str) -> tuple[str, ...]:
    from kata_audit.schema.record import RECORD_SCHEMA

    return ("timestamp", "severity_text", "origin", "component", "body") if form == "text" else tuple(RECORD_SCHEMA.names)


def _write_documents(places: "list[tuple[str, Place]]", to: str, columns: tuple[str, ...] | None) -> None:
    """Write documents in the words of a field set; what came in together goes out together, at once."""
    from kata_audit.pipeline import export_source

    spell = _speller(to)
    names = list(columns or export_source.exported_columns(raw=False))
    for rows in _records(places, prompt=True):
        write_lines(spell(record) for record in export_source.records_of(rows.select(names)))


def _speller(to: str) -> "Callable[[Mapping[str, Any]], str]":
    """Give what spells a record as a line."""
    from kata_audit.schema.fieldset import FieldSetName, spell_record
    from kata_audit.wire import otlp
    from kata_audit.wiring_export import fieldset

    if to != _OTLP_JSON:
        words = fieldset(FieldSetName(to))
        return lambda record: json_line(spell_record(words, record, None))
    words = fieldset(FieldSetName.OTEL)

    def request(record: Mapping[str, Any]) -> str:
        return escape_json(otlp.encode_logs(otlp.groups_of([(record, spell_record(words, record, None))])).decode())

    return request


def _records(places: "list[tuple[str, Place]]", *, prompt: bool = False) -> Iterator[Any]:
    """Read every input to records."""
    from kata_audit.pipeline.derive import records_of
    from kata_audit.wiring import derivation, file_receiver

    for path, place in places:
        with file_receiver(path, place, prompt=prompt) as receiver:
            yield from records_of(receiver, key=None, derive=derivation())


def _coverages(places: "list[tuple[str, Place]]") -> "Iterator[tuple[str, str, Coverage]]":
    """Give path, transport and coverage of each input."""
    from kata_audit.pipeline.coverage import Coverage
    from kata_audit.pipeline.derive import records_of
    from kata_audit.wiring import derivation, file_receiver

    for path, place in places:
        coverage = Coverage()
        with file_receiver(path, place) as receiver:
            for rows in records_of(receiver, key=None, derive=derivation()):
                coverage.add(rows)
        yield path, str(receiver.source.transport), coverage


def _write_stats(coverages: "Iterable[tuple[str, str, Coverage]]", form: str) -> None:
    if form == "text":
        for number, (path, transport, coverage) in enumerate(coverages):
            write_lines([""] if number else [])
            write_lines(coverage_lines(path, transport, coverage))
        return
    rows = (_object(path, transport, coverage) for path, transport, coverage in coverages)
    if form == "csv":
        write_lines(csv_lines(({name: row[name] for name in _TALLY} for row in rows), _TALLY))
    else:
        write_lines(json_lines(rows, form))


def _object(path: str, transport: str, coverage: "Coverage") -> dict[str, Any]:
    return {
        "source": path,
        "transport": transport,
        "records": coverage.records,
        "understood": share(coverage.parsed, coverage.records),
        **{status: coverage.statuses[status] for status in _STATUSES},
        "masked": coverage.masked,
        **coverage.to_object(),
    }
