"""Rules for OpenSearch and Elasticsearch, as queries on documents of our exporter; for OpenSearch's alerting as monitors.

Source: OpenSearch documentation, "Alerting", "Alerting API"; Elasticsearch reference, "Flattened field type", which knows
words and no patterns.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kata_audit.detect.rule import Correlation, Rule
from kata_audit.exporters.elastic import DEFAULT_INDEX
from kata_audit.exporters.elastic_template import EXACT
from kata_audit.exporters.export_settings import ExportKind
from kata_audit.integrations.converting import Conversion, condition_of, convert_rules, one_line
from kata_audit.predicate.fields import ATTRIBUTE
from kata_audit.predicate.printing import CannotPrintError
from kata_audit.predicate.querydsl import print_query
from kata_audit.predicate.tree import And, Match, Not, Or, Predicate, fields_of
from kata_audit.schema.fieldset import FieldSet, name_in
from kata_audit.schema.finding import Level

_SEVERITY: Final = {Level.CRITICAL: "1", Level.HIGH: "2", Level.MEDIUM: "3", Level.LOW: "4", Level.INFORMATIONAL: "5"}
_LATE = "A record that comes more than four minutes late is not seen."
_COPIES = "Copies of one record are several documents; `kata.copy_key` is equal for them."
_WHO = "Whether only a guest says so stands in `kata.origin` of the documents, and not in the alert."
_MIXED = "In patterns a dot in an attribute's name is any character: `url.path` is `url_path` too."
_CUT = "Messages and attributes of more than 8,000 characters are not asked: they are not indexed, or cut."

_ALWAYS: Final = (_LATE, _COPIES, _WHO)


def search_rules(rules: Iterable[Rule], fieldset: FieldSet, kind: ExportKind) -> Conversion:
    """Convert rules that ask of one record into queries, spelled as JSON.

    Args:
        rules: All rules.
        fieldset: In whose words records are sent.
        kind: To which of the two products.
    """

    def convert(rule: Rule, _: Mapping[str, Rule]) -> tuple[str, tuple[str, ...]]:
        if isinstance(rule.when, Correlation):
            raise CannotPrintError("it counts events that share something, which takes a query of aggregations")
        where = condition_of(rule)
        if kind is ExportKind.ELASTICSEARCH and any(map(_is_pattern, _leaves(where))):
            raise CannotPrintError("it asks for a pattern in an attribute, and `flattened` knows words alone")
        query = print_query(where, lambda field: _name(fieldset, field))
        return json.dumps(query, ensure_ascii=True), (*_ALWAYS, *_losses(where))

    return convert_rules(rules, convert)


def rules_ndjson(conversion: Conversion, kind: ExportKind, index: str = DEFAULT_INDEX) -> str:
    """Write converted rules as one object a line: what it is, what it loses, its query, for OpenSearch its monitor."""
    lines: list[dict[str, Any]] = []
    for one in conversion.done:
        rule, query = one.rule, json.loads(one.query)
        about = {"rule": rule.rule_id, "title": one_line(rule.about.title), "severity": str(rule.level)}
        monitor = {"monitor": _monitor(rule, query, index)} if kind is ExportKind.OPENSEARCH else {}
        lines.append({**about, "lost_here": one.losses, "query": query, **monitor})
    lines += [{"rule": rule_id, "left_out": why} for rule_id, why in conversion.left_out.items()]
    return "\n".join(json.dumps(line) for line in lines)


def _monitor(rule: Rule, query: Mapping[str, Any], index: str) -> dict[str, Any]:
    recent = {"range": {"event.created": {"gte": "{{period_end}}||-5m", "lte": "{{period_end}}", "format": "epoch_millis"}}}
    asked = {"size": 10, "query": {"bool": {"filter": [recent, query]}}}
    name = f"{rule.rule_id} {one_line(rule.about.title)}"
    condition = {"script": {"source": "ctx.results[0].hits.total.value > 0", "lang": "painless"}}
    trigger = {"name": rule.rule_id, "severity": _SEVERITY[rule.level], "condition": condition, "actions": []}
    return {
        "type": "monitor",
        "monitor_type": "query_level_monitor",
        "name": name,
        "enabled": True,
        "schedule": {"period": {"interval": 1, "unit": "MINUTES"}},
        "inputs": [{"search": {"indices": [index], "query": asked}}],
        "triggers": [{"query_level_trigger": trigger}],
    }


def _name(fieldset: FieldSet, field: str) -> str:
    column, _, key = field.partition(".")
    if column == "body":
        return f"{name_in(fieldset, column)}.{EXACT}"
    name = name_in(fieldset, column)
    if name is None:
        raise CannotPrintError(f"`{field}` is not there as it is here")
    return f"{name}.{key}" if field.startswith(ATTRIBUTE) else name


def _leaves(where: Predicate) -> Iterable[Predicate]:
    if isinstance(where, And | Or):
        for part in where.parts:
            yield from _leaves(part)
    elif isinstance(where, Not):
        yield from _leaves(where.part)
    else:
        yield where


def _is_pattern(where: Predicate) -> bool:
    return isinstance(where, Match) and where.field.startswith(ATTRIBUTE)


def _losses(where: Predicate) -> Iterable[str]:
    if any(field == "body" or field.startswith(ATTRIBUTE) for field in fields_of(where)):
        yield _CUT
    if any(map(_is_pattern, _leaves(where))):
        yield _MIXED
