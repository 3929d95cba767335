"""What Sigma's modifiers and values become: each holds for the records that it should, and for no other."""

from typing import Any

import pytest
import yaml
from tests.records import record_rows

from kata_audit.detect.rule import Absence, Correlation
from kata_audit.detect.sigma.reader import read_rules
from kata_audit.predicate.rows import evaluate
from kata_audit.predicate.tree import Compare, Match, Not, OneOf, Op, Predicate, Present, Syntax

HEAD = {"title": "A rule", "id": "6a3a4c7e-6b1c-4f0e-9a51-0d6a4f1c0001", "name": "KA-001", "status": "stable"}


def when_of(
    detection: dict[str, Any], *, service: str | None = None, lists: dict[str, list[str]] | None = None
) -> Predicate:
    """Read one rule with a detection and give its condition."""
    logsource = {"product": "kata"} | ({"service": service} if service else {})
    text = yaml.safe_dump({**HEAD, "logsource": logsource, "detection": detection}, sort_keys=False)
    (rule,) = read_rules([("rule.yml", text.encode())], lists or {})
    assert not isinstance(rule.when, Correlation | Absence)
    return rule.when


def holds(selection: Any, *, lists: dict[str, list[str]] | None = None, **record: Any) -> bool:
    """Say whether a selection holds for a record of these columns."""
    where = when_of({"selection": selection, "condition": "selection"}, lists=lists)
    found: list[bool] = evaluate(where, record_rows(record)).to_pylist()
    return found[0]


@pytest.mark.parametrize(
    ("selection", "record", "expected"),
    [
        ({"body": "exec"}, {"body": "EXEC"}, True),
        ({"body": "exec"}, {"body": "exec "}, False),
        ({"body": "k"}, {"body": "\u212a"}, False),
        ({"body|cased": "exec"}, {"body": "EXEC"}, False),
        ({"body": "ex*c?"}, {"body": "EX\nc!"}, True),
        ({"body": r"a\*b"}, {"body": "a*b"}, True),
        ({"body": r"a\*b"}, {"body": "axb"}, False),
        ({"body": r"C:\\\*"}, {"body": r"C:\*"}, True),
        ({"body": r"C:\n"}, {"body": r"C:\n"}, True),
        ({"body": ""}, {"body": ""}, True),
        ({"body": ""}, {}, False),
        ({"body|contains": "B"}, {"body": "abc"}, True),
        ({"body": "*"}, {"body": ""}, True),
        ({"body|contains": ""}, {}, False),
        ({"body|startswith": "B"}, {"body": "abc"}, False),
        ({"body|endswith": "C"}, {"body": "abc"}, True),
        ({"body|contains|all": ["a", "c"]}, {"body": "abc"}, True),
        ({"body|contains|all": ["a", "x"]}, {"body": "abc"}, False),
        ({"body|contains": ["x", "c"]}, {"body": "abc"}, True),
        ({"body|contains|cased": "B"}, {"body": "abc"}, False),
        ({"body|neq": "a"}, {"body": "b"}, True),
        ({"body|neq": ["a", "b"]}, {"body": "B"}, False),
        ({"body|neq": "a"}, {}, True),
        ({"body": None}, {}, True),
        ({"body": None}, {"body": ""}, False),
        ({"body|exists": True}, {"body": ""}, True),
        ({"body|exists": False}, {"body": ""}, False),
        ({"body|re": "b."}, {"body": "abc"}, True),
        ({"body|re": "B."}, {"body": "abc"}, False),
        ({"body|re|i": "B."}, {"body": "abc"}, True),
        ({"body|re": "a.b"}, {"body": "a\nb"}, False),
        ({"body|re|s": "a.b"}, {"body": "a\nb"}, True),
        ({"body|re|m": "^b"}, {"body": "a\nb"}, True),
        ({"body|re|startswith": "b|a"}, {"body": "xa"}, False),
        ({"body|re|endswith": "b|c"}, {"body": "xb"}, True),
        ({"body|re|contains": "b|c"}, {"body": "xbx"}, True),
        ({"body|re": r"\*\\d"}, {"body": r"*\d"}, True),
        ({"body|cidr": "10.0.0.0/8"}, {"body": "10.1.1.1"}, True),
        ({"body|cidr": ["192.168.0.0/16", "fd00::/8"]}, {"body": "10.1.1.1"}, False),
        ({"pid": 7}, {"pid": 7}, True),
        ({"pid": [7, 8]}, {"pid": 8}, True),
        ({"pid|gt": 7}, {"pid": 7}, False),
        ({"pid|gte": 6.5}, {"pid": 7}, True),
        ({"pid|gte": 7.5}, {"pid": 7}, False),
        ({"pid|lt": 7.5}, {"pid": 7}, True),
        ({"pid|lte": 6.9}, {"pid": 7}, False),
        ({"attributes.exit": 137}, {"attributes": {"exit": "137"}}, True),
        ({"attributes.exit|gt": 100}, {"attributes": {"exit": "137"}}, True),
        ({"attributes.exit|lt": 100}, {"attributes": {"exit": "none"}}, False),
        ({"attributes.ok": True}, {"attributes": {"ok": "True"}}, True),
        ({"sandbox_id|fieldref": "container_id"}, {"sandbox_id": "a", "container_id": "A"}, True),
        ({"sandbox_id|cased|fieldref": "container_id"}, {"sandbox_id": "a", "container_id": "A"}, False),
        ({"body|fieldref|startswith": "sandbox_id"}, {"body": "ab", "sandbox_id": "a"}, True),
        ({"body|fieldref|endswith": "sandbox_id"}, {"body": "ab", "sandbox_id": "a"}, False),
        ({"body|fieldref|contains": "sandbox_id"}, {"body": "xax", "sandbox_id": "a"}, True),
        ({"sandbox_id|fieldref": "container_id"}, {"sandbox_id": "a"}, False),
        ({"body|windash|contains": " -it"}, {"body": "exec /it x"}, True),
        ({"body|base64|contains": "exec id"}, {"body": "x ZXhlYyBpZA== y"}, True),
        ({"body|base64offset|contains": "exec id"}, {"body": "x V4ZWMgaW y"}, True),
        ({"body|wide|contains": "id"}, {"body": "xi\0d\0"}, True),
        ({"body|utf16|base64offset|contains": "id"}, {"body": "//5pAGQA"}, True),
        ({"body|utf16be|contains": "id"}, {"body": "\0i\0d"}, True),
        ({"timestamp|hour": 11}, {"timestamp": 1_795_000_000_000_000_000}, True),
        ({"timestamp|year": [2025, 2027]}, {"timestamp": 1_795_000_000_000_000_000}, False),
        ({"timestamp|minute": 6}, {"timestamp": 1_795_000_000_000_000_000}, True),
        ({"timestamp|day": 18, "timestamp|week": 47, "timestamp|month": 11}, {"timestamp": 1_795_000_000_000_000_000}, True),
        ({"component": "QEMU"}, {"component": "qemu"}, True),
        ({"event_name": "Exec.Started"}, {"event_name": "exec.started"}, True),
        ({"component|startswith": "RUNTIME"}, {"component": "runtime-rs"}, True),
        (["foo", "b?r"], {"body": "a BAR"}, True),
        (["foo", "b?r"], {"raw": b"a bar"}, False),
        ({"|all": ["foo", "bar"]}, {"body": "barfoo"}, True),
        ({"|all": ["foo", "bar"]}, {"body": "bar"}, False),
        ({"|re": "ba+r"}, {"body": "baaar"}, True),
        (137, {"body": "exit 137"}, True),
        ([{"body": "a"}, {"pid": 1}], {"pid": 1}, True),
        ([{"body": "a", "pid": 2}, {"pid": 1}], {"body": "a"}, False),
    ],
)
def test_a_selection_holds_where_it_should(selection: Any, record: dict[str, Any], *, expected: bool) -> None:
    """Every modifier and value of the Sigma specification, on a record by hand."""
    assert holds(selection, **record) is expected


@pytest.mark.parametrize(
    ("condition", "record", "expected"),
    [
        ("a and b", {"body": "x", "pid": 1}, True),
        ("a and not b", {"body": "x", "pid": 1}, False),
        ("a or b", {"pid": 1}, True),
        ("not (a or b)", {"pid": 2}, True),
        ("1 of filter_*", {"image": "x"}, True),
        ("all of filter_*", {"image": "x"}, False),
        ("any of them", {"image": "x"}, True),
        ("all of them", {"image": "x", "pid": 1, "body": "x", "exec_id": "x"}, True),
        ("a and not 1 of filter_*", {"body": "x", "exec_id": "y"}, True),
        ("a or b and filter_1", {"body": "x"}, True),
        (["a and b", "filter_1"], {"image": "x"}, True),
    ],
)
def test_a_condition_joins_selections(condition: Any, record: dict[str, Any], *, expected: bool) -> None:
    """The grammar of conditions, with selections that the condition does not name put under a second one."""
    selections = {"a": {"body": "x"}, "b": {"pid": 1}, "filter_1": {"image": "x"}, "filter_2": {"exec_id": "x"}}
    texts = condition if isinstance(condition, list) else [condition]
    where = when_of({**selections, "condition": [*texts, "a and b and filter_1 and filter_2"]})

    assert evaluate(where, record_rows(record)).to_pylist() == [expected]


def test_a_list_fills_a_value() -> None:
    """A list gives a value each of its texts, as patterns; an empty one holds for nothing, and `not` of it for everything."""
    selection = {"attributes.cmd|expand": "%allowed_exec_commands%"}

    assert holds(selection, lists={"allowed_exec_commands": ["id", "ls *"]}, attributes={"cmd": "LS -l"})
    assert not holds(selection, lists={"allowed_exec_commands": ["id"]}, attributes={"cmd": "ls"})
    assert not holds(selection, attributes={"cmd": ""})
    inside = {"body|contains|expand": "run %allowed_exec_commands% in %allowed_devices%"}
    lists = {"allowed_exec_commands": ["a", "b"], "allowed_devices": ["x", "y"]}
    assert holds(inside, lists=lists, body="it will run b in x today")
    where = when_of({"a": {"body": "x"}, "f": selection, "condition": "a and not f"})
    assert where == Match("body", "x", Syntax.WILDCARD, cased=False)


def test_exact_words_become_gates() -> None:
    """Words of ours, numbers and caseless texts become leaves that every engine asks first."""
    assert when_of({"a": {"component": ["QEMU", "virtiofsd"]}, "condition": "a"}) == OneOf(
        "component", frozenset({"qemu", "virtiofsd"})
    )
    assert when_of({"a": {"attributes.exit_status": [255, 137]}, "condition": "a"}) == OneOf(
        "attributes.exit_status", frozenset({"255", "137"})
    )
    assert when_of({"a": {"event_name": ["exec.a", "exec.b"]}, "condition": "a"}) == OneOf(
        "event_name", frozenset({"exec.a", "exec.b"})
    )
    assert when_of({"a": {"k8s_pod": "1-2"}, "condition": "a"}) == Compare("k8s_pod", Op.EQ, "1-2")
    assert when_of({"a": {"k8s_pod": "*"}, "condition": "a"}) == Present("k8s_pod")
    assert when_of({"a": {"k8s_pod": None}, "condition": "a"}) == Not(Present("k8s_pod"))


@pytest.mark.parametrize(
    ("service", "record", "expected"),
    [
        ("cri", {"component": "containerd", "origin": "host"}, True),
        ("cri", {"component": "containerd", "origin": "guest"}, False),
        ("cri", {"component": "runtime-go", "origin": "host"}, False),
        ("runtime", {"component": "runtime-rs", "origin": "host"}, True),
        ("hypervisor", {"component": "qemu", "origin": "unknown"}, False),
        ("agent", {"component": "agent", "origin": "guest"}, True),
        ("guest", {"component": "guest-kernel", "origin": "guest"}, True),
        ("guest", {"component": "guest-kernel", "origin": "host"}, False),
        ("tools", {"component": "kata-monitor", "origin": "host"}, True),
        ("tools", {"component": "runtime-go", "origin": "host", "attributes": {"name": "kata-runtime"}}, True),
        ("tools", {"component": "runtime-go", "origin": "host", "attributes": {"name": "containerd-shim-v2"}}, False),
        ("tools", {"component": "runtime-go", "origin": "guest", "attributes": {"name": "kata-runtime"}}, False),
        ("kata-audit", {"component": "kata-audit", "origin": "host"}, True),
        (None, {"component": "other"}, True),
    ],
)
def test_a_service_is_whom_a_rule_listens_to(service: str | None, record: dict[str, Any], *, expected: bool) -> None:
    """A guest can never speak for a service of the host."""
    where = when_of({"a": {"body": "x"}, "condition": "a"}, service=service)

    assert evaluate(where, record_rows({"body": "x", **record})).to_pylist() == [expected]
