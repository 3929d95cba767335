"""A real disk that fails, or dies, at its n-th act; and that can forget whatever was never fsynced."""

import os
import secrets
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kata_audit.store.durable import Bytes, RealDisk


class Death(BaseException):
    """The process is gone: nothing of ours may catch it."""


class FaultDisk:
    """Count acts, and let one go wrong.

    Args:
        side: A folder outside the store, for what power loss brings back.
        fail_at: Number of the act (from 1) that the operating system refuses, after half of a write.
        error: What it says then.
        die_at: Number of the act at which the process ends.
        after: Die behind the act and not before it.
    """

    def __init__(self, side: Path, *, fail_at: int = 0, error: int = 0, die_at: int = 0, after: bool = False) -> None:
        self.acts: list[str] = []
        self.failed = False
        self._real = RealDisk()
        self._side = side
        self._fail_at, self._error, self._die_at, self._after = fail_at, error, die_at, after
        self._dead = False
        self._names: list[tuple[Path, Callable[[], object]]] = []
        self._synced: dict[int, int] = {}
        self._copies: dict[int, int] = {}
        # A test that makes thousands of disks does not run out of descriptors because it forgets one.
        weakref.finalize(self, _close_all, self._copies)

    @contextmanager
    def _act(self, kind: str) -> Iterator[None]:
        if self._dead:
            raise Death
        self.acts.append(kind)
        number = len(self.acts)
        if number == self._die_at and not self._after:
            self._dead = True
            raise Death
        if number == self._fail_at:
            self.failed = True
            raise OSError(self._error, os.strerror(self._error))
        yield
        if number == self._die_at:
            self._dead = True
            raise Death

    def create(self, path: Path) -> int:
        with self._act("create"):
            file = self._real.create(path)
            inode = os.fstat(file).st_ino
            self._synced[inode], self._copies[inode] = 0, os.dup(file)
            self._names.append((path.parent, lambda: path.unlink(missing_ok=True)))
        return file

    def write(self, file: int, data: Bytes) -> int:
        half = len(data) // 2
        if len(self.acts) + 1 == self._fail_at and half:
            os.write(file, memoryview(data)[:half])
        with self._act("write"):
            return self._real.write(file, data)

    def fsync(self, file: int) -> None:
        with self._act("fsync"):
            # No real fsync: this disk keeps the account of what is confirmed itself, and thousands of runs stay quick.
            state = os.fstat(file)
            self._synced[state.st_ino] = state.st_size

    def truncate(self, file: int, size: int) -> None:
        with self._act("truncate"):
            self._real.truncate(file, size)

    def rename(self, source: Path, target: Path) -> None:
        with self._act("rename"):
            old = self._keep(target) if target.exists() else None
            self._real.rename(source, target)
            self._names.append((target.parent, lambda: _move_back(source, target, old)))

    def unlink(self, path: Path) -> None:
        with self._act("unlink"):
            old = self._keep(path)
            self._real.unlink(path)
            self._names.append((path.parent, lambda: _put_back(old, path)))

    def make_directory(self, path: Path, mode: int) -> None:
        with self._act("mkdir"):
            self._real.make_directory(path, mode)
            self._names.append((path.parent, path.rmdir))

    def remove_directory(self, path: Path) -> None:
        with self._act("rmdir"):
            self._real.remove_directory(path)
            self._names.append((path.parent, path.mkdir))

    def sync_directory(self, path: Path) -> None:
        with self._act("fsync of a directory"):
            assert path.is_dir()
            self._names = [(folder, undo) for folder, undo in self._names if folder != path]

    def _keep(self, path: Path) -> Path:
        kept = self._side / secrets.token_hex(8)
        os.link(path, kept)
        return kept

    def lose_power(self) -> None:
        """Forget what no fsync confirmed: bytes of files, and names in directories."""
        for inode, copy in self._copies.items():
            # The copy keeps the inode alive, so that its number names this file only.
            if os.fstat(copy).st_size > self._synced[inode]:
                os.ftruncate(copy, self._synced[inode])
        for _, undo in reversed(self._names):
            undo()
        self.close()

    def close(self) -> None:
        """Let go of the files that were watched."""
        _close_all(self._copies)


def _close_all(copies: dict[int, int]) -> None:
    for copy in copies.values():
        os.close(copy)
    copies.clear()


def _put_back(old: Path, path: Path) -> None:
    old.replace(path)


def _move_back(source: Path, target: Path, old: Path | None) -> None:
    target.replace(source)
    if old is not None:
        old.replace(target)
