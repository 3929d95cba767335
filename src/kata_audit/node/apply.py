"""Write a plan to the node, and take it back: drop-ins only, each durably and whole or not at all.

Order of an apply: a lock, a second name for what stood there, the new file beside its place, fsync, rename, fsync of
directories; at last, in the same way, the list of what was written. Whatever ends it in between, the class loads as before
or as planned. No service is ever restarted.
No link is followed below the root: each directory is opened in the one before.
"""

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from kata_audit.errors import ReceiverError, UsageError
from kata_audit.node import journald, ledger
from kata_audit.node.overlay import MARK
from kata_audit.node.plan import Plan

_BACKUP: Final = ".kata-audit-backup"
"""Beside a directory of drop-ins, not in it: every entry of a `config.d` is read."""
_MADE: Final = ".kata-audit-made"
"""Marks a directory of drop-ins that we made: revert removes it again."""
_LOCK: Final = "run/kata-audit.lock"
_LONGEST_LEDGER: Final = 1 << 20
_OPEN: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_LINK_HINT: Final = "Make it a directory: what it leads to may belong to others."
_ARCHIVE_HINT: Final = "Unpack it, or print the change: `kata-audit node plan -o toml`."
_HINT: Final = "Run it as a user who may write this node's configuration."


class _Spot(NamedTuple):
    """Where a drop-in of ours stands: the name of its directory, and its own."""

    folder: str
    file: str

    @property
    def new(self) -> str:
        """The name of its new bytes, beside the directory: in it they may not stand under any name but their own."""
        return f".{self.file}.new"


class Act(NamedTuple):
    """What was done to one file: written, unchanged, removed, restored, or kept: it is somebody else's.

    `handler` is the class's, or `journald`.
    """

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
    wanted = [(one.handler, one.path, one.text) for one in plan.classes]
    if plan.journald is not None:
        wanted.append((journald.NAME, plan.journald.path, plan.journald.text))
    with _locked(root) as opened:
        for name, path, text in wanted:
            if path is None or text is None:
                continue
            with _explained(path):
                acts.append(Act(name, path, _write(opened, path, text.encode())))
        if acts:
            with _explained(ledger.PATH):
                _note(opened, {path: ledger.hash_of(text.encode()) for _, path, text in wanted if path and text is not None})
    return acts


def revert_node(root: Path, paths: list[tuple[str, str]]) -> list[Act]:
    """Take our drop-ins away, and put back byte for byte what stood in their place.

    Args:
        root: The node's root.
        paths: Handlers with the path where our drop-in would be.
    """
    acts = []
    with _locked(root) as opened:
        for handler, path in paths:
            with _explained(path):
                done = _restore(opened, path)
            if done is not None:
                acts.append(Act(handler, path, done))
        with _explained(ledger.PATH), suppress(FileNotFoundError, UsageError):
            _restore(opened, ledger.PATH)
    return acts


def _note(root: int, written: Mapping[str, str]) -> None:
    """Write down what was written, beside what was before; where our folder is a link or cannot be, nothing is."""
    *above, directory, file = ledger.PATH.split("/")
    with ExitStack() as stack, suppress(FileNotFoundError, UsageError):
        parent = _enter(stack, root, above)
        folder = _enter(stack, parent, [directory]) if _stat(parent, directory) is not None else None
        held = _head(folder, _Spot(directory, file), _LONGEST_LEDGER) or b""
        _write(root, ledger.PATH, ledger.spell_ledger({**ledger.read_ledger(held), **written}))


def _write(root: int, name: str, data: bytes) -> str:
    *above, directory, file = name.split("/")
    spot = _Spot(directory, file)
    with ExitStack() as stack:
        parent = _enter(stack, root, above)
        folder = _enter(stack, parent, [spot.folder]) if _stat(parent, spot.folder) is not None else None
        standing = _stat(folder, spot.file)
        if standing is not None and not stat.S_ISREG(standing.st_mode):
            raise UsageError("Our drop-in's place is taken by something that is no file.", where=name, hint="Move it away.")
        held = _head(folder, spot, len(data) + 1)
        if held == data:
            return "unchanged"
        if held is not None and folder is not None and not _is_ours(held):
            _back_up(parent, folder, spot)
        if folder is None:
            os.close(os.open(_MADE, os.O_WRONLY | os.O_CREAT | _OPEN, 0o644, dir_fd=parent))
            os.fsync(parent)
            folder = _make(stack, parent, spot)
        _place(parent, folder, spot, data)
    return "written"


def _back_up(parent: int, folder: int, spot: _Spot) -> None:
    """Give what stands in our place a second name: its bytes, owner and mode are kept, and nothing is copied."""
    if _is_backed_up(parent, folder, spot):
        return
    _remove(parent, _BACKUP)  # it is older than what stands there, and its place was given to that
    os.link(spot.file, _BACKUP, src_dir_fd=folder, dst_dir_fd=parent, follow_symlinks=False)
    os.fsync(parent)


def _place(parent: int, folder: int, spot: _Spot, data: bytes) -> None:
    """Write our file durably: it is there whole, or not at all."""
    _remove(parent, spot.new)
    descriptor = os.open(spot.new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN, 0o644, dir_fd=parent)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(spot.new, spot.file, src_dir_fd=parent, dst_dir_fd=folder)
    os.fsync(folder)
    os.fsync(parent)


def _restore(root: int, name: str) -> str | None:
    *above, directory, file = name.split("/")
    spot = _Spot(directory, file)
    with ExitStack() as stack:
        parent = _enter(stack, root, above)
        left = any(_stat(parent, ours) is not None for ours in (_BACKUP, _MADE, spot.new))
        standing = _stat(parent, spot.folder)
        if standing is not None and not stat.S_ISDIR(standing.st_mode) and not left:
            return None  # we write through no link: nothing behind it is ours
        folder = None if standing is None else _enter(stack, parent, [spot.folder])
        held = _head(folder, spot, len(MARK))
        done = None
        if _stat(parent, _BACKUP) is not None:
            if _is_backed_up(parent, folder, spot):
                _remove(parent, _BACKUP)
            elif _stat(folder, spot.file) is not None and (held is None or not _is_ours(held)):
                return "kept"
            else:
                folder = folder if folder is not None else _make(stack, parent, spot)
                os.rename(_BACKUP, spot.file, src_dir_fd=parent, dst_dir_fd=folder)
                os.fsync(folder)
                done = "restored"
        elif held is not None and folder is not None and _is_ours(held):
            os.unlink(spot.file, dir_fd=folder)
            os.fsync(folder)
            done = "removed"
        if _stat(parent, _MADE) is not None:
            with suppress(OSError):  # somebody else put something in, or took it away
                os.rmdir(spot.folder, dir_fd=parent)
            _remove(parent, _MADE)
        _remove(parent, spot.new)
        os.fsync(parent)
    return done


def _enter(stack: ExitStack, folder: int, names: list[str]) -> int:
    """Open a directory step by step, each in the one before and through no link."""
    for name in names:
        try:
            folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _OPEN, dir_fd=folder)
        except NotADirectoryError as error:
            raise UsageError(
                "A directory on the way to the drop-in is a link or a file.", where=name, hint=_LINK_HINT
            ) from error
        stack.callback(os.close, folder)
    return folder


def _make(stack: ExitStack, parent: int, spot: _Spot) -> int:
    os.mkdir(spot.folder, 0o755, dir_fd=parent)
    os.fsync(parent)
    return _enter(stack, parent, [spot.folder])


def _stat(folder: int | None, name: str) -> os.stat_result | None:
    if folder is None:
        return None
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _head(folder: int | None, spot: _Spot, size: int) -> bytes | None:
    """Read the beginning of what stands in our place; None where that is no file."""
    found = _stat(folder, spot.file)
    if found is None or not stat.S_ISREG(found.st_mode):
        return None
    descriptor = os.open(spot.file, os.O_RDONLY | _OPEN, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as opened:
        return opened.read(max(size, len(MARK)))


def _is_ours(held: bytes) -> bool:
    return held.startswith(MARK.encode())


def _is_backed_up(parent: int, folder: int | None, spot: _Spot) -> bool:
    """Say whether the backup is what still stands there: an apply ended in between."""
    backup, standing = _stat(parent, _BACKUP), _stat(folder, spot.file)
    return backup is not None and standing is not None and os.path.samestat(backup, standing)


def _remove(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


@contextmanager
def _locked(root: Path) -> Iterator[int]:
    """Hold the node: two that write at once could each back up the other's file. A root without `run` is held itself."""
    with ExitStack() as stack:
        with _explained(str(root)):
            try:
                opened = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except NotADirectoryError as error:
                raise UsageError("Only a folder can be changed.", where=str(root), hint=_ARCHIVE_HINT) from error
        stack.callback(os.close, opened)
        held = opened
        with _explained(_LOCK), suppress(FileNotFoundError, UsageError):
            run, _, name = _LOCK.partition("/")
            held = os.open(name, os.O_RDWR | os.O_CREAT | _OPEN, 0o600, dir_fd=_enter(stack, opened, [run]))
            stack.callback(os.close, held)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError("Another change of this node is at work.", where=_LOCK, hint="Wait for it to end.") from error
        yield opened


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ReceiverError(f"The node cannot be changed: {why}.", where=path, hint=_HINT) from error
