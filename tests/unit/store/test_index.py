"""The index: what it learns, that it forgets what is gone, and that it is never the truth."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kata_audit.errors import StoreError
from kata_audit.parse.link import link
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.fact import FactKind
from kata_audit.schema.record import RECORD_SCHEMA
from kata_audit.store import statistics
from kata_audit.store.index import CaughtUp, Index, open_index
from kata_audit.store.live import LiveFile
from kata_audit.store.statistics import SourceCount, add_sources

NODE = "lab/worker-a"


def records(*rows: dict[str, Any]) -> pa.RecordBatch:
    """Make records of a few columns."""
    base = {"node": NODE, "origin": "host", "tenant": "t", "class": "audit", "receiver": "file:bare", "cursor": "-"}
    said = [{**base, **row} for row in rows]
    columns = []
    for field in RECORD_SCHEMA:
        values = [row.get(field.name) for row in said]
        if pa.types.is_dictionary(field.type):
            columns.append(pa.array(values, pa.string()).dictionary_encode().cast(field.type))
        elif pa.types.is_timestamp(field.type):
            columns.append(pa.array(values, pa.int64()).cast(field.type))
        else:
            columns.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=RECORD_SCHEMA)


class Shelf:
    """Segments in memory, and a log that says which of them live."""

    def __init__(self, **rows: pa.RecordBatch) -> None:
        self.rows = rows
        self.origin, self.vkey, self.entries = "log.example/a", "key", 1
        self.reads: list[str] = []
        self.files: dict[str, LiveFile] = {}
        for number, name in enumerate(rows):
            self.put(name, rows[name], number)

    def put(self, name: str, rows: pa.RecordBatch, *batches: int) -> None:
        self.rows[name] = rows
        self.files[name] = LiveFile(name, 100, "", batches)
        self.entries += 1

    def read(self, name: str, columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        self.reads.append(name)
        if name not in self.rows:
            raise FileNotFoundError(name)
        yield self.rows[name].select(columns)

    def feed(self, index: Index) -> CaughtUp:
        return index.catch_up(self, self.read, link)


A = records(
    {"seq": 0, "timestamp": 50, "sandbox_id": "s1", "k8s_pod": "api", "cursor": "f@0+10"},
    {"seq": 1, "timestamp": None, "sandbox_id": "s2", "k8s_pod": "forged", "origin": "guest", "cursor": "f@10+7~3"},
    {"seq": 2, "timestamp": 20, "sandbox_id": "s3", "k8s_pod": "bare", "origin": "unknown", "cursor": "g@5+5"},
)
B = records({"seq": 3, "timestamp": 90, "container_id": "c1", "sandbox_id": "s1", "pid": 7, "component": "runtime-go"})


def test_it_learns_segments_facts_and_positions(tmp_path: Path) -> None:
    """Numbers of each segment, facts of host records only (L7), the farthest cursor of each stream."""
    with open_index(tmp_path / "index.sqlite") as index:
        assert Shelf(a=A, b=B).feed(index) == CaughtUp(read=2, forgotten=0, rebuilt=False)

        assert index.segments()["a"] == statistics.SegmentStatistics("a", 100, 3, "t", "audit", 0, 2, 20, 50, 1)
        assert [fact.object for fact in index.every(FactKind.SANDBOX_POD)] == ["api"]
        assert [fact.subject for fact in index.of_objects(FactKind.CONTAINER_SANDBOX, ["s1"])] == ["c1", "s1"]
        assert [fact.object for fact in index.of_subjects(FactKind.PID_SANDBOX, ["7", "8"])] == ["s1"]
        assert index.positions() == {
            ("file:bare", "f"): Cursor("f", 10, 7, 3),
            ("file:bare", "g"): Cursor("g", 5, 5),
        }
        assert index.holders("sandbox_id", ["s1"]) == {"a", "b"}
        assert index.holders("pid", ["7"]) == {"b"}
        assert index.values_like("sandbox_id", "s") == ["s1", "s2", "s3"]


def test_catching_up_again_changes_nothing(tmp_path: Path) -> None:
    """What it has seen it does not read twice, also after it was closed."""
    shelf = Shelf(a=A, b=B)
    for expected in (CaughtUp(2, 0, rebuilt=False), CaughtUp(0, 0, rebuilt=False)):
        with open_index(tmp_path / "index.sqlite") as index:
            assert shelf.feed(index) == expected
    assert shelf.reads == ["a", "b"]


def test_a_compaction_replaces_segments_and_states_nothing_new(tmp_path: Path) -> None:
    """Facts and positions stay; the inputs are forgotten."""
    shelf = Shelf(a=A, b=B)
    with open_index(tmp_path / "index.sqlite") as index:
        shelf.feed(index)
        del shelf.files["a"], shelf.files["b"]
        shelf.put("ab", pa.Table.from_batches([A, B]).combine_chunks().to_batches()[0], 0, 1)

        assert shelf.feed(index) == CaughtUp(1, 2, rebuilt=False)
        assert set(index.segments()) == {"ab"}
        assert index.holders("sandbox_id", ["s1"]) == {"ab"}
        assert len(index.every(FactKind.SANDBOX_POD)) == 1


def test_sources_are_counted_by_segment_and_forgotten_with_it(tmp_path: Path) -> None:
    """What a compaction moved counts once; a redacted record is nobody's."""
    one, two = (
        [{"seq": seq, "cursor": f"{name}@{seq}+1", "observed_timestamp": 100 + seq} for seq in range(3)] for name in "ab"
    )
    shelf = Shelf(a=records(*one), b=records(*two, {"seq": 9, "cursor": None, "observed_timestamp": None}))
    with open_index(tmp_path / "i") as index:
        index.catch_up(shelf, shelf.read, link)
        expected = [("a", NODE, "file:bare", 3, 100, 102), ("b", NODE, "file:bare", 3, 100, 102)]
        assert add_sources(index.sources({"a", "b"})) == expected
        assert index.sources({"b"}) == expected[1:]

        del shelf.files["a"], shelf.files["b"]
        shelf.put("c", records(*one, *two), 0, 1)
        index.catch_up(shelf, shelf.read, link)

        assert add_sources(index.sources({"a", "b", "c"})) == expected

        del shelf.files["c"]
        shelf.put("d", records(*two), 2)
        index.catch_up(shelf, shelf.read, link)
        assert index.sources({"d"}) == expected[1:]
        assert index._ask("SELECT count(*) FROM sources") == [(1,)]


def test_counts_of_a_source_have_its_first_and_last_time() -> None:
    """In whichever order they come: a segment that was merged first may be the later one."""
    early, late = SourceCount("a", NODE, "r", 2, 1, 5), SourceCount("a", NODE, "r", 3, 4, 9)

    for counts in ((early, late), (late, early)):
        assert add_sources(counts) == [SourceCount("a", NODE, "r", 5, 1, 9)]


def test_the_earliest_statement_of_a_fact_is_kept(tmp_path: Path) -> None:
    """Whatever the order in which segments are read."""
    late, early = ({"seq": seq, "sandbox_id": "s1", "k8s_pod": "api"} for seq in (9, 4))
    with open_index(tmp_path / "index.sqlite") as index:
        Shelf(a=records(late), b=records(early)).feed(index)

        assert [fact.seq for fact in index.every(FactKind.SANDBOX_POD)] == [4]


def test_a_segment_that_is_gone_meanwhile_is_left_for_the_next_time(tmp_path: Path) -> None:
    """A compaction beside us removed it; the log will say so."""
    shelf = Shelf(a=A)
    shelf.files["gone"] = LiveFile("gone", 1, "", (9,))
    with open_index(tmp_path / "index.sqlite") as index:
        assert shelf.feed(index).read == 1
        assert set(index.segments()) == {"a"}


@pytest.mark.parametrize("damage", [b"", b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    """It is never the truth."""
    path = tmp_path / "index.sqlite"
    path.write_bytes(damage)

    with open_index(path) as index:
        assert Shelf(a=A).feed(index).read == 1


@pytest.mark.parametrize("version", [1, 2, 999])
def test_another_version_is_made_anew(tmp_path: Path, version: int) -> None:
    """An older index of ours is not understood, or lacks kinds of facts (execs: 2), and need not have them."""
    path = tmp_path / "index.sqlite"
    with open_index(path) as index:
        Shelf(a=A).feed(index)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()

    with open_index(path) as index:
        assert index.segments() == {}
        assert Shelf(a=A).feed(index).read == 1


@pytest.mark.parametrize("change", ["origin", "entries"])
def test_an_index_of_another_log_is_made_anew(tmp_path: Path, change: str) -> None:
    """A store that was replaced, or put back from an older copy, is read afresh."""
    shelf = Shelf(a=A, b=B)
    with open_index(tmp_path / "index.sqlite") as index:
        shelf.feed(index)
        setattr(shelf, change, {"origin": "log.example/b", "entries": 1}[change])
        del shelf.files["a"]

        assert shelf.feed(index) == CaughtUp(1, 0, rebuilt=True)
        assert index.every(FactKind.SANDBOX_POD) == []


def test_a_failure_leaves_the_index_as_it_was(tmp_path: Path) -> None:
    """Catching up is one transaction."""
    shelf = Shelf(a=A)

    def broken(_rows: pa.RecordBatch) -> pa.RecordBatch:
        raise RuntimeError

    with open_index(tmp_path / "index.sqlite") as index:
        with pytest.raises(RuntimeError):
            index.catch_up(shelf, shelf.read, broken)
        assert index.segments() == {}
        assert shelf.feed(index).read == 1


def test_a_reader_without_rights_gets_an_empty_index(tmp_path: Path) -> None:
    """No index yet, and none may be made: nothing is known, nothing is written."""
    with open_index(tmp_path / "index.sqlite", writable=False) as index:
        assert index.segments() == {}
        assert index.applied == 0
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_hold_an_index_is_told(tmp_path: Path) -> None:
    """With the next step."""
    with pytest.raises(StoreError) as caught, open_index(tmp_path / "none" / "index.sqlite"):
        pass
    assert caught.value.hint


def test_a_flood_of_ids_does_not_flood_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment with too many values of a field counts as holding every one."""
    monkeypatch.setattr(statistics, "MAX_VALUES", 2)
    with open_index(tmp_path / "index.sqlite") as index:
        Shelf(a=A, b=B).feed(index)

        assert index.holders("sandbox_id", ["anything"]) == {"a"}
        assert index.values_like("sandbox_id", "") == ["s1"]


def test_only_listed_fields_are_indexed(tmp_path: Path) -> None:
    """Asking for another one is a defect of ours."""
    with open_index(tmp_path / "index.sqlite") as index, pytest.raises(RuntimeError):
        index.holders("body", ["x"])
