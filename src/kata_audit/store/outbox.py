"""The outbox: what has been read of a store to be told, and how far each destination has come.

Two files in a folder beside the store, each replaced whole. `notices` holds the number that was read to, the state of the
fold behind it, and the notices that somebody has not taken yet; it is durable before any of them is sent. `positions` holds
how far each destination is; it is written after what was sent, so that a crash sends again and forgets nothing.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from kata_audit.errors import StoreError, StoreLockedError
from kata_audit.store.checked import read_checked, spell_checked
from kata_audit.store.durable import Disk, RealDisk, make_directories, write_file

VERSION: Final = 1
NOTICES: Final = "notices"
POSITIONS: Final = "positions"
_LOCK: Final = "lock"
_DAMAGED: Final = ".damaged"


class Outbox:
    """One outbox, held by one process. Make it with `open_outbox`.

    Attributes:
        damaged: Files that were there and could not be read; they are kept under another name.
    """

    def __init__(self, root: Path, disk: Disk) -> None:
        self._root, self._disk = root, disk
        self.damaged: list[Path] = []

    def load(self, name: str) -> dict[str, Any] | None:
        """Give what was saved under a name; None where nothing was, or where it is damaged.

        Raises:
            StoreError: The disk does not let us.
        """
        path = self._root / name
        try:
            value = read_checked(path.read_bytes())
            if value is not None and value.pop("v", None) == VERSION:
                return value
            self._disk.rename(path, path.with_name(name + _DAMAGED))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _refused("read", path, error) from error
        self.damaged.append(path.with_name(name + _DAMAGED))
        return None

    def save(self, name: str, value: Mapping[str, Any]) -> None:
        """Save a value of JSON under a name, durably.

        Raises:
            StoreError: The disk did not take it; what was saved before is still there.
        """
        path = self._root / name
        try:
            write_file(self._disk, path, spell_checked({"v": VERSION, **value}))
        except OSError as error:
            raise _refused("written", path, error) from error


def _refused(done: str, path: Path, error: OSError) -> StoreError:
    hint = "Make room on its disk, and let this user write there; what was queued is kept."
    return StoreError(f"The outbox cannot be {done}: {error.strerror}.", where=str(path), hint=hint)


def default_outbox(root: Path) -> Path:
    """Name the outbox of a store: the folder beside it."""
    return root.with_name(root.name + ".outbox")


def export_outbox(root: Path, name: str) -> Path:
    """Name the outbox of one export of a store: a folder of the folder beside it."""
    return root.with_name(root.name + ".exports") / quote(name, safe="")


@contextmanager
def open_outbox(root: Path, *, disk: Disk | None = None) -> Iterator[Outbox]:
    """Open an outbox, and make it where there is none.

    Args:
        root: Its folder.
        disk: What all writing goes through; the operating system's by default.

    Raises:
        StoreLockedError: Another process delivers from it.
        StoreError: It cannot be written.
    """
    disk = disk or RealDisk()
    try:
        make_directories(disk, root, 0o700)
        file = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _refused("opened", root, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Outbox(root, disk)
    except BlockingIOError as error:
        hint = "Stop the other `kata-audit alerts deliver` or `kata-audit export`; one process does it for a destination."
        raise StoreLockedError("Another process delivers from this outbox.", where=str(root), hint=hint) from error
    finally:
        os.close(file)
