"""A story folds what is the same, marks what is missing, and loses nothing."""

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pipeline.story_rows import SANDBOX, SECOND, START_NS, records

from kata_audit.pipeline.timeline import Moment, Silence, Skew, Summary, tell


def moments(*rows: dict[str, object], **options: object) -> list[Moment | Silence]:
    """Tell a story of some records."""
    return list(tell([records(*rows)], **options))  # type: ignore[arg-type]


def bodies(told: list[Moment | Silence]) -> list[str]:
    """Say what a story says."""
    return [one.body if isinstance(one, Moment) else "silence" for one in told]


def test_copies_within_a_sandbox_are_one_moment() -> None:
    """The two copies of the Go shim's records fold, also when another record stands between them."""
    told = moments(
        {"body": "a", "copy_key": 1},
        {"body": "b", "copy_key": 2},
        {"body": "a", "copy_key": 1},
        {"body": "a", "copy_key": 1, "sandbox_id": "b" * 64},
    )

    assert bodies(told) == ["a", "b", "a"]
    assert [one.copies for one in told if isinstance(one, Moment)] == [2, 1, 1]


def test_equal_records_in_a_row_are_one_moment() -> None:
    """A storm is one line with its number and its length; another level, layer or container is another line."""
    told = moments(
        {"body": "x"},
        {"body": "x"},
        {"body": "x", "at": 9},
        {"body": "x", "origin": "guest"},
        {"body": "x"},
        silence_ns=20 * SECOND,
    )

    assert [one.repeats for one in told if isinstance(one, Moment)] == [2, 0, 0]
    assert isinstance(told[0], Moment)
    assert told[0].last_ns - told[0].timestamp_ns == 9 * SECOND


def test_a_silence_is_told_and_breaks_a_fold() -> None:
    """Equal records on both sides of a silence are two lines."""
    told = moments({"body": "x", "at": 0}, {"body": "x", "at": 31}, {"body": "x", "at": 61})

    assert bodies(told) == ["x", "silence", "x"]
    assert told[1] == Silence(START_NS, START_NS + 31 * SECOND)


def test_records_that_are_left_out_still_break_a_silence() -> None:
    """A sandbox that speaks at debug is not silent."""
    told = moments(
        {"body": "a", "at": 0},
        {"body": "d", "at": 20, "severity_number": 5},
        {"body": "b", "at": 40},
        keep=lambda moment: (moment.severity or 0) >= 9,
    )

    assert bodies(told) == ["a", "b"]


def test_losses_are_counted_as_they_are_stated() -> None:
    """slog states a count beside the text, journald inside it, the console reader none; nothing else is a loss."""
    told = moments(
        {"body": "slog-async: logger dropped messages due to channel overflow", "attributes": [("count", "37")]},
        {"body": "Suppressed 173433 messages from containerd.service"},
        {"body": "Failed to read guest console logs"},
        {"body": "he said: slog-async: logger dropped messages"},
        {"body": "slog-async: logger dropped messages", "attributes": [("count", "9" * 30)]},
    )

    assert [one.lost for one in told if isinstance(one, Moment)] == [37, 173433, 0, None, 0]


def test_a_guest_or_nobody_known_makes_claims() -> None:
    """Only the host states."""
    told = moments({"body": "h"}, {"body": "g", "origin": "guest"}, {"body": "u", "origin": "unknown"})

    assert [one.is_claim for one in told if isinstance(one, Moment)] == [False, True, True]


def test_the_summary_counts_each_record_once_and_measures_the_skew() -> None:
    """Copies count once; the skew is the host's time minus the guest's, where a host record carried it."""
    guest = {"origin": "guest", "component": "agent", "copy_key": 7}
    rows = records(
        {"at": 1, **guest, "guest_timestamp": START_NS},
        {"at": 1, **guest, "guest_timestamp": START_NS},
        {"at": 2, "guest_timestamp": START_NS - SECOND},
        {"at": 3, "origin": "guest", "timestamp_basis": "guest", "guest_timestamp": START_NS, "component": "agent"},
        {"at": 0, "severity_number": 17, "k8s_pod": "web-1"},
    )
    summary = Summary()
    summary.add(rows)

    assert (summary.records, summary.copies) == (4, 1)
    assert summary.layers == {("guest", "agent"): 2, ("host", "runtime-go"): 2}
    assert summary.errors == {"host": 1, "guest": 0}
    assert summary.skews() == {SANDBOX: Skew(2 * SECOND, SECOND, 3 * SECOND, 2)}
    assert (summary.first_ns, summary.last_ns) == (START_NS, START_NS + 3 * SECOND)
    assert summary.named["k8s_pod"] == {"web-1": 1}


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([None, 1, 2]), st.integers(0, 90)), max_size=30),
    st.integers(1, 5),
)
def test_every_record_is_in_the_story(parts: list[tuple[str, int | None, int]], pieces: int) -> None:
    """Moments, their copies and their repeats add up to the records, however these are cut into batches."""
    times = sorted(at for _, _, at in parts)
    rows = records(*({"body": body, "copy_key": key, "at": at} for (body, key, _), at in zip(parts, times, strict=True)))
    cut = [rows.slice(at, pieces) for at in range(0, rows.num_rows, pieces)]
    told = list(tell(cut))

    assert sum(one.copies for one in told if isinstance(one, Moment)) == rows.num_rows
    assert told == list(tell([rows]))
