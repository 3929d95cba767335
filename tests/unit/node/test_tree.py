"""A node's files are read inside the root that was named, and a file that cannot be read says why."""

import os
import tarfile
from pathlib import Path

import pytest
from tests.unit.node.trees import plant

from kata_audit.errors import InputMissingError
from kata_audit.node.tree import ArchiveTree, FolderTree, Kind, Tree, UnreadableError, open_tree, read, resolve

FILES = {"etc/a": "alpha", "etc/deep/b": "-> ../a", "lib": "-> /etc", "up": "-> ../../etc/a", "gone": "-> nowhere"}


@pytest.fixture(params=["folder", "archive"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    root = plant(tmp_path / "root", FILES)
    if request.param == "folder":
        return FolderTree(root)
    packed = tmp_path / "node.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(root, arcname=".")
    return open_tree(packed)


def test_paths_are_followed_as_that_node_would(tree: Tree) -> None:
    for path in ("etc/a", "/etc/a", "etc/deep/b", "lib/deep/b", "up", "../../etc/./a"):
        assert read(tree, path) == b"alpha", path


def test_what_is_not_there_says_so(tree: Tree) -> None:
    for path, kind in (
        ("gone", Kind.MISSING),
        ("etc/a/under", Kind.MISSING),
        ("nothing", Kind.MISSING),
        ("lib", Kind.DIRECTORY),
    ):
        assert resolve(tree, path).kind is kind, path
    with pytest.raises(UnreadableError, match="is a directory"):
        read(tree, "etc")


def test_directories_are_listed_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    tree = FolderTree(plant(tmp_path, {"d/10-x": "", "d/9-x": "", "d/.hidden": "", "d/ä": ""}))

    assert tree.names("d") == [".hidden", "10-x", "9-x", "ä"]


def test_a_pipe_is_no_file_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UnreadableError, match="is no regular file"):
        read(FolderTree(tmp_path), "pipe")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as big:
        big.truncate(5 << 20)

    with pytest.raises(UnreadableError, match="is longer than"):
        read(FolderTree(tmp_path), "big")


def test_a_root_that_is_nothing_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no archive")

    with pytest.raises(InputMissingError):
        open_tree(tmp_path / "absent")
    with pytest.raises(InputMissingError):
        ArchiveTree(tmp_path / "text")
