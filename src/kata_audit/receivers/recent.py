"""The newest names that sources have for their records: what comes again under one of them is not taken a second time."""

from collections import OrderedDict
from collections.abc import Hashable
from hashlib import blake2b
from typing import Final, Generic, TypeVar

MOST_NAMES: Final = 65_536
"""How many of the newest names are known."""
TELL_NS: Final = 60 * 1_000_000_000
"""How often it is told how many records came again."""
AGAIN: Final = "Lines were sent again, and were not taken a second time."

_Place = TypeVar("_Place")


class Recent(Generic[_Place]):
    """Names of records, each with what took it."""

    def __init__(self) -> None:
        self._places: OrderedDict[tuple[Hashable, bytes], _Place] = OrderedDict()

    def find(self, owner: Hashable, name: str | None) -> _Place | None:
        """Give what took the record that its source calls so; None where it is new, is known no more, or has no name."""
        return None if name is None else self._places.get((owner, _mark(name)))

    def keep(self, owner: Hashable, name: str | None, place: _Place) -> None:
        """Know a record from now on, and forget the one that has been known longest where there are too many."""
        if name is None:
            return
        self._places[owner, _mark(name)] = place
        if len(self._places) > MOST_NAMES:
            self._places.popitem(last=False)


def _mark(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=16).digest()
