"""Rules over rules: what their findings say, what comes late, what is forgotten, and that the cuts do not matter."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.judged import HOUR, SECOND, START, base, records

from kata_audit.detect import absence, correlation, ordering
from kata_audit.detect.engine import flush, judge
from kata_audit.detect.overflow import OVERFLOW_RULE
from kata_audit.detect.rule import Absence, Condition, Correlation, CorrelationKind, Rule
from kata_audit.detect.ruleset import Ruleset
from kata_audit.detect.state import State, from_bytes
from kata_audit.errors import RulesError
from kata_audit.predicate.tree import Compare, Op
from kata_audit.schema.finding import Finding

MINUTE = 60 * SECOND


def part(name: str) -> Rule:
    """Make a base part: events of a name."""
    return base(f"ka_{name}", Compare("event_name", Op.EQ, name), silent=True)


def count(bound: int, *rules: str, window_ns: int = MINUTE, op: Op = Op.GE) -> Correlation:
    """Count events of one sandbox."""
    return Correlation(CorrelationKind.EVENT_COUNT, rules, ("sandbox_id",), window_ns, op, bound)


def rules(when: Condition, *parts: str, **more: Any) -> Ruleset:
    """Make a rule over parts, and the parts."""
    return Ruleset([base("KA-1", when, group_by=("sandbox_id",)), *map(part, parts)], origin="o", **more)


def life(ruleset: Ruleset, *rows: dict[str, Any]) -> tuple[Finding, ...]:
    """Judge records in one cut, to their end."""
    state, found = judge(ruleset, State(), records([{"sandbox_id": "s1"} | row for row in rows]))
    return found + flush(ruleset, state)[1]


def test_a_correlation_names_what_it_rests_on() -> None:
    """Its records, first and last time, group and place stand in its finding."""
    a = {"event_name": "a", "k8s_pod": "api"}

    (found,) = life(rules(count(3, "ka_a"), "a"), a, {"event_name": "b"}, a, a | {"sandbox_id": "s2"}, a, a)

    assert found.records == ("o/0", "o/2", "o/4")
    assert (found.first_ns, found.time_ns, found.count) == (START, START + 4 * SECOND, 1)
    assert found.subject == {"sandbox_id": "s1", "node": "lab/node", "k8s_pod": "api"}
    assert found.detail == {"correlation": "event_count", "events": "3", "window": "60s"}


def test_an_alias_tells_alerts_apart_too() -> None:
    """It is no column of a record, and stands in the finding all the same."""
    when = replace(count(1, "ka_a"), group_by=("box",), aliases={"box": {"ka_a": "sandbox_id"}})
    ruleset = Ruleset([base("KA-1", when, group_by=("box",)), part("a")], origin="o")

    found = life(ruleset, {"event_name": "a"}, {"event_name": "a", "sandbox_id": "s2"})

    assert [(one.subject["box"], one.count) for one in found] == [("s1", 1), ("s2", 1)]


def test_a_correlation_of_claims_alone_is_a_claim() -> None:
    """One record of the host among them is enough to be none."""
    guest, host = {"event_name": "a", "origin": "guest"}, {"event_name": "a"}

    assert [one.claim for one in life(rules(count(2, "ka_a"), "a"), guest, guest)] == [True]
    assert [one.claim for one in life(rules(count(2, "ka_a"), "a"), guest, host)] == [False]


def test_a_correlation_waits_until_the_order_is_known() -> None:
    """Nothing is told before the watermark has passed; then it is, though no further event comes."""
    ruleset = rules(count(2, "ka_a"), "a")
    a = {"event_name": "a", "sandbox_id": "s1"}

    state, first = judge(ruleset, State(), records([a, a]))
    _, second = judge(ruleset, state, records([{"body": "later"}], first=20))
    _, asked = judge(ruleset, state, records([]), START + MINUTE)

    assert first == ()
    assert [one.records for one in second] == [("o/0", "o/1")]
    assert asked == second


def test_an_event_too_late_is_counted_and_judged_at_the_watermark() -> None:
    """It is not lost, and what was told stays told."""
    ruleset = rules(count(2, "ka_a"), "a")
    a = {"event_name": "a", "sandbox_id": "s1"}
    after = START + 5 * MINUTE
    state, _ = judge(ruleset, State(), records([a, {"timestamp": after, "observed_timestamp": after}]))

    late = records([a | {"timestamp": START + SECOND}, a | {"timestamp": START + SECOND}], first=2)
    state, found = judge(ruleset, state, late)

    assert state.stream.late == 2
    assert [one.records for one in found] == [("o/2", "o/3")]
    assert found[0].time_ns == START + SECOND


def test_what_is_older_by_far_did_not_happen_together() -> None:
    """A log of last week that comes today is no burst of now, and no company of what happens now."""
    burst, alone = rules(count(2, "ka_a"), "a", lateness_ns=0), rules(ALONE, "a", "b", lateness_ns=0)
    now = {"timestamp": START + HOUR, "observed_timestamp": START + HOUR}
    old = [{"event_name": name, "sandbox_id": "s1", "timestamp": START + at * MINUTE} for name in "ab" for at in range(4)]
    after = {"timestamp": START + 2 * HOUR, "observed_timestamp": START + 2 * HOUR}

    for ruleset, expected in ((burst, []), (alone, [("o/0",)])):
        state, first = judge(ruleset, State(), records([now | {"event_name": "a", "sandbox_id": "s1"}]))
        state, late = judge(ruleset, state, records(old, first=1))
        _, last = judge(ruleset, state, records([after], first=9))

        assert [one.records for one in (*first, *late, *last)] == expected
        assert state.stream.late == 8 - (ruleset is burst) * 4


def test_a_guests_clock_does_not_move_the_watermark() -> None:
    """Its times to come neither make others late nor let it go before its turn."""
    ruleset = rules(count(2, "ka_a"), "a")
    a = {"event_name": "a", "sandbox_id": "s1"}
    forged = a | {"origin": "guest", "timestamp_basis": "guest", "timestamp": START + HOUR}

    state, _ = judge(ruleset, State(), records([a, forged, a]))

    assert state.stream.watermark_ns == START + 2 * SECOND - ruleset.lateness_ns
    assert state.stream.late == 0
    assert [one.records for one in flush(ruleset, state)[1]] == [("o/0", "o/1")]


def test_a_temporal_order_needs_its_order() -> None:
    """The same events the other way round are none."""
    when = Correlation(CorrelationKind.TEMPORAL_ORDERED, ("ka_a", "ka_b"), ("sandbox_id",), MINUTE)
    a, b = {"event_name": "a"}, {"event_name": "b"}

    assert life(rules(when, "a", "b"), b, a) == ()
    assert [one.records for one in life(rules(when, "a", "b"), a, a, b)] == [("o/1", "o/2")]


def test_tenants_never_meet() -> None:
    """Events of two tenants are counted apart, whatever their sandbox is called."""
    a = {"event_name": "a"}

    assert life(rules(count(2, "ka_a"), "a"), a, a | {"tenant": "other"}) == ()


def test_what_states_no_group_takes_no_part() -> None:
    """The unknown is not equal to the unknown."""
    nobody = {"event_name": "a", "sandbox_id": None}

    assert life(rules(count(2, "ka_a"), "a"), nobody, nobody) == ()
    assert life(rules(Absence("ka_a", ("ka_b",), ("sandbox_id",), 0, SECOND), "a", "b"), nobody) == ()


def test_an_absence_waits_for_company_of_two_kinds() -> None:
    """Of the sandbox before it, and of the node after it."""
    inner = base("ka_left", Absence("ka_a", ("ka_b",), ("sandbox_id",), MINUTE, 0), silent=True)
    outer = base("KA-1", Absence("ka_left", ("ka_c",), ("node",), 0, 2 * SECOND), group_by=("sandbox_id",))
    ruleset = Ruleset([inner, outer, *map(part, "abc")], origin="o")
    a, b, c, later = ({"event_name": name} for name in ("a", "b", "c", "d"))

    (found,) = life(ruleset, a, later)

    assert (found.records, found.time_ns, found.subject["sandbox_id"]) == (("o/0",), START, "s1")
    assert life(ruleset, b, a, later) == ()
    assert life(ruleset, a, c | {"sandbox_id": None}) == ()
    assert life(ruleset, a, c | {"node": "lab/other"}) != ()
    assert life(ruleset, c, a) != ()


ALONE = Absence("ka_a", ("ka_b",), ("sandbox_id",), 2 * SECOND, 3 * SECOND)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, None, True),
        (2, None, False),
        (3, None, True),
        (None, 3, False),
        (None, 4, True),
        (3, 4, True),
        (0, None, False),
    ],
)
def test_an_absence_is_told_where_company_is_missing(before: int | None, after: int | None, *, told: bool) -> None:
    """Both ends of the time count; the finding rests on the event that was alone."""
    rows = [{"event_name": "b", "timestamp": START + 10 * SECOND - before * SECOND}] if before is not None else []
    rows.append({"event_name": "a", "timestamp": START + 10 * SECOND})
    rows += [{"event_name": "b", "timestamp": START + 10 * SECOND + after * SECOND}] if after is not None else []
    rows = [{"observed_timestamp": START + HOUR, **row} for row in rows]

    found = life(rules(ALONE, "a", "b"), *rows)

    assert [one.records for one in found] == ([(f"o/{len(rows) - 1 - (after is not None)}",)] if told else [])
    assert [one.detail["absent"] for one in found] == ["ka_b"] * told


def test_an_absence_is_told_when_the_stream_is_past_it() -> None:
    """Not while company may still come."""
    ruleset = rules(ALONE, "a", "b", lateness_ns=0)
    state, first = judge(ruleset, State(), records([{"event_name": "a", "sandbox_id": "s1"}]))
    state, second = judge(ruleset, state, records([{"body": "x"}], first=3))
    _, third = judge(ruleset, state, records([{"body": "x"}], first=4))

    assert (first, second) == ((), ())
    assert [one.time_ns for one in third] == [START]


def test_forgetting_is_counted_and_told_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded; what was forgotten is a finding of the engine, with the total so far."""
    monkeypatch.setattr(correlation, "MAX_GROUPS", 5)
    ruleset = rules(count(2, "ka_a", window_ns=24 * HOUR), "a", lateness_ns=0)
    rows: list[dict[str, Any]] = [{"event_name": "a", "sandbox_id": f"s{at}"} for at in range(100)]
    rows.append(rows[-1] | {"timestamp": START + 2 * HOUR, "observed_timestamp": START + 2 * HOUR, "sandbox_id": "new"})

    state, found = judge(ruleset, State(), records(rows))

    assert [(one.rule_id, one.count) for one in found] == [(OVERFLOW_RULE, 1), (OVERFLOW_RULE, 96)]
    assert found[0].detail == {"rule": "KA-1", "forgotten": "1"}
    assert found[0].records == ("o/5",)
    ((_, windows),) = state.stream.windows.items()
    assert [key[1] for key in windows] == ["s96", "s97", "s98", "s99", "new"]


def test_what_is_over_is_forgotten_unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group whose window has emptied makes room without a word."""
    monkeypatch.setattr(correlation, "MAX_GROUPS", 5)
    ruleset = rules(count(2, "ka_a", window_ns=3 * SECOND), "a", lateness_ns=0)

    found = life(ruleset, *({"event_name": "a", "sandbox_id": f"s{at}"} for at in range(100)))

    assert found == ()


@pytest.mark.parametrize(
    ("room", "name", "when"),
    [
        (correlation, "MAX_MARKS", count(50, "ka_a")),
        (absence, "MAX_WAITING", Absence("ka_a", ("ka_b",), ("sandbox_id",), 0, HOUR)),
        (absence, "MAX_GROUPS", Absence("ka_b", ("ka_a",), ("sandbox_id",), HOUR, 0)),
        (
            correlation,
            "MAX_SUMMED",
            Correlation(CorrelationKind.VALUE_SUM, ("ka_a",), (), HOUR, Op.GE, 1000, "attributes.v"),
        ),
    ],
)
def test_every_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, room: Any, name: str, when: Condition) -> None:
    """Each limit holds, says so, and leaves the state small."""
    monkeypatch.setattr(room, name, 5)
    ruleset = rules(when, "a", "b")
    rows = [{"event_name": "a", "sandbox_id": f"s{at % 40}", "attributes": {"v": "1"}} for at in range(300)]

    state, found = judge(ruleset, State(), records(rows))
    found += flush(ruleset, state)[1]

    assert [one.rule_id for one in found if one.rule_id == OVERFLOW_RULE] == [OVERFLOW_RULE]
    assert len(state.to_bytes()) < 30_000


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ([base("KA-1", count(2, "ka_gone"))], "ka_gone, which is not there"),
        ([base("KA-1", count(2, "KA-1"))], "over itself"),
        ([base("KA-1", count(2, "KA-2")), base("KA-2", count(2, "KA-1"))], "over itself"),
        ([base("KA-1", count(20_000, "ka_a")), part("a")], "is the most"),
    ],
)
def test_rules_that_cannot_work_are_refused(made: list[Rule], said: str) -> None:
    """With their place."""
    with pytest.raises(RulesError) as refused:
        Ruleset(made, origin="o")

    assert said in str(refused.value.problems[0])
    assert refused.value.problems[0].where == "written in a test"


def test_what_waits_is_bounded_and_told_where_it_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where too many wait, the first goes on early; only an event that comes for a place before it has lost its own."""
    monkeypatch.setattr(ordering, "MAX_HELD", 5)
    ruleset = rules(count(3, "ka_a"), "a", lateness_ns=1 << 62)
    a = {"event_name": "a", "sandbox_id": "s1"}

    state, in_order = judge(ruleset, State(), records([a | {"sandbox_id": f"s{at}"} for at in range(50)]))
    _, behind = judge(ruleset, state, records([a | {"timestamp": START, "sandbox_id": "s49"}], first=50))

    assert in_order == ()
    assert len(state.stream.held) == 5
    assert [(one.rule_id, one.detail["rule"], one.records) for one in behind] == [(OVERFLOW_RULE, "order", ("o/50",))]


def test_a_sum_may_be_large() -> None:
    """Only what is counted one by one is bounded."""
    when = Correlation(CorrelationKind.VALUE_SUM, ("ka_a",), (), MINUTE, Op.GE, 10**12, "attributes.v")

    found = life(
        rules(when, "a"), {"event_name": "a", "attributes": {"v": "5e11"}}, {"event_name": "a", "attributes": {"v": "5e11"}}
    )

    assert [one.records for one in found] == [("o/0", "o/1")]


def test_a_changed_part_starts_its_correlation_anew() -> None:
    """What waits and what is counted under another meaning is dropped."""
    ruleset = rules(count(2, "ka_a"), "a")
    a = {"event_name": "a", "sandbox_id": "s1"}
    near = {"timestamp": START + 55 * SECOND, "observed_timestamp": START + MINUTE}
    state, _ = judge(
        ruleset, State(), records([a, {"timestamp": START + MINUTE, "observed_timestamp": START + MINUTE}, a | near])
    )
    other = base("ka_a", Compare("event_name", Op.EQ, "b"), silent=True)

    changed = Ruleset([ruleset.rules["KA-1"], other], origin="o")

    assert len(flush(ruleset, state)[1]) == 1
    assert flush(changed, state) == flush(changed, State(state.clock_ns, state.stream._replace(held=(), windows={})))


WHOLE = Ruleset(
    [
        *map(part, "abcd"),
        base("KA-0", Compare("event_name", Op.EQ, "a"), group_by=("sandbox_id",)),
        base("KA-1", count(2, "ka_a", "ka_b"), group_by=("sandbox_id",)),
        base("KA-2", Correlation(CorrelationKind.VALUE_COUNT, ("ka_b",), (), MINUTE, Op.GE, 2, "attributes.v")),
        base("KA-3", Correlation(CorrelationKind.TEMPORAL_ORDERED, ("ka_a", "ka_c"), ("sandbox_id",), MINUTE)),
        base("KA-4", Absence("ka_b", ("ka_c",), ("sandbox_id",), 5 * SECOND, 5 * SECOND), group_by=("sandbox_id",)),
        base("KA-5", Correlation(CorrelationKind.EVENT_COUNT, ("KA-1", "KA-4", "KA-6"), (), HOUR, Op.GE, 3)),
        base("KA-6", Absence("ka_a", ("ka_d",), ("sandbox_id",), SECOND, 3 * SECOND), group_by=("sandbox_id",)),
        base(
            "KA-7",
            Absence("KA-1", ("ka_d",), ("box",), 4 * SECOND, 0, {"box": {"ka_d": "sandbox_id", "KA-1": "sandbox_id"}}),
        ),
    ],
    origin="o",
    lateness_ns=2 * SECOND,
)
ROW = st.fixed_dictionaries(
    {
        "event_name": st.sampled_from(["a", "b", "c", "d", None]),
        "sandbox_id": st.sampled_from(["s1", "s2", None]),
        "attributes": st.sampled_from([{}, {"v": "1"}, {"v": "2"}]),
        "origin": st.sampled_from(["host", "guest"]),
        "copy_key": st.sampled_from([None, None, 1, 2]),
        "timestamp": st.integers(0, 60).map(lambda second: START + second * SECOND),
        "observed_timestamp": st.integers(0, 60).map(lambda second: START + second * SECOND),
        "timestamp_basis": st.sampled_from(["host", "guest"]),
    }
)


def _without_company(state: State) -> State:
    return replace(state, stream=state.stream._replace(companies={}))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(ROW, max_size=60), seed=st.integers(0, 1000), tight=st.booleans())
def test_cuts_do_not_matter_to_rules_over_rules(rows: list[dict[str, Any]], seed: int, *, tight: bool) -> None:
    """Law L5 with correlations and absences: late events, overflow and all, the state through its bytes."""
    with pytest.MonkeyPatch.context() as patch:
        if tight:
            patch.setattr(correlation, "MAX_GROUPS", 2)
            patch.setattr(correlation, "MAX_MARKS", 6)
            patch.setattr(absence, "MAX_GROUPS", 1)
            patch.setattr(absence, "MAX_WAITING", 2)
            patch.setattr(ordering, "MAX_HELD", 4)
        once, whole = judge(WHOLE, State(), records(rows))
        whole += flush(WHOLE, once)[1]
        draw = random.Random(seed)
        found: tuple[Finding, ...] = ()
        state, at = State(), 0
        while at < len(rows):
            step = draw.randint(0, 12)
            state, some = judge(WHOLE, state, records(rows[at : at + step], first=at))
            found += some
            state = from_bytes(state.to_bytes())
            at += step

        # Which times of company are left out as needless depends on the order in which they were put together.
        assert tight or _without_company(state) == _without_company(once)
        assert found + flush(WHOLE, state)[1] == whole


def test_events_that_nothing_tells_apart_wait_in_the_order_in_which_they_came() -> None:
    """One record may make a correlation true in two groups; an absence over it takes both."""
    aliases = {"box": {"ka_a": "sandbox_id", "ka_b": "container_id"}}
    ruleset = Ruleset(
        [
            part("a"),
            base("ka_b", Compare("event_name", Op.EQ, "a"), silent=True),
            part("c"),
            base(
                "KA-1", Correlation(CorrelationKind.EVENT_COUNT, ("ka_a", "ka_b"), ("box",), MINUTE, Op.GE, 1, None, aliases)
            ),
            base("KA-2", Absence("KA-1", ("ka_c",), ("node",), MINUTE, SECOND)),
        ],
        origin="o",
    )

    found = life(ruleset, {"event_name": "a", "container_id": "c1"})

    assert [one.rule_id for one in found] == ["KA-1", "KA-1", "KA-2", "KA-2"]


@given(times=st.lists(st.integers(0, 60), max_size=30), span=st.integers(1, 20))
def test_company_that_is_left_out_decides_nothing(times: list[int], span: int) -> None:
    """Whatever the order in which it comes, and few times stay."""
    missing = absence.Missing(base("KA-1", Absence("ka_a", ("ka_b",), ("node",), span, 0)), (), absence.Company({}, ()))
    for time in times:
        missing.keep({("t", "n"): [time]})

    kept = missing.company(0).times.get(("t", "n"), ())

    assert list(kept) == sorted(set(kept))
    assert all(one + 2 >= len(kept) or kept[one + 2] - kept[one] > span for one in range(len(kept)))
    for at in range(90):
        assert any(at - span <= time <= at for time in kept) == any(at - span <= time <= at for time in times)
