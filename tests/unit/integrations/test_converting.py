"""Converted rules stay text: nothing of a rule can end a comment or start a template in another system."""

from dataclasses import replace

import pytest
import yaml

from kata_audit.config import Config
from kata_audit.integrations.converting import one_line, put_rules
from kata_audit.integrations.loki_rules import loki_rules, ruler_yaml
from kata_audit.schema.fieldset import FieldSetName
from kata_audit.wiring import rules
from kata_audit.wiring_export import fieldset

WORDS = fieldset(FieldSetName.OTEL)
RULES = {rule.rule_id: rule for rule in rules(Config().rules)}
HOSTILE = 'a\n      - alert: evil\n# {{ printf "%s" $labels }} "quoted" \\ {% x %}'


@pytest.mark.parametrize("rule_id", ["KA-008", "KA-033"])
def test_a_hostile_text_of_a_rule_stays_one(rule_id: str) -> None:
    rule = RULES[rule_id]
    about = replace(rule.about, title=HOSTILE, description=HOSTILE, respond=(HOSTILE,))
    (read,) = yaml.safe_load(ruler_yaml(loki_rules([replace(rule, about=about)], WORDS)))
    assert read["alert"] == rule_id
    assert read["annotations"]["summary"] == one_line(HOSTILE)
    assert "{{" not in read["annotations"]["summary"] + read["annotations"]["description"]


def test_rules_go_where_their_line_is() -> None:
    assert put_rules("a\n%%x%%\nb %%x%%\n", {"x": lambda: "1\n2\n"}) == "a\n1\n2\nb %%x%%\n"


def test_each_rule_is_there_or_left_out() -> None:
    """And a part that other rules count is neither."""
    made = loki_rules(RULES.values(), WORDS)
    ids = [one.rule.rule_id for one in made.done]
    assert sorted([*ids, *made.left_out]) == sorted(rule_id for rule_id, rule in RULES.items() if not rule.silent)
