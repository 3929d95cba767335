"""A node as it would be: its files with a plan's put over them, and without what an earlier plan wrote."""

import os
from collections.abc import Mapping
from typing import Final

from kata_audit.node.tree import Kind, Tree

DROP_IN: Final = "55-kata-audit.toml"
"""The name of what we write for a class: behind what installers write, before what a site writes last. Source: kata-deploy
keeps 10, 20, 22, 25, 30 and 50 for itself."""
JOURNALD_DROP_IN: Final = "55-kata-audit.conf"
"""The name of what we write for journald."""
OURS: Final = frozenset((DROP_IN, JOURNALD_DROP_IN))
MARK: Final = "# Written by kata-audit "
"""How a drop-in of ours begins: a revert removes no file of anybody else."""


class Overlay:
    """A tree with some files put over it, and without our own drop-ins beneath.

    Args:
        tree: The files below.
        files: Those over them, by path.
    """

    def __init__(self, tree: Tree, files: Mapping[str, bytes]) -> None:
        self._tree = tree
        self._files = files
        self._folders = {path.rpartition("/")[0] for path in files}

    def kind(self, path: str) -> Kind:
        """Say what stands at a path; see `Tree`."""
        if path in self._files:
            return Kind.FILE
        return Kind.DIRECTORY if path in self._folders else self._tree.kind(path)

    def link(self, path: str) -> str:
        """Give a link's target; see `Tree`."""
        return self._tree.link(path)

    def names(self, path: str) -> list[str]:
        """Give a directory's entries, without our own; see `Tree`."""
        below = self._tree.names(path) if self._tree.kind(path) is Kind.DIRECTORY else []
        added = [name.rpartition("/")[2] for name in self._files if name.rpartition("/")[0] == path]
        return sorted({*(name for name in below if name not in OURS), *added}, key=os.fsencode)

    def data(self, path: str) -> bytes:
        """Give a file's bytes; see `Tree`."""
        return self._files[path] if path in self._files else self._tree.data(path)

    def mode(self, path: str) -> int | None:
        """Give permission bits; see `Tree`."""
        return self._tree.mode(path)
