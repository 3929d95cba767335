"""Order is told where it is proven, and marked where it is not: against an oracle that looks at every pair."""

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pipeline.story_rows import records

from kata_audit.pipeline.clocks import Clocks
from kata_audit.pipeline.moments import Moment, read_moments
from kata_audit.pipeline.ordering import in_host_order, mark_unordered

(PLAIN,) = (moment for moment, _ in read_moments(records({}), Clocks()))


def moment(at: int, clock: str, band: int | None, seq: int = 0) -> Moment:
    """Make a moment; the clock is the host's or a sandbox's."""
    return PLAIN._replace(seq=seq, timestamp_ns=at, sandbox_id=clock, band_ns=0 if clock == "host" else band)


def overlap(one: Moment, other: Moment) -> bool:
    """Say whether two moments of two clocks may have happened in either order."""
    clocks = [moment.sandbox_id if moment.band_ns else "host" for moment in (one, other)]
    if clocks[0] == clocks[1] or one.band_ns is None or other.band_ns is None:
        return False
    return abs(one.timestamp_ns - other.timestamp_ns) <= one.band_ns + other.band_ns


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from(["host", "a", "b"]), st.sampled_from([1, 3, 20, None])), max_size=40
    )
)
def test_a_moment_is_marked_exactly_where_another_clock_reaches_it(parts: list[tuple[int, str, int | None]]) -> None:
    """On both sides of an overlap, however bands differ; and always where a band is not known."""
    moments = [moment(at, clock, band, seq) for seq, (at, clock, band) in enumerate(sorted(parts, key=lambda one: one[0]))]
    expected = [one.band_ns is None or any(overlap(one, other) for other in moments) for one in moments]

    assert [one.is_unordered for one in mark_unordered(moments)] == expected


@given(st.lists(st.lists(st.integers(0, 1000), max_size=30), max_size=4))
def test_streams_are_merged_by_the_hosts_clock(streams: list[list[int]]) -> None:
    """Also where a stream is a little out of order, as one of a drifting clock is."""
    merged = list(in_host_order([[moment(at, "a", 1) for at in stream] for stream in streams]))

    assert [one.timestamp_ns for one in merged] == sorted(at for stream in streams for at in stream)


def test_a_window_is_held_and_no_more() -> None:
    """A band that reaches over more moments than are held is told by its own line; the story goes on."""
    hosts = [moment(at, "host", 0, at) for at in range(3_000)]
    marked = list(mark_unordered([*hosts, moment(3_000, "a", 10_000, 3_000)]))

    assert marked[-1].is_unordered
    assert not marked[0].is_unordered
    assert all(one.is_unordered for one in marked[-500:])
