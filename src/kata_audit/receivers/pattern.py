"""Patterns of paths, and paths of the host that nobody but their owner can have laid there.

A fifo or a socket is opened in the directory that holds it, which is opened in the one before: no link is followed below the
pattern's fixed part, and each directory on the way belongs to the owner and can be changed by nobody else.
"""

import glob
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from kata_audit.errors import ReceiverError

ROOT: Final = 0
"""Whose the hypervisors' directories are: shims run as root."""
FIRECRACKER_SOCKETS: Final = "/run/vc/firecracker/*/root/kata.hvsock"
"""Where Firecracker's sockets to its guests lie under the Go runtime."""
_CHANGEABLE: Final = 0o022
_HINT: Final = "Somebody else could have put it there. Name only directories that shims make, as /run/vc or /run/kata."


def find_paths(pattern: str) -> list[str]:
    """List the paths of a pattern: of an absolute one, as `glob` has it, or of a path itself."""
    if not glob.has_magic(pattern):
        return [pattern]
    return sorted(glob.glob(pattern))  # noqa: PTH207 - of an absolute pattern, which pathlib does not take


def is_of(path: str, pattern: str) -> bool:
    """Say whether a path is one of a pattern's, also where nothing lies there.

    Example:
        >>> is_of("/run/vc/firecracker/ab/logs.fifo", "/run/vc/firecracker/*/logs.fifo")
        True
    """
    parts, patterns = path.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


@contextmanager
def holding(path: str, pattern: str, *, owner: int, is_kind: Callable[[int], bool], kind: str) -> Iterator[tuple[int, str]]:
    """Open the directory that holds a fifo or socket, and see that both are the owner's alone.

    Args:
        path: Of the fifo or socket.
        pattern: That it was found by: its fixed part is the configuration's word, and links in it are followed.
        owner: User who must own it and each directory.
        is_kind: What its mode must be: `stat.S_ISFIFO`, say.
        kind: The same as a word.

    Returns:
        The directory's descriptor, and the name in it.

    Raises:
        FileNotFoundError: It is not there.
        ReceiverError: It is of another kind, or somebody else can have put it there.
    """
    parts = path.split("/")
    fixed = next((at for at, part in enumerate(pattern.split("/")) if glob.has_magic(part)), len(parts) - 1)
    directory = os.open("/".join(parts[:fixed]) or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _must_be_closed(os.fstat(directory), path, owner)
        for part in parts[fixed:-1]:
            try:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            except NotADirectoryError as error:
                raise ReceiverError("A directory above it is a link or a file.", where=path, hint=_HINT) from error
            os.close(directory)
            directory = below
            _must_be_closed(os.fstat(directory), path, owner)
        found = os.stat(parts[-1], dir_fd=directory, follow_symlinks=False)
        if not is_kind(found.st_mode):
            raise ReceiverError(f"It is no {kind}.", where=path, hint=_HINT)
        if found.st_uid != owner:
            raise ReceiverError(f"The {kind} is not of user {owner}.", where=path, hint=_HINT)
        yield directory, parts[-1]
    finally:
        os.close(directory)


def _must_be_closed(status: os.stat_result, path: str, owner: int) -> None:
    if status.st_uid != owner or status.st_mode & _CHANGEABLE:
        raise ReceiverError(f"A directory above it can be changed by others than user {owner}.", where=path, hint=_HINT)


def lies_there(path: str, status: os.stat_result) -> bool:
    """Say whether what lies at a path is still the same."""
    try:
        now = Path(path).lstat()
    except OSError:
        return False
    return stat.S_IFMT(now.st_mode) == stat.S_IFMT(status.st_mode) and (now.st_dev, now.st_ino) == (
        status.st_dev,
        status.st_ino,
    )
