"""Documents that speak of other rules: Sigma's correlations, and our absences."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sigma.correlations import (
    CorrelationConditionAND,
    SigmaCorrelationCondition,
    SigmaCorrelationConditionOperator,
    SigmaCorrelationRule,
    SigmaCorrelationTimespan,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)
from sigma.exceptions import SigmaError

from kata_audit.detect.rule import Absence, Correlation, CorrelationKind
from kata_audit.detect.sigma.about import read_fields
from kata_audit.detect.sigma.documents import Document
from kata_audit.detect.sigma.fields import checked_field
from kata_audit.detect.sigma.report import Report
from kata_audit.predicate.tree import Op
from kata_audit.predicate.values import BadValueError

_SECOND_NS: Final = 1_000_000_000
MAX_WINDOW_NS: Final = 7 * 86_400 * _SECOND_NS
"""Longest window: what lies in one is kept in memory, and read back after a loss."""
_OPS: Final = {
    SigmaCorrelationConditionOperator.LT: Op.LT,
    SigmaCorrelationConditionOperator.LTE: Op.LE,
    SigmaCorrelationConditionOperator.GT: Op.GT,
    SigmaCorrelationConditionOperator.GTE: Op.GE,
    SigmaCorrelationConditionOperator.EQ: Op.EQ,
    SigmaCorrelationConditionOperator.NEQ: Op.NE,
}
_TEMPORAL: Final = (CorrelationKind.TEMPORAL, CorrelationKind.TEMPORAL_ORDERED)
_CORRELATION_KEYS: Final = ("type", "rules", "group-by", "timespan", "condition", "aliases", "generate")
_ABSENCE_KEYS: Final = ("trigger", "unless", "group-by", "before", "after", "aliases")
_NOTHING: Final = re.compile(r"0[smhdw]?")


@dataclass(frozen=True, slots=True)
class Bases:
    """The rules that a document may speak of: names and UUIDs to rule ids, and which of them are on what.

    `events` are on single events, `absences` are absences over those alone.
    """

    ids: Mapping[str, str]
    events: frozenset[str]
    absences: frozenset[str]

    def find(self, reference: Any, *, as_trigger: bool = False) -> str:
        """Find a base rule.

        Args:
            reference: A name or a UUID.
            as_trigger: Whether an absence waits for it: an event that has no company of one kind may need one of another.

        Raises:
            BadValueError: There is none of that name or UUID, or it is no rule on single events.
        """
        found = self.ids.get(reference) if isinstance(reference, str) else None
        if found is None:
            raise BadValueError(f"There is no rule `{reference!s:.80}`.")
        if found not in self.events and not (as_trigger and found in self.absences):
            raise BadValueError(f"`{found}` is itself made of other rules; only rules with a `detection` can be counted.")
        return found


def references_of(document: Document) -> tuple[tuple[str, ...], bool]:
    """Name the rules that a document speaks of, and say whether they make findings of their own besides."""
    block = document.data.get("correlation", document.data.get("absence"))
    if not isinstance(block, dict):
        return (), False
    stated = [block.get(key) for key in ("rules", "trigger", "unless")]
    flat = [name for value in stated for name in (value if isinstance(value, list) else [value])]
    return tuple(name for name in flat if isinstance(name, str)), block.get("generate") is True


def read_correlation(document: Document, bases: Bases, report: Report) -> Correlation | None:
    """Read a correlation; None where it cannot be, and the report says why."""
    before = len(report.problems)
    block = _block(document, "correlation", _CORRELATION_KEYS, report)
    if block is None:
        return None
    kind = block.get("type")
    if kind not in list(CorrelationKind):
        known = ", ".join(CorrelationKind)
        report.add(document, ("correlation", "type"), f"Correlations of this type are not run; there are {known}.")
        return None
    try:
        rule = SigmaCorrelationRule.from_dict({"title": "-", "correlation": block})
    except SigmaError as error:
        report.add(document, ("correlation",), f"{str(error).rstrip('.')}.")
        return None
    rules = _bases(document, ("correlation", "rules"), block.get("rules"), bases, report)
    window = _window(document, ("correlation", "timespan"), block.get("timespan"), report)
    aliases = _aliases(document, "correlation", rules, bases, report)
    group_by = _group_by(document, "correlation", block, aliases, report)
    op, bound, value_field = _bound(document, CorrelationKind(kind), rule, report)
    if len(report.problems) > before:
        return None
    return Correlation(CorrelationKind(kind), rules, group_by, window, op, bound, value_field, aliases)


def read_absence(document: Document, bases: Bases, report: Report) -> Absence | None:
    """Read an absence; None where it cannot be, and the report says why."""
    before = len(report.problems)
    block = _block(document, "absence", _ABSENCE_KEYS, report)
    if block is None:
        return None
    trigger = _bases(document, ("absence", "trigger"), block.get("trigger"), bases, report)
    unless = _bases(document, ("absence", "unless"), block.get("unless"), bases, report)
    if len(trigger) > 1:
        report.add(document, ("absence", "trigger"), "An absence has one trigger.")
    before_ns, after_ns = (
        _window(document, ("absence", key), block.get(key, "0s"), report, least=0) for key in ("before", "after")
    )
    if before_ns == after_ns == 0:
        report.add(document, ("absence",), "Say how long before or after its trigger an event is looked for.")
    aliases = _aliases(document, "absence", (*trigger, *unless), bases, report)
    group_by = _group_by(document, "absence", block, aliases, report)
    if len(report.problems) > before:
        return None
    return Absence(trigger[0], unless, group_by, before_ns, after_ns, aliases)


def _block(document: Document, name: str, keys: tuple[str, ...], report: Report) -> dict[str, Any] | None:
    block = document.data[name]
    if not isinstance(block, dict):
        report.add(document, (name,), f"`{name}` is a mapping.")
        return None
    for key in block.keys() - set(keys):
        report.add(document, (name, key), f"There is no key `{key}` in `{name}`; there are {', '.join(keys)}.")
    return block


def _bases(document: Document, path: tuple[str, ...], value: Any, bases: Bases, report: Report) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    found = []
    if value is None or not names:
        report.add(document, path, f"`{path[-1]}` names at least one rule.")
        return ()
    for name in names:
        with report.noting(document, path):
            found.append(bases.find(name, as_trigger=path[-1] == "trigger"))
    if len(set(found)) < len(found):
        report.add(document, path, "A rule is named twice.")
    return tuple(found)


def _window(document: Document, path: tuple[str, ...], value: Any, report: Report, least: int = 1) -> int:
    if least == 0 and (value == 0 or (isinstance(value, str) and _NOTHING.fullmatch(value))):
        return 0
    try:
        span = SigmaCorrelationTimespan(value).seconds * _SECOND_NS
    except (SigmaError, ValueError):
        report.add(document, path, "A time is a number and its unit: 30s, 10m, 2h or 1d.")
        return least
    if span > MAX_WINDOW_NS:
        report.add(document, path, "The time is longer than seven days: so much is not kept.")
    return span


def _aliases(
    document: Document, name: str, rules: tuple[str, ...], bases: Bases, report: Report
) -> dict[str, dict[str, str]]:
    block = document.data[name]
    stated = block.get("aliases") or {}
    if not isinstance(stated, dict):
        report.add(document, (name, "aliases"), "`aliases` is a mapping of names to rules and their fields.")
        return {}
    aliases: dict[str, dict[str, str]] = {}
    for alias, mapping in stated.items():
        with report.noting(document, (name, "aliases", alias)):
            if not isinstance(mapping, dict) or not all(isinstance(field, str) for field in mapping.values()):
                raise BadValueError("An alias is a mapping of rules to fields.")
            aliases[alias] = {bases.find(rule): checked_field(field) for rule, field in mapping.items()}
            if missing := sorted(set(rules) - aliases[alias].keys()):
                raise BadValueError(f"The alias has no field for {', '.join(missing)}.")
    return aliases


def _group_by(
    document: Document, name: str, block: Mapping[str, Any], aliases: Mapping[str, Any], report: Report
) -> tuple[str, ...]:
    return read_fields(
        document,
        (name, "group-by"),
        block.get("group-by") or [],
        report,
        lambda field: field if field in aliases else checked_field(field),
    )


def _bound(
    document: Document, kind: CorrelationKind, rule: SigmaCorrelationRule, report: Report
) -> tuple[Op, int, str | None]:
    condition, path = rule.condition, ("correlation", "condition")
    count = len(rule.rules or ())
    with report.noting(document, path):
        if isinstance(condition, SigmaExtendedCorrelationCondition):
            _see_all_of(condition, kind)
            return Op.GE, count, None
        if not isinstance(condition.count, int):
            raise BadValueError("The bound is a whole number.")
        if kind in _TEMPORAL and (_OPS[condition.op], condition.count) != (Op.GE, count):
            raise BadValueError("A temporal correlation needs all of its rules; leave the condition out.")
        return _OPS[condition.op], condition.count, _value_field(condition, kind)
    return Op.GE, count, None


def _value_field(condition: SigmaCorrelationCondition, kind: CorrelationKind) -> str | None:
    if kind not in (CorrelationKind.VALUE_COUNT, CorrelationKind.VALUE_SUM):
        if condition.fieldref is not None:
            raise BadValueError(f"`{kind}` counts events and has no `field`.")
        return None
    if not isinstance(condition.fieldref, str):
        raise BadValueError("`field` is the name of one field.")
    return checked_field(condition.fieldref)


def _see_all_of(condition: SigmaExtendedCorrelationCondition, kind: CorrelationKind) -> None:
    """Let a condition of rules' names pass if it asks for all of them."""
    parts = condition.parsed.args if isinstance(condition.parsed, CorrelationConditionAND) else [condition.parsed]
    if kind not in _TEMPORAL or not all(isinstance(part, SigmaRuleReference) for part in parts):
        raise BadValueError("Only `and` of all rules can be asked for; write one correlation for each alternative.")
