"""What judging remembers between cuts: a value, and its canonical bytes, saved beside the cut that it belongs to."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from kata_audit.detect.limits import Tallies, Tally

VERSION: Final = 1
Copies: TypeAlias = Mapping[tuple[str, str, str, bool, int], int]
"""Of events whose records have copies: rule, tenant, node, whether a guest's, and `copy_key`; the seq of the first."""


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered; everything of a rule stands under its name and digest, so that a changed rule starts anew.

    `clock_ns` is the stream's clock: the latest time that a host record stated, never later than its arrival; 0 before any.
    `watermark_ns` is the time up to which events were put in order.
    """

    clock_ns: int = 0
    watermark_ns: int = 0
    tallies: Mapping[str, Tallies] = field(default_factory=dict)
    copies: Copies = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Spell the state: one JSON value, always the same bytes for the same state."""
        value = {
            "v": VERSION,
            "clock": self.clock_ns,
            "watermark": self.watermark_ns,
            "tallies": {rule: _spell_tallies(those) for rule, those in self.tallies.items()},
            "copies": [[*key, seq] for key, seq in self.copies.items()],
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def from_bytes(data: bytes) -> State:
    """Read a state back.

    Raises:
        ValueError: The bytes are no state of this version, exactly as `State.to_bytes` spells it.
    """
    try:
        value = json.loads(data)
        state = State(
            _int(value["clock"]),
            _int(value["watermark"]),
            {str(rule): _read_tallies(those) for rule, those in value["tallies"].items()},
            {_copy(key): _int(key[5]) for key in value["copies"]},
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError("These bytes are no state of detection.") from error
    if state.to_bytes() != data:
        raise ValueError("These bytes are no state of detection as this version spells it.")
    return state


def _spell_tallies(places: Tallies) -> list[Any]:
    return [[place, [[group, tally] for group, tally in groups.items()]] for place, groups in places.items()]


def _read_tallies(value: Any) -> Tallies:
    return {
        (_text(place[0]), _text(place[1]), _maybe(place[2])): {
            tuple(_maybe(part) for part in group): _tally(*tally) for group, tally in groups
        }
        for place, groups in value
    }


def _tally(count: Any, last: Any, first: Any, records: Any, claim: Any) -> Tally:
    return Tally(_int(count), _int(last), _int(first), _numbers(records), _bool(claim))


def _copy(key: Any) -> tuple[str, str, str, bool, int]:
    return _text(key[0]), _text(key[1]), _text(key[2]), _bool(key[3]), _int(key[4])


def _checked(kind: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"not a value of {kind.__name__}")
        return value

    return check


_int, _text, _bool = _checked(int), _checked(str), _checked(bool)


def _maybe(value: Any) -> str | None:
    return None if value is None else str(_text(value))


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(_int(one) for one in value)
