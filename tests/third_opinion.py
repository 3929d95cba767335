"""A third opinion on rules: the SQLite backend of pySigma, and SQLite itself, on the same records.

It shares with us pySigma's reading of a rule, and nothing of what a condition means.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import pyarrow as pa
import re2
from sigma.backends.sqlite.sqlite import sqliteBackend
from sigma.collection import SigmaCollection

from kata_audit.detect.rule import Absence, Correlation, Rule
from kata_audit.detect.sigma.printer import print_rule
from kata_audit.predicate.rows import Columns
from kata_audit.predicate.tree import Predicate, fields_of

_BACKEND: Any = sqliteBackend
"""It has no types."""


class ThirdOpinion:
    """Records in SQLite, one column for each field that some conditions ask of."""

    def __init__(self, columns: Columns, conditions: Iterable[Predicate]) -> None:
        fields = sorted({field for where in conditions for field in fields_of(where)})
        self._patterns: dict[str, Any] = {}
        self._database = sqlite3.connect(":memory:")
        self._database.create_function("REGEXP", 2, self._regexp)
        names = "".join(f', "{field}"' for field in fields)
        self._database.execute(f"CREATE TABLE logs (at INTEGER{names})")
        values = [_texts(columns.column(field)) for field in fields]
        rows = zip(range(columns.rows.num_rows), *values, strict=True)
        self._database.executemany(f"INSERT INTO logs VALUES (?{', ?' * len(fields)})", rows)

    def select(self, rule: Rule, rules: Mapping[str, Rule]) -> set[int]:
        """Give the places of the rows that a rule on single events picks."""
        assert not isinstance(rule.when, Correlation | Absence)
        (document,) = print_rule(rule, rules)
        collection = SigmaCollection.from_dicts([{**document, "id": str(UUID(int=1))}])
        (query,) = _BACKEND().convert(collection)
        text = str(query).replace("<TABLE_NAME>", "logs").replace("SELECT *", "SELECT at", 1)
        return {row[0] for row in self._database.execute(text)}

    def _regexp(self, pattern: str, value: object) -> bool | None:
        if value is None:
            return None
        compiled = self._patterns.get(pattern)
        if compiled is None:
            compiled = self._patterns[pattern] = re2.compile(pattern)
        return compiled.search(str(value)) is not None


def _texts(column: Any) -> list[Any]:
    return list((column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column).to_pylist())
