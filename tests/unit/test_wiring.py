"""What a command records is in the store at once where nobody writes to it, and waits where somebody does."""

import dataclasses
import json
from pathlib import Path

import pytest
from tests.findings import ACT

from kata_audit import wiring
from kata_audit.config import Config
from kata_audit.predicate.tree import Compare, Op
from kata_audit.schema.act import ACT_KIND, from_attributes, to_line
from kata_audit.store.layout import Layout
from kata_audit.store.reader import EVERYTHING_IN_SCOPE
from kata_audit.wiring import reading, record, writing

CONFIG = Config(node="lab/worker")


def acts(root: Path) -> list[bytes]:
    where = Compare("receiver", Op.EQ, "kata-audit:act")
    with reading(root) as reader:
        return [raw for rows in reader.scan(EVERYTHING_IN_SCOPE, where, ["raw"]) for raw in rows["raw"].to_pylist()]


def test_a_command_is_the_writer_where_none_runs(tmp_path: Path) -> None:
    with writing(tmp_path / "store", node="lab/worker"):
        pass

    assert record(tmp_path / "store", ACT_KIND, [to_line(ACT)], CONFIG)
    assert acts(tmp_path / "store") == [to_line(ACT)]


def test_beside_a_writer_it_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer that runs, or the next one, takes it in."""
    monkeypatch.setattr(wiring, "_TAKE_SECS", 0)
    root = tmp_path / "store"
    with writing(root, node="lab/worker"):
        assert not record(root, ACT_KIND, [to_line(ACT)], CONFIG)
        assert len(list(Layout(root).inbox.iterdir())) == 1
    assert record(root, ACT_KIND, [to_line(ACT)], CONFIG)
    assert acts(root) == [to_line(ACT)] * 2


def test_what_people_type_is_masked(tmp_path: Path) -> None:
    """No secret of a reason reaches the disk, and the act is read all the same."""
    with writing(tmp_path / "store", node="lab/worker"):
        pass
    secret = "hunter2-hunter2-hunter2"
    typed = dataclasses.replace(ACT, reason=f"it logged password={secret}")
    record(tmp_path / "store", ACT_KIND, [to_line(typed)], CONFIG)

    [raw] = acts(tmp_path / "store")
    read = from_attributes(json.loads(raw)["attributes"])
    assert read is not None
    assert (read.target, read.reason) == (ACT.target, "it logged password=*masked:keyvalue*")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
