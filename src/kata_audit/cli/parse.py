"""`kata-audit parse`."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from kata_audit.cli.inputs import Inputs, input_options
from kata_audit.cli.options import columns_option, example
from kata_audit.cli.output import FORMATS, csv_lines, json_lines, output_option, write_lines, write_rows
from kata_audit.cli.terminal import show

if TYPE_CHECKING:
    from kata_audit.receivers.file import Place

_STATUSES = ("parsed", "envelope", "plain", "malformed", "fragment")
_TALLY = ("source", "transport", "records", "understood", *_STATUSES, "masked")
_DEFAULT = click.core.ParameterSource.DEFAULT


@click.command("parse")
@input_options
@columns_option
@click.option("--stats", is_flag=True, help="Print how much of each source was understood, and no records.")
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
            _tallies(places), "text" if click.get_current_context().get_parameter_source("form") is _DEFAULT else form
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


def _tallies(places: "list[tuple[str, Place]]") -> Iterator[dict[str, Any]]:
    """Count what was understood of each input."""
    import pyarrow.compute as pc

    from kata_audit.pipeline.derive import records_of
    from kata_audit.wiring import derivation, file_receiver

    for path, place in places:
        counts: Counter[str] = Counter()
        masked = 0
        with file_receiver(path, place) as receiver:
            for rows in records_of(receiver, key=None, derive=derivation()):
                counts.update(rows.column("parse_status").to_pylist())
                masked += pc.sum(rows.column("mask_count")).as_py() or 0
        total = counts.total()
        understood = f"{100 * (counts['parsed'] + counts['fragment']) / total:.1f}%" if total else "-"
        statuses = {status: counts[status] for status in _STATUSES}
        yield {
            "source": path,
            "transport": str(receiver.source.transport),
            "records": total,
            "understood": understood,
            **statuses,
            "masked": masked,
        }


def _write_stats(tallies: Iterable[dict[str, Any]], form: str) -> None:
    if form == "text":
        for row in tallies:
            write_lines(_sentences(row))
    elif form == "csv":
        write_lines(csv_lines(tallies, _TALLY))
    else:
        write_lines(json_lines(tallies, form))


def _sentences(row: dict[str, Any]) -> Iterator[str]:
    """Tell of one source what was understood."""
    yield show(row["source"])
    statuses = ", ".join(f"{status} {row[status]:,}" for status in _STATUSES if row[status]) or "none"
    yield f"  {row['records']:,} records ({row['transport']}), {row['understood']} understood: {statuses}"
    if row["masked"]:
        yield f"  secrets masked in them: {row['masked']:,}"
