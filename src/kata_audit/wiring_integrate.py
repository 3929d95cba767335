"""`integrate` put together: packs with the rules that run here, converted."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kata_audit.config import RuleSettings


def with_rules(text: str, settings: "RuleSettings") -> str:
    """Put the rules that run at a place into a file of a pack, where it has a place for them.

    Raises:
        RulesError: The rules have mistakes.
        InputMissingError: Their folder cannot be read.
    """
    from kata_audit.integrations.converting import put_rules

    return put_rules(text, _makers(settings))


def _makers(settings: "RuleSettings") -> "Mapping[str, Callable[[], str]]":
    from kata_audit.integrations.loki_rules import loki_rules, ruler_yaml
    from kata_audit.schema.fieldset import FieldSetName
    from kata_audit.wiring import rules
    from kata_audit.wiring_export import fieldset

    return {"loki-rules": lambda: ruler_yaml(loki_rules(rules(settings), fieldset(FieldSetName.OTEL)))}
