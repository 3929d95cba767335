"""A guest's clock is measured by its earliest relays, and its settings are told apart from late relays."""

import gzip
import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.pipeline.clocks import Clock, Clocks, Jump, Place

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
START = 1_795_000_000 * SECOND
SET_CLOCKS = Path(__file__).resolve().parents[2] / "data" / "clocks" / "set-guest-date-time.json.gz"


def clock(*pairs: tuple[float, float]) -> Clock:
    """Make a clock from host and guest times, in seconds after the start."""
    made = Clock("box")
    for host, guest in pairs:
        made.add(START + round(host * SECOND), START + round(guest * SECOND))
    return made


def ticking(start: float, count: int, *, behind: float = 0, delays: tuple[float, ...] = (0,)) -> list[tuple[float, float]]:
    """Records a tenth of a second apart, relayed with delays in turn."""
    times = [start + at / 10 for at in range(count)]
    return [(time + delays[at % len(delays)], time - behind) for at, time in enumerate(times)]


def sizes(made: Clock) -> list[int]:
    """Give the jumps in whole seconds."""
    return [round(jump.size_ns / SECOND) for jump in made.jumps()]


def test_the_earliest_relays_tell_the_skew() -> None:
    """However late the most are: nothing comes before it was written."""
    (skew,) = clock(*ticking(0, 100, behind=2, delays=(0.001, 0.04, 0.04, 0.2))).skews()

    assert (skew.low_ns, skew.high_ns, skew.records) == (2_001_000_000, 2_040_000_000, 100)
    assert skew.band_ns == 39_000_000


def test_few_records_tell_little() -> None:
    """All that came in one burst may be late; and a hundred equal records still hide what the quickest relay takes."""
    assert clock(*((1, at / 1000) for at in range(200))).place(START).band_ns == 500_000_000
    assert clock(*ticking(0, 3)).place(START).band_ns == 100_000_000
    assert clock(*ticking(0, 100)).place(START).band_ns == 1_000_000


def test_one_forged_time_changes_nothing() -> None:
    """A guest can print a record of any time: alone it neither sets the clock nor moves the skew."""
    forged = [*ticking(0, 50), (5, 9_000), (5.05, -9_000), *ticking(5.1, 50)]

    assert clock(*forged).skews() == clock(*ticking(0, 50), *ticking(5.1, 50)).skews()


@pytest.mark.parametrize("size", [86_400, 90, -90, -86_400, 5, -5])
def test_a_clock_that_is_set_jumps(size: float) -> None:
    """Forward and back, by a day or by seconds; the jump lies between two records, and each side has its skew."""
    made = clock(*ticking(0, 50), *ticking(5, 50, behind=-size))

    assert made.jumps() == [Jump("box", START + 4_900_000_000, START + 5 * SECOND, int(size) * SECOND)]
    assert [skew.low_ns for skew in made.skews()] == [0, -int(size) * SECOND]


def test_late_relays_are_no_jump() -> None:
    """A relay that stood still for seconds brings all at once, or stays late for a while: the clock was never set."""
    burst = [(20 + at / 1000, 5 + at / 10) for at in range(150)]
    slow = [(host + 3, guest) for host, guest in ticking(5, 150)]

    assert sizes(clock(*ticking(0, 50), *burst, *ticking(20.2, 50))) == []
    assert sizes(clock(*ticking(0, 50), *slow, *ticking(23.1, 50))) == []
    assert [skew.low_ns for skew in clock(*ticking(0, 50), *slow, *ticking(23.1, 50)).skews()] == [0]


def test_drift_is_no_jump() -> None:
    """A clock that loses 100 parts in a million for ten days is off by a minute and a half, and was never set."""
    drifting = [(minute * 60, minute * 60 * (1 - 100e-6)) for minute in range(14_400)]
    made = clock(*drifting)
    late = drifting[-2_000]

    assert made.jumps() == []
    place = made.place(START + round(late[1] * SECOND))
    assert place.band_ns is not None
    assert abs(place.timestamp_ns - START - round(late[0] * SECOND)) <= place.band_ns < SECOND


def test_far_from_any_reading_the_band_widens() -> None:
    """An hour after the last relayed record a clock may have drifted by 1.8 seconds."""
    made = clock(*ticking(0, 100))

    assert made.place(START + 3_600 * SECOND).band_ns == pytest.approx(1.8 * SECOND, rel=0.01)


def test_a_time_that_a_clock_showed_twice_is_in_two_places() -> None:
    """Set back by ten seconds: its times around then mean either moment, and the band holds both."""
    made = clock(*ticking(0, 200), *ticking(20, 200, behind=10))
    place = made.place(START + 15 * SECOND)

    assert place.band_ns is not None
    assert place.timestamp_ns - place.band_ns <= START + 15 * SECOND
    assert place.timestamp_ns + place.band_ns >= START + 25 * SECOND


def test_a_clock_that_is_set_too_often_is_none() -> None:
    """A guest that sets its clock without end costs no memory, and its times are placed nowhere."""
    made = clock(*(pair for at in range(200) for pair in ticking(at, 10, behind=(at % 2) * 100)))

    assert made.skews() == []
    assert made.place(START) == Place(START, None)
    assert made.stretches() == [(None, None)]


@pytest.mark.parametrize("run", range(4))
def test_the_clocks_of_real_machines(run: int) -> None:
    """SetGuestDateTime moved the clock of four machines by most of a day: told once each, and all relays come after."""
    pairs = json.loads(gzip.decompress(SET_CLOCKS.read_bytes()))[run]["host_guest_ns"]
    made = Clock("box")
    for host, guest in pairs:
        made.add(host, guest)

    assert [jump.size_ns // (3_600 * SECOND) for jump in made.jumps()] == [23]
    assert len(made.skews()) == 2
    for host, guest in pairs:
        place = made.place(guest)
        assert place.band_ns is not None
        assert place.timestamp_ns - place.band_ns <= host


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([0, 0, 0, 5, -5, 90, -90, 86_400, -86_400])), min_size=1, max_size=12
    ),
    st.lists(st.integers(-100_000, 200_000), max_size=20),
)
def test_stretches_cover_all_time_once_and_keep_the_hosts_order(parts: list[tuple[int, int]], times: list[int]) -> None:
    """Whatever a guest does to its clock: each time is in one stretch, and in it later is not placed earlier by more than its band."""
    behind, pairs = 0, []
    for at, (delay, moved) in enumerate(parts):
        behind += moved
        pairs += ticking(at * 10, 20, behind=behind, delays=(0, delay / 100))
    made = clock(*pairs)
    stretches = made.stretches()

    for time in times:
        guest = START + time * SECOND
        assert sum((low is None or low <= guest) and (high is None or guest < high) for low, high in stretches) == 1
    for low, high in stretches:
        inside = sorted(
            START + t * SECOND
            for t in times
            if (low is None or low <= START + t * SECOND) and (high is None or START + t * SECOND < high)
        )
        places = [made.place(guest) for guest in inside]
        for before, after in pairwise(places):
            assert after.timestamp_ns >= before.timestamp_ns - max(before.band_ns or 0, after.band_ns or 0)


def test_clocks_are_by_sandbox() -> None:
    """One guest's clock says nothing of another's."""
    clocks = Clocks()
    for host, guest in ticking(0, 50, behind=1):
        clocks.add("a", START + round(host * SECOND), START + round(guest * SECOND))

    assert clocks.place("a", START).timestamp_ns == START + SECOND
    assert clocks.place("b", START) == clocks.place(None, START) == Place(START, None)
    assert list(clocks.jumps()) == []


def test_the_earliest_of_the_last_relays_is_the_level() -> None:
    """Late relays do not hide that a clock was set by little more than they are late."""
    late = [*ticking(0, 40, delays=(0, 0.9)), *ticking(4, 40, behind=1.5, delays=(0, 0.1))]

    assert sizes(clock(*late)) == [-2]


def test_a_clock_costs_no_memory() -> None:
    """Readings of a long life are joined, and of records that agree on no level few are kept."""
    long = clock(*((at * 20, at * 20) for at in range(12_000)))
    restless = clock((0, 0), *((1 + at / 10_000, -9 + at / 10_000) for at in range(4_000)))

    assert sum(len(era.readings) for era in long._eras) <= 257
    assert long.place(START + 239_980 * SECOND).band_ns == 1_000_000
    assert len(restless._stray) <= 256
