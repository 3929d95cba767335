"""Judging: what becomes a finding, how often, in whose name, and that the cuts do not matter."""

import random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.judged import HOUR, SECOND, START, base, records

from kata_audit.detect.engine import judge
from kata_audit.detect.ruleset import Ruleset
from kata_audit.detect.state import State, from_bytes
from kata_audit.predicate.tree import Compare, Everything, Match, Op, Present, Syntax
from kata_audit.schema.finding import Finding

EXEC = base("KA-001", Compare("event_name", Op.EQ, "exec.started"), group_by=("sandbox_id",))


def judged(rules: list[Any], *rows: dict[str, Any]) -> tuple[Finding, ...]:
    """Judge records in one cut."""
    return judge(Ruleset(rules, origin="log.example"), State(), records(rows))[1]


def test_a_record_becomes_a_finding_that_says_who_and_where() -> None:
    """Name, rule, level, time, place and evidence stand in it; what no record states does not."""
    rule = base("KA-001", Compare("event_name", Op.EQ, "exec.started"), group_by=("sandbox_id", "attributes.command"))

    (found,) = judged(
        [rule],
        {"event_name": "other"},
        {
            "event_name": "exec.started",
            "sandbox_id": "s1",
            "k8s_pod": "api",
            "actor": "eve",
            "attributes": {"command": "sh"},
        },
    )

    assert found.rule_id == "KA-001"
    assert found.rule_digest == rule.digest
    assert (found.node, found.tenant) == ("lab/node", "default")
    assert found.records == ("log.example/1",)
    assert (found.first_ns, found.time_ns, found.count) == (START + SECOND, START + SECOND, 1)
    assert found.subject == {"sandbox_id": "s1", "attributes.command": "sh", "node": "lab/node", "k8s_pod": "api"}
    assert found.detail == {"event_name": "exec.started", "actor": "eve"}
    assert not found.claim


@pytest.mark.parametrize(("origin", "claim"), [("guest", True), ("host", False), ("unknown", False), (None, False)])
def test_only_a_guests_record_is_a_claim(origin: str | None, *, claim: bool) -> None:
    """What rests on a guest's text alone is marked."""
    (found,) = judged([EXEC], {"event_name": "exec.started", "origin": origin})

    assert found.claim is claim


def test_a_silent_part_makes_no_finding() -> None:
    """A base part speaks through the rules over it."""
    assert judged([base("ka_001_exec", Everything(), silent=True)], {"body": "x"}) == ()


def test_our_own_findings_are_not_judged() -> None:
    """A finding of a finding would have no end; other records of ours are judged."""
    found = judged([base("KA-002", Everything())], {"receiver": "kata-audit:finding"}, {"receiver": "kata-audit:act"})

    assert [one.records for one in found] == [("log.example/1",)]


def test_copies_of_one_record_are_one_event() -> None:
    """The first counts; a guest's text is no copy of a host's record, and another node's none of this one's."""
    copy = {"event_name": "exec.started", "copy_key": 7}

    found = judged([EXEC], copy, copy, copy | {"origin": "guest"}, copy | {"node": "lab/other"}, copy | {"copy_key": 8})

    assert [one.records[0] for one in found] == [f"log.example/{seq}" for seq in (0, 2, 3, 4)]


def test_a_copy_is_known_over_cuts_but_not_for_ever() -> None:
    """What comes after many other records is an event of its own."""
    rules = Ruleset([EXEC], origin="log.example")
    copy = {"event_name": "exec.started", "copy_key": 7}

    state, first = judge(rules, State(), records([copy]))
    state, second = judge(rules, state, records([copy], first=1))
    _, third = judge(rules, state, records([copy], first=40_000))

    assert (len(first), len(second), len(third)) == (1, 0, 1)


def test_a_rule_is_limited_in_each_group() -> None:
    """Ten are told, then each power of two; the finding names what was not told before, the first ones and the last."""
    rows = [{"event_name": "exec.started", "sandbox_id": "s1"}] * 70
    found = judged([EXEC], *rows, {"event_name": "exec.started", "sandbox_id": "s2"})

    assert [(one.subject["sandbox_id"], one.count) for one in found] == [
        *(("s1", count) for count in (*range(1, 11), 16, 32, 64)),
        ("s2", 1),
    ]
    assert [len(one.records) for one in found[9:]] == [1, 6, 16, 20, 1]
    assert found[10].records == tuple(f"log.example/{seq}" for seq in range(10, 16))
    assert found[10].first_ns == START + 10 * SECOND
    assert found[12].records[-1] == "log.example/63"


def test_a_summary_of_claims_and_facts_is_no_claim() -> None:
    """One host record among what was not told is enough."""
    rows = [{"event_name": "exec.started", "origin": "host" if at == 12 else "guest"} for at in range(32)]

    claims = {one.count: one.claim for one in judged([EXEC], *rows)}

    assert [claims[count] for count in (10, 16, 32)] == [True, False, True]


def test_after_a_quiet_hour_counting_starts_anew() -> None:
    """By the host's clock: a guest's own times and times to come do not turn it."""
    one = {"event_name": "exec.started", "sandbox_id": "s1"}
    later = START + 2 * HOUR

    def counts(**turn: Any) -> list[int]:
        found = judged([EXEC], *[one] * 11, {"body": "turns the clock", **turn}, one | {"timestamp": START})
        return [finding.count for finding in found][10:]

    assert counts(timestamp=later, observed_timestamp=later) == [1]
    assert counts(timestamp=later, observed_timestamp=later, timestamp_basis="guest", origin="guest") == []
    assert counts(timestamp=later, observed_timestamp=START + 20 * SECOND) == []


def test_a_guest_that_makes_up_groups_shares_one_count() -> None:
    """Values of a guest's text make no flood, and take nothing from another sandbox."""
    rule = base("KA-001", Everything(), group_by=("attributes.command",))
    rows = [{"sandbox_id": "s1", "attributes": {"command": str(at)}} for at in range(2000)]

    found = judged([rule], *rows, {"sandbox_id": "s2", "attributes": {"command": "sh"}})

    assert len(found) < 100
    assert found[-1].subject["sandbox_id"] == "s2"


def test_long_values_are_cut_and_stay_apart() -> None:
    """A guest's long text fills neither the memory nor the finding."""
    rule = base("KA-001", Everything(), group_by=("attributes.command",))

    found = judged([rule], *({"attributes": {"command": "x" * 5000 + str(at)}} for at in range(2)))

    assert [one.count for one in found] == [1, 1]
    assert all(len(one.subject["attributes.command"]) <= 512 for one in found)
    assert found[0].subject != found[1].subject


def test_a_changed_rule_starts_anew() -> None:
    """Counts belong to a rule and its digest; those of other rules stay."""
    one = records([{"event_name": "exec.started", "sandbox_id": "s1"}])
    state, _ = judge(Ruleset([EXEC, base("KA-002", Everything())], origin="o"), State(), one)
    changed = Ruleset([base("KA-001", Present("event_name")), base("KA-002", Everything())], origin="o")

    _, found = judge(changed, state, records([{"event_name": "exec.started", "sandbox_id": "s1"}], first=1))

    assert [(finding.rule_id, finding.count) for finding in found] == [("KA-001", 1), ("KA-002", 2)]


def test_the_state_given_is_left_as_it_was() -> None:
    """A state is a value."""
    rules = Ruleset([EXEC], origin="o")
    state, _ = judge(rules, State(), records([{"event_name": "exec.started", "copy_key": 1}]))
    before = state.to_bytes()

    first = judge(rules, state, records([{"event_name": "exec.started"}] * 30, first=1))
    second = judge(rules, state, records([{"event_name": "exec.started"}] * 30, first=1))

    assert state.to_bytes() == before
    assert first == second


RULES = [
    EXEC,
    base("KA-002", Match("body", "*policy*", Syntax.WILDCARD, cased=False), group_by=("k8s_pod",)),
    base("KA-003", Present("sandbox_id"), group_by=()),
]
ROW = st.fixed_dictionaries(
    {
        "event_name": st.sampled_from(["exec.started", "other", None]),
        "body": st.sampled_from(["a policy denied", "POLICY", "nothing"]),
        "sandbox_id": st.sampled_from(["s1", "s2", None]),
        "k8s_pod": st.sampled_from(["api", None]),
        "origin": st.sampled_from(["host", "guest"]),
        "copy_key": st.sampled_from([None, 1, 2, 3]),
        "timestamp": st.integers(0, 5 * 3600).map(lambda second: START + second * SECOND),
        "observed_timestamp": st.integers(0, 5 * 3600).map(lambda second: START + second * SECOND),
        "timestamp_basis": st.sampled_from(["host", "journal", "guest", "observed"]),
        "receiver": st.sampled_from(["journald:x", "kata-audit:finding"]),
    }
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(ROW, max_size=60), seed=st.integers(0, 1000))
def test_cuts_do_not_matter(rows: list[dict[str, Any]], seed: int) -> None:
    """Law L5: the same records in other batches, the state through its bytes between them, give the same findings."""
    rules = Ruleset(RULES, origin="o")
    once, whole = judge(rules, State(), records(rows))
    draw = random.Random(seed)
    found: list[Finding] = []
    state, at = State(), 0
    while at < len(rows):
        step = draw.randint(0, 12)
        state, some = judge(Ruleset(RULES, origin="o"), state, records(rows[at : at + step], first=at))
        found += some
        state = from_bytes(state.to_bytes())
        at += step

    assert tuple(found) == whole
    assert [one.finding_id for one in found] == [one.finding_id for one in whole]
    assert state == once


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"{}",
        b"[1]",
        b"\xff",
        State().to_bytes() + b" ",
        State().to_bytes().replace(b'"v":1', b'"v":2'),
        State().to_bytes().replace(b'"clock":0', b'"clock":true'),
        State().to_bytes().replace(b'"clock":0', b'"clock":9223372036854775808'),
        State().to_bytes().replace(b'"companies":{}', b'"companies":{"KA-001#0":[[[["t"],[]]],[]]}'),
        State().to_bytes().replace(b'"windows":{}', b'"windows":{"KA-001#0":[[["t"],[0,0,[["a",[]]]]]]}'),
        State().to_bytes().replace(b'"tallies":{}', b'"tallies":{"KA-001":[[["t","n"],[]]]}'),
        State().to_bytes().replace(b'"copies":[]', b'"copies":[["r","t","n",false,"7",1]]'),
    ],
)
def test_a_malformed_state_is_refused(data: bytes) -> None:
    """What is not spelled as a state is none."""
    with pytest.raises(ValueError, match="no state of detection"):
        from_bytes(data)


def test_an_empty_cut_is_judged() -> None:
    """Nothing gives nothing, also of columns without chunks."""
    rules = Ruleset(RULES, origin="o")

    assert judge(rules, State(), records([])) == (State(), ())
    assert judge(rules, State(), pa.Table.from_batches([], records([]).schema)) == (State(), ())
