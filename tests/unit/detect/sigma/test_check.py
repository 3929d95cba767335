"""What a rule of ours must have, and what an operator's rule may leave out."""

from collections.abc import Mapping

import pytest
import yaml

from kata_audit.detect.sigma.check import check_rules
from kata_audit.detect.sigma.reader import read_rules

RULE = {
    "title": "A rule",
    "id": "6a3a4c7e-6b1c-4f0e-9a51-0d6a4f1c0001",
    "name": "KA-001",
    "status": "stable",
    "level": "high",
    "description": "It looks for something.",
    "logsource": {"product": "kata", "service": "cri"},
    "detection": {"selection": {"event_name": "exec.started"}, "condition": "selection"},
    "tags": ["attack.t1611", "attack.privilege-escalation"],
    "falsepositives": ["None known."],
    "kata": {
        "needs": [["cri"]],
        "group-by": ["sandbox_id"],
        "respond": ["Look."],
        "controls": ["pci-dss-4.0.1:10.2.1.2", "nist-800-53:AU-12", "iso-27001-2022:A.8.15", "soc2:CC7.2"],
        "evasions": ["Silence."],
    },
}
EVENTS = {"exec.started"}


def told(changes: Mapping[str, object], file: str = "policy/KA-001-a.yml") -> str:
    """Give all that is told of a rule with some keys changed."""
    document = {key: value for key, value in {**RULE, **changes}.items() if value is not None}
    rules = read_rules([(file, yaml.safe_dump(document).encode())])
    return "\n".join(map(str, check_rules(rules, EVENTS)))


def test_a_whole_rule_is_good() -> None:
    """Nothing is told of a rule that has everything."""
    assert not told({})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"description": None}, "`description` is missing"),
        ({"tags": ["attack.t16"]}, "not well formed"),
        ({"tags": ["attack.t9999"]}, "not in our table"),
        ({"tags": ["attack.execution"]}, "names no technique"),
        ({"tags": ["attack.t1611", "colour.red"]}, "of no kind that we know"),
        ({"falsepositives": []}, "`falsepositives` is missing"),
        ({"kata": {**RULE["kata"], "controls": ["pci:10"]}}, "no framework"),  # type: ignore[dict-item]
        ({"kata": {**RULE["kata"], "controls": ["nist-800-53:12"]}}, "not numbered"),  # type: ignore[dict-item]
        ({"kata": {"needs": [["cri"]]}}, "`kata: respond` is missing"),
        ({"detection": {"a": {"event_name": ["exec.started", "exec.x"]}, "condition": "a"}}, "event name `exec.x`"),
        ({"detection": {"a": {"event_name|cased": "exec.y"}, "condition": "not a"}}, "event name `exec.y`"),
        ({"name": "ka_001_part"}, "Nothing uses the part `ka_001_part`"),
    ],
)
def test_what_is_missing_is_told(changes: dict[str, object], words: str) -> None:
    """Each lack is told with the rule's place and name."""
    text = told(changes)

    assert words in text
    assert text.startswith("policy/KA-001-a.yml:1: ")


def test_a_rule_of_others_may_be_short() -> None:
    """An operator's rule needs none of it, but its event names must exist."""
    short = {"name": "mine", "description": None, "tags": None, "falsepositives": None, "kata": None}

    assert not told(short, "mine.yml")
    assert "event name `no.such`" in told(
        {**short, "detection": {"a": {"event_name": "no.such"}, "condition": "a"}}, "mine.yml"
    )
    own = {**short, "detection": {"a": {"event_name|contains": "no.such"}, "condition": "a"}}
    assert not told(own, "mine.yml")


def test_a_file_is_named_after_its_rule() -> None:
    """A rule of ours is found by its file's name."""
    assert "name of its file" in told({}, file="policy/another.yml")
