"""Who could have told: an absence speaks only where its sources do, wherever a log is cut."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.judged import HOUR, SECOND, START, base, records

from kata_audit.detect.blindness import CONDITIONS
from kata_audit.detect.engine import flush, judge
from kata_audit.detect.rule import Absence, Need
from kata_audit.detect.ruleset import Ruleset
from kata_audit.detect.state import State, from_bytes
from kata_audit.predicate.tree import Compare, Op
from kata_audit.schema.finding import Finding

SHELL = base("ka_1_shell", Compare("event_name", Op.EQ, "shell"), silent=True)
ASKED = base("ka_1_asked", Compare("event_name", Op.EQ, "asked"), silent=True)
ALONE = replace(
    base("KA-001", Absence("ka_1_shell", ("ka_1_asked",), ("node",), 60 * SECOND, 10 * SECOND)),
    needs=(frozenset({Need.API}),),
)
RULES = [SHELL, ASKED, ALONE]
API = {"event_name": "other", "component": "kube-apiserver"}


def found(*rows: dict[str, Any], cuts: frozenset[int] = frozenset()) -> list[int]:
    """Judge rows in cuts that begin at some of them; give the number of the last record of each finding."""
    ruleset, state, first = Ruleset(RULES, origin="log"), State(), 0
    told: list[Finding] = []
    for end in (*sorted(one for one in cuts if one < len(rows)), len(rows)):
        state, findings = judge(ruleset, state, records(rows[first:end], first=first))
        state, told, first = from_bytes(state.to_bytes()), [*told, *findings], end
    told += flush(ruleset, state)[1]
    return [int(one.records[-1].rpartition("/")[2]) for one in told]


def test_without_the_source_nobody_would_have_told() -> None:
    """The same shell is a finding where the API server's log is there, and none where it is not."""
    assert found({"event_name": "shell"}) == []
    assert found(API, {"event_name": "shell"}) == [1]


def test_every_source_can_be_seen_to_be_there() -> None:
    """A need without a condition would leave its rules blind for ever."""
    assert set(CONDITIONS) == set(Need)


def test_a_guest_that_speaks_for_the_source_is_not_the_source() -> None:
    """L7: what counts is structural."""
    assert found(API | {"origin": "guest"}, {"event_name": "shell"}) == []


@pytest.mark.parametrize(("hours", "expected"), [(23, [1]), (26, [])])
def test_a_source_that_fell_silent_is_there_for_a_day(hours: int, expected: list[int]) -> None:
    """Then the rule is blind again."""
    later = {"timestamp": START + hours * HOUR, "observed_timestamp": START + hours * HOUR}

    assert found(API, {"event_name": "shell"} | later) == expected


_ROWS = st.sampled_from([API, {"event_name": "shell"}, {"event_name": "asked"}, {}])
_STEPS = st.sampled_from([1, 5, 40, 3600, 90_000])


@settings(max_examples=300, deadline=None)
@given(rows=st.lists(st.tuples(_ROWS, _STEPS), min_size=1, max_size=12), cuts=st.frozensets(st.integers(1, 12)))
def test_where_a_log_is_cut_opens_no_eyes(rows: list[tuple[dict[str, Any], int]], cuts: frozenset[int]) -> None:
    """A source that speaks first in the same cut, and too late, does not count."""
    stated, now = [], START
    for row, step in rows:
        now += step * SECOND
        stated.append(row | {"timestamp": now, "observed_timestamp": now})

    assert found(*stated, cuts=cuts) == found(*stated)


def test_many_days_in_one_cut_hide_no_source() -> None:
    """Each absence is asked of the day before it, however much later the cut ends; then the hours are forgotten."""
    hours = [{"timestamp": START + hour * HOUR, "observed_timestamp": START + hour * HOUR} for hour in range(200)]
    rows = [({"event_name": "shell"} if hour == 10 else API) | times for hour, times in enumerate(hours)]

    state, _ = judge(Ruleset(RULES, origin="log"), State(), records(rows))

    assert found(*rows) == found(*rows, cuts=frozenset(range(0, 200, 5))) == [10]
    assert [len(hours) for hours in state.sources.values()] == [26]
