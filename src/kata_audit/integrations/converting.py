"""Rules for other systems: which could be converted, into what, and what they lose.

A converted rule asks the records as our exporter for that system spells them. It is a second pair of eyes: findings, their
evidence and alerts come from the rules that run here.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from kata_audit.detect.rule import Absence, Correlation, Rule
from kata_audit.predicate.fields import Kind, kind_of
from kata_audit.predicate.printing import CannotPrintError
from kata_audit.predicate.tree import And, Compare, OneOf, Op, Or, Predicate, fields_of

_PLACE: Final = re.compile(r"^%%([a-z-]+)%%$", re.MULTILINE)
"""A line of a pack's file in whose place converted rules go."""


class Converted(NamedTuple):
    """A rule in another system's words: the rule, its query, and what that does not keep."""

    rule: Rule
    query: str
    losses: tuple[str, ...]


class Conversion(NamedTuple):
    """What became of rules: those that could be converted, and why each other could not, by its id."""

    done: tuple[Converted, ...]
    left_out: Mapping[str, str]


Convert = Callable[[Rule, Mapping[str, Rule]], tuple[str, tuple[str, ...]]]
"""Converts one rule; it is given all rules by name, and raises CannotPrintError with the reason where it cannot."""


def convert_rules(rules: Iterable[Rule], convert: Convert) -> Conversion:
    """Convert each rule that makes findings, in the order of their ids.

    Args:
        rules: All rules, with the parts that they rest on.
        convert: Converts one.
    """
    known = {rule.rule_id: rule for rule in rules}
    done, left_out = [], {}
    for rule_id, rule in sorted(known.items()):
        if rule.silent:
            continue
        try:
            done.append(Converted(rule, *convert(rule, known)))
        except CannotPrintError as error:
            left_out[rule_id] = str(error)
    return Conversion(tuple(done), left_out)


def condition_of(rule: Rule) -> Predicate:
    """Give the condition of a rule that asks of one record alone.

    Raises:
        CannotPrintError: It asks for company.
    """
    if isinstance(rule.when, Absence):
        raise CannotPrintError("it waits for an event that does not come")
    if isinstance(rule.when, Correlation):
        raise CannotPrintError("it counts what another rule counts")
    if "raw" in fields_of(rule.when):
        raise CannotPrintError("it asks of the frame as received, which is sent only where `raw` is set")
    return rule.when


def needed_words(where: Predicate) -> dict[str, frozenset[str]]:
    """Give the words of which a text field must be one, wherever the condition holds."""
    if isinstance(where, Compare) and where.op is Op.EQ and isinstance(where.value, str):
        return {where.field: frozenset((where.value,))}
    if isinstance(where, OneOf):
        return {where.field: frozenset(map(str, where.values))} if kind_of(where.field) is Kind.TEXT else {}
    if not isinstance(where, And | Or) or not where.parts:
        return {}
    each = [needed_words(part) for part in where.parts]
    if isinstance(where, And):
        found: dict[str, frozenset[str]] = {}
        for one in each:
            found |= {name: words & found.get(name, words) for name, words in one.items()}
        return found
    common = set(each[0]).intersection(*each[1:])
    return {name: frozenset().union(*(one[name] for one in each)) for name in common}


def put_rules(text: str, makers: Mapping[str, Callable[[], str]]) -> str:
    """Put converted rules into a file of a pack, each kind in the place of its line `%%name%%`."""
    return _PLACE.sub(lambda found: makers[found[1]]().rstrip("\n"), text)


def one_line(text: str) -> str:
    """Make a text of a rule safe for another system's configuration: one line, and nothing that templates look at."""
    shown = " ".join(text.split())
    return shown.replace("{{", "{ {").replace("}}", "} }").replace("{%", "{ %")


def left_out_lines(conversion: Conversion, comment: Callable[[str], str]) -> list[str]:
    """Say which rules are not there, and why, as comments of the other system."""
    lines: Sequence[str] = [f"{rule_id}: {one_line(why)}" for rule_id, why in conversion.left_out.items()]
    head = "Rules that have no equal here, and why; they run in kata-audit all the same." if lines else ""
    return [comment(line) for line in (head, *lines) if line]
