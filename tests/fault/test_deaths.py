"""At every act of a store's life the process may end: before it or behind it, killed or with the power.

The store opens again and holds what tests/fault/test_failpoints.py says. Killed: what was written stays. Power lost: only
what an fsync confirmed stays.
"""

from pathlib import Path

import pytest
from tests.fault.disks import Death, FaultDisk
from tests.fault.feed import Feed
from tests.fault.points import COUNT, STEP, complete, dry_run, fresh

from kata_audit.store import spool


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spool files of one frame, so that files are begun and trimmed all the time."""
    monkeypatch.setattr(spool, "FILE_BYTES", 1)


@pytest.mark.parametrize(
    ("after", "power"),
    [
        pytest.param(False, False, id="killed before it"),
        pytest.param(True, True, id="power lost behind it"),
        pytest.param(True, False, id="killed behind it", marks=pytest.mark.torture),
        pytest.param(False, True, id="power lost before it", marks=pytest.mark.torture),
    ],
)
def test_the_process_may_end_at_every_act(tmp_path: Path, *, after: bool, power: bool) -> None:
    """Killed: what was written stays. Power lost: only what an fsync confirmed stays."""
    acts = dry_run(tmp_path)
    for point in range(1, len(acts) + 1):
        root, side = fresh(tmp_path)
        disk = FaultDisk(side, die_at=point, after=after)
        feed = Feed(root, COUNT, STEP)
        with pytest.raises(Death):
            feed.run(disk)
        if power:
            disk.lose_power()
        disk.close()

        complete(feed, side)
    print(f"{len(acts)} points: {sorted({(act, acts.count(act)) for act in acts})}")
