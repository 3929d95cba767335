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
_MAX_LOSSES = 20
"""Sources of losses that a person is shown."""


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
        saying, claims = _statements(reader)
    if form == "json":
        missing = {"numbers_without_record": found.sealed_to - found.records, "records_of_loss": saying, "claims": claims}
        write_lines([json_line({"store": str(store), **found._asdict(), **missing, "losses": losses, "sources": sources})])
        return
    write_lines(_text(store, found, sources, SystemClock().now_ns()))
    write_lines(_lost(losses, claims))


def _sources(reader: "Reader") -> Iterator[dict[str, Any]]:
    """Tell the sources as the index counted them."""
    for one in reader.sources():
        row = one._asdict()
        first, last = rfc3339(row.pop("first_ns")), rfc3339(row.pop("last_ns"))
        yield {**row, "first_received": first, "last_received": last}


def _losses(reader: "Reader") -> list[dict[str, Any]]:
    """Add up what each source of the host lost, by what its records say; most first."""
    from kata_audit.schema.fact import FactKind, read_gap

    added: dict[tuple[str, str, str], dict[str, Any]] = {}
    for fact in reader.facts(FactKind.SOURCE_GAP):
        gap = read_gap(fact.object)
        row = added.setdefault(
            (fact.node, fact.subject, gap.event),
            {"source": fact.subject, "node": fact.node, "event": gap.event, "records": 0, "statements": 0, "unknown": 0},
        )
        row["records"] += gap.records or 0
        row["statements"] += 1
        row["unknown"] += gap.records is None
    return sorted(added.values(), key=lambda row: (-row["records"], -row["statements"], row["source"], row["event"]))


def _statements(reader: "Reader") -> tuple[int, int]:
    """Count the records that say that records were lost, and those of them that only claim it."""
    from kata_audit.predicate.tree import Not, OneOf, all_of
    from kata_audit.schema.event import Action
    from kata_audit.schema.source import Origin
    from kata_audit.store.reader import EVERYTHING_IN_SCOPE

    lost = OneOf("action", frozenset({str(Action.LOSE_RECORDS)}))
    claimed = all_of(lost, Not(OneOf("origin", frozenset({str(Origin.HOST)}))))
    return reader.count(EVERYTHING_IN_SCOPE, lost), reader.count(EVERYTHING_IN_SCOPE, claimed)


def _lost(losses: list[dict[str, Any]], claims: int) -> Iterator[str]:
    """Tell a person what was lost before anybody could collect it."""
    yield from [""] if claims or losses else []
    if claims:
        yield f"Claims   of losses by guests, or by nobody known: {claims:,}"
    if not losses:
        return
    total = sum(row["records"] for row in losses)
    sources = len({(row["node"], row["source"]) for row in losses})
    uncounted = " and more that nobody counted" if any(row["unknown"] for row in losses) else ""
    yield f"Lost     {total:,} records{uncounted}, by {sources:,} {'source' if sources == 1 else 'sources'}"
    yield ""
    cells = [
        (f"{row['records']:,}" if row["records"] else "unknown", str(row["statements"]), row["event"], row["source"])
        for row in losses[:_MAX_LOSSES]
    ]
    yield from table(("records", "statements", "event", "source"), cells, width=terminal_width())
    if len(losses) > _MAX_LOSSES:
        yield f"… and {len(losses) - _MAX_LOSSES:,} more; `-o json` has them all"


def _text(store: Path, found: "StoreStatus", sources: list[dict[str, Any]], now_ns: int) -> Iterator[str]:
    """Spell the status for a person."""
    yield f"Store    {store}"
    yield f"Origin   {found.origin}"
    size = f"{found.segments:,} segments, {found.bytes / 1e6:,.1f} MB"
    yield f"Sealed   to {found.sealed_to:,}: {found.records:,} records, {size}"
    if found.first_ns is not None and found.last_ns is not None:
        length = span(found.last_ns - found.first_ns)
        yield f"Time     {rfc3339(found.first_ns, digits=0)} to {rfc3339(found.last_ns, digits=0)}, {length}"
    without = found.sealed_to - found.records
    yield f"Missing  {without:,} numbers without a record"
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
