"""Rules for Splunk, as saved searches on the events that our exporter sends. Written after the documentation; not run there.

Copies of a record count once, by its `copy_key` or its name. Windows slide, by `streamstats time_window`, over events in the
order of their times.

Source: Splunk documentation, Admin Manual, "savedsearches.conf"; Search Reference, "streamstats", "dedup", "where".
"""

from collections.abc import Iterable, Mapping
from typing import Final

from kata_audit.detect.event import field_of
from kata_audit.detect.rule import Correlation, CorrelationKind, Rule
from kata_audit.integrations.converting import (
    Conversion,
    condition_of,
    convert_rules,
    left_out_lines,
    needed_words,
    one_line,
)
from kata_audit.predicate.fields import ATTRIBUTE
from kata_audit.predicate.printing import CannotPrintError
from kata_audit.predicate.spl import print_where, quote_spl
from kata_audit.predicate.tree import Op, Or, Predicate, simplify
from kata_audit.schema.fieldset import FieldSet, name_in
from kata_audit.schema.finding import Level
from kata_audit.schema.record import Component

_SEVERITY: Final = {Level.CRITICAL: 6, Level.HIGH: 5, Level.MEDIUM: 4, Level.LOW: 3, Level.INFORMATIONAL: 2}
"""Splunk's `alert.severity`: 2 info to 6 fatal."""
_INDEXED: Final = {"event_name": "kata_event", "origin": "kata_origin"}
"""What the exporter puts into the index, by which events are found without being read."""
_REACH_SECS: Final = 300
_LATE = "An event that comes more than four minutes late is not seen."
_JSON = "Events that Splunk cuts (TRUNCATE) or takes apart in part (limits.conf, [spath], [kv]) are not asked in full."
_BETWEEN = "Only events of the last window and five minutes before it are counted together."
_ORDER = "Whether one event may stand for two that are asked for together is not told."


def splunk_rules(rules: Iterable[Rule], fieldset: FieldSet) -> Conversion:
    """Convert rules into searches.

    Args:
        rules: All rules.
        fieldset: In whose words records are sent.
    """
    return convert_rules(rules, _Words(fieldset).search)


def savedsearches_conf(conversion: Conversion) -> str:
    """Write converted rules as stanzas of `savedsearches.conf`, none of them scheduled."""
    lines: list[str] = []
    for one in conversion.done:
        rule, about = one.rule, one.rule.about
        back = (_REACH_SECS * 1_000_000_000 + (rule.when.window_ns if isinstance(rule.when, Correlation) else 0)) // 10**9
        description = one_line(" ".join((about.description, *about.respond[:1]))).removesuffix("\\")
        lines += [f"# {rule.rule_id}: lost here: {one_line(loss)}" for loss in one.losses]
        lines += [
            f"[{rule.rule_id} {one_line(about.title).replace('[', '(').replace(']', ')')}]",
            f"description = {description}",
            f"search = {one.query}",
            f"dispatch.earliest_time = -{back}s",
            "dispatch.latest_time = now",
            "cron_schedule = * * * * *",
            "enableSched = 0",
            "counttype = number of events",
            "relation = greater than",
            "quantity = 0",
            f"alert.severity = {_SEVERITY[rule.level]}",
            "alert.suppress = 1",
            "alert.suppress.period = 1h",
            "alert.suppress.fields = rule, dest, kata_sandbox",
            "alert.track = 1",
            "",
        ]
    return "\n".join([*lines, *left_out_lines(conversion, lambda line: f"# {line}")])


def event_props() -> str:
    """Write stanzas of `props.conf` for the source types that the exporter gives: one for each component."""
    settings = "KV_MODE = json\nSHOULD_LINEMERGE = false\nTRUNCATE = 1000000\n"
    return "\n".join(f"[kata:{component}]\n{settings}" for component in Component)


class _Words:
    """Prints for one field set."""

    def __init__(self, fieldset: FieldSet) -> None:
        self._fieldset = fieldset

    def name(self, field: str) -> str:
        """Give the field of an event that holds a column."""
        column, _, key = field.partition(".")
        name = name_in(self._fieldset, column)
        if name is None or column in ("node", "raw"):
            raise CannotPrintError(f"`{field}` is not there as it is here")
        return f"{name}.{key}" if field.startswith(ATTRIBUTE) else name

    def search(self, rule: Rule, known: Mapping[str, Rule]) -> tuple[str, tuple[str, ...]]:
        """Write the search of a rule, and what it loses."""
        name = f"rule={quote_spl(rule.rule_id)}"
        claim = 'claim=if(kata_origin=="guest", "true", "false")'
        if isinstance(rule.when, Correlation):
            query, losses = self._correlation(rule.when, known)
            return f"{query} | eval {name} | table rule, _time, *", losses
        found = f"{self._selected(condition_of(rule))} | {_ONCE} | dedup once"
        kept = "rule, _time, dest, kata_sandbox, kata_pod, claim, kata_name, description"
        return f"{found} | eval {name}, {claim} | table {kept}", (_LATE, _JSON)

    def _selected(self, where: Predicate) -> str:
        needed = needed_words(simplify(where))
        terms = ["`kata_index`"]
        for column, words in sorted(needed.items()):
            if column == "component":
                terms.append(_among("sourcetype", (f"kata:{word}" for word in words)))
            elif column in _INDEXED:
                terms.append(_among(_INDEXED[column], words))
        return f"search {' '.join(terms)} | where {print_where(where, self.name)}"

    def _correlation(self, when: Correlation, known: Mapping[str, Rule]) -> tuple[str, tuple[str, ...]]:
        if when.kind is CorrelationKind.TEMPORAL_ORDERED:
            raise CannotPrintError("it asks for an order of events")
        if when.kind is CorrelationKind.VALUE_SUM:
            raise CannotPrintError("it adds values up")
        conditions = {name: condition_of(known[name]) for name in when.rules}
        groups = [f"group_{at}" for at in range(len(when.group_by))]
        evals = [f"group_{at}={self._group(when, conditions, field)}" for at, field in enumerate(when.group_by)]
        counted, what, bound = "once", _ONCE, f"{'==' if when.op is Op.EQ else when.op} {when.bound}"
        if when.kind is CorrelationKind.TEMPORAL:
            cases = ", ".join(f"{print_where(where, self.name)}, {quote_spl(name)}" for name, where in conditions.items())
            counted, what, bound = "which", f"eval which=case({cases})", f">= {len(conditions)}"
        elif when.value_field is not None:
            counted, what = "value", f"eval value='{self.name(when.value_field)}'"
        stated = " AND ".join(f"isnotnull({one})" for one in (*groups, counted))
        window = f"time_window={when.window_ns // 1_000_000_000}s"
        query = (
            f"{self._selected(Or(tuple(conditions.values())))} | {what} | eval {', '.join(evals)} | where {stated} "
            f"| sort 0 _time | streamstats {window} dc({counted}) as found by {', '.join(groups)} "
            f"| where found {bound} "
            f"| stats latest(_time) as _time, max(found) as found, values(kata_name) as kata_name by {', '.join(groups)}"
        )
        return query, (_BETWEEN, _JSON, *((_ORDER,) if when.kind is CorrelationKind.TEMPORAL else ()))

    def _group(self, when: Correlation, conditions: Mapping[str, Predicate], field: str) -> str:
        """Give the value by which events belong together, which each kind of event may state under another name."""
        fields = {name: field_of(when, name, field) for name in conditions}
        names = {name: "dest" if column == "node" else self.name(column) for name, column in fields.items()}
        if len(set(names.values())) == 1:
            return f"'{next(iter(names.values()))}'"
        cases = (f"{print_where(conditions[name], self.name)}, '{column}'" for name, column in names.items())
        return f"case({', '.join(cases)})"


_ONCE: Final = "eval once=coalesce('kata.copy_key', kata_name)"


def _among(name: str, words: Iterable[str]) -> str:
    each = [f'"{word}"' for word in sorted(words)]
    return f"{name}={each[0]}" if len(each) == 1 else f"{name} IN ({', '.join(each)})"
