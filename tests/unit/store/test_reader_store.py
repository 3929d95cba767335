"""The reader over a store that the writer wrote."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.store.rows import batches, evidence

from kata_audit.clock import ManualClock
from kata_audit.errors import LayoutVersionError, StoreError, VerificationError
from kata_audit.parse.link import link
from kata_audit.predicate.language import parse_query
from kata_audit.store.layout import Layout
from kata_audit.store.reader import EVERYTHING_IN_SCOPE, Order, Reader, catch_up, open_reader
from kata_audit.store.writer import Writer, open_writer

ALL = EVERYTHING_IN_SCOPE


@pytest.fixture(autouse=True)
def no_keys_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys stand beside the store."""
    monkeypatch.delenv("KATA_AUDIT_KEYS", raising=False)


def ingest(writer: Writer, count: int) -> None:
    """Append and seal some records."""
    writer.append(evidence([b"line %d\n" % number for number in range(count)]))
    while (pending := writer.unsealed()) is not None:
        cut, rows = pending
        writer.seal(cut, batches(rows), derive="t", states={})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store of 30 sealed records in two cuts."""
    path = tmp_path / "store"
    with open_writer(path, clock=ManualClock(), node="lab/worker-a") as writer:
        ingest(writer, 20)
        ingest(writer, 10)
    return path


def seqs(reader: Reader, query: str = "", **options: Any) -> list[int]:
    """Ask for the numbers of records."""
    found = reader.scan(ALL, parse_query(query), ["seq"], **options)
    return [seq for batch in found for seq in batch["seq"].to_pylist()]


@pytest.mark.parametrize("linked", [True, False])
def test_every_sealed_record_is_read(root: Path, linked: bool) -> None:  # noqa: FBT001 -- a case
    """With an index and without one."""
    with open_reader(root, link=link if linked else None) as reader:
        assert seqs(reader, order=Order("seq")) == list(range(30))
        assert seqs(reader, "text:LINE class:audit seq<4") == [0, 2]
        assert seqs(reader, f"sandbox:{1:064x}", order=Order("seq")) == list(range(1, 30, 3))
        assert reader.count(ALL, parse_query("")) == 30
        assert reader.status().sealed_to == 30
        assert (reader.status().unindexed_segments == 0) == linked


def test_a_record_comes_back_whole(root: Path) -> None:
    """Every column, with its type."""
    with open_reader(root, link=link) as reader:
        [rows] = reader.scan(ALL, parse_query("seq:3"), evidence([]).schema.names)

    assert rows.schema == evidence([]).schema
    assert rows["raw"].to_pylist() == [b"line 3\n"]


@pytest.mark.parametrize("linked", [True, False])
def test_a_store_that_lacks_a_segment_is_told(root: Path, linked: bool) -> None:  # noqa: FBT001 -- a case
    """Before the index has seen it; no error of the system's gets out."""
    next(Layout(root).segments.glob("*/*")).unlink()

    with pytest.raises(StoreError, match="missing") as caught, open_reader(root, link=link if linked else None):
        pass
    assert caught.value.hint


def test_a_reader_beside_a_running_writer_stands_still(root: Path) -> None:
    """What is sealed after it opened is for the next one."""
    with open_writer(root, clock=ManualClock()) as writer, open_reader(root, link=link) as reader:
        ingest(writer, 5)
        assert len(seqs(reader)) == 30
        with open_reader(root, link=link) as later:
            assert len(seqs(later)) == 35


def test_the_index_catches_up_and_is_made_anew(root: Path) -> None:
    """It is never the truth: removed or damaged, it comes back the same."""
    index = Layout(root).index_file
    first = catch_up(root, link)
    assert first.read == len(list(Layout(root).segments.rglob("*.parquet")))
    assert catch_up(root, link).read == 0
    size = index.stat().st_size
    with index.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))

    assert catch_up(root, link).read == first.read
    index.unlink()
    with open_reader(root, link=link) as reader:
        assert reader.status().unindexed_segments == 0


def test_an_index_that_cannot_be_written_is_made_in_memory(root: Path) -> None:
    """Who may only read the store still sees pods."""
    (Layout(root).index_file).mkdir()

    with open_reader(root, link=link) as reader:
        assert reader.status().unindexed_segments == 0
        assert len(seqs(reader)) == 30


def test_no_store_is_told(tmp_path: Path) -> None:
    """With the next step."""
    for ask in (lambda: open_reader(tmp_path).__enter__(), lambda: catch_up(tmp_path, link)):
        with pytest.raises(StoreError, match="no store") as caught:
            ask()
        assert caught.value.hint


def test_a_log_that_is_not_what_was_signed_is_refused(root: Path) -> None:
    """A checkpoint with another size does not verify."""
    checkpoint = Layout(root).checkpoint
    lines = checkpoint.read_bytes().split(b"\n")
    checkpoint.write_bytes(b"\n".join([lines[0], b"1", *lines[2:]]))

    with pytest.raises(VerificationError), open_reader(root):
        pass


def test_an_empty_store_answers(tmp_path: Path) -> None:
    """Nothing is no error."""
    with open_writer(tmp_path / "store", clock=ManualClock()):
        pass
    with open_reader(tmp_path / "store", link=link) as reader:
        assert seqs(reader) == []
        assert reader.count(ALL, parse_query("pod:x")) == 0
        assert reader.status().records == 0


@pytest.mark.parametrize("column", ["fold_key", "exec_id"])
def test_a_segment_of_another_version_is_told(root: Path, column: str) -> None:
    """A segment without a column that this version reads is another version's: a sentence, not a defect."""
    for path in (root / "segments").rglob("*.parquet"):
        table = pq.read_table(path)
        pq.write_table(table.drop_columns([column]).replace_schema_metadata(table.schema.metadata), path)

    with pytest.raises(LayoutVersionError, match="another version") as caught, open_reader(root, link=link):
        pass
    assert "segments" in caught.value.diagnostics()
    assert "next:" in caught.value.diagnostics()


def test_link_is_never_shown_a_guest(root: Path) -> None:
    """L7: whatever `link` does, it is given host rows only."""
    shown: list[pa.RecordBatch] = []

    def watch(rows: pa.RecordBatch) -> pa.RecordBatch:
        shown.append(rows)
        return link(rows)

    catch_up(root, watch)

    assert {origin for rows in shown for origin in rows["origin"].to_pylist()} <= {"host"}
