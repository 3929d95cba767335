"""`kata-audit node`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kata_audit.cli.options import example
from kata_audit.cli.output import json_line, json_lines, output_option, write_lines
from kata_audit.cli.terminal import is_coloured, paint, show, terminal_width, wrap
from kata_audit.errors import Problem, UsageError

if TYPE_CHECKING:
    from kata_audit.node.examine import Examination, Finding

_FORMS = ("text", "json", "jsonl", "junit", "sarif", "ocsf")
_COLOURS = {"fail": "red", "warn": "yellow", "blind": "blue", "pass": "green"}
_SEVERITIES = ("critical", "high", "medium", "low", "info", "never")


@click.group("node")
def command() -> None:
    """Look at what this node is set up to log."""


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
        write_lines([json_line(report.as_objects(examination))])
    elif form == "jsonl":
        write_lines(json_lines((report.finding_object(one) for one in examination.findings), form))
    elif form == "junit":
        write_lines([report.as_junit(examination).decode()])
    elif form == "sarif":
        write_lines([json_line(report.as_sarif(examination))])
    else:
        time_ms = SystemClock().now_ns() // 1_000_000
        write_lines(json_lines(iter(report.as_ocsf(examination, node=node, time_ms=time_ms)), "jsonl"))


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
