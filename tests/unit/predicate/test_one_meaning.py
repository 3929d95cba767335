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
from kata_audit.predicate.tree import (
    And,
    Compare,
    Everything,
    InNetwork,
    InTime,
    Match,
    Not,
    Number,
    OneOf,
    Op,
    Or,
    Predicate,
    Present,
    Relation,
    SameAs,
    Syntax,
    Text,
    TimePart,
    simplify,
)
from kata_audit.schema.record import RECORD_SCHEMA

LETTERS = "aAkKsSéÉ\u212a\u017f\u0130*?%_.\\'\";-\n\0 \U0001f600"
ADDRESSES = ("10.0.0.1", "10.1.2.255", "010.0.0.1", "10.0.0.1:80", "fd00::1", "FD00:0:0::0001%eth0", "::ffff:10.0.0.1", "::")
NUMERALS = ("1e5", " 7", "7", "0x10", "NaN", "inf", "-0", "7.0", "1.", "1e999", "9" * 40, "-12.50", "007", "1_0", "٣")
TEXTS = st.text(LETTERS, max_size=4) | st.sampled_from([*ADDRESSES, *NUMERALS, "k\nK", "a\r\nb", "ß", "aK" * 300, "*" * 20])
BYTES = st.one_of(st.text(LETTERS, max_size=6).map(str.encode), st.binary(max_size=6), st.just(b"k\xffK\\x41 3"))
WORDS = ("sandbox_id", "k8s_pod", "component", "body", "raw", "attributes.k", "attributes.a.b")
NUMBERS = ("seq", "severity_number", "pid", "timestamp", "copy_key", "index")
TINY = st.integers(0, 9)
TIMES = st.integers(-9_223_286_400_000_000_000, 2**63 - 2)
"""Times that DuckDB takes in nanoseconds."""
NUMBER = st.one_of(TINY, st.sampled_from([-1, 255, 256, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1]))
REGEXES = st.sampled_from(["a", "^a", "k$", "[aA].", "(?i)k", ".", "^$", r"\s", "a|é", r"\x00", "K+"])
OPS = st.sampled_from(list(Op))
NETWORKS = st.sampled_from(
    ["10.0.0.0/8", "10.1.0.0/17", "0.0.0.0/0", "10.0.0.1/32", "fd00::/8", "fd00::/15", "::/0", "::/128"]
)

LEAVES = st.one_of(
    st.just(Everything()),
    st.builds(Compare, st.sampled_from(WORDS), OPS, TEXTS),
    st.builds(Compare, st.sampled_from(NUMBERS), OPS, NUMBER),
    st.builds(OneOf, st.sampled_from(WORDS), st.frozensets(TEXTS, max_size=5)),
    st.builds(OneOf, st.sampled_from(("seq", "pid", "index")), st.frozensets(TINY, max_size=5)),
    st.builds(Present, st.sampled_from(WORDS + NUMBERS)),
    st.builds(Text, TEXTS),
    st.builds(Match, st.sampled_from(WORDS), TEXTS, st.just(Syntax.WILDCARD), st.booleans()),
    st.builds(Number, st.sampled_from(WORDS), OPS, st.sampled_from([7, -12.5, 0, 100_000, 1e40, 9, 16])),
    st.builds(InNetwork, st.sampled_from(WORDS), NETWORKS),
    st.builds(SameAs, st.sampled_from(WORDS), st.sampled_from(WORDS), st.sampled_from(list(Relation)), st.booleans()),
    st.builds(
        InTime, st.just("timestamp"), st.sampled_from(list(TimePart)), st.sampled_from([0, 1, 12, 31, 53, 1970, 2262])
    ),
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
        value = TINY | TIMES if field.name == "timestamp" else TINY
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


@given(rows=tables(), where=CONDITIONS)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_simpler_is_the_same(rows: pa.RecordBatch, where: Predicate) -> None:
    """A simplified condition holds for the same records."""
    assert evaluate(simplify(where), rows) == evaluate(where, rows)


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
        (Match("k8s_pod", "API-*", Syntax.WILDCARD, cased=False), True),
        (Match("k8s_pod", "*P*I*", Syntax.WILDCARD, cased=False), True),
        (Match("k8s_pod", r"api\-1", Syntax.WILDCARD), False),
        (Match("body", "EXEC K", Syntax.WILDCARD, cased=False), False),
        (Match("attributes.star", r"a\*\\b", Syntax.WILDCARD), True),
        (Match("attributes.star", r"A\*\?b", Syntax.WILDCARD, cased=False), False),
        (Match("attributes.star", r"A?\\b", Syntax.WILDCARD, cased=False), True),
        (Match("k8s_pod", "p.-", Syntax.REGEX), True),
        (Number("attributes.n", Op.GE, 137), True),
        (Number("attributes.n", Op.LT, 1370.25), True),
        (Number("attributes.star", Op.NE, 0), False),
        (InNetwork("attributes.ip", "10.9.0.0/16"), True),
        (InNetwork("attributes.ip", "10.8.0.0/16"), False),
        (InNetwork("attributes.v6", "fd00::/8"), True),
        (InNetwork("attributes.v6", "fd00::/128"), False),
        (SameAs("body", "attributes.exec", Relation.STARTSWITH, cased=False), True),
        (SameAs("body", "attributes.exec", Relation.STARTSWITH), False),
        (SameAs("body", "k8s_pod_uid", Relation.CONTAINS), False),
        (InTime("timestamp", TimePart.YEAR, 2026), True),
        (InTime("timestamp", TimePart.WEEK, 47), True),
        (InTime("timestamp", TimePart.HOUR, 11), True),
        (InTime("guest_timestamp", TimePart.HOUR, 11), False),
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
        attributes=[
            ("k", "v"),
            ("star", "a*\\b"),
            ("n", "137.5"),
            ("ip", "10.9.8.7"),
            ("v6", "FD00::7%eth0"),
            ("exec", "EXEC"),
        ],
        timestamp=1_795_000_000_123_456_789,
    )

    assert evaluate(where, row).to_pylist() == [holds]
    assert selected_by_duckdb(row, where) == [holds]
