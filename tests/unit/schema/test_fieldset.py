"""Field sets lose nothing, and call things what their owners do."""

from importlib import resources

import pytest

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
    seen: list[str] = list(fieldset.constants)
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
