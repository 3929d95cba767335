"""What we say ourselves is followed: all of it, once, in order, whatever the writer does meanwhile."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import derive
from tests.unit.store.rows import evidence

from kata_audit.clock import ManualClock
from kata_audit.errors import StoreError, VerificationError
from kata_audit.pipeline.ingest import CutPolicy, Sealer
from kata_audit.pipeline.own import OwnRecords
from kata_audit.store.tail import Tail
from kata_audit.store.writer import open_writer


class Writing:
    """A store that is written to."""

    def __init__(self, root: Path) -> None:
        self.clock = ManualClock()
        self._root = root
        self._others = 0

    @contextmanager
    def open(self) -> Iterator["Writing"]:
        with open_writer(self._root, clock=self.clock, node="lab/worker-a") as self.writer:
            self._sealer = Sealer(self.writer, CutPolicy(), derive, self.clock, int)
            yield self

    def say(self, kind: str, *names: str, others: int = 3) -> None:
        """Seal a cut with records of ours among others'."""
        text = b'{"MESSAGE":"kata-audit:act act.x","_PID":"1"}\n'
        self.writer.append(evidence([text] * others, stream=f"s{self._others}"))
        own = OwnRecords(kind, node="lab/worker-a", tenant="default", clock=self.clock)
        for name in names:
            own.say("alert.act", "INFO", "Something.", **{"act.id": name})
        if names:
            self.writer.append(own.rows())
        self._others += 1
        self.clock.advance(1_000_000_000)
        self._sealer.seal_all()


def names(tail: Tail) -> list[str]:
    """Follow to the end, and name what came."""
    found = []
    while (step := tail.step()) is not None:
        assert tail.seen_to == step.seen_to
        found += [dict(one)["act.id"] for one in step.rows["attributes"].to_pylist()]
        assert step.rows["receiver"].to_pylist() == ["kata-audit:act"] * step.rows.num_rows
    return found


def test_only_what_was_asked_for_comes(tmp_path: Path) -> None:
    """Neither another kind, nor a log that spells our words."""
    with Writing(tmp_path / "store").open() as writing:
        writing.say("act", "a", "b")
        writing.say("finding", "other")
        writing.say("act", "c")
        tail = Tail(tmp_path / "store", ["act"], 0)

        assert names(tail) == ["a", "b", "c"]
        assert tail.step() is None
        assert tail.seen_to == writing.writer.sealed_to
        assert tail.sealed_ns == writing.clock.now_ns()
        writing.say("act", "d")
        assert names(tail) == ["d"]
        assert names(Tail(tmp_path / "store", ["act"], tail.seen_to)) == []


def test_merging_brings_nothing_back_and_takes_nothing_away(tmp_path: Path) -> None:
    """Behind the follower, before it, and under its hands."""
    with Writing(tmp_path / "store").open() as writing:
        tail = Tail(tmp_path / "store", ["act"], 0)
        seen = []
        for number in range(12):
            writing.say("act", f"n{number}", others=0 if number % 2 else 2)
            if number % 3 == 0:
                seen += names(tail)
            if number % 4 == 3:
                writing.writer.compact(all_of_them=True)
        seen += names(tail)

        assert seen == [f"n{number}" for number in range(12)]
        assert names(Tail(tmp_path / "store", ["act"], 0)) == seen


@given(cuts=st.lists(st.integers(0, 3), max_size=6), stops=st.lists(st.integers(0, 5), max_size=3))
def test_a_follower_that_starts_again_misses_nothing(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], stops: list[int]
) -> None:
    """Its number is all that it has to keep."""
    root = tmp_path_factory.mktemp("tail") / "store"
    said, seen, seen_to = [], [], 0
    with Writing(root).open() as writing:
        for at, count in enumerate(cuts):
            texts = [f"{at}-{number}" for number in range(count)]
            writing.say("act", *texts)
            said += texts
            if at in stops:
                tail = Tail(root, ["act"], seen_to)
                seen += names(tail)
                seen_to = tail.seen_to
        seen += names(Tail(root, ["act"], seen_to))
    shutil.rmtree(root.parent)

    assert seen == said


def test_no_store_is_said(tmp_path: Path) -> None:
    """With the next step."""
    with pytest.raises(StoreError, match="no store"):
        Tail(tmp_path / "store", ["act"], 0).step()


def test_a_store_that_goes_back_in_time_is_refused(tmp_path: Path) -> None:
    """An older copy of it would have its notices told again, or never."""
    with Writing(tmp_path / "store").open() as writing:
        writing.say("act", "a")
    shutil.copytree(tmp_path / "store", tmp_path / "old")
    shutil.copytree(tmp_path / "store.keys", tmp_path / "old.keys")
    with Writing(tmp_path / "store").open() as writing:
        writing.say("act", "b")
    tail = Tail(tmp_path / "store", ["act"], 0)
    assert names(tail) == ["a", "b"]
    shutil.rmtree(tmp_path / "store")
    shutil.copytree(tmp_path / "old", tmp_path / "store")

    with pytest.raises(VerificationError, match="entries"):
        tail.step()


def test_a_store_that_is_short_of_what_was_seen_is_refused(tmp_path: Path) -> None:
    """The same, where the follower was started anew."""
    with Writing(tmp_path / "store").open() as writing:
        writing.say("act", "a")

    with pytest.raises(VerificationError, match="number"):
        Tail(tmp_path / "store", ["act"], 1_000).step()
