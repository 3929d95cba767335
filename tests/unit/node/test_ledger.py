"""What was applied and is gone, or is not what was applied, is a finding; a revert leaves nothing that could say so."""

import hashlib
from pathlib import Path

import pytest
from tests.unit.node.test_plan import RUST_PATH, node, snapshot

from kata_audit.node.journald import PATH as JOURNALD_PATH
from kata_audit.node.ledger import PATH, read_ledger, spell_ledger
from kata_audit.wiring import apply_node, examine_node, revert_changes


def answers(root: Path) -> list[tuple[str, str]]:
    """Give status and place of each answer about what was written."""
    found = examine_node(root, only=["KN-008"]).findings
    return [(one.answer.status, one.answer.evidence[0].path if one.answer.evidence else "") for one in found]


def applied(root: Path) -> Path:
    apply_node(node(root, {"etc/systemd/journald.conf": ""}), "production", unmanaged=True)
    return root


def test_what_is_as_it_was_written_passes_and_so_does_a_node_of_which_nothing_was(tmp_path: Path) -> None:
    assert answers(node(tmp_path / "bare")) == [("pass", "")]
    root = applied(tmp_path / "node")
    assert answers(root) == [("pass", "")]
    listed = read_ledger((root / PATH).read_bytes())
    assert listed == {path: hashlib.sha256((root / path).read_bytes()).hexdigest() for path in (RUST_PATH, JOURNALD_PATH)}


def test_a_drop_in_that_vanished_or_was_changed_fails(tmp_path: Path) -> None:
    """Whoever did it, an installer that took the directory away too."""
    root = applied(tmp_path)
    (root / RUST_PATH).unlink()
    (root / RUST_PATH).parent.rmdir()
    assert answers(root) == [("fail", RUST_PATH)]
    (root / JOURNALD_PATH).write_text("[Journal]\n")
    assert sorted(answers(root)) == sorted([("fail", RUST_PATH), ("fail", JOURNALD_PATH)])
    apply_node(root, "production", unmanaged=True)
    assert answers(root) == [("pass", "")]


def test_an_apply_to_one_class_keeps_what_was_written_before_on_the_list(tmp_path: Path) -> None:
    root = applied(tmp_path)
    (root / JOURNALD_PATH).unlink()
    apply_node(root, "development", classes=["kata-qemu-runtime-rs"], unmanaged=True)

    assert answers(root) == [("fail", JOURNALD_PATH)]


def test_a_ledger_that_cannot_be_read_is_blind(tmp_path: Path) -> None:
    root = applied(tmp_path)
    (root / PATH).unlink()
    (root / PATH).symlink_to("applied.sha256")

    assert answers(root)[0][0] == "blind"


@pytest.mark.parametrize("kind", ["a link", "a file"])
def test_where_our_folder_is_none_the_change_is_made_without_a_list(tmp_path: Path, kind: str) -> None:
    root = node(tmp_path / "node", {"etc/kata-audit": "-> ../outside" if kind == "a link" else "text"})
    (root / "outside").mkdir()
    before = snapshot(root)
    apply_node(root, "production", unmanaged=True)

    assert (root / RUST_PATH).exists()
    assert list((root / "outside").iterdir()) == []
    revert_changes(root)
    assert snapshot(root) == before


def test_beside_our_configuration_a_revert_takes_only_the_list_away(tmp_path: Path) -> None:
    root = node(tmp_path, {"etc/kata-audit/config.toml": "[[journal]]\n"})
    before = snapshot(root)
    apply_node(root, "production", unmanaged=True)
    assert (root / PATH).exists()
    revert_changes(root)

    assert snapshot(root) == before


@pytest.mark.parametrize("data", [b"", b"\xff" * 100, b"0" * 64 + b"  /x\n", spell_ledger({}) + b"not a line\n" + b"0" * 70])
def test_what_is_no_ledger_lists_nothing(data: bytes) -> None:
    assert read_ledger(data) == {}


def test_names_that_are_no_utf_8_come_back_as_they_were() -> None:
    written = {"opt/\udcff/x y": "a" * 64, "etc/z": "b" * 64, "a\nb": "c" * 64}

    assert read_ledger(spell_ledger(written)) == {path: digest for path, digest in written.items() if "\n" not in path}
