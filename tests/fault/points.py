"""A store's life in small, and what must be true of it after an accident at any of its acts."""

import shutil
from pathlib import Path

from tests.fault.disks import FaultDisk
from tests.fault.feed import Feed
from tests.fault.oracle import examine, text

COUNT, STEP = 6, 2
"""Texts, and texts of one append: three appends, three seals, and a merge of each stream."""


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
