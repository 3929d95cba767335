"""`kata-audit node`."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kata_audit.cli.acting import account, person
from kata_audit.cli.canary import canary
from kata_audit.cli.options import configured, example, store_option
from kata_audit.cli.output import json_line, output_option, write_lines
from kata_audit.cli.terminal import is_coloured, paint, say, show, terminal_width, wrap
from kata_audit.errors import KataAuditError, Problem, UsageError

if TYPE_CHECKING:
    from kata_audit.node.apply import Act
    from kata_audit.node.examine import Examination, Finding
    from kata_audit.node.plan import ClassPlan, JournaldPlan, Plan

_FORMS = ("text", "json", "jsonl", "junit", "sarif", "ocsf")
_COLOURS = {"fail": "red", "warn": "yellow", "blind": "blue", "pass": "green"}
_SEVERITIES = ("critical", "high", "medium", "low", "info", "never")


@click.group("node")
def command() -> None:
    """Check what this node is set up to log, and set it up."""


command.add_command(canary)


@command.command("check")
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    default="/",
    show_default=True,
    help="The node's root: a folder, or a .tar of its files.",
)
@click.option("--check", "only", multiple=True, metavar="ID", help="Ask only this check; may be repeated.")
@click.option("--skip", "without", multiple=True, metavar="ID", help="Do not ask this check; may be repeated.")
@click.option(
    "--fail-on",
    type=click.Choice(_SEVERITIES),
    default="high",
    show_default=True,
    help="Exit with 1 for failures so severe.",
)
@click.option("--all", "everything", is_flag=True, help="Show what passed, too.")
@click.option("--node", help="<cluster>/<node name>, for the forms that carry it.")
@output_option(formats=_FORMS)
@example("node check", "node check --root /host -o sarif", "node check --root worker-a.tar.gz --check KN-002")
def check(
    *,
    root: Path,
    only: tuple[str, ...],
    without: tuple[str, ...],
    fail_on: str,
    everything: bool,
    node: str | None,
    form: str,
) -> None:
    """Say what an auditor could learn from this node's logs, and what nobody will see.

    Reads the configuration of the container engine, of Kata and of the programs around it, as they would read it; changes
    nothing and asks no running program. BLIND means that it cannot be told, which is never a pass.
    """
    from kata_audit.node.check import Severity
    from kata_audit.wiring import default_node, examine_node

    _known_checks((*only, *without))
    examination = examine_node(root, only=only, without=without)
    _write(examination, form, node or default_node(), everything=everything)
    if fail_on != "never" and examination.worst(Severity(fail_on)):
        click.get_current_context().exit(1)


def _known_checks(names: tuple[str, ...]) -> None:
    """See that every named check is one.

    Raises:
        UsageError: Names all that are not.
    """
    from kata_audit.wiring import node_checks

    known = {one.id for one in node_checks()}
    unknown = [name for name in names if name not in known]
    if unknown:
        problems = [Problem(name, "no check is called so") for name in unknown]
        raise UsageError(
            "A check that does not exist was named.", problems=problems, hint="`docs/reference/checks` lists them."
        )


def _write(examination: "Examination", form: str, node: str, *, everything: bool) -> None:
    from kata_audit.clock import SystemClock
    from kata_audit.node import report

    if form == "text":
        write_lines(_text(examination, everything=everything))
    elif form == "json":
        write_lines([_line(report.as_objects(examination))])
    elif form == "jsonl":
        write_lines(_line(report.finding_object(one)) for one in examination.findings)
    elif form == "junit":
        write_lines([report.as_junit(examination).decode()])
    elif form == "sarif":
        write_lines([_line(report.as_sarif(examination))])
    else:
        time_ms = SystemClock().now_ns() // 1_000_000
        write_lines(_line(one) for one in report.as_ocsf(examination, node=node, time_ms=time_ms))


def _line(told: Mapping[str, Any]) -> str:
    """Spell an object as one line of JSON; a name of a file that is no UTF-8 is spelled out."""
    return json_line(_whole(told))


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_whole(key): _whole(inner) for key, inner in value.items()}
    return [_whole(inner) for inner in value] if isinstance(value, list | tuple) else value


def _text(examination: "Examination", *, everything: bool) -> Iterator[str]:
    """Tell what was found: each check that did not pass, its subjects together, and the sums."""
    from kata_audit.node.report import summary

    coloured, width = is_coloured(sys.stdout), terminal_width()
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in examination.findings:
        if everything or finding.answer.status != "pass":
            groups.setdefault((finding.check.id, finding.answer.status, finding.answer.said), []).append(finding)
    for (check, status, said), findings in groups.items():
        first = findings[0]
        label = paint(f"{status.upper():5}", _COLOURS[status], coloured=coloured)
        subjects = ", ".join(one.answer.subject for one in findings)
        yield f"{label} {check} {paint(show(first.check.title), 'bold', coloured=coloured)} ({first.check.severity})"
        yield from wrap(f"{subjects}: {said}", width, indent=6)
        for evidence in first.answer.evidence[:3]:
            line = f":{evidence.line}" if evidence.line is not None else ""
            yield from wrap(f"{evidence.path}{line}  {evidence.text}", width, indent=8)
        if status in {"fail", "blind", "warn"}:
            yield from wrap(f"→ {first.check.remedy}", width, indent=6)
    layout = examination.node.layout
    engines = ", ".join(f"{engine.name} ({engine.distribution})" for engine in layout.engines) or "no engine"
    counts = ", ".join(f"{count} {status.upper()}" for status, count in summary(examination).items())
    yield show(f"{engines}; {len(layout.classes)} classes of Kata; {counts}")


_PROFILES = ("development", "production", "security-sensitive", "confidential")
_PLAN_FORMS = ("text", "json", "toml", "helm-values", "machineconfig", "ansible")


def _plan_options(function: Any) -> Any:
    for decorate in (
        click.option("--confirm-measured", is_flag=True, help="Change classes too whose guest is measured."),
        click.option("--class", "classes", multiple=True, metavar="HANDLER", help="Only this class; may be repeated."),
        click.option("--profile", type=click.Choice(_PROFILES), default="production", show_default=True),
        click.option("--root", type=click.Path(path_type=Path), default="/", show_default=True, help="The node's root."),
    ):
        function = decorate(function)
    return function


@command.command("plan")
@_plan_options
@output_option(formats=_PLAN_FORMS)
@example("node plan --profile production", "node plan --class kata-qemu-runtime-rs -o helm-values")
def plan(*, root: Path, profile: str, classes: tuple[str, ...], confirm_measured: bool, form: str) -> None:
    """Say what a profile would change, class by class and in the journal, and what it refuses to touch.

    Nothing is written. Each change is held against what that runtime really accepts before it is offered. A class that
    shares its directory with others, or whose guest is measured, is refused. Where classes are named, the journal is left
    alone.
    """
    from kata_audit.node import gitops
    from kata_audit.wiring import plan_node

    made = plan_node(root, profile, classes=classes, confirmed=confirm_measured)
    if form == "text":
        write_lines(_plan_text(made))
    elif form == "json":
        each = [_class_object(one) for one in made.classes]
        journal = None if made.journald is None else _journald_object(made.journald)
        write_lines([_line({"profile": made.profile.name, "classes": each, "journald": journal})])
    else:
        spell = {"toml": gitops.as_toml, "helm-values": gitops.as_helm_values, "machineconfig": gitops.as_machineconfig}
        write_lines(spell.get(form, gitops.as_ansible)(made).splitlines())


def _class_object(one: "ClassPlan") -> dict[str, Any]:
    return {**one._asdict(), "changes": [change._asdict() for change in one.changes]}


def _journald_object(one: "JournaldPlan") -> dict[str, Any]:
    changes = [{"key": key, "before": before, "after": after} for key, before, after in one.changes]
    return {**one._asdict(), "changes": changes}


def _plan_text(made: "Plan") -> Iterator[str]:
    from kata_audit.node.check import spelled

    coloured, width = is_coloured(sys.stdout), terminal_width()
    yield from wrap(f"{made.profile.name}: {made.profile.summary}", width, indent=0)
    if not made.classes:
        yield from wrap("No class of Kata was found: `kata-audit node check` says where it looked.", width, indent=0)
    for one in made.classes:
        yield ""
        yield paint(show(one.handler), "bold", coloured=coloured)
        if one.refused is not None:
            yield from wrap(f"refused: {one.refused}", width, indent=2)
        elif one.path is None:
            yield "  as it should be: nothing to change"
        else:
            yield from wrap(f"{one.path}, from the {one.takes_effect} on; reaches {', '.join(one.reaches)}", width, indent=2)
            if not one.changes:
                yield from wrap("sets nothing: what an earlier profile set is taken back", width, indent=2)
            for change in one.changes:
                yield paint(show(f"  - [{change.table}] {change.key} = {spelled(change.before)}"), "red", coloured=coloured)
                yield paint(show(f"  + [{change.table}] {change.key} = {spelled(change.after)}"), "green", coloured=coloured)
        if one.measured is not None:
            yield from wrap(f"measured command line now: {one.measured[0]}", width, indent=2)
            yield from wrap(f"measured command line then: {one.measured[1]}", width, indent=2)
    if made.journald is not None:
        yield from _journald_text(made.journald, width, coloured=coloured)


def _journald_text(one: "JournaldPlan", width: int, *, coloured: bool) -> Iterator[str]:
    yield ""
    yield paint("journald", "bold", coloured=coloured)
    if one.refused is not None:
        yield from wrap(f"refused: {one.refused}", width, indent=2)
    elif one.path is None:
        yield "  as it should be: nothing to change"
    else:
        yield from wrap(f"{one.path}, from the {one.takes_effect} on", width, indent=2)
        for key, before, after in one.changes:
            yield paint(
                show(f"  - {key}={before}" if before is not None else f"  - {key} is not set"), "red", coloured=coloured
            )
            yield paint(show(f"  + {key}={after}"), "green", coloured=coloured)


@command.command("apply")
@_plan_options
@click.option("--unmanaged", is_flag=True, help="Write although an installer lays these files out and will delete ours.")
@store_option
@output_option(formats=("text", "json"))
@example("node apply --profile production --class kata-qemu-runtime-rs")
def apply(
    *,
    root: Path,
    profile: str,
    classes: tuple[str, ...],
    confirm_measured: bool,
    unmanaged: bool,
    store: Path,
    form: str,
) -> None:
    """Write a profile's drop-ins to this node: for its classes and, where none are named, for journald.

    Writes drop-ins only, each whole or not at all, with a backup of what stood there; restarts nothing. Where kata-deploy
    keeps the node, its clean-up deletes what we write: give it `node plan -o helm-values` instead. Where there is a store,
    the change is a record in it.
    """
    from kata_audit.wiring import apply_node

    def act() -> "list[Act]":
        return apply_node(root, profile, classes=classes, confirmed=confirm_measured, unmanaged=unmanaged)

    _write_acts(_recorded("apply", root, profile, store, act), form)


@command.command("revert")
@click.option("--root", type=click.Path(path_type=Path), default="/", show_default=True, help="The node's root.")
@store_option
@output_option(formats=("text", "json"))
@example("node revert")
def revert(*, root: Path, store: Path, form: str) -> None:
    """Take our drop-ins away, and put back byte for byte what stood in their place.

    Where there is a store, the change is a record in it.
    """
    from kata_audit.wiring import revert_changes

    _write_acts(_recorded("revert", root, "", store, lambda: revert_changes(root)), form)


def _recorded(what: str, root: Path, profile: str, store: Path, act: Callable[[], "list[Act]"]) -> "list[Act]":
    """Change a node, with a record before anything is written, and one of what was done or why it broke off."""
    from kata_audit.clock import SystemClock
    from kata_audit.node.acts import KIND, Change, spell_begin, spell_done, spell_failure
    from kata_audit.wiring import has_store, leave_records, record

    if not has_store(store):
        say(f"there is no store at {show(str(store))}: this change is in no record; name one with --store")
        return act()
    change, clock, config = Change(what, str(root.absolute()), profile, account(), person()), SystemClock(), configured()
    leave_records(store, KIND, [spell_begin(change, clock.now_ns())], config)
    try:
        acts = act()
    except KataAuditError as error:
        leave_records(store, KIND, [spell_failure(change, error.message, clock.now_ns())], config)
        raise
    if not record(store, KIND, spell_done(change, acts, clock.now_ns()), config):
        say("the change is done; its record is durable, and waits for the process that writes to this store")
    return acts


def _write_acts(acts: "list[Act]", form: str) -> None:
    if form == "json":
        write_lines([_line({"acts": [act._asdict() for act in acts]})])
    else:
        write_lines(show(f"{act.done:10} {act.handler}: {act.path}") for act in acts) if acts else write_lines(
            ["nothing to do"]
        )
