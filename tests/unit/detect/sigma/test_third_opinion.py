"""A third opinion: pySigma's SQLite backend picks the same records, but where SQLite itself means something else."""

from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.records import record_rows
from tests.third_opinion import ThirdOpinion
from tests.unit.detect.sigma.test_printer import ITEMS
from tests.unit.detect.sigma.test_values import HEAD
from tests.unit.predicate.test_one_meaning import WORDS, tables

from kata_audit.detect.rule import Absence, Correlation, Rule
from kata_audit.detect.sigma.lists import LISTS
from kata_audit.detect.sigma.reader import read_rules
from kata_audit.pipeline.samples import read_samples, records_of_sample
from kata_audit.predicate.rows import Columns, evaluate
from kata_audit.rules.files import rule_files, sample_files
from kata_audit.wiring import derivation


def opinions(rule: Rule, rows: pa.RecordBatch) -> tuple[set[int], set[int]]:
    """Give the rows that we pick, and those that SQLite picks."""
    assert not isinstance(rule.when, Correlation | Absence)
    columns = Columns(rows)
    ours = {at for at, holds in enumerate(evaluate(rule.when, columns).to_pylist()) if holds}
    return ours, ThirdOpinion(columns, [rule.when]).select(rule, {rule.rule_id: rule})


def rule_of(detection: dict[str, Any]) -> Rule:
    """Read one rule with a detection."""
    text = yaml.safe_dump({**HEAD, "logsource": {"product": "kata"}, "detection": detection}, sort_keys=False)
    return read_rules([("rule.yml", text.encode())])[0]


def test_shipped_rules_pick_the_same_of_all_samples() -> None:
    """No shipped rule and no record of any sample on which the two disagree."""
    derive = derivation()
    batches = [
        records_of_sample(sample, derive)
        for name, content in sample_files().items()
        for sample in read_samples(content, name)[0]
    ]
    columns = Columns(pa.Table.from_batches(batches).combine_chunks().to_batches()[0])
    rules = {rule.rule_id: rule for rule in read_rules(rule_files(), dict.fromkeys(LISTS, ("*a*", "default")))}
    events = {name: rule.when for name, rule in rules.items() if not isinstance(rule.when, Correlation | Absence)}
    third = ThirdOpinion(columns, events.values())
    picked = {
        name: {at for at, holds in enumerate(evaluate(where, columns).to_pylist()) if holds}
        for name, where in events.items()
    }

    assert columns.rows.num_rows > 1000
    assert sum(map(len, picked.values())) > 1000
    assert {name: third.select(rules[name], rules) for name in events} == picked


def _is_plain(value: Any) -> bool:
    return not (isinstance(value, str) and "\0" in value)


DIFFERENT = ("attributes.k|gt", "body|cidr", "timestamp|hour", "timestamp|month")
PLAIN = ITEMS.filter(lambda item: _is_plain(item[1]) and item[0] not in DIFFERENT)
"""What both mean the same: see the differences below."""


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    selections=st.lists(st.lists(PLAIN, min_size=1, max_size=3).map(dict), min_size=2, max_size=2),
    condition=st.sampled_from(["a and b", "a or b", "not a and b", "not (a or not b)"]),
    rows=tables(),
)
def test_any_detection_picks_the_same(selections: list[dict[str, Any]], condition: str, rows: pa.RecordBatch) -> None:
    """Whatever a rule says of plain texts, both mean it."""
    columns = Columns(rows)
    texts = [columns.column(name).to_pylist() for name in WORDS]
    kept = [at for at in range(rows.num_rows) if not any("\0" in (column[at] or "") for column in texts)]
    rule = rule_of({**dict(zip("ab", selections, strict=True)), "condition": condition})
    ours, third = opinions(rule, rows.take(pa.array(kept, pa.int64())))

    assert third == ours


@pytest.mark.parametrize(
    ("selection", "record", "ours"),
    [
        # To SQLite every text is above every number.
        ({"attributes.n|gt": 9}, {"attributes": {"n": "not a number"}}, False),
        # The backend takes times for seconds or dates; ours are nanoseconds.
        ({"timestamp|year": 2026}, {"timestamp": 1_795_000_000_000_000_000}, True),
        # The backend takes a network for the beginning of a text.
        ({"body|cidr": "10.0.0.0/8"}, {"body": "10.0.0.1:80"}, False),
        # To SQLite's functions a text ends at its first null character.
        ({"body|fieldref|endswith": "image"}, {"body": "xb", "image": "b\0a"}, False),
    ],
)
def test_where_sqlite_means_something_else(selection: dict[str, Any], record: dict[str, Any], *, ours: bool) -> None:
    """Each difference that is known, with its reason."""
    picked, third = opinions(rule_of({"a": selection, "condition": "a"}), record_rows(record))

    assert picked == ({0} if ours else set())
    assert third != picked
