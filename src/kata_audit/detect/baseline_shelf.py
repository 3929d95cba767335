"""What was seen where, by day: places with things in them, bounded, and told apart by the day alone.

A place is what learns: a component in a class of workload, or a workload. A thing is what may be new there. Within a day
nothing that was seen that day is forgotten, and what had no room has none until the next; so what is new does not depend on
how often something is asked, and never on where a log is cut.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, TypeAlias

MAX_PLACES: Final = 4096
MAX_THINGS: Final = 512
"""Things of one place."""
MAX_ALL: Final = 65_536
"""Things of all places."""
MAX_OF_GUEST: Final = 32
"""New things that one sandbox's guest may add in a day, over all places."""
_NAME: Final = 16
"""Hex digits of a thing's name."""
Key: TypeAlias = tuple[str, ...]
FULL: Final[Key] = ("",)
"""Under this it is noted that a place had no room."""


@dataclass(slots=True)
class Place:
    """A place: days since the epoch on which it was first and last seen, on how many, and the last day of each thing."""

    since: int
    last: int
    days: int = 1
    things: dict[str, int] = field(default_factory=dict)

    def days_before(self, day: int) -> int:
        """Say on how many days it was seen before a day that is its last."""
        return self.days - (self.last == day)


class Sight(StrEnum):
    """What came of looking: it was known, or is new, or had no room; `OVERFLOWED` is the first of a place's day without."""

    KNOWN = "known"
    NEW = "new"
    NO_ROOM = "no room"
    OVERFLOWED = "overflowed"


@dataclass(frozen=True, slots=True)
class Shelved:
    """A shelf as a value: its day, its places, the one seen last at the end, and who added or had no room that day."""

    day: int = 0
    places: Mapping[Key, Place] = field(default_factory=dict)
    count: int = 0
    """Things at the beginning of the day, and those added since."""
    guests: Mapping[str, int] = field(default_factory=dict)
    """By sandbox, the things that its guest added that day, and one more where it would have added too many."""
    full: frozenset[Key] = frozenset()
    """Places that had no room that day."""


class Shelf:
    """Places while records go by.

    Args:
        shelved: As they were; it is left so.
        keep_days: After so many days what was not seen is forgotten.
    """

    def __init__(self, shelved: Shelved, keep_days: int) -> None:
        self._day, self._count, self._keep = shelved.day, shelved.count, keep_days
        self._places = dict(shelved.places)
        self._guests, self._full = dict(shelved.guests), set(shelved.full)
        self._mine: set[Key] = set()

    def begin(self, day: int) -> None:
        """Go on to a day, which is never before the last one."""
        if day <= self._day:
            return
        self._day, oldest = day, day - self._keep
        kept: dict[Key, Place] = {}
        for key, place in self._places.items():
            if place.last >= oldest:
                things = {name: last for name, last in place.things.items() if last >= oldest}
                kept[key] = place if len(things) == len(place.things) else replace(place, things=things)
        self._places, self._mine = kept, set()
        self._count = sum(len(place.things) for place in kept.values())
        self._guests, self._full = {}, set()

    def place(self, key: Key) -> Place | None:
        """Give a place, seen today; None where there is no room for it."""
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= MAX_PLACES:
                oldest = next(iter(self._places))
                if self._places[oldest].last == self._day:
                    return None
                del self._places[oldest]
            place = self._places[key] = Place(self._day, self._day)
            self._mine.add(key)
        elif place.last < self._day:
            del self._places[key]
            place = self._places[key] = Place(place.since, self._day, place.days + 1, dict(place.things))
            self._mine.add(key)
        elif key not in self._mine:
            place = self._places[key] = replace(place, things=dict(place.things))
            self._mine.add(key)
        return place

    def see(self, key: Key, thing: str, guest: str | None = None) -> Sight:
        """See a thing in a place.

        Args:
            key: The place, which may be new.
            thing: The thing.
            guest: Sandbox of the guest that says so; None where a host does.
        """
        place = self.place(key)
        if place is None:
            return self._overflow(FULL)
        name = hashlib.sha256(thing.encode("utf-8", "surrogatepass")).hexdigest()[:_NAME]
        if name in place.things:
            place.things[name] = self._day
            return Sight.KNOWN
        if guest is not None:
            added = self._guests.get(guest, 0)
            if added >= MAX_OF_GUEST or (added == 0 and len(self._guests) >= MAX_PLACES):
                return self._overflow((guest, "guest"))
        if len(place.things) >= MAX_THINGS or self._count >= MAX_ALL:
            return self._overflow(key)
        if guest is not None:
            self._guests[guest] = self._guests.get(guest, 0) + 1
        place.things[name] = self._day
        self._count += 1
        return Sight.NEW

    def _overflow(self, key: Key) -> Sight:
        if key in self._full:
            return Sight.NO_ROOM
        told = FULL if len(self._full) >= MAX_PLACES else key
        if told in self._full:
            return Sight.NO_ROOM
        self._full.add(told)
        return Sight.OVERFLOWED

    def shelved(self) -> Shelved:
        """Give the value to be remembered."""
        return Shelved(self._day, self._places, self._count, self._guests, frozenset(self._full))


def to_value(shelved: Shelved) -> list[Any]:
    """Spell a shelf for JSON."""
    places = [[key, one.since, one.last, one.days, _by_day(one.things)] for key, one in shelved.places.items()]
    return [shelved.day, places, shelved.count, shelved.guests, sorted(shelved.full)]


def from_value(value: Any) -> Shelved:
    """Read a shelf back.

    Raises:
        ValueError: It is none.
        TypeError: It is none.
    """
    day, places, count, guests, full = value
    return Shelved(
        int(day),
        {tuple(key): Place(int(since), int(last), int(days), _things(things)) for key, since, last, days, things in places},
        int(count),
        dict(guests),
        frozenset(tuple(key) for key in full),
    )


def _by_day(things: Mapping[str, int]) -> dict[int, str]:
    """Spell things by the day on which they were last seen, their names one after another."""
    names: dict[int, list[str]] = {}
    for name, day in things.items():
        names.setdefault(day, []).append(name)
    return {day: "".join(those) for day, those in names.items()}


def _things(by_day: Mapping[str, str]) -> dict[str, int]:
    return {names[at : at + _NAME]: int(day) for day, names in by_day.items() for at in range(0, len(names), _NAME)}
