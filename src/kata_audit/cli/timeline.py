"""`kata-audit timeline`."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from kata_audit.cli.asking import between, scope_of
from kata_audit.cli.options import columns_option, example, namespace_option, store_option, time_options
from kata_audit.cli.output import FORMATS, output_option, write_lines, write_rows
from kata_audit.cli.story import Look, head, story
from kata_audit.cli.terminal import is_coloured, say, terminal_width

if TYPE_CHECKING:
    from kata_audit.pipeline.moments import Moment
    from kata_audit.pipeline.timeline import Summary, Told
    from kata_audit.predicate.tree import Predicate
    from kata_audit.store.reader import Reader, Scope

_LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")
_POLL_SECONDS = 1.0
_NS = 1e9


def _finite(_context: click.Context, parameter: click.Parameter, value: float) -> float:
    """Refuse what is no length of time that can be counted."""
    if not math.isfinite(value * _NS):
        raise click.BadParameter(f"{value} is no length of time; write a number of seconds.", param=parameter)
    return value


@click.command("timeline")
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is sealed from now on, until Ctrl-C.")
@click.option("--severity", type=click.Choice(_LEVELS), default="info", show_default=True, help="From this level on.")
@click.option("--debug-lines", is_flag=True, help="Debug and trace records too.")
@click.option(
    "--silence",
    type=click.FloatRange(min=0, min_open=True),
    callback=_finite,
    default=30,
    show_default=True,
    metavar="SECONDS",
)
@click.option("--width", type=click.IntRange(min=0), help="Columns to draw in; 0 cuts nothing; else the terminal's.")
@time_options
@columns_option
@namespace_option
@store_option
@output_option(formats=FORMATS)
@example("timeline default/web-1", "timeline 8d0e4f -f --since '10 min ago'", "timeline web-1 --severity warn -o jsonl")
def command(
    *,
    name: str,
    severity: str,
    silence: float,
    width: int | None,
    since: int | None,
    until: int | None,
    columns: tuple[str, ...] | None,
    namespaces: tuple[str, ...],
    store: Path,
    form: str,
    follow: bool,
    debug_lines: bool,
) -> None:
    """Tell the story of one pod or sandbox.

    NAME is NAMESPACE/POD, a pod, or the id of a sandbox or container, or its first characters; a pod's story has what was
    asked of the API server about it too. Records stand in the order of the host's clock. What a guest wrote is a claim, and
    is marked by `»`. Copies of one record are one line, and so are records that tell of one event, and equal records in a
    row, with their number at the end; silences, lost records and the moment at which a guest's clock was set are lines of
    their own. A record whose only time is a guest's ends in how far off it may be, as in `±4 ms`; `≈` marks all that may
    have happened in another order.
    """
    from kata_audit.predicate.tree import all_of
    from kata_audit.schema.record import RECORD_SCHEMA
    from kata_audit.wiring import reading

    scope = scope_of(namespaces)
    least = 0 if debug_lines else 4 * _LEVELS.index(severity) + 1
    with reading(store) as reader:
        where = all_of(_records_of(reader, scope, name), between(since, until))
        if form != "text":
            wanted = columns or tuple(RECORD_SCHEMA.names)
            write_rows(reader.scan(scope, all_of(where, _at_least(least)), wanted), form, wanted)
            return
        look = Look(terminal_width() if width is None else width, is_coloured(sys.stdout))
        asked = _Asked(name, scope, where, least, int(silence * _NS))
        sealed, summary = reader.status().sealed_to, _draw(reader, asked, look)
    if follow:
        with suppress(KeyboardInterrupt):
            for new in _followed(store, asked, summary, sealed):
                write_lines(story(new, look, headed=False))


def _records_of(reader: "Reader", scope: "Scope", name: str) -> "Predicate":
    """Ask for the records of what a name means: of its sandboxes, and what was asked of the API server about a pod.

    A pod whose namespace nobody states has no requests: pods of that name may be in many.
    """
    from kata_audit.predicate.tree import Compare, OneOf, Op, Present, all_of, any_of
    from kata_audit.schema.record import Component

    found = reader.resolve(scope, name)
    inside = OneOf("sandbox_id", frozenset(found.sandboxes))
    if found.how != "pod":
        return inside
    namespace, _, pod = name.rpartition("/")
    if not namespace:
        named = reader.scan(scope, all_of(inside, Present("k8s_namespace")), ["k8s_namespace"], limit=1)
        namespace = next((rows.column(0)[0].as_py() for rows in named), "")
    if not namespace:
        return inside
    api = Compare("component", Op.EQ, str(Component.KUBE_APISERVER))
    return any_of(inside, all_of(api, reader.of_pod(scope, namespace, pod)))


def _at_least(least: int) -> "Predicate":
    """Ask for a level, or for a record without one."""
    from kata_audit.predicate.tree import Compare, Everything, Not, Op, Or, Present

    return Or((Compare("severity_number", Op.GE, least), Not(Present("severity_number")))) if least else Everything()


class _Asked(NamedTuple):
    """What is told: whose story, what of it, and from which level and silence on."""

    name: str
    scope: "Scope"
    where: "Predicate"
    least: int
    silence_ns: int

    def keep(self, moment: "Moment") -> bool:
        """Say whether a moment is told; a loss always is."""
        return moment.severity is None or moment.severity >= self.least or moment.lost is not None


def _draw(reader: "Reader", asked: _Asked, look: Look) -> "Summary":
    """Draw head and story; give what is known of its clocks."""
    from kata_audit.pipeline.moments import COLUMNS
    from kata_audit.pipeline.timeline import Summary

    summary = Summary()
    for rows in reader.scan(asked.scope, asked.where, COLUMNS):
        summary.add(rows)
    _read_uptimes(reader, asked, summary)
    write_lines(head(asked.name, summary, look))
    write_lines(story(_told(reader, asked, summary), look))
    return summary


def _read_uptimes(reader: "Reader", asked: _Asked, summary: "Summary") -> None:
    """Ask for what guests' own files tell of their clocks, where no host record does."""
    from kata_audit.pipeline.uptime import UPTIME_COLUMNS, Uptimes
    from kata_audit.predicate.tree import OneOf, all_of
    from kata_audit.store.reader import Order

    alone = frozenset(box for box in summary.guest_timed if box is not None and summary.clocks.of(box) is None)
    if not alone:
        return
    uptimes = Uptimes()
    for rows in reader.scan(
        asked.scope, all_of(asked.where, OneOf("sandbox_id", alone)), UPTIME_COLUMNS, order=Order("seq")
    ):
        uptimes.add(rows)
    summary.clocks.tell(uptimes.jumps())


def _told(reader: "Reader", asked: _Asked, summary: "Summary") -> "Iterator[Told]":
    """Ask for the records of each clock, and tell them."""
    from kata_audit.pipeline.moments import COLUMNS
    from kata_audit.pipeline.timeline import tell, ways
    from kata_audit.predicate.tree import all_of

    answers = (reader.scan(asked.scope, all_of(asked.where, way), COLUMNS) for way in ways(summary))
    return tell(answers, summary.clocks, silence_ns=asked.silence_ns, keep=asked.keep)


def _followed(store: Path, asked: _Asked, summary: "Summary", sealed: int) -> "Iterator[Iterator[Told]]":
    """Look for newly sealed records every second."""
    from kata_audit.pipeline.moments import COLUMNS
    from kata_audit.predicate.tree import Compare, Op, all_of
    from kata_audit.wiring import reading

    say("following; Ctrl-C ends it")
    while True:
        time.sleep(_POLL_SECONDS)
        with reading(store) as reader:
            now = reader.status().sealed_to
            if now > sealed:
                new = asked._replace(where=all_of(asked.where, Compare("seq", Op.GE, sealed)))
                for rows in reader.scan(new.scope, new.where, COLUMNS):
                    summary.add(rows)
                yield _told(reader, new, summary)
                sealed = now
