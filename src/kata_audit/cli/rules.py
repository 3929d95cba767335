"""`kata-audit rules`."""

import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kata_audit.cli import rules_baseline, rules_hunt, rules_test
from kata_audit.cli.options import configured, default_data, example, missing_inputs
from kata_audit.cli.output import FORMATS, csv_lines, json_line, json_lines, output_option, write_lines
from kata_audit.cli.terminal import say, show, table, terminal_width
from kata_audit.errors import UsageError

if TYPE_CHECKING:
    from kata_audit.detect.rule import Rule
    from kata_audit.pipeline.convert import Converted

TARGETS = ("splunk", "elasticsearch", "opensearch", "loki")
_CONVERTERS = "KATA_AUDIT_CONVERTERS"
"""Environment variable that names the environment of the converters."""
_LISTED = ("rule", "level", "status", "kind", "needs", "title")


@click.group("rules")
def command() -> None:
    """Look after the detection rules."""


@command.command("check")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@example("rules check", "rules check my-rules/*.yml")
def check(files: tuple[Path, ...]) -> None:
    """Check rule files, and report every mistake at once.

    Without FILES it checks the rules of the package and those of the configured folder. Rules in FILES may use rules of the
    package.
    """
    from kata_audit import wiring

    missing_inputs(map(str, files))
    checked = wiring.check_rules(files, configured().rules)
    write_lines([f"ok: {checked.rules} rules in {checked.files} files"])


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="List the parts of rules too, and rules that are off.")
@output_option(formats=FORMATS)
@example("rules list", "rules list -o jsonl")
def list_rules(form: str, *, everything: bool) -> None:
    """List the rules that run here: those of the package, those of the configured folder, and baselines."""
    from kata_audit import wiring

    config = configured()
    rules = sorted(wiring.rules(config.rules), key=lambda rule: rule.rule_id)
    rows = [_summary(rule) for rule in rules if everything or not rule.silent]
    rows += [rules_baseline.summary(kind, config) for kind in rules_baseline.kinds(config).values()]
    if form == "text":
        width = terminal_width() if sys.stdout.isatty() else 0
        write_lines(table(_LISTED, ([_cell(row[name]) for name in _LISTED] for row in rows), width=width))
    elif form == "csv":
        write_lines(csv_lines(rows, tuple(rows[0]) if rows else _LISTED))
    else:
        write_lines(json_lines(rows, form))


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " and ".join("/".join(group) for group in value)
    return str(value)


def _summary(rule: "Rule") -> dict[str, Any]:
    from kata_audit.detect.rule import Absence, Correlation

    kind = rule.when.kind if isinstance(rule.when, Correlation) else "absence" if isinstance(rule.when, Absence) else "event"
    return {
        "rule": rule.rule_id,
        "title": rule.about.title,
        "level": str(rule.level),
        "status": str(rule.maturity),
        "kind": str(kind),
        "silent": rule.silent,
        "needs": [sorted(map(str, group)) for group in rule.needs],
        "group_by": list(rule.group_by),
        "tags": list(rule.about.tags),
        "controls": list(rule.about.controls),
        "file": rule.place,
        "digest": rule.digest,
    }


@command.command("explain")
@click.argument("names", metavar="RULE…", nargs=-1, required=True)
@output_option(formats=("text", "json", "jsonl"))
@example("rules explain KA-008", "rules explain KA-008 KA-009 -o jsonl")
def explain_rules(names: tuple[str, ...], form: str) -> None:
    """Explain rules: what each looks for, the query that finds it, what it needs, and what it cannot see."""
    from kata_audit import wiring

    config = configured()
    rules = {rule.rule_id: rule for rule in wiring.rules(config.rules)}
    kinds = rules_baseline.kinds(config)
    _see_known(names, {*rules, *kinds})
    found = [
        rules_baseline.explained(kinds[name], config) if name in kinds else _explained(rules[name], rules) for name in names
    ]
    if form == "text":
        write_lines(line for one in found for line in _page(one))
    else:
        write_lines(json_lines(found, form))


def _explained(rule: "Rule", rules: dict[str, "Rule"]) -> dict[str, Any]:
    from kata_audit.detect.explain import NEEDS, explain
    from kata_audit.detect.rule import Absence, Correlation
    from kata_audit.predicate.sql import print_sql

    about, when = rule.about, rule.when
    names: tuple[str, ...] = ()
    query: dict[str, Any] | None = None
    if isinstance(when, Correlation):
        names = when.rules
    elif isinstance(when, Absence):
        names = (when.trigger, *when.unless)
    else:
        sql = print_sql(when)
        text = f"SELECT * FROM records WHERE {sql.text}"  # noqa: S608 - shown, not run; values are parameters
        query = {"sql": text, "parameters": list(sql.parameters)}
    return {
        **_summary(rule),
        "description": about.description,
        "looks_for": explain(when),
        "query": query,
        "blind_without": [sorted(NEEDS[need] for need in group) for group in rule.needs],
        "false_positives": list(about.false_positives),
        "cannot_see": list(about.evasions),
        "respond": list(about.respond),
        "references": list(about.references),
        "lists": list(about.lists),
        "parts": [_explained(rules[name], rules) for name in names],
    }


def _page(one: dict[str, Any]) -> Iterator[str]:
    yield show(f"{one['rule']}  {one['title']}")
    yield show(f"  {one['level']}, {one['status']}, {one['file']}")
    if one["description"]:
        yield from _section("what", [one["description"]])
    yield from _section("looks for", one["looks_for"])
    if one["query"]:
        yield from _section("query", [one["query"]["sql"], f"with {json_line({'parameters': one['query']['parameters']})}"])
    yield from _section("blind without", [" or ".join(group) for group in one["blind_without"]])
    for title, key in (
        ("leaves out what is in", "lists"),
        ("may be harmless", "false_positives"),
        ("cannot see", "cannot_see"),
        ("respond", "respond"),
        ("tags", "tags"),
        ("controls", "controls"),
        ("references", "references"),
    ):
        yield from _section(title, one[key])
    yield ""
    for part in one["parts"]:
        yield from (f"    {line}" if line else "" for line in _page(part))


def _section(title: str, lines: Sequence[str] | Iterable[str]) -> Iterator[str]:
    shown = list(lines)
    if shown:
        yield f"  {title}:"
        yield from (show(f"    {line}") for line in shown)


@command.command("convert")
@click.argument("names", metavar="[RULE…]", nargs=-1)
@click.option("-t", "--target", type=click.Choice(TARGETS), required=True, help="The log system to write queries for.")
@click.option(
    "--environment",
    type=click.Path(path_type=Path),
    envvar=_CONVERTERS,
    help=f"Python environment of the converters; else ${_CONVERTERS}, else `converters` in the user's data directory.",
)
@output_option(formats=("text", "json", "jsonl"))
@example("rules convert -t splunk KA-008", "rules convert -t loki -o jsonl")
def convert_rules(names: tuple[str, ...], target: str, environment: Path | None, form: str) -> None:
    """Convert rules into queries of another log system: best effort, with what is lost stated beside each.

    Filters, allow-lists and the source of records are put into the query. Vendors' converters do the work, in a Python
    environment of their own; where it is absent, the command that makes it is told. Rules that cannot be converted are told
    on stderr, and the exit code is 1.
    """
    from kata_audit import wiring
    from kata_audit.pipeline.convert import convert

    rules = {rule.rule_id: rule for rule in wiring.rules(configured().rules)}
    _see_known(names, rules)
    chosen = [rules[name] for name in names] or sorted(
        (rule for rule in rules.values() if not rule.silent), key=lambda rule: rule.rule_id
    )
    converted = convert(chosen, rules, target, environment or default_data() / "converters")
    good = [one for one in converted if one.queries]
    if form == "text":
        write_lines(line for one in good for line in _query(rules[one.rule_id], one))
    else:
        rows = ({"rule": one.rule_id, "target": target, "queries": one.queries, "losses": one.losses} for one in good)
        write_lines(json_lines(rows, form))
    for one in converted:
        if not one.queries:
            say(f"{one.rule_id}: not converted: {one.error or 'the converter gave no query'}")
    if len(good) < len(converted):
        click.get_current_context().exit(1)


def _query(rule: "Rule", converted: "Converted") -> Iterator[str]:
    yield show(f"# {rule.rule_id}  {rule.about.title}")
    yield from (show(f"#   lost: {loss}") for loss in converted.losses)
    for query in converted.queries:
        yield from map(show, query.split("\n"))
    yield ""


def _see_known(names: Sequence[str], rules: Collection[str]) -> None:
    if unknown := [name for name in names if name not in rules]:
        raise UsageError(f"There is no rule {', '.join(unknown)}.", hint="`kata-audit rules list --all` has all of them.")


command.add_command(rules_test.command)
command.add_command(rules_hunt.command)
