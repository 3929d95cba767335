"""`kata-audit search`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from kata_audit.cli.asking import between, scope_of
from kata_audit.cli.options import columns_option, example, namespace_option, store_option, time_options
from kata_audit.cli.output import FORMATS, output_option, write_lines, write_rows
from kata_audit.cli.terminal import say
from kata_audit.cli.unnamed import Unnamed

_TEXT_COLUMNS = ("seq", "timestamp", "severity_text", "origin", "component", "k8s_pod", "body")


@click.command("search")
@click.argument("query")
@click.option("--limit", type=click.IntRange(min=0), default=1000, show_default=True, help="At most so many; 0 is no limit.")
@click.option("--newest", is_flag=True, help="Newest first; else oldest first.")
@click.option("--count", is_flag=True, help="Print how many there are, and no records.")
@time_options
@columns_option
@namespace_option
@store_option
@output_option(formats=FORMATS)
@example(
    "search 'severity:error' --since '2 hours ago'",
    "search 'pod:web-1 AND NOT component:agent' -o jsonl",
    "search '\"permission denied\"' --count",
)
def command(
    *,
    query: str,
    limit: int,
    since: int | None,
    until: int | None,
    columns: tuple[str, ...] | None,
    namespaces: tuple[str, ...],
    store: Path,
    form: str,
    newest: bool,
    count: bool,
) -> None:
    """Find records.

    QUERY is `field:value`, a word or "quoted text", joined by AND, OR and NOT; '' is every record. Identities are known
    from all records, so a search by pod finds what was written before the pod was named; actors are joined from the API
    server's audit log, so a search by actor finds what the node did for that user.
    """
    from kata_audit.predicate.language import parse_query
    from kata_audit.predicate.tree import all_of
    from kata_audit.schema.record import RECORD_SCHEMA
    from kata_audit.store.reader import Order
    from kata_audit.wiring import reading

    where = all_of(parse_query(query), between(since, until))
    with reading(store) as reader:
        if count:
            write_lines([str(reader.count(scope_of(namespaces), where))])
            return
        wanted = columns or (_TEXT_COLUMNS if form == "text" else tuple(RECORD_SCHEMA.names))
        order = Order(newest_first=newest)
        found = reader.scan(scope_of(namespaces), where, wanted, order=order, limit=limit + 1 if limit else None)
        unnamed = Unnamed()
        write_rows(unnamed.watch(_limited(found, limit)), form, wanted)
        unnamed.explain(reader, scope_of(namespaces))


def _limited(batches: Iterable[Any], limit: int) -> Iterator[Any]:
    """Pass on `limit` rows, and say on stderr when there were more."""
    left = limit
    for rows in batches:
        if limit and rows.num_rows > left:
            yield rows.slice(0, left)
            say(f"more than {limit:,} records; `--limit 0` gives all of them")
            return
        left -= rows.num_rows
        yield rows
