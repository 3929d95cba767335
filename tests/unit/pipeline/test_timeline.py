"""A story folds what is the same, marks what is missing, and loses nothing."""

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pipeline.story_rows import SANDBOX, SECOND, START_NS, records

from kata_audit.pipeline.clocks import Clocks, Jump
from kata_audit.pipeline.moments import Moment
from kata_audit.pipeline.timeline import Silence, Summary, Told, tell, ways
from kata_audit.predicate.rows import evaluate


def moments(*rows: dict[str, object], **options: object) -> list[Told]:
    """Tell a story of some records in host order, as a reader's answers to the ways of asking for them."""
    whole = records(*rows)
    summary = Summary()
    summary.add(whole)
    return list(tell([[whole.filter(evaluate(way, whole))] for way in ways(summary)], summary.clocks, **options))  # type: ignore[arg-type]


def bodies(told: list[Told]) -> list[str]:
    """Say what a story says."""
    return [one.body if isinstance(one, Moment) else type(one).__name__.lower() for one in told]


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
        {"body": "x", "at": 10, "origin": "guest"},
        {"body": "x", "at": 11},
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
        {"at": 2, "guest_timestamp": START_NS + SECOND // 2},
        {"at": 3, "origin": "guest", "timestamp_basis": "guest", "guest_timestamp": START_NS, "component": "agent"},
        {"at": 0, "severity_number": 17, "k8s_pod": "web-1"},
    )
    summary = Summary()
    summary.add(rows)

    assert (summary.records, summary.copies) == (4, 1)
    assert summary.layers == {("guest", "agent"): 2, ("host", "runtime-go"): 2}
    assert summary.errors == {"host": 1, "guest": 0}
    assert [(skew.low_ns, skew.records) for skew in summary.clocks.known()[SANDBOX].skews()] == [(SECOND, 2)]
    assert summary.range() == (START_NS, START_NS + 2 * SECOND)
    assert summary.guest_timed == {SANDBOX: 1}
    assert summary.named["k8s_pod"] == {"web-1": 1}


def test_the_stages_of_one_event_are_one_moment() -> None:
    """What says how it went stands at its own time, else the last; a guest's claim of the same event is another one."""
    told = moments(
        {"body": "received", "fold_key": 1, "action": "exec", "outcome": "unknown"},
        {"body": "between"},
        {"body": "denied", "fold_key": 1, "action": "exec", "outcome": "denied", "severity_number": 13},
        {"body": "complete", "fold_key": 1, "action": "exec", "outcome": "unknown"},
        {"body": "claimed", "fold_key": 1, "origin": "guest"},
        {"body": "elsewhere", "fold_key": 1, "sandbox_id": "b" * 64},
    )

    assert bodies(told) == ["between", "denied", "claimed", "elsewhere"]
    assert [(one.steps, one.copies, one.severity) for one in told if isinstance(one, Moment)] == [
        (1, 1, 9),
        (3, 3, 13),
        (1, 1, 9),
        (1, 1, 9),
    ]


def test_stages_of_requests_about_a_pod_fold_by_the_pod() -> None:
    """A request names no sandbox: two pods whose requests bear one id are two events."""
    asked = {"sandbox_id": None, "k8s_namespace": "shop", "fold_key": 1, "component": "kube-apiserver"}
    told = moments({**asked, "k8s_pod": "a"}, {**asked, "k8s_pod": "b"}, {**asked, "k8s_pod": "a"})

    assert [one.steps for one in told if isinstance(one, Moment)] == [1, 2]


def test_a_story_holds_a_window_however_many_records_an_event_has() -> None:
    """A guest that tells of one event without end costs no memory, and every record is counted."""
    rows = records(*({"fold_key": 1, "copy_key": at, "body": str(at), "at": at / 1000} for at in range(3000)))
    told = [one for one in tell([[rows]], Clocks()) if isinstance(one, Moment)]

    assert sum(one.copies for one in told) == sum(one.steps for one in told) == 3000


def relayed(at: float, guest: float, **more: object) -> dict[str, object]:
    """A guest's record that a host record carried, `guest` seconds after the start by its own clock."""
    claim = {"origin": "guest", "component": "agent", "guest_timestamp": START_NS + round(guest * SECOND), "body": "relayed"}
    return {"at": at, **claim, **more}


def by_guest(guest: float, **more: object) -> dict[str, object]:
    """A guest's record whose only time is the guest's."""
    return relayed(guest, guest, **{"timestamp_basis": "guest", "body": "by guest", **more})


def skewed(by: float, count: int = 40, start: float = 0) -> list[dict[str, object]]:
    """Relayed records of a guest whose clock is behind by so many seconds; every second relay takes 2 ms."""
    return [relayed(start + at + 0.002 * (at % 2), start + at - by, body=f"relayed {at}") for at in range(count)]


def test_what_only_a_guest_times_stands_where_its_skew_says() -> None:
    """A guest an hour behind: its records stand among the host's of the same moment, not an hour before them."""
    rows = [by_guest(10.5 - 3600), *skewed(3600)]
    told = moments(*sorted(rows, key=lambda row: row["at"]))  # type: ignore[arg-type, return-value]
    at = bodies(told).index("by guest")
    placed = told[at]

    assert (bodies(told)[at - 1], bodies(told)[at + 1]) == ("relayed 10", "relayed 11")
    assert isinstance(placed, Moment)
    assert (placed.timestamp_ns, placed.band_ns) == (START_NS + 10_500_000_000, 2_000_000)


def test_no_order_is_claimed_inside_a_band() -> None:
    """What is nearer than the band on another clock is marked on both sides; what is farther is told in order."""
    rows = [*skewed(0), by_guest(10.5), {"at": 10.501, "body": "near"}, {"at": 10.51, "body": "far"}]
    told = [one for one in moments(*sorted(rows, key=lambda row: row["at"])) if isinstance(one, Moment)]  # type: ignore[arg-type, return-value]

    assert [one.body for one in told if one.is_unordered] == ["by guest", "near"]
    assert [one.body for one in told][11:14] == ["by guest", "near", "far"]


def test_times_that_nothing_places_claim_no_order_and_break_no_silence() -> None:
    """Without a skew a guest's time may be anything, and a time of receipt says only that it was before."""
    console = {"origin": "guest", "component": "guest-kernel", "timestamp_basis": "observed"}
    told = moments({"at": 0}, by_guest(20), {"at": 31}, {"at": 90, **console})

    assert bodies(told) == ["record 0", "by guest", "silence", "record 2", "record 3"]
    assert [(one.is_unordered, one.band_ns) for one in told if isinstance(one, Moment)] == [
        (False, 0),
        (True, None),
        (False, 0),
        (True, None),
    ]


def test_a_record_that_both_a_relay_and_a_file_brought_is_one_moment() -> None:
    """The relay's time stands: it is the host's."""
    rows = [by_guest(20, body="one"), relayed(20.001, 20, body="one"), {"at": 20.002, "body": "two"}]
    told = moments(*skewed(0, 20), *rows)

    assert bodies(told)[-2:] == ["one", "two"]
    assert [(one.copies, one.band_ns, one.is_unordered) for one in told[-2:] if isinstance(one, Moment)] == [
        (2, 0, False),
        (1, 0, False),
    ]


def test_the_setting_of_a_guests_clock_is_told() -> None:
    """It stands before the first record with the new time, and breaks a fold."""
    told = moments(*skewed(0, 20), *skewed(-86_400, 20, start=20))
    (jump,) = [one for one in told if isinstance(one, Jump)]

    assert jump == Jump(SANDBOX, START_NS + int(19.002 * SECOND), START_NS + 20 * SECOND, 86_400 * SECOND)
    assert bodies(told).index("jump") == 20


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from([None, 1, 2]), st.sampled_from([None, 1]), st.integers(0, 90)),
        max_size=30,
    ),
    st.integers(1, 5),
)
def test_every_record_is_in_the_story(parts: list[tuple[str, int | None, int | None, int]], pieces: int) -> None:
    """Moments, their copies and their repeats add up to the records, however these are cut into batches."""
    times = sorted(at for *_, at in parts)
    rows = records(
        *(
            {"body": body, "copy_key": key, "fold_key": event, "at": at}
            for (body, key, event, _), at in zip(parts, times, strict=True)
        )
    )
    cut = [rows.slice(at, pieces) for at in range(0, rows.num_rows, pieces)]
    told = list(tell([cut], Clocks()))

    assert sum(one.copies for one in told if isinstance(one, Moment)) == rows.num_rows
    assert told == list(tell([[rows]], Clocks()))
