"""`kata-audit parse`."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from kata_audit.cli.coverage import coverage_lines, share
from kata_audit.cli.inputs import Inputs, input_options
from kata_audit.cli.options import columns_option, example
from kata_audit.cli.output import FORMATS, csv_lines, json_lines, output_option, write_lines, write_rows

if TYPE_CHECKING:
    from kata_audit.pipeline.coverage import Coverage
    from kata_audit.receivers.file import Place

_STATUSES = ("parsed", "envelope", "plain", "malformed", "fragment")
_TALLY = ("source", "transport", "records", "understood", *_STATUSES, "masked", "named")
_DEFAULT = click.core.ParameterSource.DEFAULT


@click.command("parse")
@input_options
@columns_option
@click.option("--stats", is_flag=True, help="Print how much of each source was understood, named and lost, and no records.")
@output_option("jsonl", FORMATS)
@example("parse node.json", "parse --stats node.json containerd.log", "parse -o text - < console.log")
def command(
    *,
    inputs: Inputs,
    columns: tuple[str, ...] | None,
    form: str,
    stats: bool,
) -> None:
    """Print any Kata log as one record per frame.

    Reads FILEs, or stdin: plain, gzip or zstd; the journal as JSON or in export form, CRI logs, and bare lines of every
    component. A line that nobody understands is a record too. Nothing is stored, and no record has a number.
    """
    places = inputs.places()
    if stats:
        _write_stats(
            _coverages(places), "text" if click.get_current_context().get_parameter_source("form") is _DEFAULT else form
        )
        return
    write_rows(_records(places), form, columns or _columns(form))


def _columns(form: str) -> tuple[str, ...]:
    from kata_audit.schema.record import RECORD_SCHEMA

    return ("timestamp", "severity_text", "origin", "component", "body") if form == "text" else tuple(RECORD_SCHEMA.names)


def _records(places: "list[tuple[str, Place]]") -> Iterator[Any]:
    """Read every input to records."""
    from kata_audit.pipeline.derive import records_of
    from kata_audit.wiring import derivation, file_receiver

    for path, place in places:
        with file_receiver(path, place) as receiver:
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
