"""Field sets lose nothing, and call things what their owners do."""

import json
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.schema.fieldset import FieldSetName, read_fieldset, spell_record
from kata_audit.schema.record import RECORD_SCHEMA

SETS = resources.files("kata_audit.schema").joinpath("fieldsets")
NAMES = [name for name in FieldSetName if SETS.joinpath(f"{name}.toml").is_file()]
RECORD = {
    "seq": 7,
    "timestamp": 1_795_000_000_123_456_789,
    "body": "it died",
    "k8s_pod": "web-1",
    "attributes": {"a.b": "c"},
}


def test_otel_calls_things_what_opentelemetry_does() -> None:
    """Flat, times as RFC 3339, and what it has no word for under `kata`."""
    spelled = spell_record(read_fieldset(SETS.joinpath("otel.toml").read_bytes()), RECORD, "log/7")

    assert spelled == {
        "kata.seq": 7,
        "timestamp": "2026-11-18T11:06:40.123456789Z",
        "body": "it died",
        "k8s.pod.name": "web-1",
        "kata.attributes": {"a.b": "c"},
        "log.record.uid": "log/7",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_column_is_there_once(name: FieldSetName) -> None:
    """A record with every column has as many names, or more; none overwrites another."""
    fieldset = read_fieldset(SETS.joinpath(f"{name}.toml").read_bytes())
    seen: list[str] = list({*fieldset.constants, *(name for one in fieldset.cases for name in one.then)})
    for column in (*RECORD_SCHEMA.names, "name"):
        rows = fieldset.fields.get(column, ())
        seen += [row.to for row in rows] or [f"{fieldset.rest}.{column}"]

    assert len(seen) == len(set(seen)), sorted(name for name in seen if seen.count(name) > 1)


@pytest.mark.parametrize(
    "row",
    ['from = "nothing"\nto = "a"', 'from = "body"\nto = "a"\nform = "strange"', 'from = "body"\nto = "a"\nother = 1'],
)
def test_a_table_with_a_mistake_is_none(row: str) -> None:
    """A wrong column, form or key is found when the table is read, not when a record is."""
    text = f'title = "t"\nnested = false\nrest = "kata"\n[[field]]\n{row}\n'
    with pytest.raises(ValueError, match="no row"):
        read_fieldset(text.encode())


def test_a_name_is_a_value_or_an_object() -> None:
    """Never both, where names make objects."""
    text = 'title="t"\nnested=true\nrest="kata"\n[[field]]\nfrom="body"\nto="a"\n[[field]]\nfrom="node"\nto="a.b"\n'
    with pytest.raises(ValueError, match="an object"):
        read_fieldset(text.encode())


@pytest.mark.parametrize("name", NAMES)
def test_who_wrote_it_and_its_name_survive(name: FieldSetName) -> None:
    """A guest's text stays a guest's, a claim a claim, and the name is the one that `prove` takes."""
    record = {"seq": 7, "origin": "guest", "guest_timestamp": 1, "attributes": {"finding.claim": "true"}}
    spelled = json.dumps(spell_record(read_fieldset(SETS.joinpath(f"{name}.toml").read_bytes()), record, "log/7"))

    assert all(text in spelled for text in ('"guest"', '"log/7"', '{"finding.claim": "true"}'))


def test_ecs_says_failure_and_keeps_our_word() -> None:
    """A denied exec is a process that failed to start, and `kata.outcome` tells the two apart."""
    record = {"action": "exec", "outcome": "denied", "severity_text": "WARN"}
    spelled = spell_record(read_fieldset(SETS.joinpath("ecs.toml").read_bytes()), record, None)

    assert spelled == {
        "ecs": {"version": "8.11.0"},
        "event": {
            "action": "exec",
            "category": ["process"],
            "kind": "event",
            "module": "kata_audit",
            "outcome": "failure",
            "type": ["start"],
        },
        "kata": {"outcome": "denied"},
        "log": {"level": "warn"},
    }


def test_a_finding_is_an_alert_of_ecs() -> None:
    """The receiver makes it one, never the text."""
    fieldset = read_fieldset(SETS.joinpath("ecs.toml").read_bytes())
    kinds = [
        spell_record(fieldset, {"receiver": receiver, "event_name": "detect.finding"}, None)["event"]["kind"]
        for receiver in ("kata-audit:finding", "file:journal-json")
    ]

    assert kinds == ["alert", "event"]


def test_cim_is_flat() -> None:
    """Words of the Change data model; what was said stays beside them."""
    record = {"action": "delete", "outcome": "denied", "actor": "jane", "node": "lab/n1"}
    spelled = spell_record(read_fieldset(SETS.joinpath("cim.toml").read_bytes()), record, None)

    assert spelled == {
        "vendor_product": "kata-audit",
        "action": "deleted",
        "kata.action": "delete",
        "status": "failure",
        "result": "denied",
        "user": "jane",
        "dest": "lab/n1",
        "dvc": "lab/n1",
    }


def test_a_row_whose_condition_fails_leaves_the_column_under_the_prefix() -> None:
    """Nothing is lost where a name holds for some records only."""
    text = 'title="t"\nnested=false\nrest="kata"\n[[field]]\nfrom="body"\nto="a"\nwhen={action=["exec"], actor=["*"]}\n'
    fieldset = read_fieldset(text.encode())

    assert spell_record(fieldset, {"body": "b", "action": "exec", "actor": "jane"}, None)["a"] == "b"
    assert spell_record(fieldset, {"body": "b", "action": "exec"}, None)["kata.body"] == "b"
    assert spell_record(fieldset, {"body": "b"}, None) == {"kata.body": "b"}


def test_a_case_asks_for_columns_that_exist() -> None:
    """A mistake in a condition is found when the table is read."""
    text = 'title="t"\nnested=false\nrest="kata"\nfield=[]\n[[case]]\nwhen={nothing=["a"]}\nthen={a=1}\n'
    with pytest.raises(ValueError, match="no columns"):
        read_fieldset(text.encode())


_VALUES: dict[str, list[Any]] = {
    "action": ["exec", "start", "oom", "read", "*", "new"],
    "component": ["kube-apiserver", "agent"],
    "receiver": ["kata-audit:finding", "file"],
    "outcome": ["denied", "success"],
    "timestamp": [0, 1_795_000_000_123_456_789],
    "body": ["b"],
    "attributes": [{"a": "b"}],
}
_RECORDS = st.lists(
    st.fixed_dictionaries({}, optional={key: st.sampled_from(one) for key, one in _VALUES.items()}), max_size=9
)


@pytest.mark.parametrize("name", FieldSetName)
@given(records=_RECORDS)
def test_what_was_spelled_before_changes_no_answer(name: FieldSetName, records: list[dict[str, Any]]) -> None:
    """Plans are kept by the shape of records; a table that has kept none says the same, key by key."""
    data = SETS.joinpath(f"{name}.toml").read_bytes()
    kept = read_fieldset(data)

    for record in records:
        anew = spell_record(read_fieldset(data), record, "log/7")
        assert json.dumps(spell_record(kept, record, "log/7")) == json.dumps(anew)


def test_whoever_writes_records_cannot_make_plans_without_end() -> None:
    """Shapes are many; the plans that are kept are not."""
    fieldset = read_fieldset(SETS.joinpath("otel.toml").read_bytes())
    for number in range(10_000):
        spell_record(fieldset, {f"column{bit}": bit for bit in range(14) if number >> bit & 1}, None)

    assert len(fieldset.plans) <= 4096
