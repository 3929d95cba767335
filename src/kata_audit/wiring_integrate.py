"""`integrate` put together: packs with the rules that run here, converted."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kata_audit.config import RuleSettings
    from kata_audit.exporters.export_settings import ExportKind

_RAW_INDEX = "logs-kata_raw-*"
"""The data streams of raw lines; not those of records."""


def with_rules(text: str, settings: "RuleSettings") -> str:
    """Put the rules that run at a place into a file of a pack, where it has a place for them.

    Raises:
        RulesError: The rules have mistakes.
        InputMissingError: Their folder cannot be read.
    """
    from kata_audit.integrations.converting import put_rules

    return put_rules(text, _makers(settings))


def _makers(settings: "RuleSettings") -> "Mapping[str, Callable[[], str]]":
    from kata_audit.exporters.export_settings import ExportKind
    from kata_audit.integrations.loki_rules import loki_rules, ruler_yaml
    from kata_audit.integrations.search_rules import rules_ndjson, search_rules
    from kata_audit.integrations.splunk_rules import event_props, savedsearches_conf, splunk_rules
    from kata_audit.schema.fieldset import FieldSetName
    from kata_audit.wiring import integration_file, integration_packs, rules
    from kata_audit.wiring_export import fieldset

    def queries(kind: ExportKind) -> str:
        return rules_ndjson(search_rules(rules(settings), fieldset(FieldSetName.ECS), kind), kind)

    def pipeline(name: str) -> str:
        return integration_file(integration_packs()["opensearch"], name)

    return {
        "loki-rules": lambda: ruler_yaml(loki_rules(rules(settings), fieldset(FieldSetName.OTEL))),
        "opensearch-rules": lambda: queries(ExportKind.OPENSEARCH),
        "elasticsearch-rules": lambda: queries(ExportKind.ELASTICSEARCH),
        "splunk-rules": lambda: savedsearches_conf(splunk_rules(rules(settings), fieldset(FieldSetName.CIM))),
        "splunk-props": event_props,
        "kata-line-pipeline": lambda: pipeline("kata-line.pipeline.yml"),
        "kata-raw-pipeline": lambda: pipeline("kata-raw.pipeline.yml"),
        "opensearch-raw-template": lambda: _raw_template(ExportKind.OPENSEARCH),
        "elasticsearch-raw-template": lambda: _raw_template(ExportKind.ELASTICSEARCH),
    }


def _raw_template(kind: "ExportKind") -> str:
    """Write the template of records, as one for raw lines."""
    import json

    from kata_audit.exporters.elastic import FLAT
    from kata_audit.exporters.elastic_template import template

    made = template(_RAW_INDEX, attributes=FLAT[kind], is_stream=True)
    made["template"]["settings"] = {"index.default_pipeline": "kata-raw"}
    made["_meta"]["description"] = "Raw lines of Kata nodes"
    return json.dumps(made, indent=2)
