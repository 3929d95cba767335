"""`kata-audit alerts`."""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kata_audit.cli import alert_acts
from kata_audit.cli.alert_delivery import deliver
from kata_audit.cli.alert_lookup import find_alert, folded
from kata_audit.cli.options import example, store_option
from kata_audit.cli.output import FORMATS, csv_lines, json_line, json_lines, output_option, write_lines
from kata_audit.cli.terminal import say, table, terminal_width
from kata_audit.cli.times import rfc3339, span
from kata_audit.schema.alert import ALERT_FIELDS, Status
from kata_audit.schema.finding import Level

if TYPE_CHECKING:
    from kata_audit.schema.alert import Alert

_TEXT = ("alert_id", "level", "status", "rule_id", "where", "count", "last_seen", "title")
_NARROW = ("alert_id", "level", "status", "rule_id", "where", "title")
"""What a terminal of fewer than 100 columns has room for."""
_WIDE = 100
_RANK = {level: rank for rank, level in enumerate(Level)}
_USUAL = frozenset({Status.OPEN, Status.ACKNOWLEDGED, Status.INHIBITED})
"""What is listed where nobody asks for more: what is not closed, and what nobody has silenced."""
_NS = 1_000_000_000


@click.group("alerts")
def command() -> None:
    """See what was detected, and say what you made of it.

    Alerts are a fold over findings and acts, which are records of the store: what is told here, whoever has the store can
    work out again.
    """


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="List closed, silenced, shadow and informational alerts too.")
@click.option("--shadow", is_flag=True, help="List alerts of rules that are not trusted here yet, and no others.")
@click.option("--level", type=click.Choice([str(level) for level in Level]), help="Only alerts of at least this level.")
@click.option("--rule", "rules", multiple=True, metavar="ID", help="Only alerts of this rule; may be repeated.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([str(status) for status in Status]),
    help="Only alerts of this status; may be repeated.",
)
@store_option
@output_option(formats=FORMATS)
@example("alerts list", "alerts list --level high", "alerts list --all -o jsonl")
def list_alerts(
    *,
    everything: bool,
    shadow: bool,
    level: str | None,
    rules: tuple[str, ...],
    statuses: tuple[str, ...],
    store: Path,
    form: str,
) -> None:
    """List alerts, the worst and newest first.

    Without an option it lists what is open. A claim, marked by `»`, rests on a guest's text alone.
    """
    from kata_audit.schema.alert import alert_fields

    alerts = folded(store).alerts.values()
    wanted = _wanted(everything=everything, shadow=shadow, level=level, rules=rules, statuses=statuses)
    found = sorted(filter(wanted, alerts), key=lambda one: (-_RANK[one.level], -one.last_ns, one.alert_id))
    if form == "text":
        width = terminal_width() if sys.stdout.isatty() else 0
        write_lines(_listing(found, width))
        hidden = sum(one.status is Status.SHADOW for one in alerts)
        if hidden and not (everything or shadow or statuses):
            say(f"{hidden:,} more are of rules that are not trusted here yet: `kata-audit alerts list --shadow`")
    elif form == "csv":
        write_lines(csv_lines(map(alert_fields, found), ALERT_FIELDS))
    else:
        write_lines(json_lines(map(alert_fields, found), form))


def _wanted(
    *, everything: bool, shadow: bool, level: str | None, rules: tuple[str, ...], statuses: tuple[str, ...]
) -> "Callable[[Alert], bool]":
    """Make what picks the alerts that are asked for."""
    asked = frozenset(statuses) or (frozenset(Status) if everything else {Status.SHADOW} if shadow else _USUAL)
    least = Level(level) if level else Level.INFORMATIONAL if everything or shadow or statuses else Level.LOW

    def wanted(alert: "Alert") -> bool:
        return alert.status in asked and _RANK[alert.level] >= _RANK[least] and (not rules or alert.rule_id in rules)

    return wanted


def _listing(alerts: Iterable["Alert"], width: int) -> Iterator[str]:
    """Lay alerts out for a terminal of some columns, or in full where `width` is 0."""
    names = _NARROW if 0 < width < _WIDE else _TEXT
    return table(names, (_cells(alert, names, short=bool(width)) for alert in alerts), width=width)


def _cells(alert: "Alert", names: Iterable[str], *, short: bool) -> list[str]:
    """Give a row's cells; for a terminal as much of id and time as people need."""
    last = rfc3339(alert.last_ns, digits=0)
    row = {
        "alert_id": alert.alert_id[:8] if short else alert.alert_id,
        "level": str(alert.level),
        "status": str(alert.status),
        "rule_id": alert.rule_id,
        "where": where_of(alert),
        "count": str(alert.count),
        "last_seen": last[5:16].replace("T", " ") if short else last,
        "title": f"{'» ' if alert.claim else ''}{alert.title}",
    }
    return [row[name] for name in names]


def where_of(alert: "Alert") -> str:
    """Say in short where an alert is: its pod, else its sandbox, else its node."""
    pod, namespace = alert.subject.get("k8s_pod"), alert.subject.get("k8s_namespace")
    if pod:
        return f"{namespace}/{pod}" if namespace else pod
    return alert.subject.get("sandbox_id", "")[:12] or alert.node


@command.command("show")
@click.argument("name", metavar="ID")
@store_option
@output_option(formats=("text", "json"))
@example("alerts show 3f1c", "alerts show 3f1c -o json")
def show_alert(*, name: str, store: Path, form: str) -> None:
    """Show one alert: what it rests on, what to do, and how to prove it.

    ID is an alert's id, or its first characters; or the whole id of a group, as a notice names it.
    """
    from kata_audit.cli.alert_story import group_screen, object_of, screen
    from kata_audit.schema.alert import alert_fields
    from kata_audit.wiring import alert_evidence

    state = folded(store)
    width = terminal_width() if sys.stdout.isatty() else 100
    members = [one for one in state.alerts.values() if name and one.group_id == name]
    if members:
        members.sort(key=lambda one: (one.node, one.alert_id))
        head = group_screen(name, members, width)
        lines = [*head, *_listing(members, width if sys.stdout.isatty() else 0)]
        write_lines(lines if form == "text" else [json_line({"group_id": name, "alerts": list(map(alert_fields, members))})])
        return
    alert = find_alert(state, name)
    evidence = alert_evidence(store, alert)
    if form == "json":
        write_lines([json_line(object_of(alert, state, evidence))])
    else:
        write_lines(screen(alert, state, evidence, width=width))


@command.command("stats")
@store_option
@output_option(formats=FORMATS)
@example("alerts stats", "alerts stats -o jsonl")
def stats(*, store: Path, form: str) -> None:
    """Say of each rule how often it calls people, how often it is right, and how long people need.

    `precision` is how many of its closings were right, of those that were right or wrong. `share` is the rule's part of all
    that people were told.
    """
    from kata_audit.detect.alert_statistics import RuleStatistics, rule_statistics

    found = rule_statistics(folded(store).alerts.values())
    told = sum(one.told for one in found)
    rows = [{**one._asdict(), "share": one.told / told if told else 0.0} for one in found]
    names = (*RuleStatistics._fields, "share")
    if form == "text":
        write_lines(table(names, (list(_numbers(row, names)) for row in rows), width=0))
    elif form == "csv":
        write_lines(csv_lines(rows, names))
    else:
        write_lines(json_lines(rows, form))


def _numbers(row: dict[str, Any], names: Iterable[str]) -> Iterator[str]:
    for name in names:
        value = row[name]
        if value is None:
            yield "-"
        elif name in ("precision", "share"):
            yield f"{value:.0%}"
        else:
            yield span(int(value * _NS)) if name.endswith("_secs") else str(value)


for one in (*alert_acts.COMMANDS, deliver):
    command.add_command(one)
