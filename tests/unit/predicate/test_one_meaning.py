"""One meaning: the evaluation on rows and DuckDB's of the printed SQL pick the same rows, of any table, by any condition."""

import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kata_audit.predicate import sql
from kata_audit.predicate.rows import evaluate
from kata_audit.predicate.sql import print_sql
from kata_audit.predicate.tree import And, Compare, Everything, Match, Not, OneOf, Op, Or, Predicate, Present, Syntax, Text
from kata_audit.schema.record import RECORD_SCHEMA

LETTERS = "aAkKsSéÉ\u212a\u017f\u0130*?%_.\\'\";-\n\0 \U0001f600"
TEXTS = st.text(LETTERS, max_size=4)
BYTES = st.one_of(st.text(LETTERS, max_size=6).map(str.encode), st.binary(max_size=6), st.just(b"k\xffK\\x41 3"))
WORDS = ("sandbox_id", "k8s_pod", "component", "body", "raw", "attributes.k", "attributes.a.b")
NUMBERS = ("seq", "severity_number", "pid", "timestamp", "copy_key", "index")
TINY = st.integers(0, 9)
NUMBER = st.one_of(TINY, st.sampled_from([-1, 255, 256, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1]))
REGEXES = st.sampled_from(["a", "^a", "k$", "[aA].", "(?i)k", ".", "^$", r"\s", "a|é", r"\x00", "K+"])
OPS = st.sampled_from(list(Op))

LEAVES = st.one_of(
    st.just(Everything()),
    st.builds(Compare, st.sampled_from(WORDS), OPS, TEXTS),
    st.builds(Compare, st.sampled_from(NUMBERS), OPS, NUMBER),
    st.builds(OneOf, st.sampled_from(WORDS), st.frozensets(TEXTS, max_size=5)),
    st.builds(OneOf, st.sampled_from(("seq", "pid", "index")), st.frozensets(TINY, max_size=5)),
    st.builds(Present, st.sampled_from(WORDS + NUMBERS)),
    st.builds(Text, TEXTS),
    st.builds(Match, st.sampled_from(WORDS), TEXTS, st.just(Syntax.WILDCARD)),
    st.builds(Match, st.sampled_from(WORDS), REGEXES, st.just(Syntax.REGEX)),
)


def _joined(parts: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
    several = st.lists(parts, max_size=3).map(tuple)
    return st.one_of(st.builds(And, several), st.builds(Or, several), st.builds(Not, parts))


CONDITIONS: st.SearchStrategy[Predicate] = st.recursive(LEAVES, _joined, max_leaves=6)


def _column(field: Any, count: int) -> st.SearchStrategy[Any]:
    value: st.SearchStrategy[Any]
    if field.name in WORDS:
        value = BYTES if field.name == "raw" else TEXTS
    elif field.name in NUMBERS:
        value = TINY
    elif field.name == "attributes":
        value = st.dictionaries(st.sampled_from(["k", "a.b", "x"]), TEXTS, max_size=2).map(lambda d: list(d.items()))
    else:
        return st.just(pa.nulls(count, field.type))
    values = st.lists(st.none() | value, min_size=count, max_size=count)
    return values.map(lambda found: _typed(found, field.type))


def _typed(values: list[Any], type_: Any) -> Any:
    if pa.types.is_timestamp(type_):
        return pa.array(values, pa.int64()).cast(type_)
    if pa.types.is_dictionary(type_):
        return pa.array(values, pa.string()).dictionary_encode().cast(type_)
    return pa.array(values, type_)


@st.composite
def tables(draw: st.DrawFn) -> pa.RecordBatch:
    """Draw up to eight records with nasty values in the columns that the conditions ask of."""
    count = draw(st.integers(0, 8))
    return pa.RecordBatch.from_arrays([draw(_column(field, count)) for field in RECORD_SCHEMA], schema=RECORD_SCHEMA)


def selected_by_duckdb(rows: pa.RecordBatch, where: Predicate) -> list[bool]:
    """Ask DuckDB about the rows in a Parquet file, as the store keeps them."""
    text, parameters = print_sql(where)
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        path = Path(folder) / "rows.parquet"
        pq.write_table(pa.Table.from_batches([rows]), path)
        query = f"SELECT ({text}) IS TRUE FROM read_parquet('{path}') ORDER BY file_row_number"
        return [row[0] for row in connection.execute(query, list(parameters)).fetchall()]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=tables(), where=CONDITIONS)
def test_rows_and_sql_agree(rows: pa.RecordBatch, where: Predicate) -> None:
    """The room's law."""
    assert selected_by_duckdb(rows, where) == evaluate(where, rows).to_pylist()


@pytest.mark.torture
@settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=tables(), where=CONDITIONS)
def test_rows_and_sql_agree_for_long(rows: pa.RecordBatch, where: Predicate) -> None:
    """The room's law, for hours."""
    assert selected_by_duckdb(rows, where) == evaluate(where, rows).to_pylist()


@given(rows=tables(), where=CONDITIONS)
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_not_is_the_opposite(rows: pa.RecordBatch, where: Predicate) -> None:
    """Logic is two-valued: a record is in a condition or in its opposite, whatever it leaves unstated."""
    picked, left = evaluate(where, rows).to_pylist(), evaluate(Not(where), rows).to_pylist()

    assert picked == [not value for value in left]


def _one(**values: Any) -> pa.RecordBatch:
    columns = [_typed([values.get(field.name)], field.type) for field in RECORD_SCHEMA]
    return pa.RecordBatch.from_arrays(columns, schema=RECORD_SCHEMA)


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        (Text("EXEC"), True),
        (Text("k"), False),
        (Text("exec."), False),
        (Text("only in raw"), True),
        (Match("k8s_pod", "api-?", Syntax.WILDCARD), True),
        (Match("k8s_pod", "api", Syntax.WILDCARD), False),
        (Match("k8s_pod", "API-*", Syntax.WILDCARD), False),
        (Match("k8s_pod", "p.-", Syntax.REGEX), True),
        (Compare("k8s_pod", Op.EQ, "API-1"), False),
        (Compare("k8s_pod_uid", Op.NE, "x"), False),
        (Not(Compare("k8s_pod_uid", Op.EQ, "x")), True),
        (OneOf("k8s_pod", frozenset({"api-1", "b"})), True),
        (OneOf("k8s_pod", frozenset({*map(str, range(sql.INLINE_VALUES + 1)), "api-1"})), True),
        (Not(OneOf("k8s_pod_uid", frozenset(map(str, range(sql.INLINE_VALUES + 1))))), True),
        (OneOf("seq", frozenset({2**63 + 5, 1})), True),
        (OneOf("seq", frozenset({*range(sql.INLINE_VALUES + 1), 2**63 + 5})), True),
        (Compare("attributes.k", Op.EQ, "v"), True),
        (Present("attributes.other"), False),
        (Compare("timestamp", Op.EQ, 1_795_000_000_123_456_789), True),
        (Compare("seq", Op.LT, 2**70), True),
        (Compare("timestamp", Op.LT, 2**63 - 1), True),
        (Compare("timestamp", Op.LE, 2**63 - 2), True),
        (Compare("timestamp", Op.GT, -(2**63)), True),
        (Compare("timestamp", Op.GE, -9_223_286_400_000_000_000), True),
    ],
)
def test_what_conditions_say(where: Predicate, *, holds: bool) -> None:
    """Examples by hand, on rows and in SQL."""
    row = _one(
        seq=2**63 + 5,
        body="exec \u212a",
        raw=b"only in \xff raw only in RAW",
        k8s_pod="api-1",
        attributes=[("k", "v")],
        timestamp=1_795_000_000_123_456_789,
    )

    assert evaluate(where, row).to_pylist() == [holds]
    assert selected_by_duckdb(row, where) == [holds]
