"""Folding: copies of one record, and records that tell of one event, become one moment.

Pure, and bounded: a window of moments is held; what comes later than that is told as another moment.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from kata_audit.pipeline.moments import Moment
from kata_audit.schema.event import Outcome

Key = tuple[str | int | None, ...]
"""What copies of one record, or records of one event, have in common."""
WINDOW = 512
"""Moments held: copies carry one time, the stages of most events come within it, and this many records of one are rare."""
_MAX_KEYS = 64
"""Keys by which one moment is found again; an event with more stages is told with more of them as moments of their own."""


def copy_keys(moment: Moment) -> list[Key]:
    """Give what copies of a record have in common: what its writer's copies have, and what a guest's time tells of it.

    A claim is no copy of a record of the host's, whatever it says (law L7). A guest's record that both a relay and the
    guest's own file brought has one time of the guest and one text.
    """
    keys: list[Key] = [] if moment.copy_key is None else [(moment.sandbox_id, moment.is_claim, moment.copy_key)]
    if moment.guest_ns is not None and moment.is_claim:
        keys.append((moment.sandbox_id, moment.guest_ns, moment.body))
    return keys


def fold(moments: Iterable[Moment]) -> Iterator[Moment]:
    """Fold copies and the records of one event.

    Args:
        moments: In order of their times on the host's clock.

    Yields:
        Moments in that order. Of copies the first with a time of the host's stands, of an event's records the one that says
        how it went, else the last.
    """
    window = _Window()
    for moment in moments:
        window.add(moment)
        if len(window.held) > WINDOW:
            yield window.pop()
    while window.held:
        yield window.pop()


class _Window:
    """The moments held, by the seq of their first record, and the keys by which each is found again."""

    def __init__(self) -> None:
        self.held: OrderedDict[int, Moment] = OrderedDict()
        self._first: dict[Key, int] = {}
        self._keys: dict[int, list[Key]] = {}

    def add(self, moment: Moment) -> None:
        """Take a moment: as a copy, as a further record of an event, or as a new one."""
        copies, event = copy_keys(moment), moment.fold_key
        seq = next((self._first[key] for key in copies if key in self._first), None)
        if seq is not None:
            held = self.held[seq]
            stands = held if held.band_ns == 0 or moment.band_ns != 0 else moment
            self._put(seq, held, stands._replace(copies=held.copies + 1, steps=held.steps))
        elif event is not None and (seq := self._first.get(event)) is not None:
            held = self.held[seq]
            stands = moment if _says_more(moment, held) else held
            severity = max(held.severity or 0, moment.severity or 0) or None
            stands = stands._replace(copies=held.copies + 1, steps=held.steps + 1, severity=severity)
            self._put(seq, held, stands)
        else:
            seq = moment.seq
            self.held[seq] = moment
        self._name(seq, [*copies, *([event] if event is not None else [])])

    def _put(self, seq: int, held: Moment, stands: Moment) -> None:
        """Let a moment stand for another one, at its own place."""
        self.held[seq] = stands
        if stands.seq != held.seq:
            self.held.move_to_end(seq)

    def _name(self, seq: int, keys: list[Key]) -> None:
        known = self._keys.setdefault(seq, [])
        for key in keys:
            if len(known) < _MAX_KEYS and key not in self._first:
                self._first[key] = seq
                known.append(key)

    def pop(self) -> Moment:
        """Take the oldest moment out, and forget what named it."""
        seq, moment = self.held.popitem(last=False)
        for key in self._keys.pop(seq, ()):
            del self._first[key]
        return moment


def _says_more(moment: Moment, held: Moment) -> bool:
    """Say whether a later record of an event tells more of it: how it went, or nothing less."""
    return _is_told(moment) or not _is_told(held)


def _is_told(moment: Moment) -> bool:
    return moment.act is not None and moment.act.outcome != Outcome.UNKNOWN
