"""At every write, fsync, rename, unlink and directory act of a store's life the disk may fail, once.

Whatever it says, the writer goes on or stops, the store opens again, every acknowledged record is there exactly once, sealed
ranges have no holes, and the roots in the log are those of the files (L3). A receiver that then goes on from the last cursor
completes the stream, each record once (L4).
"""

import errno
from pathlib import Path

import pytest
from tests.fault.disks import FaultDisk
from tests.fault.feed import Feed
from tests.fault.oracle import text
from tests.fault.points import COUNT, STEP, complete, dry_run, fresh
from tests.unit.store.rows import evidence

from kata_audit.clock import ManualClock
from kata_audit.errors import StoreStoppedError
from kata_audit.store import spool
from kata_audit.store.writer import open_writer


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spool files of one frame, so that files are begun and trimmed all the time."""
    monkeypatch.setattr(spool, "FILE_BYTES", 1)


ERRORS = (errno.EIO, errno.ENOSPC, errno.EROFS)


@pytest.mark.parametrize("turn", [0, *(pytest.param(turn, marks=pytest.mark.torture) for turn in range(1, len(ERRORS)))])
def test_every_act_may_fail(tmp_path: Path, turn: int) -> None:
    """A refusal says the place and the next step, and nothing that was acknowledged is lost.

    Each act fails once, the three errors by turns; all turns together are each error at each act.
    """
    points = len(dry_run(tmp_path))
    stopped = 0
    for point in range(1, points + 1):
        root, side = fresh(tmp_path)
        disk = FaultDisk(side, fail_at=point, error=ERRORS[(point + turn) % len(ERRORS)])
        feed = Feed(root, COUNT, STEP)
        feed.run(disk)
        disk.close()

        assert disk.failed
        stopped += any(isinstance(refusal, StoreStoppedError) for refusal in feed.refused)
        for refusal in feed.refused:
            assert refusal.where
            assert refusal.hint
        complete(feed, side)
    print(f"{points} points failed; {stopped} stopped the writer")


def test_a_stopped_writer_refuses_everything(tmp_path: Path) -> None:
    """After a failed fsync nothing is promised any more until the store is opened again."""
    root, side = fresh(tmp_path)
    with open_writer(root, clock=ManualClock(), disk=(disk := FaultDisk(side))):
        disk.close()
    # The next writer's first acts are a spool file's: create, write, fsync.
    disk = FaultDisk(side, fail_at=3, error=errno.EIO)
    with open_writer(root, clock=ManualClock(), disk=disk) as writer:
        with pytest.raises(StoreStoppedError):
            writer.append(evidence([text(0)]))
        with pytest.raises(StoreStoppedError):
            writer.append(evidence([text(0)]))
        with pytest.raises(StoreStoppedError):
            writer.unsealed()
    disk.close()
