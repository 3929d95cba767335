"""An outbox keeps what it was told to keep, or says that it does not."""

import errno
from contextlib import suppress
from pathlib import Path

import pytest
from tests.fault.disks import Death, FaultDisk

from kata_audit.errors import StoreError, StoreLockedError
from kata_audit.store.outbox import NOTICES, POSITIONS, default_outbox, open_outbox


def test_what_was_saved_is_there_again(tmp_path: Path) -> None:
    """Two values by name, each replaced whole."""
    with open_outbox(tmp_path / "out") as outbox:
        assert outbox.load(NOTICES) is None
        outbox.save(NOTICES, {"seen_to": 7})
        outbox.save(NOTICES, {"seen_to": 8})
        outbox.save(POSITIONS, {"pager": 3})
    with open_outbox(tmp_path / "out") as outbox:
        assert outbox.load(NOTICES) == {"seen_to": 8}
        assert outbox.load(POSITIONS) == {"pager": 3}
        assert outbox.damaged == []
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700


def test_what_is_damaged_is_kept_aside(tmp_path: Path) -> None:
    """It counts as not there, and it is said."""
    with open_outbox(tmp_path / "out") as outbox:
        outbox.save(NOTICES, {"seen_to": 7})
        path = tmp_path / "out" / NOTICES
        path.write_bytes(path.read_bytes().replace(b"7", b"8"))

        assert outbox.load(NOTICES) is None
        assert outbox.damaged == [tmp_path / "out" / "notices.damaged"]
        assert outbox.load(NOTICES) is None


def test_one_process_delivers(tmp_path: Path) -> None:
    """Two would tell everything twice."""
    with (
        open_outbox(tmp_path / "out"),
        pytest.raises(StoreLockedError, match="Another process"),
        open_outbox(tmp_path / "out"),
    ):
        pass


def test_it_stands_beside_the_store() -> None:
    """Nothing but the writer writes into a store."""
    assert default_outbox(Path("/srv/trail")) == Path("/srv/trail.outbox")


def acts_of_a_save(folder: Path) -> list[str]:
    """Count what a disk is asked for."""
    disk = FaultDisk(folder)
    with open_outbox(folder / "out", disk=disk) as outbox:
        opened = len(disk.acts)
        outbox.save(NOTICES, {"seen_to": 1})
    disk.close()
    return disk.acts[opened:]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 6))
def test_power_that_fails_leaves_the_old_or_the_new(tmp_path: Path, number: int, *, after: bool) -> None:
    """At any act of the disk, and never half."""
    assert len(acts_of_a_save(tmp_path)) == 5
    with open_outbox(tmp_path / "out") as outbox:
        outbox.save(NOTICES, {"seen_to": 7})
    disk = FaultDisk(tmp_path, die_at=number, after=after)
    with suppress(Death), open_outbox(tmp_path / "out", disk=disk) as outbox:
        outbox.save(NOTICES, {"seen_to": 8})
    disk.lose_power()
    with open_outbox(tmp_path / "out") as outbox:
        found = outbox.load(NOTICES)

    assert found in ({"seen_to": 7}, {"seen_to": 8})
    assert outbox.damaged == []
    if number == 5 and after:
        assert found == {"seen_to": 8}


@pytest.mark.parametrize("number", range(1, 6))
def test_a_disk_that_refuses_is_said(tmp_path: Path, number: int) -> None:
    """And what was saved before is still there."""
    with open_outbox(tmp_path / "out") as outbox:
        outbox.save(NOTICES, {"seen_to": 7})
    disk = FaultDisk(tmp_path, fail_at=number, error=errno.ENOSPC)
    with open_outbox(tmp_path / "out", disk=disk) as outbox, pytest.raises(StoreError, match="No space left"):
        outbox.save(NOTICES, {"seen_to": 8})
    disk.close()
    with open_outbox(tmp_path / "out") as outbox:
        assert outbox.load(NOTICES) in ({"seen_to": 7}, {"seen_to": 8})
