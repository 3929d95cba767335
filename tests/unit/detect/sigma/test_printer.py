"""Rules written as Sigma again are read as the same rules."""

from typing import Any
from uuid import UUID

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.detect.sigma.test_values import when_of
from tests.unit.predicate.test_one_meaning import LETTERS, tables

from kata_audit.detect.rule import Absence, Correlation, Rule
from kata_audit.detect.sigma.printer import PrintError, print_detection, print_rule
from kata_audit.detect.sigma.reader import read_rules
from kata_audit.predicate.rows import evaluate
from kata_audit.predicate.tree import NOTHING, And, Compare, Everything, Not, Op, Or, Predicate, Present, simplify
from kata_audit.rules.files import rule_files

SHIPPED = {
    rule.rule_id: rule for rule in read_rules(rule_files(), {"allowed_devices": ["a", "b*"], "maintenance_nodes": ["n"]})
}


def canonical(where: Any) -> Any:
    """Bring a condition into a form that is equal for equal ones: order and doubles do not count."""
    if isinstance(where, And | Or):
        inner = {part for one in where.parts for part in _flat(canonical(one), type(where).__name__)}
        return next(iter(inner)) if len(inner) == 1 else (type(where).__name__, frozenset(inner))
    return ("Not", canonical(where.part)) if isinstance(where, Not) else where


def _flat(part: Any, kind: str) -> Any:
    return part[1] if isinstance(part, tuple) and part[0] == kind else (part,)


def read_again(rule: Rule) -> Rule:
    """Print a rule, read what was printed, and give the rule of the same name."""
    documents = print_rule(rule, SHIPPED)
    for number, document in enumerate(documents):
        document["id"] = str(UUID(int=number + 1))
    text = "---\n".join(yaml.safe_dump(document, allow_unicode=True, sort_keys=False) for document in documents)
    return next(one for one in read_rules([("printed.yml", text.encode())]) if one.rule_id == rule.rule_id)


@pytest.mark.parametrize("name", [name for name, rule in SHIPPED.items() if not isinstance(rule.when, Absence)])
def test_a_shipped_rule_is_read_again(name: str) -> None:
    """Every rule of the package, written and read, asks the same."""
    rule = SHIPPED[name]
    again = read_again(rule)

    if isinstance(rule.when, Correlation):
        assert again.when == rule.when
    else:
        assert canonical(again.when) == canonical(rule.when)
    assert (again.level, again.maturity, again.about.title) == (rule.level, rule.maturity, rule.about.title)


def test_an_absence_is_no_sigma() -> None:
    """What Sigma has no word for is refused."""
    absent = [rule for rule in SHIPPED.values() if isinstance(rule.when, Absence)]

    assert absent
    for rule in absent:
        with pytest.raises(PrintError, match="does not come"):
            print_rule(rule, SHIPPED)


@pytest.mark.parametrize("where", [Compare("body", Op.LT, "x"), Compare("pid", Op.NE, 5)])
def test_what_no_rule_says_is_refused(where: Predicate) -> None:
    """A search may compare in ways that no rule does."""
    with pytest.raises(PrintError, match="cannot be written"):
        print_detection(where)


TEXTS = st.text(LETTERS, min_size=1, max_size=5)
ITEMS = st.one_of(
    st.tuples(
        st.sampled_from(["body", "body|cased", "attributes.k|contains", "k8s_pod|startswith|cased", "raw|endswith"]), TEXTS
    ),
    st.tuples(st.sampled_from(["body", "component"]), st.none()),
    st.tuples(st.just("component"), st.lists(st.sampled_from(["QEMU", "agent", "crio"]), min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["pid|lt", "pid|gte", "pid", "attributes.k|gt", "attributes.k"]), st.integers(0, 9)),
    st.tuples(st.sampled_from(["body|re", "body|re|i", "body|re|m|s"]), st.sampled_from(["a.", "^k$", "[%_]"])),
    st.tuples(st.sampled_from(["body|fieldref", "body|cased|fieldref", "body|fieldref|endswith"]), st.just("k8s_pod")),
    st.tuples(st.sampled_from(["body|cidr"]), st.sampled_from(["10.0.0.0/8", "fd00::/8"])),
    st.tuples(st.sampled_from(["timestamp|hour", "timestamp|month"]), st.integers(1, 12)),
    st.tuples(st.sampled_from(["body|neq"]), TEXTS),
)
SELECTIONS = st.lists(ITEMS, min_size=1, max_size=3).map(dict)


@settings(max_examples=150, deadline=None)
@given(
    selections=st.lists(SELECTIONS, min_size=3, max_size=3),
    condition=st.sampled_from(["a and not b or c", "not (a or b) and c", "1 of them", "all of them", "a and (b or not c)"]),
    rows=tables(),
)
def test_any_detection_is_read_again(selections: list[dict[str, Any]], condition: str, rows: Any) -> None:
    """Whatever a detection says, written and read again it holds for the same records."""
    where = when_of({**dict(zip("abc", selections, strict=True)), "condition": condition})
    again = when_of(print_detection(where))

    assert evaluate(again, rows) == evaluate(where, rows)


@pytest.mark.parametrize("where", [Everything(), NOTHING, And((Everything(), Not(NOTHING))), Or((Present("pid"), NOTHING))])
def test_every_and_no_record_can_be_said(where: Predicate) -> None:
    """Conditions without a field are written by one that every record has."""
    again = when_of(print_detection(simplify(where)))

    assert again in (Present("seq"), Not(Present("seq")), Present("pid"))
    assert (simplify(where) == NOTHING) == (again == Not(Present("seq")))
