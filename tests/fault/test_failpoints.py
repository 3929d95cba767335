"""At every write, fsync, rename, unlink and directory act of a store's life: fail once, die before it, die behind it.

Whatever happens, the store opens again, every acknowledged record is there exactly once, sealed ranges have no holes, and
the roots in the log are those of the files (L3). A receiver that then goes on from the last cursor completes the stream,
each record once (L4).
"""

import errno
import shutil
from pathlib import Path

import pytest
from tests.fault.disks import Death, FaultDisk
from tests.fault.feed import Feed
from tests.fault.oracle import examine, text
from tests.unit.store.rows import evidence

from kata_audit.clock import ManualClock
from kata_audit.errors import StoreStoppedError
from kata_audit.store import spool
from kata_audit.store.writer import open_writer

COUNT, STEP = 6, 2


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spool files of one frame, so that files are begun and trimmed all the time."""
    monkeypatch.setattr(spool, "FILE_BYTES", 1)


def fresh(tmp_path: Path) -> tuple[Path, Path]:
    """A place for a store and a side folder, both empty."""
    for name in ("place", "side"):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        (tmp_path / name).mkdir()
    return tmp_path / "place" / "store", tmp_path / "side"


def dry_run(tmp_path: Path) -> list[str]:
    root, side = fresh(tmp_path)
    disk = FaultDisk(side)
    feed = Feed(root, COUNT, STEP)
    feed.run(disk)
    disk.close()

    assert feed.refused == []
    assert feed.acknowledged == set(range(COUNT))
    return disk.acts


def complete(feed: Feed, side: Path) -> None:
    """What was acknowledged is there; and after a run without faults, everything is, once."""
    disk = FaultDisk(side)
    if (feed.root / "format").exists():
        found = examine(feed.root, disk)
        held = [*found.sealed.values(), *found.waiting.values()]
        assert len(held) == len(set(held))
        assert {text(number) for number in feed.acknowledged} <= set(held)
        assert found.lost == set()
    else:
        assert feed.acknowledged == set()
    feed.refused.clear()
    feed.run(disk)
    found = examine(feed.root, disk)
    assert feed.refused == []
    assert found.lost == set()
    assert [raw for _, raw in sorted((found.sealed | found.waiting).items())] == [text(n) for n in range(COUNT)]
    disk.close()


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, pytest.param(errno.EROFS, marks=pytest.mark.torture)])
def test_every_act_may_fail(tmp_path: Path, error: int) -> None:
    """A refusal says the place and the next step, and nothing that was acknowledged is lost."""
    points = len(dry_run(tmp_path))
    stopped = 0
    for point in range(1, points + 1):
        root, side = fresh(tmp_path)
        disk = FaultDisk(side, fail_at=point, error=error)
        feed = Feed(root, COUNT, STEP)
        feed.run(disk)
        disk.close()

        assert disk.failed
        stopped += any(isinstance(refusal, StoreStoppedError) for refusal in feed.refused)
        for refusal in feed.refused:
            assert refusal.where
            assert refusal.hint
        complete(feed, side)
    print(f"{points} points failed with {errno.errorcode[error]}; {stopped} stopped the writer")


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
