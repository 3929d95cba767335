"""A node's files, read and never written, and never outside the root that was named.

A root is `/`, the place where a container sees its host (`/host`), or a folder or archive that was carried away from a node.
Links are followed as that node's kernel would: an absolute one begins at the root, and `..` at the root stays there.
"""

import lzma
import os
import stat
import tarfile
import zlib
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple, Protocol

from kata_audit.errors import InputMissingError

MAX_BYTES: Final = 4 << 20
"""A configuration file that is longer is not read: no program of a node writes one."""
_MAX_LINKS: Final = 40
"""Links that are followed in one path. Source: Linux `MAXSYMLINKS`."""
_MAX_ARCHIVE: Final = 256 << 20
"""Bytes of files that are held of one archive: the configuration of a node is a thousandth of it."""
_MAX_MEMBERS: Final = 1_000_000
_MAX_PATH: Final = 4096
"""Bytes of a path. Source: Linux `PATH_MAX`."""
_CHECK: Final = "Name the root of a node: `/`, `/host`, or a folder or .tar.gz of its files."


class Kind(StrEnum):
    """What stands at a path."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"
    MISSING = "missing"
    UNREADABLE = "unreadable"


class UnreadableError(Exception):
    """A file that is there could not be read, or changed while it was. Args: why, for a person."""


class Tree(Protocol):
    """Files below one root. Paths have no leading slash, no `.` and no `..`; links are not followed here."""

    def kind(self, path: str) -> Kind:
        """Say what stands at a path."""
        ...

    def link(self, path: str) -> str:
        """Give a link's target, as written."""
        ...

    def names(self, path: str) -> list[str]:
        """Give a directory's entries in the order of their bytes. Raises `UnreadableError`."""
        ...

    def data(self, path: str) -> bytes:
        """Give a regular file's bytes. Raises `UnreadableError`."""
        ...

    def mode(self, path: str) -> int | None:
        """Give the permission bits of what stands at a path; None where they cannot be told."""
        ...


class Resolved(NamedTuple):
    """Where a path leads after all links: `path` is "" for the root itself, and `kind` is never `LINK`."""

    path: str
    kind: Kind
    through_link: bool


def resolve(tree: Tree, path: str) -> Resolved:
    """Follow a path through every link, inside the tree.

    Args:
        tree: The files.
        path: An absolute or relative path of that node.

    Returns:
        Where it leads. Links that go round in circles lead to `UNREADABLE`.
    """
    rest = _parts(path)[::-1]
    done: list[str] = []
    links = 0
    while rest:
        part = rest.pop()
        if part == "..":
            done = done[:-1]
            continue
        here = "/".join([*done, part])
        kind = tree.kind(here)
        if kind is Kind.LINK:
            links += 1
            if links > _MAX_LINKS:
                return Resolved(here, Kind.UNREADABLE, through_link=True)
            target = tree.link(here)
            done = [] if target.startswith("/") else done
            rest.extend(_parts(target)[::-1])
            continue
        if kind in {Kind.MISSING, Kind.UNREADABLE} or (rest and kind is not Kind.DIRECTORY):
            missing = kind if kind is Kind.UNREADABLE else Kind.MISSING
            return Resolved("/".join([here, *rest[::-1]]), missing, through_link=links > 0)
        done.append(part)
    found = "/".join(done)
    return Resolved(found, tree.kind(found) if found else Kind.DIRECTORY, through_link=links > 0)


def read(tree: Tree, path: str) -> bytes:
    """Read the file that a path leads to.

    Raises:
        UnreadableError: There is none, or it cannot be read.
    """
    found = resolve(tree, path)
    if found.kind is not Kind.FILE:
        raise UnreadableError(_WHY_NOT.get(found.kind, "is no regular file"))
    return tree.data(found.path)


def exists(tree: Tree, path: str) -> bool:
    """Say whether a path leads to anything."""
    return resolve(tree, path).kind not in {Kind.MISSING, Kind.UNREADABLE}


_WHY_NOT = {
    Kind.MISSING: "is missing",
    Kind.DIRECTORY: "is a directory",
    Kind.UNREADABLE: "cannot be read",
}


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


class FolderTree:
    """Files below a folder.

    Args:
        root: The folder.

    Raises:
        InputMissingError: There is no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise InputMissingError("The root of the node is no folder.", where=str(root), hint=_CHECK)
        self._root = root

    def kind(self, path: str) -> Kind:
        """Say what stands at a path."""
        try:
            mode = os.lstat(self._root / path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return Kind.MISSING
        except (OSError, ValueError):
            return Kind.UNREADABLE
        return _kind_of(mode)

    def link(self, path: str) -> str:
        """Give a link's target, as written; one that cannot be read leads nowhere."""
        try:
            return str((self._root / path).readlink())
        except OSError:
            return path

    def names(self, path: str) -> list[str]:
        """Give a directory's entries in the order of their bytes."""
        try:
            return sorted((entry.name for entry in (self._root / path).iterdir()), key=os.fsencode)
        except OSError as error:
            raise UnreadableError(_said(error)) from error

    def data(self, path: str) -> bytes:
        """Give a regular file's bytes, as they stood at one moment."""
        try:
            descriptor = os.open(self._root / path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise UnreadableError(_said(error)) from error
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise UnreadableError("is no regular file")
            data = _read_all(descriptor)
            after = os.fstat(descriptor)
        except OSError as error:
            raise UnreadableError(_said(error)) from error
        finally:
            os.close(descriptor)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise UnreadableError("changed while it was read")
        return data

    def mode(self, path: str) -> int | None:
        """Give the permission bits of what stands at a path."""
        try:
            return stat.S_IMODE(os.lstat(self._root / path).st_mode)
        except (OSError, ValueError):
            return None


def _read_all(descriptor: int) -> bytes:
    parts, left = [], MAX_BYTES + 1
    while left and (part := os.read(descriptor, min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    if not left:
        raise UnreadableError(f"is longer than {MAX_BYTES:,} bytes")
    return b"".join(parts)


def _said(error: OSError) -> str:
    return f"cannot be read: {error.strerror or type(error).__name__}"


def _kind_of(mode: int) -> Kind:
    if stat.S_ISLNK(mode):
        return Kind.LINK
    if stat.S_ISDIR(mode):
        return Kind.DIRECTORY
    return Kind.FILE if stat.S_ISREG(mode) else Kind.OTHER


def _inside(name: str) -> str:
    """Spell a member's name as a path below the root, wherever it says it lies."""
    return "/".join(part for part in PurePosixPath(name).parts if part not in {"/", "//", ".", ".."})


class ArchiveTree:
    """Files of a tar archive, plain or compressed, held in memory: a node's files as somebody sent them.

    Args:
        archive: The file.

    Raises:
        InputMissingError: It cannot be read, or it is no archive.
    """

    def __init__(self, archive: Path) -> None:
        self._members: dict[str, tarfile.TarInfo] = {}
        self._data: dict[str, bytes] = {}
        self._left = _MAX_ARCHIVE
        try:
            with tarfile.open(archive) as opened:
                for number, member in enumerate(opened):
                    self._take(opened, member, number)
        except (OSError, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError, OverflowError) as error:
            raise InputMissingError("The archive of the node cannot be read.", where=str(archive), hint=_CHECK) from error
        self._children: dict[str, set[str]] = {}
        for path in self._members:
            self._place(path)

    def _take(self, opened: tarfile.TarFile, member: tarfile.TarInfo, number: int) -> None:
        if number >= _MAX_MEMBERS:
            raise tarfile.ReadError("too many members")
        if len(member.name) > _MAX_PATH:
            return
        path = _inside(member.name)
        data = self._data.pop(path, None)  # an archive may hold a path twice: the later one counts
        if member.islnk():
            first = _inside(member.linkname)
            member, data = self._members.get(first, member), self._data.get(first)
        elif member.isfile() and member.size <= min(MAX_BYTES, self._left):
            held = opened.extractfile(member)
            data = held.read() if held else b""
            self._left -= len(data)
        else:
            data = None
        self._members[path] = member
        if data is not None:
            self._data[path] = data

    def _place(self, path: str) -> None:
        while path:
            parent, _, name = path.rpartition("/")
            self._children.setdefault(parent, set()).add(name)
            path = parent

    def kind(self, path: str) -> Kind:
        """Say what stands at a path; a directory that the archive only implies counts."""
        member = self._members.get(path)
        if member is None:
            return Kind.DIRECTORY if path in self._children else Kind.MISSING
        if member.issym():
            return Kind.LINK
        if member.isdir():
            return Kind.DIRECTORY
        return Kind.FILE if member.isfile() else Kind.OTHER

    def link(self, path: str) -> str:
        """Give a link's target, as written; one that no system would hold leads nowhere."""
        target = self._members[path].linkname
        return target if len(target) <= _MAX_PATH else path

    def names(self, path: str) -> list[str]:
        """Give a directory's entries in the order of their bytes."""
        return sorted(self._children.get(path, ()), key=os.fsencode)

    def data(self, path: str) -> bytes:
        """Give a regular file's bytes."""
        if path not in self._data:
            member = self._members[path]
            raise UnreadableError(
                f"is longer than {MAX_BYTES:,} bytes"
                if member.size > MAX_BYTES
                else f"lies behind the first {_MAX_ARCHIVE:,} bytes of its archive"
            )
        return self._data[path]

    def mode(self, path: str) -> int | None:
        """Give the permission bits of what stands at a path."""
        member = self._members.get(path)
        return None if member is None else member.mode


def open_tree(root: Path) -> Tree:
    """Open a root: a folder, or an archive.

    Raises:
        InputMissingError: It is neither.
    """
    try:
        return ArchiveTree(root) if root.is_file() else FolderTree(root)
    except OSError as error:
        raise InputMissingError("The root of the node cannot be read.", where=str(root), hint=_CHECK) from error
