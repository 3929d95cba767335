"""The acts of `kata-audit alerts`: what a person did, recorded in the store with who, when and why."""

import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from kata_audit.cli.acting import account, person
from kata_audit.cli.alert_lookup import find_ids, folded
from kata_audit.cli.options import configured, example, store_option
from kata_audit.cli.output import csv_lines, json_lines, output_option, write_lines
from kata_audit.cli.terminal import say, show, table, terminal_width
from kata_audit.cli.times import Time, rfc3339
from kata_audit.errors import Problem, UsageError
from kata_audit.schema.act import ACT_KIND, SILENCE_FIELDS, Act, ActKind, Verdict, mistakes_of, to_line

_OPTION_OF = {"reason": "--reason", "end": "--for or --until", "match": "--match", "verdict": "--verdict", "target": "ID"}
_DONE = {
    ActKind.ACK: "acknowledged",
    ActKind.CLOSE: "closed",
    ActKind.REOPEN: "opened again",
    ActKind.ESCALATE: "escalated",
    ActKind.SILENCE: "silenced",
    ActKind.UNSILENCE: "ended",
}
_SILENCE_COLUMNS = ("silence_id", "owner", "since", "until", "ended", "ended_by", "matches", "reason")


def _who_options(function: Any) -> Any:
    """Add who did it and why."""
    named = click.option("--as", "on_behalf", default="", metavar="NAME", help="Whose act it is, beside the account's.")
    why = click.option("--reason", default="", metavar="TEXT", help="Why; needed.")
    return why(named(store_option(function)))


def _acts(kind: ActKind, targets: Sequence[str], *, reason: str, on_behalf: str, **parts: Any) -> list[Act]:
    """Make an act for each target.

    Raises:
        UsageError: All that is wrong with them.
    """
    from kata_audit.clock import SystemClock

    now, user, asked = SystemClock().now_ns(), account(), person(on_behalf)
    acts = [
        Act(secrets.token_hex(16), kind, now + at, user, reason, target, asked, **parts) for at, target in enumerate(targets)
    ]
    wrong = {(part, why): None for act in acts for part, why in mistakes_of(act)}
    if wrong:
        problems = [Problem(_OPTION_OF.get(part, f"--{part}"), why) for part, why in wrong]
        raise UsageError("This cannot be recorded.", problems=problems, hint=f"See `kata-audit alerts {kind} --help`.")
    return acts


def _record(acts: Sequence[Act], store: Path, what: str) -> None:
    """Record acts, and say what was done."""
    from kata_audit.wiring import record

    is_in = record(store, ACT_KIND, [to_line(act) for act in acts], configured())
    for act in acts:
        name = act.act_id if act.kind is ActKind.SILENCE else act.target
        write_lines([f"{what} {show(name)}: {_DONE[act.kind]} by {show(act.who)}"])
    if not is_in:
        say("it is durable, and waits for the process that writes to this store")


def _targets(store: Path, names: Sequence[str]) -> list[str]:
    state = folded(store)
    return find_ids(names, [*state.alerts, *state.groups], "alert")


def _simple(kind: ActKind, text: str, *examples: str) -> click.Command:
    """Make a command that does one thing to alerts and asks for nothing but the reason."""

    def act(*, names: tuple[str, ...], reason: str, on_behalf: str, store: Path) -> None:
        _record(_acts(kind, _targets(store, names), reason=reason, on_behalf=on_behalf), store, "alert")

    act.__doc__ = text
    named: Callable[..., Any] = click.argument("names", metavar="ID…", nargs=-1, required=True)(_who_options(act))
    return click.command(str(kind))(example(*examples)(named))


ACK = _simple(
    ActKind.ACK,
    "Say that somebody looks at alerts: they are escalated no more.\n\nID is that of an alert or a group, or its beginning.",
    "alerts ack 3f1c --reason 'I look at it' --as alice",
)
REOPEN = _simple(ActKind.REOPEN, "Open closed alerts again.", "alerts reopen 3f1c --reason 'closed by mistake'")
ESCALATE = _simple(
    ActKind.ESCALATE,
    "Call the next people now, whatever keeps alerts quiet.",
    "alerts escalate 3f1c --reason 'I need help with this'",
)


@click.command("close")
@click.argument("names", metavar="ID…", nargs=-1, required=True)
@click.option("--verdict", type=click.Choice([str(one) for one in Verdict]), help="What it was; needed.")
@_who_options
@example(
    "alerts close 3f1c --verdict benign --reason 'the backup job, as every night'",
    "alerts close 3f1c 77ab --verdict true-positive --reason 'case 1288' --as alice",
)
def close(*, names: tuple[str, ...], verdict: str | None, reason: str, on_behalf: str, store: Path) -> None:
    """Close alerts with a verdict.

    A later finding opens an alert again. Closing a closed alert changes its verdict.
    """
    judged = Verdict(verdict) if verdict else None
    targets = _targets(store, names)
    _record(_acts(ActKind.CLOSE, targets, reason=reason, on_behalf=on_behalf, verdict=judged), store, "alert")


@click.command("silence")
@click.argument("name", metavar="[ID]", required=False)
@click.option("--match", "asked", multiple=True, metavar="FIELD=VALUE", help="What an alert must have; all that are given.")
@click.option("--for", "length", metavar="TIME", help="How long: 2h, 3 days; at most 90 days.")
@click.option("--until", type=Time(), help="Until when.")
@_who_options
@example(
    "alerts silence --match rule_id=KA-008 --match 'k8s_namespace=ci-*' --for 2h --reason 'load test, case 1290'",
    "alerts silence 3f1c --until '2026-12-01 08:00' --reason 'known, fixed in the next release'",
)
def silence(
    *,
    name: str | None,
    asked: tuple[str, ...],
    length: str | None,
    until: int | None,
    reason: str,
    on_behalf: str,
    store: Path,
) -> None:
    """Tell nobody of alerts that match, until a time.

    They are listed and counted all the same, and what came meanwhile is told at the end. A critical alert is silenced only
    by its rule or its own id. A value that ends in `*` is a beginning.
    """
    matches = _matches(asked)
    if name is not None:
        matches["alert_id"] = find_ids([name], folded(store).alerts, "alert")[0]
    parts = {"matches": matches, "until_ns": _end(length, until)}
    _record(_acts(ActKind.SILENCE, [""], reason=reason, on_behalf=on_behalf, **parts), store, "silence")


def _matches(asked: Sequence[str]) -> dict[str, str]:
    """Read `field=value`.

    Raises:
        UsageError: All that are none.
    """
    pairs = [text.partition("=") for text in asked]
    wrong = [Problem("--match", f"{''.join(pair)!r} is no FIELD=VALUE") for pair in pairs if not (pair[0] and pair[1])]
    names = [pair[0] for pair in pairs]
    wrong += [Problem("--match", f"`{name}` is named twice") for name in dict.fromkeys(names) if names.count(name) > 1]
    if wrong:
        hint = f"Fields are {', '.join(SILENCE_FIELDS)}."
        raise UsageError("This cannot be recorded.", problems=wrong, hint=hint)
    return {name: value for name, _, value in pairs}


def _end(length: str | None, until: int | None) -> int | None:
    """Read when a silence ends.

    Raises:
        UsageError: Both are given, or what is given is no length.
    """
    from kata_audit.cli.times import parse_time
    from kata_audit.clock import SystemClock

    if length is None:
        return until
    if until is not None:
        raise UsageError("A silence has one end.", where="--for, --until", hint="Say one of them.")
    try:
        return parse_time(f"+{length.strip().lstrip('+')}", SystemClock().now_ns())
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{length!r} is no length of time.", where="--for", hint="Write `2h` or `3 days`.") from error


@click.command("unsilence")
@click.argument("names", metavar="SILENCE…", nargs=-1, required=True)
@_who_options
@example("alerts unsilence 9c41 --reason 'the load test is over'")
def unsilence(*, names: tuple[str, ...], reason: str, on_behalf: str, store: Path) -> None:
    """End silences now."""
    active = [one.silence_id for one in folded(store).silences.values() if one.ended_ns is None]
    targets = find_ids(names, active, "silence")
    _record(_acts(ActKind.UNSILENCE, targets, reason=reason, on_behalf=on_behalf), store, "silence")


@click.command("silences")
@click.option("--all", "everything", is_flag=True, help="List those that ended too.")
@store_option
@output_option()
@example("alerts silences", "alerts silences --all -o jsonl")
def silences(*, everything: bool, store: Path, form: str) -> None:
    """List silences: whose, why, of what and until when."""
    known = sorted(folded(store).silences.values(), key=lambda one: (one.until_ns, one.silence_id))
    rows = [
        {
            "silence_id": one.silence_id,
            "owner": one.owner,
            "since": rfc3339(one.since_ns),
            "until": rfc3339(one.until_ns),
            "ended": "" if one.ended_ns is None else rfc3339(one.ended_ns),
            "ended_by": one.ended_by,
            "matches": dict(one.matches),
            "reason": one.reason,
        }
        for one in known
        if everything or one.ended_ns is None
    ]
    if form == "text":
        cells = ([_cell(name, row[name]) for name in _SILENCE_COLUMNS] for row in rows)
        write_lines(table(_SILENCE_COLUMNS, cells, width=terminal_width() if sys.stdout.isatty() else 0))
    elif form == "csv":
        write_lines(csv_lines(rows, _SILENCE_COLUMNS))
    else:
        write_lines(json_lines(rows, form))


def _cell(name: str, value: Any) -> str:
    if name == "matches":
        return " ".join(f"{field}={asked}" for field, asked in value.items())
    if name in ("since", "until", "ended") and value:
        return f"{value[:19]}Z"
    return str(value)


COMMANDS = (ACK, close, REOPEN, ESCALATE, silence, unsilence, silences)
