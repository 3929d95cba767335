"""Rows of Arrow to lines of text, JSON or CSV, one batch at a time.

`jsonl` is the form for machines: one object per row with the schema's names; a null column is left out. Whatever a log
holds, the output is printable characters and line ends only.
"""

import base64
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TextIO

import click
import orjson

from kata_audit.cli.terminal import escape_json, show, table, terminal_width
from kata_audit.cli.times import rfc3339

FORMATS = ("text", "json", "jsonl", "csv")
_FORMULA = re.compile("[\\s\"';,\ufeff]*[=+\\-@\t\r\n\0\uff0b\uff0d\uff1d\uff20]")
"""What a spreadsheet would run: an operator at the start, also behind quotes, separators, spaces or a byte order mark."""

Objects = Iterator[dict[str, Any]]


def output_option(default: str = "text", formats: Sequence[str] = FORMATS) -> Callable[[Any], Any]:
    """Add `-o/--output` to a command; its parameter is called `form`."""
    return click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice(formats),
        default=default,
        show_default=True,
        help="Form of the output; jsonl is one object per row.",
    )


def objects(rows: Any, columns: Sequence[str] | None = None) -> Objects:
    """Turn a batch of Arrow rows into objects with the schema's names.

    Times become RFC 3339 in UTC with nine digits. `raw` is text where it is UTF-8, else base64 under `raw_b64`. Columns
    that are null are left out.
    """
    names = [name for name in rows.schema.names if columns is None or name in columns]
    if columns is not None:
        names = [name for name in columns if name in names]
    values = [_plain(rows.column(name)) for name in names]
    for cells in zip(*values, strict=True):
        row = {}
        for name, cell in zip(names, cells, strict=True):
            if cell is None:
                continue
            if isinstance(cell, bytes):
                key, cell = bytes_cell(name, cell)  # noqa: PLW2901 - the cell's spelling replaces it
                row[key] = cell
            else:
                row[name] = cell
        yield row


def bytes_cell(name: str, value: bytes) -> tuple[str, str]:
    """Name and spell bytes: as text where they are UTF-8, else as base64 under `<name>_b64`."""
    try:
        return name, value.decode()
    except UnicodeDecodeError:
        return f"{name}_b64", base64.b64encode(value).decode()


def _plain(column: Any) -> list[Any]:
    """Turn a column into Python values, times into text and maps into dicts."""
    kind = str(column.type)
    if kind.startswith("timestamp[ns"):
        return [None if ns is None else rfc3339(ns) for ns in column.cast("int64").to_pylist()]
    if kind.startswith("map<"):
        return [dict(pairs) if pairs else None for pairs in column.to_pylist()]
    return list(column.to_pylist())


def json_line(row: Mapping[str, Any]) -> str:
    """Spell one object as one line of JSON that is safe on a terminal."""
    return escape_json(orjson.dumps(row).decode())


def csv_cell(value: object) -> str:
    """Spell one cell of CSV: always quoted, shown, and never a formula to a spreadsheet."""
    if isinstance(value, bool | int | float):
        return f'"{value}"'
    text = "" if value is None else value if isinstance(value, str) else orjson.dumps(value).decode()
    guard = "'" if _FORMULA.match(text) else ""
    return '"' + guard + show(text).replace('"', '""') + '"'


def json_lines(rows: Iterable[Mapping[str, Any]], form: str) -> Iterator[str]:
    """Spell objects as `jsonl`, or as one JSON array that is written row by row."""
    if form == "jsonl":
        yield from map(json_line, rows)
        return
    before = "["
    for row in rows:
        yield before + json_line(row)
        before = ","
    yield "[]" if before == "[" else "]"


def csv_lines(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Iterator[str]:
    """Spell objects as CSV with a head; a column `raw` brings `raw_b64` with it for bytes that are no text."""
    names = [name for column in columns for name in ((column, "raw_b64") if column == "raw" else (column,))]
    yield ",".join(map(csv_cell, names))
    for row in rows:
        yield ",".join(csv_cell(row.get(name)) for name in names)


def write_lines(lines: Iterable[str], stream: TextIO | None = None) -> None:
    """Write lines as they come, some hundred at a time when nobody watches."""
    out = stream or sys.stdout
    watched = out.isatty()
    for line in lines:
        out.write(f"{line}\n")
        if watched:
            out.flush()
    out.flush()


def write_rows(batches: Iterable[Any], form: str, columns: Sequence[str], *, heads: bool = True) -> None:
    """Write batches of Arrow rows in a form; text is a table of the columns.

    Args:
        batches: Rows; each batch is let go before the next one is read.
        form: One of `FORMATS`.
        columns: Names of the columns, in order.
        heads: Print a head over a table.
    """
    rows = chain.from_iterable(objects(batch, columns) for batch in batches)
    if form in {"json", "jsonl"}:
        write_lines(json_lines(rows, form))
    elif form == "csv":
        write_lines(csv_lines(rows, columns))
    else:
        width = terminal_width() if sys.stdout.isatty() else 0
        cells = ([_text(row, name) for name in columns] for row in rows)
        write_lines(table(columns if heads else (), cells, width=width))


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name, row.get(f"{name}_b64"))
    return "" if value is None else value if isinstance(value, str) else orjson.dumps(value).decode()
