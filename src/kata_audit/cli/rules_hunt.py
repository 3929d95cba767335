"""`kata-audit rules hunt`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kata_audit.cli.asking import between, scope_of
from kata_audit.cli.options import configured, example, namespace_option, store_option, time_options
from kata_audit.cli.output import json_lines, output_option, write_lines
from kata_audit.cli.terminal import show, table, terminal_width
from kata_audit.cli.times import rfc3339

if TYPE_CHECKING:
    from kata_audit.pipeline.hunting import Verdict
    from kata_audit.schema.finding import Finding


@click.command("hunt")
@click.argument("names", nargs=-1, metavar="[RULE]...")
@click.option("--verdicts", is_flag=True, help="Say of each rule whether it found something, is quiet, or is blind.")
@time_options
@namespace_option
@store_option
@output_option(formats=("text", "json", "jsonl"))
@example("rules hunt --since '30 days ago'", "rules hunt KA-034 KA-089 -o jsonl", "rules hunt --verdicts")
def command(
    *,
    names: tuple[str, ...],
    verdicts: bool,
    since: int | None,
    until: int | None,
    namespaces: tuple[str, ...],
    store: Path,
    form: str,
) -> None:
    """Judge the records of a store by rules, again or by new ones.

    Without RULE all rules are asked. A rule whose sources the store does not have is blind, and said to be. Nothing is
    recorded; what records were judged as they came is in `kata-audit alerts`.
    """
    from kata_audit.pipeline import hunting
    from kata_audit.wiring import reading, rules_named

    rules = rules_named(names, configured().rules)
    scope, when = scope_of(namespaces), between(since, until)
    with reading(store) as reader:
        findings = list(hunting.hunt(reader, scope, rules, when))
        said = hunting.verdicts(rules, findings, hunting.present(reader, scope, when))
    if form == "text":
        write_lines(_verdicts(said) if verdicts else [*_findings(findings), *_summary(said)])
    else:
        write_lines(json_lines(map(_verdict_row, said) if verdicts else map(_row, findings), form))


def _findings(findings: Sequence["Finding"]) -> Iterator[str]:
    if not findings:
        return iter(())
    head = ("TIME", "LEVEL", "RULE", "WHERE", "TITLE")
    rows = (
        (rfc3339(one.time_ns, digits=3), _level(one), one.rule_id, show(_where(one)), show(one.title)) for one in findings
    )
    return table(head, rows, width=terminal_width())


def _level(one: "Finding") -> str:
    return f"{one.level} (claim)" if one.claim else str(one.level)


def _where(one: "Finding") -> str:
    subject = one.subject
    if "k8s_pod" in subject:
        return f"{subject.get('k8s_namespace', '?')}/{subject['k8s_pod']}"
    return subject.get("sandbox_id", one.node)[:20]


def _summary(said: Sequence["Verdict"]) -> Iterator[str]:
    counts = {word: sum(one.word == word for one in said) for word in ("found", "quiet", "blind")}
    yield ""
    yield f"{len(said)} rules: {counts['found']} found something, {counts['quiet']} are quiet, {counts['blind']} are blind."
    lacks = sorted({need for one in said if one.word == "blind" for need in one.blind})
    if lacks:
        yield f"blind without {'; '.join(lacks)}. `--verdicts` has each rule."


def _verdicts(said: Sequence["Verdict"]) -> Iterator[str]:
    rows = (
        (one.rule.rule_id, one.word, str(one.findings or ""), "; ".join(one.blind), show(one.rule.about.title))
        for one in said
    )
    return table(("RULE", "VERDICT", "FINDINGS", "BLIND WITHOUT", "TITLE"), rows, width=terminal_width())


def _verdict_row(one: "Verdict") -> dict[str, Any]:
    return {
        "rule": one.rule.rule_id,
        "verdict": one.word,
        "findings": one.findings,
        "blind_without": list(one.blind),
        "level": str(one.rule.level),
        "title": one.rule.about.title,
    }


def _row(one: "Finding") -> dict[str, Any]:
    return {
        "finding_id": one.finding_id,
        "rule_id": one.rule_id,
        "title": one.title,
        "level": str(one.level),
        "maturity": str(one.maturity),
        "claim": one.claim,
        "node": one.node,
        "tenant": one.tenant,
        "first_time": rfc3339(one.first_ns),
        "time": rfc3339(one.time_ns),
        "count": one.count,
        "records": list(one.records),
        "subject": dict(one.subject),
        "detail": dict(one.detail),
    }
