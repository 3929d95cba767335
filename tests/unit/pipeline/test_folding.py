"""What is one is told once: copies and stages fold, and nothing else does."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pipeline.story_rows import START_NS, records

from kata_audit.pipeline.clocks import Clocks
from kata_audit.pipeline.folding import WINDOW, fold
from kata_audit.pipeline.moments import Moment, read_moments

ROW = st.fixed_dictionaries(
    {
        "copy_key": st.sampled_from([None, 1, 2]),
        "fold_key": st.sampled_from([None, 1, 2]),
        "origin": st.sampled_from(["host", "guest"]),
        "outcome": st.sampled_from([None, "unknown", "denied"]),
        "severity_number": st.sampled_from([None, 9, 17]),
        "sandbox_id": st.sampled_from(["a" * 64, "b" * 64]),
    }
)


def folded(*rows: dict[str, object]) -> list[Moment]:
    """Fold some records."""
    return list(fold(moment for moment, _ in read_moments(records(*rows), Clocks())))


@given(st.lists(ROW, max_size=25))
def test_every_record_is_counted_and_order_stays(rows: list[dict[str, object]]) -> None:
    """Moments are in the order of their times, their copies add up to the records, and none is of two sandboxes or origins."""
    told = folded(*({**row, "action": "exec"} for row in rows))
    whose = Counter((row["sandbox_id"], row["origin"]) for row in rows)

    assert [one.timestamp_ns for one in told] == sorted(one.timestamp_ns for one in told)
    assert sum(one.copies for one in told) == len(rows)
    assert all(1 <= one.steps <= one.copies for one in told)
    parts: Counter[tuple[object, object]] = Counter()
    for one in told:
        parts[one.sandbox_id, one.origin] += one.copies
    assert parts == whose


def test_a_copy_of_a_stage_is_a_copy_and_no_stage() -> None:
    """Both copies of two stages are one moment of two steps, in whichever order they came."""
    rows: list[dict[str, object]] = [{"copy_key": key, "fold_key": 1, "body": f"stage {key}"} for key in (1, 2, 1, 2)]

    assert [(one.body, one.copies, one.steps) for one in folded(*rows)] == [("stage 2", 4, 2)]


def test_one_guest_time_and_text_is_one_record() -> None:
    """Another text, another time or another sandbox is another record; a host's records have no such key."""
    guest = {"origin": "guest", "guest_timestamp": START_NS, "body": "x"}
    told = folded(
        guest, guest, {**guest, "body": "y"}, {**guest, "guest_timestamp": START_NS + 1}, {**guest, "origin": "host"}
    )

    assert [one.copies for one in told] == [2, 1, 1, 1]


def test_what_comes_after_the_window_is_another_moment() -> None:
    """The second copy of a record that is long told is told again, and nothing is held for it."""
    between: list[dict[str, object]] = [{"body": str(at)} for at in range(WINDOW + 1)]

    assert [one.copies for one in folded({"copy_key": 1}, *between, {"copy_key": 1})] == [1] * (WINDOW + 3)
