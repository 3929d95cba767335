"""No seeded secret reaches the disk, a page or a message: not the spool, not a segment, not the index, not our own words."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.secrets_corpus import SHAPED, VALUES, cases
from tests.stores import KEY

from kata_audit.cli import main
from kata_audit.clock import ManualClock
from kata_audit.pipeline.derive import evidence_of
from kata_audit.receivers.file import FileReceiver, Place
from kata_audit.schema.source import Transport
from kata_audit.store.layout import Layout
from kata_audit.store.spool import HEADER_BYTES, Frame, decode_payload, scan
from kata_audit.store.writer import open_writer

SECRETS = sorted({*VALUES.values(), *SHAPED.values()})


def seeded_files(folder: Path) -> list[tuple[Path, Transport]]:
    """Write the corpus as files, one per transport."""
    written = []
    for transport in sorted({case.transport for case in cases()}):
        records = [case.raw for case in cases() if case.transport == transport]
        path = folder / f"{transport}.log"
        path.write_bytes(b"".join(raw if raw.endswith(b"\n") else raw + b"\n" for raw in records))
        written.append((path, Transport(transport)))
    return written


def leaks(data: bytes) -> list[str]:
    """Name the secrets that stand in some bytes, as they are or as JSON spells them."""
    return [secret for secret in SECRETS if secret.encode() in data or json.dumps(secret)[1:-1].encode() in data]


def spelled(table: Any) -> bytes:
    """Give all texts and bytes of a table."""
    texts = [column.to_pylist() for column in table.columns if not pa.types.is_timestamp(column.type)]
    return repr(texts).encode("utf-8", "backslashreplace")


def test_the_search_for_leaks_finds_what_there_is(tmp_path: Path) -> None:
    found = {secret for path, _ in seeded_files(tmp_path) for secret in leaks(path.read_bytes())}

    assert sorted(found) == SECRETS


def test_the_spool_holds_none(tmp_path: Path) -> None:
    with open_writer(tmp_path / "store", clock=ManualClock()) as writer:
        for path, transport in seeded_files(tmp_path):
            with FileReceiver(str(path), Place("n", "t", transport), clock=ManualClock(), key=KEY) as receiver:
                for rows in evidence_of(receiver, start=0, key=KEY):
                    writer.append(rows)
    frames = [item for item in scan(Layout(tmp_path / "store"), 0).items if isinstance(item, Frame)]
    held = 0
    for frame in frames:
        begin = frame.offset + HEADER_BYTES
        rows = decode_payload(frame.path.read_bytes()[begin : begin + frame.payload])
        held += rows.num_rows
        assert leaks(spelled(pa.Table.from_batches([rows]))) == []

    assert held >= len(cases())


def test_nothing_else_holds_any(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--debug", "--store", str(tmp_path / "store")]
    for path, transport in seeded_files(tmp_path):
        assert main.run([*store, "ingest", "--transport", str(transport), str(path)]) == 0
    for question in (
        ["search", "", "--limit", "0", "-o", "jsonl"],
        ["verify", "--deep"],
        ["status"],
        ["search", "no:such"],
        ["timeline", "x"],
    ):
        main.run([*store, *question])
    said = capsys.readouterr()

    assert leaks(said.out.encode()) == []
    assert leaks(said.err.encode()) == []
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert [path.name for path in files if leaks(path.read_bytes())] == []
    segments = [path for path in files if path.suffix == ".parquet"]
    assert sum(pq.read_metadata(path).num_rows for path in segments) >= len(cases()) > 1000
    assert [path.name for path in segments if leaks(spelled(pq.read_table(path)))] == []
