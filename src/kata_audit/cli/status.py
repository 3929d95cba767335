"""`kata-audit status`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kata_audit.cli.options import example, store_option
from kata_audit.cli.output import json_line, output_option, write_lines
from kata_audit.cli.terminal import table, terminal_width
from kata_audit.cli.times import rfc3339, span

if TYPE_CHECKING:
    from kata_audit.store.reader import Reader, StoreStatus

_COLUMNS = ("source", "node", "receiver", "records", "first_received", "last_received")


@click.command("status")
@store_option
@output_option(formats=("text", "json"))
@example("status", "status -o json")
def command(*, store: Path, form: str) -> None:
    """Say what came in from where, and what is missing.

    Sources with their records and when the last one came; numbers that were given and are no longer there; and records in
    which a producer itself says that it lost some.
    """
    from kata_audit.clock import SystemClock
    from kata_audit.wiring import reading

    with reading(store) as reader:
        found = reader.status()
        sources = list(_sources(reader))
        losses = _losses(reader)
    if form == "json":
        missing = {"numbers_without_record": found.sealed_to - found.records, "records_of_loss": losses}
        write_lines([json_line({"store": str(store), **found._asdict(), **missing, "sources": sources})])
        return
    write_lines(_text(store, found, sources, losses, SystemClock().now_ns()))


def _sources(reader: "Reader") -> Iterator[dict[str, Any]]:
    """Count the records of each source, a batch at a time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from kata_audit.predicate.tree import Everything
    from kata_audit.store.reader import EVERYTHING_IN_SCOPE, Order

    parts = []
    columns = ("cursor", "node", "receiver", "observed_timestamp")
    for rows in reader.scan(EVERYTHING_IN_SCOPE, Everything(), columns, order=Order("seq")):
        stream = pc.replace_substring_regex(rows["cursor"], r"@[^@]*$", "")
        times = rows["observed_timestamp"].cast(pa.int64())
        parts.append(_tally(pa.table([stream, rows["node"], rows["receiver"], times], names=_NAMES), "observed"))
    if not parts:
        return
    whole = _tally(pa.concat_tables(parts), "records")
    for row in whole.sort_by("source").to_pylist():
        first, last = rfc3339(row.pop("first")), rfc3339(row.pop("last"))
        yield {**row, "first_received": first, "last_received": last}


_NAMES = ["source", "node", "receiver", "observed"]


def _tally(rows: Any, counted: str) -> Any:
    """Count rows, or add up counts, of each source."""
    keys = ["source", "node", "receiver"]
    if counted == "observed":
        done = rows.group_by(keys).aggregate([("observed", "count"), ("observed", "min"), ("observed", "max")])
        return done.select([*keys, "observed_count", "observed_min", "observed_max"]).rename_columns(
            [*keys, "records", "first", "last"]
        )
    done = rows.group_by(keys).aggregate([("records", "sum"), ("first", "min"), ("last", "max")])
    return done.select([*keys, "records_sum", "first_min", "last_max"]).rename_columns([*keys, "records", "first", "last"])


def _losses(reader: "Reader") -> int:
    """Count the records that say that records were lost."""
    from kata_audit.pipeline.timeline import LOSSES
    from kata_audit.predicate.tree import Match, Or, Syntax
    from kata_audit.store.reader import EVERYTHING_IN_SCOPE

    return reader.count(EVERYTHING_IN_SCOPE, Or(tuple(Match("body", pattern, Syntax.REGEX) for pattern in LOSSES)))


def _text(store: Path, found: "StoreStatus", sources: list[dict[str, Any]], losses: int, now_ns: int) -> Iterator[str]:
    """Spell the status for a person."""
    yield f"Store    {store}"
    yield f"Origin   {found.origin}"
    size = f"{found.segments:,} segments, {found.bytes / 1e6:,.1f} MB"
    yield f"Sealed   to {found.sealed_to:,}: {found.records:,} records, {size}"
    if found.first_ns is not None and found.last_ns is not None:
        length = span(found.last_ns - found.first_ns)
        yield f"Time     {rfc3339(found.first_ns, digits=0)} to {rfc3339(found.last_ns, digits=0)}, {length}"
    without = found.sealed_to - found.records
    yield f"Missing  {without:,} numbers without a record; {losses:,} records say that their producer lost some"
    if not sources:
        return
    yield ""
    cells = []
    for row in sources:
        shown = row | {"records": f"{row['records']:,}", "source": row["source"].rpartition("?")[0] or row["source"]}
        shown |= {name: shown[name][:19] + "Z" for name in _COLUMNS[-2:]}
        cells.append([shown[name] for name in _COLUMNS])
    yield from table(_COLUMNS, cells, width=terminal_width())
    newest = max(row["last_received"] for row in sources)
    yield ""
    yield f"Newest   received {newest[:19]}Z, {_ago(newest, now_ns)} ago"


def _ago(stamp: str, now_ns: int) -> str:
    from kata_audit.cli.times import parse_time

    return span(max(now_ns - parse_time(stamp, now_ns), 0))
