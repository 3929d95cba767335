"""What a rule that is shipped, or meant to be, must have beyond being readable."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from kata_audit.detect.attack import TACTICS, TECHNIQUES
from kata_audit.detect.rule import Absence, Correlation, Rule
from kata_audit.errors import Problem
from kata_audit.predicate.pattern import Wild, pieces_of
from kata_audit.predicate.tree import And, Compare, Match, Not, OneOf, Or, Predicate, Syntax

KA: Final = re.compile(r"KA-\d{3,}")
"""Name of a rule of ours."""
_TECHNIQUE: Final = re.compile(r"t\d{4}(?:\.\d{3})?")
_TAGS: Final[Mapping[str, re.Pattern[str]]] = {
    "attack": re.compile(rf"{_TECHNIQUE.pattern}|[gs]\d{{4}}|{'|'.join(TACTICS)}"),
    "cve": re.compile(r"\d{4}-\d{4,}"),
    "detection": re.compile("dfir|emerging-threats|threat-hunting"),
}
CONTROLS: Final[Mapping[str, re.Pattern[str]]] = {
    "pci-dss-4.0.1": re.compile(r"\d{1,2}(?:\.\d{1,2}){1,4}"),
    "hipaa": re.compile(r"164\.\d{3}(?:\([A-Za-z0-9]+\))*"),
    "gdpr": re.compile(r"art-\d{1,2}(?:\(\d+\))?"),
    "nist-800-53": re.compile(r"[A-Z]{2}-\d{1,2}(?:\(\d{1,2}\))?"),
    "nist-800-190": re.compile(r"\d(?:\.\d{1,2}){0,2}"),
    "iso-27001-2022": re.compile(r"A\.[5-8]\.\d{1,2}"),
    "soc2": re.compile(r"(?:CC|A|C|PI|P)\d\.\d"),
    "cis-v8": re.compile(r"\d{1,2}\.\d{1,2}"),
    "cis-kubernetes": re.compile(r"\d(?:\.\d{1,2}){1,3}"),
    "dora": re.compile(r"art-\d{1,2}(?:\(\d+\))?"),
    "nis2": re.compile(r"art-\d{1,2}(?:\(\d+\))?"),
}
"""Frameworks of controls, and how each numbers them."""
_OWN: Final = ("alert.", "collect.", "deliver.", "detect.")
"""What kata-audit says of itself has names that begin so."""


def check_rules(rules: Sequence[Rule], events: Collection[str]) -> list[Problem]:
    """Look for what rules of ours lack.

    Args:
        rules: All rules, ours and an operator's; of the latter, only what can never hold is told.
        events: Every event name that a record of Kata, a host or a cluster can have.

    Returns:
        What is wrong, each with its place.
    """
    used = {name for rule in rules for name in _bases(rule)}
    problems: list[Problem] = []
    for rule in rules:
        found = [*_events(rule, events)]
        if KA.fullmatch(rule.rule_id):
            found += [*_lacks(rule), *_tags(rule), *_controls(rule)]
        elif rule.silent and rule.rule_id not in used:
            found.append(f"Nothing uses the part `{rule.rule_id}`.")
        problems += [Problem(rule.place, f"{rule.rule_id}: {message}") for message in found]
    return problems


def _bases(rule: Rule) -> tuple[str, ...]:
    if isinstance(rule.when, Correlation):
        return rule.when.rules
    return (rule.when.trigger, *rule.when.unless) if isinstance(rule.when, Absence) else ()


def _events(rule: Rule, events: Collection[str]) -> Iterator[str]:
    if isinstance(rule.when, Correlation | Absence):
        return
    known = {name.lower() for name in events}
    for name in dict.fromkeys(_event_names(rule.when)):
        if name.lower() not in known and not name.lower().startswith(_OWN):
            yield f"No record ever has the event name `{name}`."


def _event_names(where: Predicate) -> Iterator[str]:
    if isinstance(where, And | Or):
        for part in where.parts:
            yield from _event_names(part)
    elif isinstance(where, Not):
        yield from _event_names(where.part)
    elif getattr(where, "field", None) == "event_name":
        if isinstance(where, Compare):
            yield str(where.value)
        elif isinstance(where, OneOf):
            yield from sorted(map(str, where.values))
        elif isinstance(where, Match) and where.syntax is Syntax.WILDCARD:
            pieces = pieces_of(where.pattern)
            if not any(isinstance(piece, Wild) for piece in pieces):
                yield "".join(map(str, pieces))


def _lacks(rule: Rule) -> Iterator[str]:
    about = rule.about
    for name, value in (
        ("description", about.description),
        ("tags", about.tags),
        ("falsepositives", about.false_positives),
        ("kata: needs", rule.needs),
        ("kata: group-by", rule.group_by),
        ("kata: respond", about.respond),
        ("kata: controls", about.controls),
        ("kata: evasions", about.evasions),
    ):
        if not value:
            yield f"`{name}` is missing or empty."
    if rule.rule_id not in rule.place:
        yield "The name of its file does not begin with the rule's."


def _tags(rule: Rule) -> Iterator[str]:
    for tag in rule.about.tags:
        namespace, _, name = tag.partition(".")
        if namespace not in _TAGS:
            yield f"The tag `{tag}` is of no kind that we know: {', '.join(_TAGS)}."
        elif not _TAGS[namespace].fullmatch(name):
            yield f"The tag `{tag}` is not well formed: `attack.t1611`, `attack.t1552.001`, `attack.privilege-escalation`."
        elif _TECHNIQUE.fullmatch(name) and name.upper() not in TECHNIQUES:
            yield f"The technique `{name.upper()}` is not in our table of ATT&CK."
    if not any(tag.startswith("attack.") and _TECHNIQUE.fullmatch(tag.removeprefix("attack.")) for tag in rule.about.tags):
        yield "It names no technique of ATT&CK."


def _controls(rule: Rule) -> Iterator[str]:
    for control in rule.about.controls:
        framework, _, number = control.partition(":")
        if framework not in CONTROLS:
            yield f"The control `{control}` is of no framework that we know: {', '.join(CONTROLS)}."
        elif not CONTROLS[framework].fullmatch(number):
            yield f"The control `{control}` is not numbered as its framework does."
