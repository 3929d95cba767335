"""The reader, over segments in Parquet: order, scope, snapshots, names; and one meaning from query to answer."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kata_audit.errors import StoreError, UsageError
from kata_audit.parse.link import link
from kata_audit.predicate.language import parse_query
from kata_audit.predicate.rows import evaluate
from kata_audit.predicate.sql import Sql
from kata_audit.predicate.tree import Everything, all_of
from kata_audit.schema.record import RECORD_SCHEMA
from kata_audit.store import answers, windows
from kata_audit.store.answers import EVERYTHING_IN_SCOPE, Order, Reader, Scope
from kata_audit.store.engine import Engine, to_record_rows
from kata_audit.store.identity import fill
from kata_audit.store.index import Index, open_index
from kata_audit.store.live import LiveFile
from kata_audit.store.snapshot import Snapshot, measure

ALL = EVERYTHING_IN_SCOPE
NODE, BOOT = "lab/worker-a", "b1"
START = 1_795_000_000_000_000_000
S1, S2, C1 = "a1" * 32, "a2" * 32, "c1" * 32
BASE = {"node": NODE, "boot_id": BOOT, "origin": "host", "tenant": "default", "class": "audit", "receiver": "f:bare"}


def records(rows: list[dict[str, Any]], first: int = 0) -> pa.RecordBatch:
    """Make records, numbered in order from `first`, a nanosecond apart, with what each row says beside."""
    said = [
        {
            **BASE,
            "seq": seq,
            "timestamp": START + seq,
            "cursor": f"f@{seq}+1",
            "body": f"text {seq}",
            "raw": b"%d\n" % seq,
            **row,
        }
        for seq, row in enumerate(rows, first)
    ]
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


class Shop:
    """Segments on a disk, the index over them, and a reader."""

    def __init__(self, root: Path, index: Index) -> None:
        self.root, self.index = root, index
        self.origin, self.vkey, self.entries, self.sealed_to = "log.example/a", "k", 1, 0
        self.files: dict[str, LiveFile] = {}
        self.engine = Engine(root)

    def put(self, name: str, rows: pa.RecordBatch, *, group: int = 4) -> None:
        table = pa.Table.from_batches([rows]).sort_by(
            [("sandbox_id", "ascending"), ("timestamp", "ascending"), ("seq", "ascending")]
        )
        pq.write_table(table, self.root / name, row_group_size=group)
        self.files[name] = LiveFile(name, (self.root / name).stat().st_size, "", (len(self.files),))
        self.entries += 1
        self.sealed_to = max([self.sealed_to, *[seq + 1 for seq in rows["seq"].to_pylist()]])

    def drop(self, name: str) -> None:
        (self.root / name).unlink()
        del self.files[name]

    def read(self, name: str, columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        for batch in pq.read_table(self.root / name).combine_chunks().to_batches():
            yield to_record_rows(batch, columns)

    def snapshot(self) -> Snapshot:
        known = self.index.segments()
        segments = {name: known.get(name) or measure(self.root / name, name) for name in self.files}
        return Snapshot(self.origin, self.entries, self.sealed_to, segments, frozenset(self.files).difference(known))

    def reader(self, *, indexed: bool = True) -> Reader:
        if indexed:
            self.index.catch_up(self, self.read, link)
        return Reader(self.snapshot, self.index, self.engine)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """An empty shop."""
    with open_index(tmp_path / "index.sqlite") as index:
        (tmp_path / "segments").mkdir()
        yield Shop(tmp_path / "segments", index)


def seqs(reader: Reader, query: str = "", scope: Scope = ALL, **options: Any) -> list[int]:
    """Ask for the numbers of records."""
    found = reader.scan(scope, parse_query(query), ["seq"], **options)
    return [seq for batch in found for seq in batch["seq"].to_pylist()]


POD: list[dict[str, Any]] = [
    {"sandbox_id": S1},
    {"sandbox_id": S1, "k8s_namespace": "prod", "k8s_pod": "api", "k8s_pod_uid": "u1"},
    {"container_id": C1},
    {"sandbox_id": S1, "container_id": C1, "k8s_container": "app", "pid": 7, "component": "runtime-go"},
    {"sandbox_id": C1},
    {"pid": 7},
    {"pid": 7, "origin": "guest"},
    {"sandbox_id": S2, "k8s_namespace": "dev", "k8s_pod": "api", "tenant": "other"},
    {"sandbox_id": S2, "origin": "guest", "k8s_pod": "forged"},
    {"timestamp": None},
]


@pytest.fixture
def pod(shop: Shop) -> Shop:
    """A pod's story in two segments."""
    shop.put("a.parquet", records(POD[:4]))
    shop.put("b.parquet", records(POD[4:], 4))
    return shop


def test_a_search_by_pod_finds_what_came_before_it_was_known(pod: Shop) -> None:
    """And what names it only through container, process, or a container's id as the sandbox's."""
    assert seqs(pod.reader(), "namespace:prod AND pod:api") == [0, 1, 2, 3, 4, 5]
    assert seqs(pod.reader(), f"sandbox:{S1}") == [0, 1, 2, 3, 4, 5]
    assert seqs(pod.reader(), f"container:{C1}") == [2, 3, 4]
    assert seqs(pod.reader(), "k8s_container:app") == [2, 3, 4]
    assert seqs(pod.reader(), "NOT pod:*") == [6, 9]


def test_identities_are_filled_where_asked_for(pod: Shop) -> None:
    """In the order of the columns asked for, with the types of the schema."""
    columns = ["k8s_pod", "origin", "seq", "raw"]
    [batch] = pod.reader().scan(ALL, parse_query("seq<=0"), columns)

    assert batch.to_pylist() == [{"k8s_pod": "api", "origin": "host", "seq": 0, "raw": b"0\n"}]
    assert batch.schema == pa.schema([RECORD_SCHEMA.field(name) for name in columns])


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope(None, frozenset({"prod"})), [0, 1, 2, 3, 4, 5]),
        (Scope(None, frozenset({"dev"})), [7, 8]),
        (Scope(frozenset({"default"}), frozenset({"dev"})), [8]),
        (Scope(frozenset({"other"}), None), [7]),
        (Scope(frozenset({"other"}), frozenset({"prod"})), []),
        (Scope(None, frozenset()), []),
        (Scope(frozenset(), None), []),
    ],
)
@pytest.mark.parametrize("query", ["", "NOT body:x", "seq>=0 OR pod:api", "sandbox:* OR NOT sandbox:*"])
def test_a_scope_cannot_be_talked_out_of(pod: Shop, scope: Scope, expected: list[int], query: str) -> None:
    """Whatever the condition, rows outside the scope, or of no known namespace, are not there."""
    reader = pod.reader()

    assert seqs(reader, query, scope) == expected
    assert reader.count(scope, parse_query(query)) == len(expected)


def test_the_order_and_the_limit(pod: Shop) -> None:
    """Both keys, both ways; without a time last."""
    reader = pod.reader()

    assert seqs(reader) == list(range(10))
    assert seqs(reader, order=Order(newest_first=True)) == [*range(8, -1, -1), 9]
    assert seqs(reader, order=Order("seq", newest_first=True)) == list(range(9, -1, -1))
    assert seqs(reader, order=Order(newest_first=True), limit=3) == [8, 7, 6]
    assert seqs(reader, limit=10) == list(range(10))
    assert seqs(reader, limit=0) == []


def test_segments_that_the_index_has_not_seen_are_read_all_the_same(pod: Shop) -> None:
    """They name no pods yet, and that is all."""
    reader = pod.reader(indexed=False)

    assert seqs(reader) == list(range(10))
    assert seqs(reader, "tenant:other AND seq>3") == [7]
    assert seqs(reader, f"sandbox:{S1}") == [0, 1, 3]
    assert reader.status().unindexed_segments == 2


def test_sources_are_the_same_from_the_index_and_from_the_segments(shop: Shop) -> None:
    for first, name in ((0, "a.parquet"), (4, "b.parquet")):
        made = [{"cursor": f"log@{seq}+1", "observed_timestamp": START + seq} for seq in range(first, first + 4)]
        shop.put(name, records(made, first))
    counted = [(one.source, one.records, one.first_ns, one.last_ns) for one in shop.reader(indexed=False).sources()]

    assert counted == [("log", 8, START, START + 7)]
    assert shop.reader().sources() == shop.reader(indexed=False).sources()


def test_the_status_counts(pod: Shop) -> None:
    """Numbers of the snapshot."""
    status = pod.reader().status()

    assert (status.segments, status.records, status.sealed_to) == (2, 10, 10)
    assert (status.first_ns, status.last_ns) == (START, START + 8)
    assert pod.reader().count(ALL, Everything()) == 10


def test_a_compaction_in_between_is_followed(pod: Shop) -> None:
    """The reader looks at the log once more; what was sealed after it opened stays out."""
    reader = pod.reader()
    pod.drop("a.parquet")
    pod.drop("b.parquet")
    pod.put("ab.parquet", records(POD))
    pod.put("c.parquet", records([{}], 10))

    assert seqs(reader) == list(range(10))
    assert reader.count(ALL, Everything()) == 10
    assert seqs(pod.reader()) == [*range(9), 10, 9]


def test_merges_that_go_on_meanwhile_are_followed(pod: Shop) -> None:
    """A segment that was merged after each look is looked up each time: nothing is missing."""
    left = ["d.parquet", "c.parquet", "b2.parquet"]

    def take() -> Snapshot:
        taken = pod.snapshot()
        if left:
            for name in list(pod.files):
                pod.drop(name)
            pod.put(left.pop(), records(POD))
        return taken

    reader = Reader(take, pod.index, pod.engine)
    assert seqs(reader) == list(range(10))
    assert left == []


def test_a_segment_that_stays_missing_is_told(pod: Shop) -> None:
    """Where none was replaced, it is an error with a next step."""
    reader = pod.reader()
    (pod.root / "a.parquet").unlink()

    with pytest.raises(StoreError, match="missing") as caught:
        seqs(reader, "body:x")
    assert caught.value.hint
    with pytest.raises(StoreError, match="missing"):
        reader.count(ALL, parse_query("body:x"))


def test_a_damaged_segment_is_told_without_its_bytes(pod: Shop) -> None:
    """The engine's own words may quote a record."""
    reader = pod.reader()
    (pod.root / "a.parquet").write_bytes(b"PAR1 secret text PAR1" * 10)

    with pytest.raises(StoreError) as caught:
        seqs(reader, "body:x")
    assert "secret" not in caught.value.diagnostics()


def test_small_windows_give_the_same(pod: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each window is a part of the key's range; nothing is doubled or left out where they meet."""
    for number in range(8):
        pod.put(f"w{number}.parquet", records([{}] * 3, 10 + 3 * number))
    reader = pod.reader()
    monkeypatch.setattr(answers, "FIRST_ROWS", 1)
    monkeypatch.setattr(windows, "GROWTH", 1)

    assert seqs(reader, order=Order("seq")) == list(range(34))
    assert seqs(reader, "body:*", order=Order(newest_first=True)) == [*range(33, 9, -1), *range(8, -1, -1), 9]


class SmallEngine(Engine):
    """An engine that has memory for three rows."""

    def select(self, query: Sql) -> Iterator[pa.RecordBatch]:
        batches = list(super().select(query))
        if "ORDER BY" in query.text and sum(batch.num_rows for batch in batches) > 3:
            raise MemoryError
        yield from batches


@pytest.mark.parametrize("order", [Order(by, newest_first=way) for by in ("timestamp", "seq") for way in (False, True)])
def test_an_answer_that_does_not_fit_is_given_in_parts(pod: Shop, order: Order) -> None:
    """The window is halved until it fits."""
    pod.index.catch_up(pod, pod.read, link)
    whole = seqs(Reader(pod.snapshot, pod.index, pod.engine), order=order)

    assert seqs(Reader(pod.snapshot, pod.index, SmallEngine(pod.root)), order=order) == whole


def test_one_moment_that_does_not_fit_is_told(shop: Shop) -> None:
    """More records of one nanosecond than memory: said, with what to do."""
    shop.put("a.parquet", records([{"timestamp": START}] * 5))
    shop.index.catch_up(shop, shop.read, link)

    with pytest.raises(StoreError, match="memory"):
        seqs(Reader(shop.snapshot, shop.index, SmallEngine(shop.root)))


def test_columns_are_of_the_schema(pod: Shop) -> None:
    """Another name is a defect of ours, and never SQL."""
    with pytest.raises(RuntimeError):
        pod.reader().scan(ALL, Everything(), ['seq" FROM x --'])


@pytest.mark.parametrize(
    ("name", "how", "sandbox"),
    [
        ("prod/api", "pod", S1),
        ("dev/api", "pod", S2),
        ("u1", "pod uid", S1),
        (S1, "sandbox", S1),
        (S2, "sandbox", S2),
        (C1, "container", S1),
        (S1[:3] + S1[3:9], "sandbox prefix", S1),
        (C1[:4], "container prefix", S1),
    ],
)
def test_a_name_is_resolved(pod: Shop, name: str, how: str, sandbox: str) -> None:
    """Each way of naming a sandbox."""
    assert pod.reader().resolve(ALL, name) == ((sandbox,), how)


def test_a_name_of_several_is_refused_with_a_list(pod: Shop) -> None:
    """A pod's name in two namespaces."""
    with pytest.raises(UsageError) as caught:
        pod.reader().resolve(ALL, "api")

    assert [str(problem) for problem in caught.value.problems] == [f"{S1}: of pod prod/api", f"{S2}: of pod dev/api"]


@pytest.mark.parametrize("name", ["nobody", "prod/nobody", "a1", "", "/", "' OR 1=1 --", "forged"])
def test_an_unknown_name_is_told(pod: Shop, name: str) -> None:
    """A guest's claim names nothing; a prefix under four characters is a guess."""
    with pytest.raises(UsageError, match="No sandbox"):
        pod.reader().resolve(ALL, name)


def test_a_name_outside_the_scope_is_unknown(pod: Shop) -> None:
    """And one that is ambiguous only with what lies outside is not."""
    dev = Scope(None, frozenset({"dev"}))

    assert pod.reader().resolve(dev, "api") == ((S2,), "pod")
    with pytest.raises(UsageError, match="No sandbox"):
        pod.reader().resolve(dev, S1)


@pytest.mark.parametrize(
    "value",
    [
        "'",
        "' OR '1'='1",
        "'; DROP TABLE x; --",
        "read_csv('/etc/hostname')",
        "'; COPY (SELECT 1) TO '/tmp/x'; --",
        "\\",
        "?",
    ],
)
def test_a_hostile_value_finds_nothing_and_breaks_nothing(pod: Shop, value: str) -> None:
    """As a value of fields, as text, as a key."""
    quoted = '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
    for query in (f"pod:{quoted}", f"sandbox:{quoted}", quoted, f"attributes.k:{quoted}", f"body:{quoted}"):
        assert seqs(pod.reader(), query) == []


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('/etc/hostname')",
        "SELECT 1; SELECT 2",
        "COPY (SELECT 1) TO 'x.parquet'",
        "ATTACH 'x.db'",
        "INSTALL httpfs",
        "SET threads = 1",
        "PRAGMA database_list",
        "CREATE TABLE x (y INT)",
    ],
)
def test_the_engine_runs_one_select_over_segments(pod: Shop, text: str) -> None:
    """Nothing else, whoever should manage to print it."""
    with pytest.raises((RuntimeError, StoreError)):
        list(pod.engine.select(Sql(text)))


def test_a_root_with_wildcards_in_its_name_is_no_wildcard(tmp_path: Path) -> None:
    """A path is a path."""
    for name in ("a[1]*", "a1x"):
        (tmp_path / name).mkdir()
        with open_index(tmp_path / f"{name}.sqlite") as index:
            shop = Shop(tmp_path / name, index)
            shop.put("a.parquet", records([{}] * len(name)))
            assert len(seqs(shop.reader(), "body:text*")) == len(name)


_IDS = st.none() | st.sampled_from([S1, S2, C1])
_ROWS = st.fixed_dictionaries(
    {
        "sandbox_id": _IDS,
        "container_id": _IDS,
        "k8s_pod": st.none() | st.sampled_from(["api", "db"]),
        "k8s_namespace": st.none() | st.sampled_from(["prod", "dev"]),
        "pid": st.none() | st.integers(1, 2),
        "origin": st.sampled_from(["host", "host", "guest", "unknown"]),
        "component": st.sampled_from(["runtime-go", "agent"]),
        "timestamp": st.none() | st.integers(0, 5),
        "tenant": st.sampled_from(["default", "other"]),
    }
)
_QUERIES = st.sampled_from(
    [
        "",
        "pod:api",
        "NOT pod:api",
        "pod:a*",
        f"sandbox:{S1}",
        f"container:{C1} OR pod:db",
        "namespace:prod pid:1",
        "seq>3 pod:*",
    ]
)
_SCOPES = st.builds(
    Scope,
    st.none() | st.frozensets(st.sampled_from(["default", "other"])),
    st.none() | st.frozensets(st.sampled_from(["prod", "dev"])),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(_ROWS, min_size=1, max_size=12),
    cut=st.integers(0, 12),
    query=_QUERIES,
    scope=_SCOPES,
    order=st.builds(Order, st.sampled_from(["timestamp", "seq"]), st.booleans()),
    limit=st.none() | st.integers(0, 5),
)
def test_an_answer_is_what_the_filled_rows_show(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    rows: list[dict[str, Any]],
    cut: int,
    query: str,
    scope: Scope,
    order: Order,
    limit: int | None,
) -> None:
    """From query to answer, over two segments and the index: fill all rows, ask, sort, cut."""
    root = tmp_path_factory.mktemp("shop")
    (root / "segments").mkdir()
    with open_index(root / "index.sqlite") as index:
        shop = Shop(root / "segments", index)
        for name, part, first in (("a", rows[:cut], 0), ("b", rows[cut:], cut)):
            if part:
                shop.put(f"{name}.parquet", records(part, first))
        reader = shop.reader()
        filled = fill(records(rows), index)
        where = all_of(answers._scoped(scope, Everything()), parse_query(query))
        found = filled.filter(evaluate(where, filled))
        picked = [
            {"seq": seq, "timestamp": ns}
            for seq, ns in zip(found["seq"].to_pylist(), found["timestamp"].cast(pa.int64()).to_pylist(), strict=True)
        ]
        timed = [row for row in picked if row["timestamp"] is not None or order.by == "seq"]
        timed.sort(key=lambda row: (row["timestamp"], row["seq"]) if order.by == "timestamp" else row["seq"])
        untimed = [row for row in picked if row not in timed]
        way = -1 if order.newest_first else 1
        expected = [row["seq"] for row in [*timed[::way], *untimed[::way]]][:limit]

        assert seqs(reader, query, scope, order=order, limit=limit) == expected
        assert reader.count(scope, parse_query(query)) == len(picked)
