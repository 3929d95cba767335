"""An act's record: the same bytes for the same act, and the same act back; what may not be done is none."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import attributes, derive, row
from tests.findings import ACT, HOUR, START_NS, own_rows

from kata_audit.schema.act import (
    ACT_KIND,
    LONGEST_SILENCE_NS,
    SILENCE_FIELDS,
    Act,
    ActKind,
    Verdict,
    from_attributes,
    mistakes_of,
    to_line,
)

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)
_COMMON = {
    "act_id": _TEXT,
    "time_ns": st.integers(0, 10**18),
    "user": _TEXT,
    "reason": _TEXT,
    "on_behalf": _TEXT | st.just(""),
}
_VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=1, max_size=20)
ACTS = st.one_of(
    st.builds(
        Act,
        kind=st.sampled_from([ActKind.ACK, ActKind.REOPEN, ActKind.ESCALATE, ActKind.UNSILENCE]),
        target=_TEXT,
        **_COMMON,
    ),
    st.builds(Act, kind=st.just(ActKind.CLOSE), target=_TEXT, verdict=st.sampled_from(Verdict), **_COMMON),
    st.builds(
        Act,
        kind=st.just(ActKind.SILENCE),
        matches=st.dictionaries(st.sampled_from(SILENCE_FIELDS), _VALUES | _VALUES.map("{}*".format), min_size=1),
        until_ns=st.integers(10**18 + 1, 10**18 + LONGEST_SILENCE_NS),
        **{**_COMMON, "time_ns": st.just(10**18)},
    ),
)


@given(ACTS)
def test_an_act_comes_back_from_its_record(act: Act) -> None:
    """Spelled, spooled as a record of ours, read by the dialect: the same act, whose line is the same bytes."""
    records = derive(own_rows(ACT_KIND, [to_line(act)]))
    said = attributes(records)
    read = from_attributes(said)

    assert read == act
    assert to_line(read) == to_line(act)
    assert row(records, "event_name", "origin", "component", "class") == ("alert.act", "host", "kata-audit", "security")


def test_an_act_is_found_by_who_did_it() -> None:
    """Who, what and to what are columns, as of every audit event; the person who was named counts before the account."""
    records = derive(own_rows(ACT_KIND, [to_line(ACT), to_line(dataclasses.replace(ACT, on_behalf="alice"))]))

    assert row(records, "actor", "action", "object", "outcome") == ("root", "update", f"alert/{ACT.target}", "success")
    assert row(records, "actor", "actor_confidence", at=1) == ("alice", "stated")


SILENCE: dict[str, Any] = {
    "kind": ActKind.SILENCE,
    "target": "",
    "matches": {"rule_id": "KA-008"},
    "until_ns": START_NS + HOUR,
}


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({}, []),
        (SILENCE, []),
        ({"reason": " "}, ["reason"]),
        ({"target": ""}, ["target"]),
        ({"kind": ActKind.CLOSE}, ["verdict"]),
        ({"verdict": Verdict.BENIGN}, ["verdict"]),
        ({"until_ns": START_NS + HOUR}, ["matches"]),
        ({**SILENCE, "until_ns": None}, ["end"]),
        ({**SILENCE, "until_ns": START_NS}, ["end"]),
        ({**SILENCE, "until_ns": START_NS + 2 * LONGEST_SILENCE_NS}, ["end"]),
        ({**SILENCE, "matches": {}, "reason": ""}, ["reason", "match"]),
        ({**SILENCE, "matches": {"pod": "a", "node": "*"}}, ["match pod", "match node"]),
        ({**SILENCE, "matches": {"node": "a*b"}}, ["match node"]),
    ],
)
def test_what_may_not_be_done_is_no_act(change: dict[str, Any], parts: list[str]) -> None:
    """Every mistake is named; a record that holds one is read as no act."""
    act = dataclasses.replace(ACT, **change)
    said = attributes(derive(own_rows(ACT_KIND, [to_line(act)])))

    assert [part for part, _ in mistakes_of(act)] == parts
    assert from_attributes(said) == (None if parts else act)
