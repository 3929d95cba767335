"""The few acts on a disk that a promise rests on, behind one small seam.

Everything that the store writes passes through a `Disk`. A test puts another one in its place that fails or dies at the
n-th act; nothing else in the store knows how to change a file. Reading needs no seam: it promises nothing.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from kata_audit.errors import StoreError, StoreStoppedError
from kata_audit.store.layout import TEMPORARY

Bytes = bytes | bytearray | memoryview
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What a disk says when it has no room: the only failures after which the same writer may go on."""


class Disk(Protocol):
    """Acts that change a disk. Each raises `OSError` and is one failpoint."""

    def create(self, path: Path) -> int:
        """Create a file that must not exist and return a descriptor to write to."""
        ...

    def write(self, file: int, data: Bytes) -> int:
        """Write at the file's position and return how many bytes were taken, as `os.write` does."""
        ...

    def fsync(self, file: int) -> None:
        """Return once the file's content is on the disk."""
        ...

    def truncate(self, file: int, size: int) -> None:
        """Cut the file to `size` bytes and put the position there."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Move a file, replacing `target`."""
        ...

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        ...

    def make_directory(self, path: Path, mode: int) -> None:
        """Create a directory whose parent exists."""
        ...

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Return once the names in a directory are on the disk."""
        ...


class RealDisk:
    """The operating system's disk."""

    def create(self, path: Path) -> int:
        """Create a file that must not exist, readable by its owner and group."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)

    def write(self, file: int, data: Bytes) -> int:
        """Write at the file's position."""
        return os.write(file, data)

    def fsync(self, file: int) -> None:
        """Flush the file's content to the disk."""
        os.fsync(file)

    def truncate(self, file: int, size: int) -> None:
        """Cut the file and put the position at its end."""
        os.ftruncate(file, size)
        os.lseek(file, size, os.SEEK_SET)

    def rename(self, source: Path, target: Path) -> None:
        """Move a file, replacing `target`."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def make_directory(self, path: Path, mode: int) -> None:
        """Create a directory whose parent exists."""
        path.mkdir(mode=mode)

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        path.rmdir()

    def sync_directory(self, path: Path) -> None:
        """Flush a directory's names to the disk."""
        file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)


class FsyncError(OSError):
    """The disk did not confirm what it was told: what it holds is unknown, and whoever writes must stop."""


def sync_file(disk: Disk, file: int) -> None:
    """Return once the file's content is on the disk.

    Raises:
        FsyncError: The disk did not say so.
    """
    try:
        disk.fsync(file)
    except OSError as error:
        raise FsyncError(error.errno, error.strerror) from error


def sync_names(disk: Disk, path: Path) -> None:
    """Return once the names in a directory are on the disk.

    Raises:
        FsyncError: The disk did not say so.
    """
    try:
        disk.sync_directory(path)
    except OSError as error:
        raise FsyncError(error.errno, error.strerror) from error


def write_all(disk: Disk, file: int, data: Bytes) -> None:
    """Write all of `data`, however few bytes the disk takes at a time.

    Raises:
        OSError: As the disk says; a disk that takes nothing counts as full.
    """
    rest = memoryview(data).cast("B")
    while rest:
        taken = disk.write(file, rest)
        if taken <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rest = rest[taken:]


def write_file(disk: Disk, path: Path, data: bytes) -> None:
    """Give `path` the content `data`, whole or not at all: temporary file, fsync, rename, fsync of the directory.

    A failure leaves `path` as it was; the temporary file is removed where the disk still lets us, else when a writer opens
    the store next.

    Raises:
        OSError: As the disk says.
    """
    with writing(disk, path) as file:
        write_all(disk, file, data)


@contextmanager
def writing(disk: Disk, path: Path) -> Iterator[int]:
    """Hand out a descriptor whose content becomes `path`, durably, when the block ends well.

    Raises:
        OSError: As the disk says; `path` is as it was, unless only the last act, the directory's fsync, failed.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    make_directories(disk, path.parent)
    discard(disk, temporary)
    file = disk.create(temporary)
    try:
        try:
            yield file
            sync_file(disk, file)
        finally:
            os.close(file)
        disk.rename(temporary, path)
    except Exception:
        tidy(disk, temporary)
        raise
    sync_names(disk, path.parent)


def make_directories(disk: Disk, path: Path, mode: int = 0o750) -> None:
    """Create a directory and the parents that miss, each made durable in the one above it."""
    if path.is_dir():
        return
    make_directories(disk, path.parent, mode)
    disk.make_directory(path, mode)
    sync_names(disk, path.parent)


def discard(disk: Disk, path: Path) -> None:
    """Remove a file if it is there; the name's absence is made durable by whoever syncs the directory next."""
    if path.exists():
        disk.unlink(path)


def tidy(disk: Disk, path: Path) -> None:
    """Remove a file that nobody needs, if the disk lets us: the failure that made it needless is the one to report."""
    try:
        discard(disk, path)
    except OSError:
        return


def explain(error: OSError, *, doing: str, where: Path, stopped: bool = False) -> StoreError:
    """Turn what the disk said into an error for a person.

    Args:
        error: What the disk said.
        doing: The act that failed, as the object of "could not".
        where: The place.
        stopped: Whether the writer must not go on.
    """
    if error.errno in FULL:
        hint = "Make room on this disk, then run the same command again; nothing that was acknowledged is lost."
    elif error.errno == errno.EROFS:
        hint = "Mount the disk writable, then run the same command again; nothing that was acknowledged is lost."
    elif error.errno in (errno.EACCES, errno.EPERM):
        hint = "Let this user write to the store, or name another with --store."
    else:
        hint = "Check the disk, then run the same command again; nothing that was acknowledged is lost."
    reason = os.strerror(error.errno) if error.errno is not None else type(error).__name__
    if stopped:
        return StoreStoppedError(
            f"The store could not {doing}, and its writer stopped: {reason}.", where=str(where), hint=hint
        )
    return StoreError(f"The store could not {doing}: {reason}.", where=str(where), hint=hint)


def refuse(where: Path) -> StoreStoppedError:
    """Say that a writer stopped before: a write failed, and the disk may hold more or less than it was told."""
    return StoreStoppedError(
        "The store's writer stopped at an earlier failure and takes nothing more.",
        where=str(where),
        hint="Check the disk, then run the same command again; nothing that was acknowledged is lost.",
    )
