"""What judging remembers between cuts: a value, and its canonical bytes, saved beside the cut that it belongs to."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kata_audit.detect.absence import Company, Waiting
from kata_audit.detect.copies import Copies
from kata_audit.detect.correlation import Entry, Window
from kata_audit.detect.event import Event, Mark
from kata_audit.detect.limits import Tallies, Tally
from kata_audit.detect.overflow import Forgotten
from kata_audit.detect.sources import Hours
from kata_audit.detect.stream import FOREVER, Memory

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered; everything of a rule stands under its name and digest, so that a changed rule starts anew.

    `clock_ns` is the stream's clock: the latest time that a host record stated, never later than its arrival; 0 before any.
    """

    clock_ns: int = 0
    stream: Memory = field(default_factory=Memory)
    tallies: Mapping[str, Tallies] = field(default_factory=dict)
    copies: Copies = field(default_factory=dict)
    forgotten: Mapping[str, Forgotten] = field(default_factory=dict)
    sources: Hours = field(default_factory=dict)

    def renewed(self) -> "State":
        """Give the state for an input of another time: nothing is counted on from before, and copies are still copies."""
        return State(copies=self.copies, forgotten=self.forgotten, sources=self.sources)

    def to_bytes(self) -> bytes:
        """Spell the state: one JSON value, always the same bytes for the same state."""
        stream = self.stream
        value = {
            "v": VERSION,
            "clock": self.clock_ns,
            "watermark": stream.watermark_ns,
            "released": stream.released_ns,
            "late": stream.late,
            "held": stream.held,
            "windows": {rule: _pairs(windows) for rule, windows in stream.windows.items()},
            "companies": {rule: [_pairs(one.times), one.waiting] for rule, one in stream.companies.items()},
            "tallies": {rule: tallies_value(places) for rule, places in self.tallies.items()},
            "copies": _pairs(self.copies),
            "forgotten": self.forgotten,
            "sources": {need: _pairs(hours) for need, hours in self.sources.items()},
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _pairs(mapping: Mapping[Any, Any]) -> list[Any]:
    """Spell a mapping whose keys are no texts; its order tells which grew last."""
    return [[key, value] for key, value in mapping.items()]


def from_bytes(data: bytes) -> State:
    """Read a state back.

    Raises:
        ValueError: The bytes are no state of this version, exactly as `State.to_bytes` spells it.
    """
    try:
        state = _state(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError("These bytes are no state of detection.") from error
    if state.to_bytes() != data:
        raise ValueError("These bytes are no state of detection as this version spells it.")
    return state


def _state(value: Any) -> State:
    stream = Memory(
        _time(value["watermark"]),
        _time(value["released"]),
        tuple((_text(key), _event(event)) for key, event in value["held"]),
        {rule: {_texts(key): _window(*one) for key, one in windows} for rule, windows in value["windows"].items()},
        {rule: _company(*one) for rule, one in value["companies"].items()},
        _int(value["late"]),
    )
    return State(
        _time(value["clock"]),
        stream,
        {rule: read_tallies(places) for rule, places in value["tallies"].items()},
        {_copy(*key): _int(seq) for key, seq in value["copies"]},
        {rule: Forgotten(_int(total), _int(told)) for rule, (total, told) in value["forgotten"].items()},
        {_text(need): {_int(hour): _int(clock) for hour, clock in hours} for need, hours in value["sources"].items()},
    )


def _event(value: Any) -> Event:
    rule_id, at, seq, first, time, records, claim, node, tenant, values, detail = value
    times = (_int(at), _int(seq), _int(first), _int(time))
    who = (_bool(claim), _text(node), _text(tenant))
    return Event(_text(rule_id), *times, _ints(records), *who, _words(values), _words(detail))


def _mark(at: Any, first: Any, time: Any, records: Any, claim: Any) -> Mark:
    return Mark(_int(at), _int(first), _int(time), _ints(records), _bool(claim))


def _window(silent: Any, last: Any, entries: Any) -> Window:
    read = tuple(Entry(_text(label), tuple(_mark(*one) for one in _some(marks))) for label, marks in entries)
    return Window(_int(silent), _int(last), read)


def _company(times: Any, waiting: Any) -> Company:
    held = tuple(Waiting(_int(until), _int(seq), _texts(key), _event(event)) for until, seq, key, event in waiting)
    return Company({_texts(key): _ints(_some(those)) for key, those in times}, held)


def tallies_value(tallies: Tallies) -> list[Any]:
    """Spell one rule's counts for JSON."""
    return [[place, _pairs(groups)] for place, groups in tallies.items()]


def read_tallies(places: Any) -> Tallies:
    """Read one rule's counts back.

    Raises:
        ValueError: They are none.
        TypeError: They are none.
    """
    return {
        (_text(tenant), _text(node), _maybe(sandbox)): {
            tuple(_maybe(part) for part in group): _tally(*tally) for group, tally in groups
        }
        for (tenant, node, sandbox), groups in places
    }


def _tally(total: Any, last: Any, first: Any, records: Any, claim: Any) -> Tally:
    return Tally(_int(total), _int(last), _int(first), _ints(records), _bool(claim))


def _copy(rule: Any, tenant: Any, node: Any, guest: Any, key: Any) -> tuple[str, str, str, bool, int]:
    return _text(rule), _text(tenant), _text(node), _bool(guest), _int(key)


def _checked(kind: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"not a value of {kind.__name__}")
        return value

    return check


_int, _text, _bool = _checked(int), _checked(str), _checked(bool)


def _time(value: Any) -> int:
    """Read a time that columns are held against."""
    if abs(_int(value)) > FOREVER:
        raise ValueError("not a time in nanoseconds")
    return int(value)


def _some(values: Any) -> Any:
    """Read what is never empty."""
    if not values:
        raise ValueError("nothing is remembered where something should be")
    return values


def _maybe(value: Any) -> str | None:
    return None if value is None else str(_text(value))


def _ints(value: Any) -> tuple[int, ...]:
    return tuple(_int(one) for one in value)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(one) for one in value)


def _words(value: Any) -> dict[str, str]:
    return {key: _text(one) for key, one in value.items()}
