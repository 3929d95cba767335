"""A file gets whole lines, in order, and survives what happens to files."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.notices import NOTICE

from kata_audit.exporters.base import Delivery
from kata_audit.exporters.export_settings import Export, ExportKind, mistakes_of_export
from kata_audit.exporters.file import DeadLetterFile, LineFile, RecordFile, Stdout
from kata_audit.exporters.records import Receipt
from kata_audit.exporters.settings import Destination, DestinationKind
from kata_audit.schema.exported import Exported
from kata_audit.schema.fieldset import FieldSetName


def to(path: Path) -> LineFile:
    return LineFile(Destination("file", DestinationKind.FILE, path=path))


def test_each_notice_is_a_line(tmp_path: Path) -> None:
    """Appended; a rotated file is followed by a new one."""
    path = tmp_path / "alerts.jsonl"

    assert to(path).export([NOTICE, NOTICE]) == Delivery(2)
    path.rename(tmp_path / "alerts.jsonl.1")
    assert to(path).export([NOTICE]) == Delivery(1)
    lines = [
        json.loads(line)
        for name in ("alerts.jsonl.1", "alerts.jsonl")
        for line in (tmp_path / name).read_text().splitlines()
    ]
    assert [line["data"]["dedup_key"] for line in lines] == [NOTICE.dedup_key] * 3
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    """Behind a crash the next notice begins on a line of its own."""
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b'{"type":"alert.fi')
    to(path).export([NOTICE])

    assert json.loads(path.read_text().splitlines()[1])["type"] == "alert.fired"


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A folder that is not there, and a link that somebody put there."""
    (tmp_path / "link").symlink_to(tmp_path / "target")

    assert to(tmp_path / "gone" / "x").export([NOTICE]) == Delivery(
        0, problem="it cannot be written: No such file or directory"
    )
    assert to(tmp_path / "link").export([NOTICE]).taken == 0
    assert not (tmp_path / "target").exists()


def test_stdout_gets_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """For looking on."""
    assert Stdout().export([NOTICE]) == Delivery(1)
    assert json.loads(capsys.readouterr().out)["data"]["rule_id"] == "KA-008"


def test_a_record_sends_a_terminal_nothing_that_it_obeys(tmp_path: Path) -> None:
    """Escapes, controls of eight bits and turned text of a log stand in the file as their numbers, in a dead letter too."""
    hostile = "a\x1b[2J\x9b2J\u202eb\u2028"
    one = Exported("log/1", 1, 0, {"body": hostile}, {"body": hostile})
    path, dead = tmp_path / "records.jsonl", tmp_path / "rejected.jsonl"
    assert RecordFile(Export("file", ExportKind.FILE, path=path)).export([one]) == Receipt(1)
    DeadLetterFile(dead, 1 << 20).keep([(one, "mapping")])

    for text in (path.read_bytes(), dead.read_bytes()):
        assert text.isascii()
        assert b"\x1b" not in text
    assert json.loads(path.read_text()) == {"body": hostile}
    assert json.loads(dead.read_text())["record"] == {"body": hostile}


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({"kind": ExportKind.FILE, "path": Path("/x")}, []),
        ({"kind": ExportKind.OTLP, "url": "https://x"}, []),
        ({"kind": ExportKind.LOKI, "url": "https://x"}, ["evidence"]),
        ({"kind": ExportKind.SYSLOG, "url": "tls://x:1"}, ["evidence"]),
        ({"kind": ExportKind.FILE, "path": Path("/x"), "raw": True, "fields": FieldSetName.ECS}, ["fields", "raw"]),
    ],
)
def test_what_evidence_is_sent_with(settings: dict[str, Any], keys: list[str]) -> None:
    assert [key for key, _ in mistakes_of_export(Export("x", evidence=True, **settings))] == keys
