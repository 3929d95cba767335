"""Write a plan to the node, and take it back: drop-ins only, each durably and whole or not at all.

Order of an apply: a lock, a backup of what stood there, the new file beside its place, fsync, rename, fsync of directories.
Whatever ends it in between, the class loads as before or as planned. No service is ever restarted.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from kata_audit.errors import ReceiverError, UsageError
from kata_audit.node.plan import DROP_IN, MARK, Plan

_BACKUP: Final = ".kata-audit-backup"
"""Beside a `config.d`, not in it: every entry of that directory is read."""
_MADE: Final = ".kata-audit-made"
"""Marks a `config.d` that we made: revert removes it again."""
_LOCK: Final = "run/kata-audit.lock"
_HINT: Final = "Run it as a user who may write Kata's configuration."


class Act(NamedTuple):
    """What was done to one file: written, unchanged, removed or restored."""

    handler: str
    path: str
    done: str


def apply_plan(root: Path, plan: Plan) -> list[Act]:
    """Write a plan's drop-ins.

    Args:
        root: The node's root.
        plan: As `make_plan` gave it; classes that it refuses are left alone.

    Returns:
        What was done, in order. The same plan again changes nothing.

    Raises:
        ReceiverError: A file cannot be written; what was written before stays, and each file is whole.
        UsageError: Another apply is at work.
    """
    acts = []
    with _locked(root):
        for one in plan.classes:
            if one.path is None or one.text is None:
                continue
            with _explained(one.path):
                acts.append(Act(one.handler, one.path, _write(root, one.path, one.text.encode())))
    return acts


def revert_node(root: Path, paths: list[tuple[str, str]]) -> list[Act]:
    """Take our drop-ins away, and put back byte for byte what stood in their place.

    Args:
        root: The node's root.
        paths: Handlers with the path where our drop-in would be.
    """
    acts = []
    with _locked(root):
        for handler, path in paths:
            with _explained(path):
                done = _restore(root, path)
            if done is not None:
                acts.append(Act(handler, path, done))
    return acts


def _write(root: Path, name: str, data: bytes) -> str:
    path = root / name
    folder = path.parent
    if folder.is_symlink():
        raise UsageError(
            "The drop-in directory is a link.", where=str(folder.relative_to(root)), hint="Make it a directory."
        )
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UsageError("Our drop-in's place is taken by something that is no file.", where=name, hint="Move it away.")
    if path.exists() and path.read_bytes() == data:
        return "unchanged"
    backup = folder.parent / _BACKUP
    if path.exists() and not backup.exists() and not _is_ours(path):
        _replace(backup, path.read_bytes())
    if not folder.exists():
        _replace(folder.parent / _MADE, b"")
        folder.mkdir(mode=0o755)
        _sync(folder.parent)
    # The new bytes may not stand in the directory under any name but their own: every entry of it is read.
    waiting = folder.parent / f".{DROP_IN}.new"
    _replace(waiting, data)
    waiting.rename(path)
    _sync(folder)
    _sync(folder.parent)
    return "written"


def _restore(root: Path, name: str) -> str | None:
    path = root / name
    folder = path.parent
    backup, made = folder.parent / _BACKUP, folder.parent / _MADE
    done = None
    if backup.exists():
        backup.rename(path)
        _sync(folder)
        _sync(folder.parent)
        done = "restored"
    elif path.is_file() and not path.is_symlink() and _is_ours(path):
        path.unlink()
        _sync(folder)
        done = "removed"
    if made.exists():
        with suppress(OSError):  # somebody else put something in
            folder.rmdir()
        made.unlink()
        _sync(folder.parent)
    (folder.parent / f".{DROP_IN}.new").unlink(missing_ok=True)
    return done


def _is_ours(path: Path) -> bool:
    return path.read_bytes().startswith(MARK.encode())


def _replace(path: Path, data: bytes) -> None:
    """Write a file durably: it is there whole, or not at all."""
    part = path.with_name(f"{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.rename(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the node: two that write at once could each back up the other's file."""
    path = root / _LOCK
    with _explained(_LOCK):
        path.parent.mkdir(exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError("Another change of this node is at work.", where=_LOCK, hint="Wait for it to end.") from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReceiverError(f"The node cannot be changed: {error.strerror}.", where=path, hint=_HINT) from error
