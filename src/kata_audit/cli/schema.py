"""`kata-audit schema`."""

import sys

import click

from kata_audit.cli.options import example
from kata_audit.cli.output import FORMATS, csv_lines, json_lines, output_option, write_lines
from kata_audit.cli.terminal import table, terminal_width

_COLUMNS = ("column", "type", "kind", "meaning")


@click.command("schema")
@output_option(formats=FORMATS)
@example("schema", "schema -o json")
def command(form: str) -> None:
    """Print the columns of a record.

    `evidence` is what the seal commits to; `derived` can be made anew from it; `identity` is filled from facts on reading.
    """
    from kata_audit.schema.record import COLUMNS

    rows = [
        {"column": column.name, "type": _type_name(column.type), "kind": column.kind, "meaning": column.doc}
        for column in COLUMNS
    ]
    if form == "text":
        width = terminal_width() if sys.stdout.isatty() else 0
        write_lines(table(_COLUMNS, ([row[name] for name in _COLUMNS] for row in rows), width=width))
    elif form == "csv":
        write_lines(csv_lines(rows, _COLUMNS))
    else:
        write_lines(json_lines(rows, form))


def _type_name(kind: object) -> str:
    """Name an Arrow type; a dictionary of strings is a `word`."""
    text = str(kind)
    return "word" if text.startswith("dictionary<values=string") else text
