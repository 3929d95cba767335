"""Guest clocks: how far each is from the host's, when it was set anew, and where on the host's clock a guest's time lies.

A host record that relays a guest's carries both times. Host minus guest is the skew plus what the relay took, and a relay
takes no less than nothing: so the smallest differences are nearest to the skew, and how far the others lie above them says
how well it is known. All of it rests on what a guest claims of its time; nothing here orders what the host wrote.

Pure, and bounded: the memory of a clock does not grow with its records. `docs/explanation/clocks.md` tells it in words.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

_SECOND = 1_000_000_000
_TOLERANCE_NS = _SECOND
"""What no change of a clock is made of: relays are late by up to a tenth of a second in captures of busy nodes."""
_SETTLED = 5
"""Records that must agree on a new level before it is one: a single time is easily wrong, or forged."""
_SETTLED_NS = _SECOND // 2
"""For how long they must: what a relay held back comes all at once."""
_NO_RELAY_NS = 60 * _SECOND
"""No relay that still works is this late: so large a change needs no time to settle."""
_MAX_SLEW = 500e-6
"""How fast a clock that runs may drift: Linux slews by at most 500 parts in a million (`include/linux/timex.h`, MAXFREQ)."""
_READING = 256
"""Records of one reading of the skew, at first."""
_LONG, _READING_NS = 32, 600 * _SECOND
"""Or so many records over so long a time: a clock drifts."""
_BURST_NS = 10_000_000
"""Records that came within it are one witness: what a relay held back comes all at once."""
_FEW, _SOME = 3, 6
"""With fewer witnesses all may be late. In captures two bursts were late by up to 0.28 s, five by 19 ms, six by 4 ms."""
_MAX_READINGS = 256
_MAX_ERAS = 64
"""A clock that is set more often than this is none."""
_LEAST_BAND_NS, _SOME_BAND_NS, _FEW_BAND_NS = 1_000_000, 100_000_000, 500_000_000
"""What a relay takes at least is not seen: a millisecond is allowed for it, and more where witnesses are few."""


class Jump(NamedTuple):
    """A guest's clock was set: behind `after_ns` and by `at_ns` of the host's clock, by `size_ns` (positive: ahead)."""

    sandbox_id: str
    after_ns: int
    at_ns: int
    size_ns: int


class Place(NamedTuple):
    """Where on the host's clock a guest's time lies: within `band_ns` before and behind; None where nothing tells."""

    timestamp_ns: int
    band_ns: int | None


class Skew(NamedTuple):
    """How far a guest's clock is behind the host's between two times of the host, over so many records in so many bursts.

    It is `low_ns` less what the quickest relay took; by `high_ns` half of the records came, however it drifted.
    """

    from_ns: int
    to_ns: int
    low_ns: int
    high_ns: int
    records: int
    bursts: int

    @property
    def band_ns(self) -> int:
        """How well it is known, in both directions."""
        least = _FEW_BAND_NS if self.bursts < _FEW else _SOME_BAND_NS if self.bursts < _SOME else _LEAST_BAND_NS
        return max(self.high_ns - self.low_ns, least)


class _Reading(NamedTuple):
    """The skew over some records in a row, with the guest's times that it was taken at."""

    guest_from: int
    guest_to: int
    skew: Skew


@dataclass(slots=True)
class _Era:
    """A time between two settings of a clock."""

    readings: list[_Reading] = field(default_factory=list)
    is_held_back: bool = False
    """Whether it may be no era at all: its records are later than those before, and no guest time went back."""

    @property
    def skew(self) -> Skew:
        return _joined(self.readings[0], self.readings[-1], self.readings).skew

    def place(self, guest_ns: int) -> Place:
        """Place a guest's time by the reading nearest to it; a clock drifts with the distance."""
        at = bisect_right(self.readings, guest_ns, key=lambda reading: reading.guest_from)
        near = min(self.readings[max(at - 1, 0) : at + 1], key=lambda reading: _distance(reading, guest_ns))
        drift = int(_distance(near, guest_ns) * _MAX_SLEW)
        return Place(guest_ns + near.skew.low_ns, near.skew.band_ns + drift)


def _low_and_high(differences: list[int]) -> tuple[int, int]:
    """Give the skew at most, and how much more the differences say: what half of the records' relays took, and all drift."""
    halves = differences[: len(differences) // 2], differences[len(differences) // 2 :]
    drift = abs(_low(halves[1]) - _low(halves[0])) if halves[0] else 0
    low = _low(differences)
    return low, max(sorted(differences)[len(differences) // 2], low + 2 * drift)


def _low(differences: list[int]) -> int:
    """Give one of the least of some differences: one in twenty may be forged."""
    return sorted(differences)[len(differences) // 20]


def _distance(reading: _Reading, guest_ns: int) -> int:
    return max(reading.guest_from - guest_ns, guest_ns - reading.guest_to, 0)


def _joined(first: _Reading, last: _Reading, readings: list[_Reading]) -> _Reading:
    """Join readings in a row into one that covers them all."""
    skews = [reading.skew for reading in readings]
    low, high = min(skew.low_ns for skew in skews), max(skew.high_ns for skew in skews)
    records, bursts = sum(skew.records for skew in skews), sum(skew.bursts for skew in skews)
    skew = Skew(first.skew.from_ns, last.skew.to_ns, low, high, records, bursts)
    return _Reading(min(reading.guest_from for reading in readings), max(reading.guest_to for reading in readings), skew)


class Clock:
    """One guest's clock, as host records with both times show it; they are added in the host's order."""

    def __init__(self, sandbox_id: str) -> None:
        self._sandbox_id = sandbox_id
        self._eras: list[_Era] = []
        self._jumps: list[Jump] = []
        self._open: list[tuple[int, int]] = []
        """Host and guest time of the records of the reading that is being taken."""
        self._stray: list[tuple[int, int]] = []
        """Of records that do not agree with the level, and do with one another."""
        self._recent: deque[tuple[int, int]] = deque(maxlen=8)
        self._reading = _READING
        self._steady = True

    def add(self, host_ns: int, guest_ns: int) -> None:
        """Take a record that carries both times; a copy of the last ones adds nothing."""
        if not self._steady or (host_ns, guest_ns) in self._recent:
            return
        if not self._eras:
            self._eras.append(_Era())
        off = self._off(host_ns, guest_ns)
        if off == 0:
            self._stray.clear()
            self._take(host_ns, guest_ns)
            return
        self._stray = [pair for pair in self._stray if abs(pair[0] - pair[1] - host_ns + guest_ns) <= _TOLERANCE_NS]
        if len(self._stray) < _READING:
            self._stray.append((host_ns, guest_ns))
        enough = abs(off) >= _NO_RELAY_NS or host_ns - self._stray[0][0] >= _SETTLED_NS
        if len(self._stray) >= _SETTLED and enough:
            self._settle(off)

    def _off(self, host_ns: int, guest_ns: int) -> int:
        """Say how far a record is from the level of the last ones; 0 where that is no more than relays and drift explain."""
        if not self._recent:
            return 0
        level = min(host - guest for host, guest in self._recent)
        off = host_ns - guest_ns - level
        return 0 if abs(off) <= _TOLERANCE_NS + abs(host_ns - self._recent[0][0]) * _MAX_SLEW else off

    def _take(self, host_ns: int, guest_ns: int) -> None:
        self._recent.append((host_ns, guest_ns))
        self._open.append((host_ns, guest_ns))
        is_long = len(self._open) >= _LONG and host_ns - self._open[0][0] >= _READING_NS
        if is_long or len(self._open) >= self._reading:
            self._close()

    def _settle(self, off: int) -> None:
        """Begin a new era with the records that agree on another level."""
        last_host, last_guest = self._recent[-1]
        before, was_held_back = self._close(), self._eras[-1].is_held_back
        first_host, first_guest = self._stray[0]
        if was_held_back and off < 0 and self._falls_back(first_host - first_guest):
            self._eras.pop()
            self._jumps.pop()
        else:
            level = min(host - guest for host, guest in self._stray)
            self._jumps.append(Jump(self._sandbox_id, last_host, first_host, before.low_ns - level))
            self._eras.append(_Era(is_held_back=off > 0 and first_guest >= last_guest))
        self._steady = len(self._eras) <= _MAX_ERAS
        self._recent.clear()
        stray, self._stray = self._stray, []
        for host_ns, guest_ns in stray:
            self._take(host_ns, guest_ns)

    def _falls_back(self, difference: int) -> bool:
        """Say whether a difference is that of the era before the last: then the last one's records were only late."""
        return abs(difference - self._eras[-2].skew.low_ns) <= _TOLERANCE_NS

    def _close(self) -> Skew:
        """End the reading that is being taken; give the last one of the era."""
        readings = self._eras[-1].readings
        if self._open:
            hosts, guests = [host for host, _ in self._open], [guest for _, guest in self._open]
            low, high = _low_and_high([host - guest for host, guest in self._open])
            bursts = len({host // _BURST_NS for host in hosts})
            skew = Skew(hosts[0], hosts[-1], low, high, len(hosts), bursts)
            readings.append(_Reading(min(guests), max(guests), skew))
            self._open = []
            if len(readings) > 1 and bursts < _SOME:
                readings[-2:] = [_joined(readings[-2], readings[-1], readings[-2:])]
            if len(readings) > _MAX_READINGS:
                self._thin()
        return readings[-1].skew

    def _thin(self) -> None:
        """Join each two readings, and take longer ones from here on."""
        self._reading *= 2
        for era in self._eras:
            pairs = [era.readings[at : at + 2] for at in range(0, len(era.readings), 2)]
            era.readings = [_joined(pair[0], pair[-1], pair) for pair in pairs]

    def jumps(self) -> list[Jump]:
        """Give the times at which it was set, in the host's order."""
        return list(self._jumps)

    def skews(self) -> list[Skew]:
        """Give its skew between any two of its jumps, in the host's order; none where it was set too often."""
        return [era.skew for era in self._known()]

    def _known(self) -> list[_Era]:
        if self._open:
            self._close()
        return self._eras if self._steady else []

    def place(self, guest_ns: int) -> Place:
        """Place a time of this clock on the host's.

        Where the clock was set back, it showed some times twice: then the band holds both.
        """
        eras = self._known()
        at = _showing(eras, guest_ns)
        places = [eras[position].place(guest_ns) for position in at]
        if not places:
            return Place(guest_ns, None)
        if len(places) == 1:
            return places[0]
        least = min(place.timestamp_ns - (place.band_ns or 0) for place in places)
        most = max(place.timestamp_ns + (place.band_ns or 0) for place in places)
        return Place((least + most) // 2, (most - least + 1) // 2)

    def stretches(self) -> list[tuple[int | None, int | None]]:
        """Cut the guest's time into stretches `[from, to)`, so that within each one later is later on the host's clock too.

        Returns:
            Stretches in the host's order that cover all time; one that is open at both ends, mostly.
        """
        eras = self._known()
        edges = sorted({edge for era in eras for edge in (era.readings[0].guest_from, era.readings[-1].guest_to + 1)})
        cuts = sorted({*edges, *((a + b) // 2 for a, b in pairwise(edges))})
        starts = [cut for cut in cuts if _showing(eras, cut - 1) != _showing(eras, cut)]
        whole = list(zip([None, *starts], [*starts, None], strict=True))
        return sorted(whole, key=lambda stretch: self._begins(stretch, starts))

    def _begins(self, stretch: tuple[int | None, int | None], starts: list[int]) -> int:
        inside = stretch[0] if stretch[0] is not None else (starts[0] - 1 if starts else 0)
        return self.place(inside).timestamp_ns


def _showing(eras: list[_Era], guest_ns: int) -> list[int]:
    """Tell in which eras a clock showed a time; where in none, the nearest."""
    away = [max(era.readings[0].guest_from - guest_ns, guest_ns - era.readings[-1].guest_to, 0) for era in eras]
    return [at for at, distance in enumerate(away) if distance == min(away)] if away else []


class Clocks:
    """The clocks of guests, by sandbox."""

    def __init__(self) -> None:
        self._clocks: dict[str, Clock] = {}
        self._told: list[Jump] = []

    def add(self, sandbox_id: str, host_ns: int, guest_ns: int) -> None:
        """Take a host record of a sandbox that carries a guest's time too; records come in the host's order."""
        if sandbox_id not in self._clocks:
            self._clocks[sandbox_id] = Clock(sandbox_id)
        self._clocks[sandbox_id].add(host_ns, guest_ns)

    def tell(self, jumps: Iterable[Jump]) -> None:
        """Take what a guest's own files tell of its clock; where relays show a clock, they are believed instead."""
        self._told += [jump for jump in jumps if jump.sandbox_id not in self._clocks]

    def of(self, sandbox_id: str | None) -> Clock | None:
        """Give a sandbox's clock; None where no host record carries its time."""
        return self._clocks.get(sandbox_id or "")

    def known(self) -> Mapping[str, Clock]:
        """Give the clocks by sandbox."""
        return self._clocks

    def jumps(self) -> Iterator[Jump]:
        """Give the jumps of all clocks, in the host's order."""
        every = [*self._told, *(jump for clock in self._clocks.values() for jump in clock.jumps())]
        return iter(sorted(every, key=lambda jump: (jump.at_ns, jump.sandbox_id)))

    def place(self, sandbox_id: str | None, guest_ns: int) -> Place:
        """Place a guest's time on the host's clock; without a clock it stays where it is, and nobody knows how far off."""
        clock = self.of(sandbox_id)
        return Place(guest_ns, None) if clock is None else clock.place(guest_ns)
