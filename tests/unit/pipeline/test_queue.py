"""The queue is a value: it survives being written down, gives what a place is to be told, and forgets what all have."""

import dataclasses
import json

from hypothesis import given
from hypothesis import strategies as st
from tests.notices import NOTICE

from kata_audit.pipeline.queue import Position, Queue, pending, read_position, read_queue
from kata_audit.schema.notice import Notice, NoticeKind


def queue(*alerts: str) -> Queue:
    """A queue of notices, each of an alert; a name that ends in `!` is over."""
    made = Queue(seen_to=7, state="s")
    for at, name in enumerate(alerts):
        over = name.endswith("!")
        kind = NoticeKind.RESOLVED if over else NoticeKind.FIRED
        ends = NOTICE.starts_ns + 1 if over else None
        made.add(dataclasses.replace(NOTICE, alert_id=name.removesuffix("!"), kind=kind, ends_ns=ends), at)
    return made


def everything(_: Notice) -> bool:
    return True


def test_it_survives_being_written_down() -> None:
    """With its positions."""
    made = queue("a", "b", "a!")
    position = Position(2, [0], {1}, 5, 1, 2)

    assert read_queue(json.loads(json.dumps(made.values()))) == made
    assert read_position(json.loads(json.dumps(position.values()))) == position


def test_what_is_over_is_active_no_more() -> None:
    """And the newest notice of an alert stands for it, in the order in which they came."""
    made = queue("a", "b", "a", "b!", "c")

    assert [(name, one.n) for name, one in made.active.items()] == [("a", 2), ("c", 4)]


def test_a_storm_that_has_ended_is_over_too() -> None:
    """Its end says so, whatever its kind."""
    made = Queue()
    storm = dataclasses.replace(NOTICE, kind=NoticeKind.STORM)
    made.add(storm, 0)
    made.add(dataclasses.replace(storm, ends_ns=NOTICE.starts_ns + 1), 1)

    assert made.active == {}


@given(
    nexts=st.lists(st.integers(0, 12), min_size=1, max_size=3),
    extras=st.lists(st.lists(st.integers(0, 11), unique=True, max_size=4), min_size=3, max_size=3),
)
def test_pruning_takes_nothing_that_somebody_is_to_be_told(nexts: list[int], extras: list[list[int]]) -> None:
    """Whatever the positions are."""
    made = queue(*(str(number) for number in range(12)))
    positions = [Position(at, sorted(n for n in extra if n < at)) for at, extra in zip(nexts, extras, strict=False)]
    before = [list(pending(made, one, everything)) for one in positions]
    made.prune([(one, everything) for one in positions])

    assert [list(pending(made, one, everything)) for one in positions] == before
    assert [one.n for one in made.waiting] == sorted({one.n for told in before for one in told})
    assert [one.given_up for one in positions] == [0] * len(positions)


def test_what_is_put_back_is_there_once_and_in_order() -> None:
    """A new destination is told of what others have passed."""
    made = queue("a", "b", "c")
    kept = list(made.waiting)
    made.prune([(Position(2), everything)])
    made.keep(kept)
    made.keep(kept[:1])

    assert [one.n for one in made.waiting] == [0, 1, 2]
    assert made.at(1) == kept[1]
    assert made.at(9) is None
