"""Rules for Loki's ruler, in LogQL, on records that our Loki exporter sent.

Each copy of a record is counted once, by `kata_copy_key` or the record's name, so that neither the Go shim's second copies
nor what was sent twice counts again.

Source: Grafana Loki documentation, "Alerting and recording rules", "Metric queries".
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from kata_audit.detect.rule import Correlation, CorrelationKind, Rule
from kata_audit.exporters.loki_entry import metadata_name
from kata_audit.integrations.converting import (
    Conversion,
    condition_of,
    convert_rules,
    left_out_lines,
    needed_words,
    one_line,
)
from kata_audit.predicate.fields import ATTRIBUTE
from kata_audit.predicate.logql import print_logql
from kata_audit.predicate.printing import CannotPrintError
from kata_audit.predicate.tree import And, Compare, Everything, OneOf, Op, Or, Predicate, fields_of, simplify
from kata_audit.schema.fieldset import FieldSet, name_in

JOB: Final = '{job="kata-audit"}'
_LABELS: Final = frozenset({"component", "origin", "class"})
_PLAIN: Final = re.compile(r"[a-z-]+")
_LINE: Final = "kata_line"
"""The label that the line is put into, to be asked beside others."""
_ONCE: Final = "kata_once"
"""The label that is equal for copies of one record."""
_MINUTE_NS: Final = 60_000_000_000
_INTERVAL: Final = "1m"
_REACH: Final = "5m"
"""How far back a rule on one record looks: what comes up to four minutes late is seen."""
_DO_ONCE: Final = f"label_format {_ONCE}=`{{{{ or .kata_copy_key .log_record_uid }}}}`"
_LATE = "A record that comes more than four minutes late is not seen."
_BETWEEN = "The window is looked at each minute, and not at each event: a burst that no such look holds whole is not seen."
_CUT = "Where the exporter left metadata out or cut the line (`kata_left_out`, `kata_line_bytes`), something may lack."
_MIXED = "Attributes whose names differ by dots and underscores alone are one there: `url.path` and `url_path`."
_BODILESS = "A record without a message has JSON for its line, which is asked in place of a message."
_WHO = "It is not told whether a guest or the host said it: `claim` is `unknown`."


def loki_rules(rules: Iterable[Rule], fieldset: FieldSet) -> Conversion:
    """Convert rules into expressions of LogQL that have a value while the rule holds.

    Args:
        rules: All rules.
        fieldset: In whose words records are sent to Loki.
    """
    return convert_rules(rules, lambda rule, known: _Words(fieldset).expression(rule, known))


def log_query(rule: Rule, fieldset: FieldSet) -> str:
    """Write the query for the records that a rule on one record holds for.

    Raises:
        CannotPrintError: LogQL cannot say it.
    """
    return _Words(fieldset).select(condition_of(rule))


def ruler_yaml(conversion: Conversion) -> str:
    """Write converted rules as the list of a group of Loki's ruler."""
    lines: list[str] = []
    for one in conversion.done:
        rule, about = one.rule, one.rule.about
        summary, description = one_line(about.title), one_line(" ".join((about.description, *about.respond[:1])))
        lines += [f"      # {rule.rule_id}: lost here: {one_line(loss)}" for loss in one.losses]
        lines += [
            f"      - alert: {json.dumps(rule.rule_id)}",
            "        expr: |-",
            f"          {one.query}",
            "        labels:",
            f"          severity: {json.dumps(str(rule.level))}",
            f"          claim: {json.dumps(_claim(one.query))}",
            "        annotations:",
            f"          summary: {json.dumps(summary)}",
            f"          description: {json.dumps(description)}",
        ]
    return "\n".join([*lines, *left_out_lines(conversion, lambda line: f"      # {line}")])


def _claim(query: str) -> str:
    """Say how an alert tells whether it rests on what a guest said: the query keeps the origin where it is of one record."""
    if query.startswith("sum by (origin,"):
        return '{{ if eq $labels.origin "guest" }}true{{ else }}false{{ end }}'
    return "unknown"


class _Words:
    """Prints for one field set."""

    def __init__(self, fieldset: FieldSet) -> None:
        self._fieldset = fieldset

    def name(self, field: str) -> str:
        """Give the label or metadata that holds a field."""
        if field in _LABELS:
            return field
        if field == "body":
            return _LINE
        column, _, key = field.partition(".")
        name = name_in(self._fieldset, column)
        if name is None or field in ("node", "raw"):
            raise CannotPrintError(f"`{field}` is not there as it is here")
        return metadata_name((name, key) if field.startswith(ATTRIBUTE) else (name,))

    def select(self, where: Predicate) -> str:
        """Write a query for lines: first by what every such line has, which is cheap to ask, then by the whole condition."""
        needed = needed_words(simplify(where))
        labels = {name: words for name, words in needed.items() if name in _LABELS and all(map(_PLAIN.fullmatch, words))}
        selector = [JOB[1:-1], *(_label(name, words) for name, words in sorted(labels.items()))]
        others = [OneOf(name, words) for name, words in sorted(needed.items()) if name not in labels]
        rest = simplify(_without(simplify(where), needed))
        line = [f"label_format {_LINE}=`{{{{ __line__ }}}}`"] if "body" in fields_of(where) else []
        asked = [*others, *(rest.parts if isinstance(rest, And) else () if rest == Everything() else (rest,))]
        stages = [*line, *(print_logql(part, self.name) for part in asked)]
        return "".join([f"{{{', '.join(selector)}}}", *(f" | {stage}" for stage in stages)])

    def expression(self, rule: Rule, known: Mapping[str, Rule]) -> tuple[str, tuple[str, ...]]:
        """Write what an alert rests on, and what it loses."""
        if isinstance(rule.when, Correlation):
            return self._correlation(rule.when, known)
        where = condition_of(rule)
        names = list(dict.fromkeys(("origin", "cluster", "node", *self._group(rule.group_by))))
        query = f"sum by ({', '.join(names)}) (count_over_time({self.select(where)} [{_REACH}])) > 0"
        return query, (_LATE, *_losses(where))

    def _group(self, fields: Iterable[str]) -> list[str]:
        return [name for field in fields for name in (("cluster", "node") if field == "node" else (self.name(field),))]

    def _correlation(self, when: Correlation, known: Mapping[str, Rule]) -> tuple[str, tuple[str, ...]]:
        if when.window_ns < _MINUTE_NS:
            raise CannotPrintError("its window is shorter than the minute between two looks of the ruler")
        if when.kind is CorrelationKind.TEMPORAL_ORDERED:
            raise CannotPrintError("it asks for an order of events")
        if when.kind is CorrelationKind.VALUE_SUM:
            raise CannotPrintError("it adds values up")
        if when.aliases:
            raise CannotPrintError("its events state what they share under different names")
        conditions = [condition_of(known[name]) for name in when.rules]
        names = list(dict.fromkeys(self._group(when.group_by)))
        stated = "".join(f" | {name}!=``" for name in names if name not in ("cluster", "node"))
        window = f"{when.window_ns // 1_000_000_000}s"
        losses = (_BETWEEN, _WHO, *_losses(Or(tuple(conditions))))
        by = ", ".join(names)
        if when.kind is CorrelationKind.TEMPORAL:
            counts = [f"sum by ({by}) (count_over_time({self.select(one)}{stated} [{window}]))" for one in conditions]
            return f" and on ({by}) ".join(f"({count} > 0)" for count in counts), losses
        counted, each = _ONCE, f" | {_DO_ONCE}"
        if when.value_field is not None:
            counted = self.name(when.value_field)
            each = f" | {counted}!=``"
        events = f"{self.select(Or(tuple(conditions)))}{stated}{each}"
        inner = f"sum by ({', '.join(dict.fromkeys((*names, counted)))}) (count_over_time({events} [{window}]))"
        op = "==" if when.op is Op.EQ else str(when.op)
        return f"count by ({by}) ({inner}) {op} {when.bound}", losses


def _without(where: Predicate, needed: Mapping[str, frozenset[str]]) -> Predicate:
    """Leave out of the top of a condition what is asked before it in the same words."""

    def is_asked(part: Predicate) -> bool:
        return (
            isinstance(part, Compare | OneOf) and needed_words(part).items() <= needed.items() and bool(needed_words(part))
        )

    return And(tuple(part for part in (where.parts if isinstance(where, And) else (where,)) if not is_asked(part)))


def _label(name: str, words: frozenset[str]) -> str:
    return f'{name}="{next(iter(words))}"' if len(words) == 1 else f'{name}=~"{"|".join(sorted(words))}"'


def _losses(where: Predicate) -> tuple[str, ...]:
    fields = set(fields_of(where))
    bodiless = (_BODILESS,) if "body" in fields else ()
    cut = (_CUT,) if "body" in fields or any(field.startswith(ATTRIBUTE) for field in fields) else ()
    mixed = (_MIXED,) if any(field.startswith(ATTRIBUTE) for field in fields) else ()
    return (*bodiless, *cut, *mixed)
