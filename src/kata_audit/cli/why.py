"""`kata-audit why`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kata_audit.cli.asking import between, scope_of
from kata_audit.cli.options import example, namespace_option, store_option, time_options
from kata_audit.cli.output import json_lines, output_option, write_lines
from kata_audit.cli.reasons import screen
from kata_audit.cli.story import Look
from kata_audit.cli.terminal import is_coloured, terminal_width
from kata_audit.cli.times import rfc3339

if TYPE_CHECKING:
    from kata_audit.pipeline.why import Quote
    from kata_audit.pipeline.why_causes import Cause
    from kata_audit.pipeline.why_gather import Answer


@click.command("why")
@click.argument("name")
@click.option("--width", type=click.IntRange(min=0), help="Columns to draw in; 0 cuts nothing; else the terminal's.")
@time_options
@namespace_option
@store_option
@output_option(formats=("text", "json", "jsonl"))
@example("why default/web-1", "why 8d0e4f", "why web-1 --since '10 min ago' -o json")
def command(
    *,
    name: str,
    width: int | None,
    since: int | None,
    until: int | None,
    namespaces: tuple[str, ...],
    store: Path,
    form: str,
) -> None:
    """Say why a pod failed.

    NAME is NAMESPACE/POD, a pod, or the id of a sandbox or container, or its first characters. The answer names the layer
    that failed, the first record that shows it, the known cause with what to do, what else went wrong, and which layers
    wrote nothing into the sources given. What only a guest says is a claim, and is marked by `»`. Of several sandboxes the
    newest that failed is shown; json has all, up to 20. Where nothing failed it says so.
    """
    from kata_audit.pipeline.why_gather import gather
    from kata_audit.wiring import causes, reading

    with reading(store) as reader:
        found = gather(reader, scope_of(namespaces), causes(), name, between(since, until))
    if form == "text":
        look = Look(terminal_width() if width is None else width, is_coloured(sys.stdout))
        write_lines(screen(name, found, look))
    else:
        write_lines(json_lines(_objects(found.answers), form))


def _objects(answers: "tuple[Answer, ...]") -> Iterator[dict[str, Any]]:
    """Turn answers into objects; what is not known is left out."""
    for verdict, blind in answers:
        row: dict[str, Any] = {
            "sandbox_id": verdict.sandbox_id,
            **verdict.named,
            "failed": verdict.failed,
            "layer": str(verdict.layer),
            "cause": _cause(verdict.cause) if verdict.cause else None,
            "first": _record(verdict.first) if verdict.first else None,
            "seen_by_host": _seen(*verdict.outside) if verdict.outside else None,
            "also": [{**_record(other.first), "times": other.times} for other in verdict.also],
            "more": verdict.more or None,
            "blind": [{"layer": one.layer, "reason": one.reason} for one in blind],
            "records": verdict.records,
            "from": None if verdict.first_ns is None else rfc3339(verdict.first_ns),
            "to": None if verdict.last_ns is None else rfc3339(verdict.last_ns),
        }
        yield {name: value for name, value in row.items() if value is not None}


def _cause(cause: "Cause") -> dict[str, Any]:
    names = ("id", "title", "known", "meaning", "remedy", "versions")
    return {name: getattr(cause, name) for name in names}


def _record(quote: "Quote") -> dict[str, Any]:
    return {
        "seq": quote.seq,
        "timestamp": rfc3339(quote.timestamp_ns),
        "component": quote.component,
        "origin": quote.origin,
        "claim": quote.is_claim,
        "text": quote.text,
        "links": list(quote.links),
    }


def _seen(cause: "Cause", quote: "Quote") -> dict[str, Any]:
    return {"cause": cause.id, "layer": str(cause.layer), **_record(quote)}
