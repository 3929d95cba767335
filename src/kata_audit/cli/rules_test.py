"""`kata-audit rules test`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from kata_audit.cli.options import configured, example
from kata_audit.cli.output import json_lines, output_option, write_lines
from kata_audit.cli.terminal import progress, show, table, terminal_width
from kata_audit.errors import Problem, RulesError

if TYPE_CHECKING:
    from kata_audit.pipeline.rehearsal import Rehearsal
    from kata_audit.predicate.tree import Leaf


@click.command("test")
@click.argument("names", nargs=-1, metavar="[RULE]...")
@click.option("--mutate/--no-mutate", default=True, help="Change each condition too, one at a time, and see who notices.")
@output_option(formats=("text", "json", "jsonl"))
@example("rules test KA-008", "rules test --no-mutate", "rules test KA-034 -o json")
def command(*, names: tuple[str, ...], mutate: bool, form: str) -> None:
    """Try rules on their samples.

    Each sample's lines go the whole way: split, masked, parsed, named, joined and judged. Then every condition of the rule
    is made impossible, and then taken away: a condition is SHOWN where some sample notices the first, and NEEDED where some
    near miss notices the second. Without RULE all rules are tried.
    """
    from kata_audit.wiring import rehearsals

    done: list[Rehearsal] = []
    for one in rehearsals(names, configured().rules, mutate=mutate):
        done.append(one)
        progress(f"{one.rule.rule_id}: {len(done)} rules tried")
    progress(None)
    if form == "text":
        head = ("RULE", "MATCH", "NEAR", "CONDITIONS", "SHOWN", "NEEDED", "TITLE")
        write_lines(table(head, map(_cells, done), width=terminal_width()))
    else:
        write_lines(json_lines(map(_row, done), form))
    problems = [problem for one in done for problem in _problems(one)]
    if problems:
        count = "One sample does" if len(problems) == 1 else f"{len(problems)} samples do"
        raise RulesError(f"{count} not what is expected.", problems=problems)


def _cells(one: "Rehearsal") -> tuple[str, ...]:
    row = _row(one)
    counts = [f"{sum(each.is_expected for each in kind)}/{len(kind)}" for kind in _kinds(one)]
    return (
        row["rule"],
        *counts,
        *(str(row[name]) for name in ("conditions", "shown", "needed")),
        show(one.rule.about.title),
    )


def _kinds(one: "Rehearsal") -> Iterator[list[Any]]:
    for matches in (True, False):
        yield [each for each in one.outcomes if each.sample.matches is matches]


def _row(one: "Rehearsal") -> dict[str, Any]:
    conditions = one.mutants // 2
    living = {dropped: [each for each in one.survivors if each.dropped is dropped] for dropped in (False, True)}
    return {
        "rule": one.rule.rule_id,
        "samples": len(one.outcomes),
        "failures": [each.sample.name for each in one.failures],
        "conditions": conditions,
        "shown": conditions - len(living[False]),
        "needed": conditions - len(living[True]),
        "not_shown": [f"{each.rule_id}: {_spell(each.leaf)}" for each in living[False]],
        "not_needed": [f"{each.rule_id}: {_spell(each.leaf)}" for each in living[True]],
    }


def _spell(leaf: "Leaf") -> str:
    from kata_audit.detect.explain import explain

    return " ".join(line.strip().removeprefix("- ") for line in explain(leaf))


def _problems(one: "Rehearsal") -> Iterator[Problem]:
    for each in one.failures:
        wanted = "is expected to match, and does not" if each.sample.matches else "is a near miss, and matches"
        yield Problem(each.sample.place, f"{one.rule.rule_id}: `{show(each.sample.name)}` {wanted}")
