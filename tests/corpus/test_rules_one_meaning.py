"""Every shipped rule picks the same records of every capture: on rows, in DuckDB, and in SQLite by pySigma's own backend."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.captures import logs, runs
from tests.conftest import corpus_directory
from tests.third_opinion import ThirdOpinion

from kata_audit.detect.rule import Absence, Correlation
from kata_audit.detect.sigma.lists import LISTS
from kata_audit.detect.sigma.reader import read_rules
from kata_audit.predicate.rows import Columns, evaluate
from kata_audit.predicate.sql import print_sql
from kata_audit.predicate.tree import Predicate
from kata_audit.rules.files import rule_files
from kata_audit.schema.record import RECORD_SCHEMA

pytestmark = pytest.mark.corpus
RULES = {rule.rule_id: rule for rule in read_rules(rule_files(), dict.fromkeys(LISTS, ("*a*", "default")))}
EVENTS: dict[str, Predicate] = {
    name: rule.when for name, rule in RULES.items() if not isinstance(rule.when, Correlation | Absence)
}
"""Rules on single events, with lists filled so that they take something away."""
_CORPUS = corpus_directory()
RUNS = runs(_CORPUS / "captures") if _CORPUS else ["all"]


@pytest.mark.parametrize("run", RUNS)
def test_three_engines_pick_the_same(corpus: Path, tmp_path: Path, run: str) -> None:
    """No rule and no record of a run on which two of the three disagree."""
    batches = [log.records() for log in logs(corpus / "captures" / run)]
    rows = pa.Table.from_batches(batches, RECORD_SCHEMA).combine_chunks()
    pq.write_table(rows, tmp_path / "rows.parquet")
    if not len(rows):
        return
    columns = Columns(rows.to_batches()[0])
    third = ThirdOpinion(columns, EVENTS.values())
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE records AS SELECT *, file_row_number AS place FROM '{tmp_path}/rows.parquet'")
        for name, where in EVENTS.items():
            picked = [at for at, holds in enumerate(evaluate(where, columns).to_pylist()) if holds]
            text, parameters = print_sql(where)
            query = f"SELECT place FROM records WHERE {text} ORDER BY place"

            assert [at for (at,) in connection.execute(query, list(parameters)).fetchall()] == picked, name
            assert third.select(RULES[name], RULES) == set(picked), name
