"""A value is never SQL: hostile values as fields' values, texts, patterns and keys of attributes."""

import duckdb
import pytest

from kata_audit.predicate.language import parse_query
from kata_audit.predicate.sql import print_sql
from kata_audit.predicate.tree import Compare, Match, Op, Predicate, Syntax, Text

HOSTILE = (
    "'",
    "''",
    '"',
    "\\'",
    "' OR '1'='1",
    "' OR 1=1 --",
    "'; DROP TABLE records; --",
    "'/*",
    "*/ OR true --",
    "') UNION SELECT content FROM read_text('/etc/hostname') --",
    "read_csv('/etc/hostname')",
    "ATTACH '/tmp/x.db' AS x",
    "'; COPY (SELECT 1) TO '/tmp/evil.parquet'; --",
    "'; INSTALL httpfs; LOAD httpfs; --",
    "$1",
    "?",
    "${x}",
    "\0'",
    "\u02bc OR \uff071\uff07=\uff071",
    "%27%20OR%201=1",
)


def trees(value: str) -> list[Predicate]:
    """Put a value wherever a user's text can stand."""
    return [
        Compare("k8s_pod", Op.EQ, value),
        Compare(f"attributes.{value}", Op.EQ, value),
        Match("k8s_pod", "x" + value, Syntax.WILDCARD),
        Text(value),
    ]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_never_enters_the_text(value: str) -> None:
    """The printed text is the same whatever the value; and it is one SELECT."""
    for hostile, tame in zip(trees(value), trees("tame"), strict=True):
        text = print_sql(hostile).text

        assert text == print_sql(tame).text
        statements = duckdb.extract_statements(f"SELECT 1 FROM t WHERE {text}")
        assert [statement.type for statement in statements] == [duckdb.StatementType.SELECT]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_quoted_value_stays_a_value(value: str) -> None:
    """Through the language too."""
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    assert parse_query(f"pod:{quoted}") == Compare("k8s_pod", Op.EQ, value)


@pytest.mark.parametrize("field", ['seq" OR true --', "attributes", "records", "attributes."])
def test_a_field_outside_the_list_does_not_print(field: str) -> None:
    """Identifiers come from the list or not at all."""
    with pytest.raises(KeyError):
        print_sql(Compare(field, Op.EQ, "x"))
