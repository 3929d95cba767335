"""A change of a node is in the store: that it began, what was done to which file, by whom, and why it broke off."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.unit.node.test_plan import RUST_PATH, node

from kata_audit.cli.main import run
from kata_audit.clock import SystemClock
from kata_audit.node.journald import PATH
from kata_audit.store.writer import open_writer

COLUMNS = ["event_name", "action", "object", "outcome", "actor", "class", "component", "receiver", "origin"]


def records(store: Path) -> list[dict[str, object]]:
    """Give what the store has sealed of nodes, in order."""
    tables = [pq.read_table(path) for path in (store / "segments").rglob("*.parquet")]
    rows = sorted(
        (row for one in tables for row in one.select(["seq", *COLUMNS, "attributes"]).to_pylist()),
        key=lambda row: row["seq"],
    )
    return [{**row, "attributes": dict(row["attributes"])} for row in rows]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty store, which is the default one."""
    root = tmp_path / "trail"
    with open_writer(root, clock=SystemClock(), node="lab/worker"):
        pass
    monkeypatch.setenv("KATA_AUDIT_STORE", str(root))
    monkeypatch.setenv("SUDO_USER", "alice")
    monkeypatch.setattr("os.getuid", lambda: 0)
    return root


def test_an_apply_and_a_revert_are_records_of_who_changed_which_file(tmp_path: Path, store: Path) -> None:
    """In the class of security, and ours by their receiver; what stayed as it was makes none."""
    root = node(tmp_path / "node", {"etc/systemd/journald.conf": ""})
    for _ in range(2):
        assert run(["node", "apply", "--root", str(root), "--unmanaged"]) == 0
    assert run(["node", "revert", "--root", str(root)]) == 0
    told = records(store)

    assert [(one["event_name"], one["object"], one["attributes"].get("node.done")) for one in told] == [  # type: ignore[attr-defined]
        ("node.change_begun", str(root), None),
        ("node.changed", f"/{RUST_PATH}", "written"),
        ("node.changed", f"/{PATH}", "written"),
        ("node.change_begun", str(root), None),
        ("node.change_begun", str(root), None),
        ("node.changed", f"/{RUST_PATH}", "removed"),
        ("node.changed", f"/{PATH}", "removed"),
    ]
    assert {one["actor"] for one in told} == {"alice"}
    assert {(one["class"], one["receiver"], one["origin"], one["component"], one["action"]) for one in told} == {
        ("security", "kata-audit:node", "host", "kata-audit", "update")
    }
    assert told[1]["attributes"]["node.profile"] == "production"  # type: ignore[index]
    assert told[1]["outcome"] == "success"


def test_what_was_refused_or_broke_off_is_a_record_too(
    tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["node", "apply", "--root", str(node(tmp_path / "node"))]) == 2
    capsys.readouterr()
    with open_writer(store, clock=SystemClock()):
        assert run(["node", "apply", "--root", str(node(tmp_path / "other")), "--unmanaged"]) == 0
    assert "waits for the process" in capsys.readouterr().err
    assert run(["node", "revert", "--root", str(tmp_path / "other")]) == 0
    told = records(store)

    assert [one["event_name"] for one in told] == [
        *("node.change_begun", "node.change_failed"),
        *("node.change_begun", "node.changed"),
        *("node.change_begun", "node.changed"),
    ]
    assert told[1]["outcome"] == "failure"
    assert "kata-deploy" in told[1]["attributes"]["error.message"]  # type: ignore[index]


def test_without_a_store_the_change_is_made_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KATA_AUDIT_STORE", str(tmp_path / "none"))
    root = node(tmp_path / "node")

    assert run(["node", "apply", "--root", str(root), "--unmanaged"]) == 0
    assert "this change is in no record" in capsys.readouterr().err
    assert (root / RUST_PATH).exists()
    assert not (tmp_path / "none").exists()


def test_a_store_that_cannot_take_the_record_keeps_the_node_as_it_is(
    tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No change without its record, where records are kept."""
    root = node(tmp_path / "node")
    for path in (store / "inbox").iterdir():
        path.unlink()
    (store / "inbox").rmdir()
    (store / "inbox").write_text("")

    assert run(["node", "apply", "--root", str(root), "--unmanaged"]) == 4
    capsys.readouterr()
    assert not (root / RUST_PATH).exists()
