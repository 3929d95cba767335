"""Names and types are those of lists written by hand after the standards: they guard against drift, and validate nothing."""

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from kata_audit.schema.event import Action, Outcome
from kata_audit.schema.fieldset import FieldSet, FieldSetName, names_of, read_fieldset, spell_record

STANDARDS = Path(__file__).parents[2] / "data" / "standards"
NAMES = (FieldSetName.ECS, FieldSetName.OCSF, FieldSetName.CIM)
TYPES: Mapping[str, tuple[type, ...]] = {
    "date": (str,),
    "match_only_text": (str,),
    "keyword": (str,),
    "long": (int,),
    "string": (str,),
    "number": (int,),
    "string_t": (str,),
    "integer_t": (int,),
    "long_t": (int,),
    "timestamp_t": (int,),
    "boolean_t": (bool,),
    "keyword[]": (list,),
    "string_t[]": (list,),
}
RECORD = {
    "seq": 7,
    "observed_timestamp": 1_795_000_000_123_456_790,
    "node": "lab/n1",
    "receiver": "file:journal-json",
    "raw": "raw",
    "tenant": "default",
    "timestamp": 1_795_000_000_123_456_789,
    "guest_timestamp": 1_795_000_000_123_456_789,
    "severity_number": 17,
    "severity_text": "ERROR",
    "body": "it died",
    "event_name": "agent.exec",
    "origin": "guest",
    "component": "agent",
    "subsystem": "rpc",
    "pid": 12,
    "boot_id": "b",
    "exec_id": "e",
    "actor": "jane",
    "object": "o",
    "attributes": {"a.b": "c"},
    "sandbox_id": "s",
    "container_id": "c",
    "k8s_namespace": "shop",
    "k8s_pod": "web-1",
    "k8s_pod_uid": "u",
    "k8s_container": "web",
    "image": "i",
}


def table(name: FieldSetName) -> FieldSet:
    folder = resources.files("kata_audit.schema").joinpath("fieldsets")
    return read_fieldset(folder.joinpath(f"{name}.toml").read_bytes())


def published(name: FieldSetName) -> dict[str, str]:
    fields: dict[str, str] = json.loads((STANDARDS / f"{name}.json").read_text())["fields"]
    return fields


def leaves(document: Mapping[str, Any], known: Mapping[str, str], rest: str, before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        name = before + key
        if name in known or not isinstance(value, dict):
            yield name, value
        elif name != rest:
            yield from leaves(value, known, rest, f"{name}.")


def records() -> Iterator[dict[str, Any]]:
    for receiver in ("file:journal-json", "kata-audit:finding"):
        for component in ("agent", "kube-apiserver"):
            for action in Action:
                for outcome in Outcome:
                    more = {"receiver": receiver, "component": component, "action": str(action), "outcome": str(outcome)}
                    yield {**RECORD, **more}
    yield {key: value for key, value in RECORD.items() if key not in {"severity_text", "node"}}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_on_the_list(name: FieldSetName) -> None:
    """A name is the standard's, or stands under our prefix."""
    one = table(name)
    ours = {field for field in names_of(one) if not field.startswith(f"{one.rest}.")}

    assert ours == set(published(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_value_has_the_published_type(name: FieldSetName) -> None:
    """For every action and outcome, of a relay, the API server and a finding."""
    one, known = table(name), published(name)
    for record in records():
        for field, value in leaves(spell_record(one, record, "log/7"), known, one.rest):
            if not field.startswith(f"{one.rest}."):
                assert isinstance(value, TYPES[known[field]]), (field, value)


def test_an_ocsf_event_has_what_every_class_requires() -> None:
    """The class, its category and its activity agree, and the metadata say who made it."""
    one = table(FieldSetName.OCSF)
    for record in records():
        event = spell_record(one, record, "log/7")

        assert event["category_uid"] == event["class_uid"] // 1000
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert event["severity_id"] in range(6)
        assert event["time"] == 1_795_000_000_123
        assert event["metadata"]["version"] == "1.4.0"
        assert event["metadata"]["uid"] == "log/7"
        assert event["unmapped"]["origin"] == "guest"


@pytest.mark.parametrize(
    ("record", "class_uid", "needed"),
    [
        ({"action": "exec"}, 1007, "process"),
        ({"action": "exec", "component": "kube-apiserver"}, 6003, "api"),
        ({"action": "load-module", "component": "kube-apiserver"}, 6003, "api"),
        ({"action": "stop"}, 6002, "app"),
        ({"receiver": "kata-audit:finding"}, 2004, "finding_info"),
        ({"action": "load-module"}, 0, "metadata"),
        ({}, 0, "metadata"),
    ],
)
def test_what_was_done_decides_the_class_of_ocsf(record: dict[str, Any], class_uid: int, needed: str) -> None:
    """And the object that the class is about is there."""
    event = spell_record(table(FieldSetName.OCSF), {**RECORD, **record}, "log/7")

    assert event["class_uid"] == class_uid
    assert event[needed]
