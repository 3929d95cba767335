"""Order: moments of several clocks on the host's, and no claim of an order that this does not prove.

Pure, and bounded: a window of moments is held, whatever comes. Within one clock order is that clock's own; between clocks a
moment may have happened anywhere in its band.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush, merge

from kata_audit.pipeline.moments import Moment

_WINDOW = 512
"""Moments held: bands are milliseconds, and this many records in one are rare. A mark behind them is left out on the host's
line, never on the guest's, which always tells its band."""
_HOST = ""


def in_host_order(streams: Iterable[Iterable[Moment]]) -> Iterator[Moment]:
    """Merge streams into one by their times on the host's clock.

    Args:
        streams: Each in order; one of a guest's clock but for what drifts between two readings of its skew.
    """
    return merge(*(_straightened(stream) for stream in streams), key=_time_of)


def _time_of(moment: Moment) -> tuple[int, int]:
    return moment.timestamp_ns, moment.seq


def _straightened(stream: Iterable[Moment]) -> Iterator[Moment]:
    held: list[tuple[tuple[int, int], Moment]] = []
    for moment in stream:
        heappush(held, (_time_of(moment), moment))
        if len(held) > _WINDOW:
            yield heappop(held)[1]
    while held:
        yield heappop(held)[1]


def mark_unordered(moments: Iterable[Moment]) -> Iterator[Moment]:
    """Mark the moments that may have happened before or after what stands next to them.

    Args:
        moments: In order of their times on the host's clock.

    Yields:
        The same, with `is_unordered` where the bands of two clocks overlap, or a band is not known.
    """
    held: deque[Moment] = deque()
    reached: dict[str, int] = {}
    widest = 0
    for moment in moments:
        held.append(moment)
        widest = max(widest, moment.band_ns or 0)
        if len(held) > _WINDOW:
            yield _marked(held.popleft(), held, reached, widest)
    while held:
        yield _marked(held.popleft(), held, reached, widest)


def _marked(moment: Moment, later: Iterable[Moment], reached: dict[str, int], widest: int) -> Moment:
    """Mark one moment; note in `reached` how far the bands of its clock go."""
    if moment.band_ns is None:
        return moment._replace(is_unordered=True)
    clock, until = _clock_of(moment), moment.timestamp_ns + moment.band_ns
    since = moment.timestamp_ns - moment.band_ns
    overlaps = any(other != clock and reach >= since for other, reach in reached.items())
    if not overlaps and widest:
        overlaps = _overlaps_later(clock, until, later, widest)
    reached[clock] = max(reached.get(clock, until), until)
    return moment._replace(is_unordered=True) if overlaps else moment


def _overlaps_later(clock: str, until: int, later: Iterable[Moment], widest: int) -> bool:
    for moment in later:
        if moment.timestamp_ns - widest > until:
            return False
        if moment.band_ns is not None and _clock_of(moment) != clock and moment.timestamp_ns - moment.band_ns <= until:
            return True
    return False


def _clock_of(moment: Moment) -> str:
    """Name the clock that a moment's time was read from."""
    return moment.sandbox_id or "?" if moment.band_ns else _HOST
