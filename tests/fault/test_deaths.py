"""At every act of a store's life the process may end: before it or behind it, killed or with the power.

The store opens again and holds what tests/fault/test_failpoints.py says. Killed: what was written stays. Power lost: only
what an fsync confirmed stays.
"""

from pathlib import Path
from typing import NamedTuple

import pytest
from tests.fault.disks import Death, FaultDisk
from tests.fault.feed import Feed
from tests.fault.points import COUNT, STEP, complete, dry_run, fresh

from kata_audit.store import spool


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spool files of one frame, so that files are begun and trimmed all the time."""
    monkeypatch.setattr(spool, "FILE_BYTES", 1)


class End(NamedTuple):
    """How the process ends: behind the act or before it, with the power or without."""

    after: bool
    power: bool


ENDS = tuple(End(after, power) for after in (False, True) for power in (False, True))


@pytest.mark.parametrize("turn", [0, *(pytest.param(turn, marks=pytest.mark.torture) for turn in range(1, len(ENDS)))])
def test_the_process_may_end_at_every_act(tmp_path: Path, turn: int) -> None:
    """Each act is the last one once, the four ends by turns; all turns together are each end at each act."""
    acts = dry_run(tmp_path)
    for point in range(1, len(acts) + 1):
        root, side = fresh(tmp_path)
        end = ENDS[(point + turn) % len(ENDS)]
        disk = FaultDisk(side, die_at=point, after=end.after)
        feed = Feed(root, COUNT, STEP)
        with pytest.raises(Death):
            feed.run(disk)
        if end.power:
            disk.lose_power()
        disk.close()

        complete(feed, side)
    print(f"{len(acts)} points: {sorted({(act, acts.count(act)) for act in acts})}")
