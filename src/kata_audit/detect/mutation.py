"""Mutation: every condition of a rule, taken away and made impossible, one at a time.

A condition whose loss no sample notices is a condition that nobody has shown to be needed; one that may never hold and no
sample notices was never shown to work. `rules test` runs a rule's samples on each mutant and names the ones that live.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from kata_audit.detect.rule import Absence, Correlation, Rule
from kata_audit.predicate.tree import NOTHING, Everything, Leaf, Predicate, replace_leaves


class Mutant(NamedTuple):
    """Rules of which one has one condition changed.

    `rule_id` and `leaf` name the condition; `dropped` tells that it always holds, else it never does.
    """

    rules: tuple[Rule, ...]
    rule_id: str
    leaf: Leaf
    dropped: bool


def mutants(rules: Sequence[Rule]) -> Iterator[Mutant]:
    """Give every mutant of some rules, in the order of their conditions.

    Args:
        rules: A rule and all parts that it rests on.
    """
    for at, rule in enumerate(rules):
        if isinstance(rule.when, Correlation | Absence):
            continue
        for number, leaf in enumerate(_leaves(rule.when)):
            for dropped in (True, False):
                changed = replace(rule, when=_with_leaf(rule.when, number, Everything() if dropped else NOTHING))
                yield Mutant((*rules[:at], changed, *rules[at + 1 :]), rule.rule_id, leaf, dropped)


def _leaves(where: Predicate) -> list[Leaf]:
    found: list[Leaf] = []

    def note(leaf: Leaf) -> Predicate:
        found.append(leaf)
        return leaf

    replace_leaves(where, note)
    return found


def _with_leaf(where: Predicate, number: int, other: Predicate) -> Predicate:
    """Rebuild a tree with its `number`th leaf replaced."""
    seen = -1

    def change(leaf: Leaf) -> Predicate:
        nonlocal seen
        seen += 1
        return other if seen == number else leaf

    return replace_leaves(where, change)


def with_parts(rule: Rule, every: Sequence[Rule]) -> tuple[Rule, ...]:
    """Give a rule with all the parts that it rests on, itself last."""
    by_name = {one.rule_id: one for one in every}
    found: dict[str, Rule] = {}

    def add(one: Rule) -> None:
        for name in _rests_on(one):
            if name in by_name and name not in found:
                add(by_name[name])
        found[one.rule_id] = one

    add(rule)
    return tuple(found.values())


def _rests_on(rule: Rule) -> tuple[str, ...]:
    if isinstance(rule.when, Correlation):
        return rule.when.rules
    return (rule.when.trigger, *rule.when.unless) if isinstance(rule.when, Absence) else ()
