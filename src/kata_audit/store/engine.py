"""The one adapter of DuckDB: an engine in memory that may read segments and do nothing else.

What it runs is exactly one SELECT with parameters. Opening files is allowed below one directory only; extensions, other
databases, spilling to disk and changes of these settings are off.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from kata_audit.errors import StoreError
from kata_audit.predicate.sql import Sql
from kata_audit.schema.record import RECORD_SCHEMA, RecordRows

DEFAULT_MEMORY_MB: Final = 256
DEFAULT_THREADS: Final = 2
_BATCH_ROWS: Final = 16_384


class MissingSegmentError(Exception):
    """A segment that a query names is gone; never leaves the store: the reader looks at the log again."""


class Engine:
    """A locked engine over the segments of one directory.

    Args:
        segments: The directory; nothing outside it can be opened.
        memory_mb: What one engine may take, in MiB; a query that needs more fails.
        threads: How many threads it uses.
    """

    def __init__(self, segments: Path, *, memory_mb: int = DEFAULT_MEMORY_MB, threads: int = DEFAULT_THREADS) -> None:
        self.segments = segments.resolve()
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": f"{memory_mb}MiB",
                "threads": str(threads),
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "allow_community_extensions": "false",
                "max_temp_directory_size": "0KB",
                "preserve_insertion_order": "false",
            },
        )
        run = self._connection.execute
        run("SET TimeZone = 'UTC'")
        run("SET parquet_metadata_cache = true")
        run("SET allowed_directories = [?]", [f"{self.segments}/"])
        run("SET enable_external_access = false")
        run("SET lock_configuration = true")

    def close(self) -> None:
        """Give the engine's memory back."""
        self._connection.close()

    def source(self, names: Sequence[str]) -> Sql:
        """Name segments as a table; at least one."""
        paths = [str(self.segments / name) for name in names]  # one that is there is never taken for a pattern
        return Sql("read_parquet(?::VARCHAR[])", (paths,))

    def select(self, query: Sql) -> Iterator[pa.RecordBatch]:
        """Run one SELECT and stream its rows.

        Raises:
            MissingSegmentError: A segment that it names is gone.
            MemoryError: It needs more memory than the engine may take.
            StoreError: A segment cannot be read.
        """
        statements = duckdb.extract_statements(query.text)
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise RuntimeError("the engine runs one SELECT at a time")
        with _explained():
            cursor = self._connection.cursor()
            try:
                yield from cursor.sql(query.text, params=list(query.parameters)).to_arrow_reader(_BATCH_ROWS)
            finally:
                cursor.close()


@contextmanager
def _explained() -> Iterator[None]:
    """Let out only what the store promises to raise; DuckDB's texts may quote bytes of a record."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise MemoryError from error
    except duckdb.IOException as error:
        raise MissingSegmentError from error
    except duckdb.Error as error:
        raise StoreError(
            "The engine could not answer the query.",
            where=type(error).__name__,
            hint="Check the store with `kata-audit verify`; ask for less with --since and --limit.",
        ) from error


def to_record_rows(batch: pa.RecordBatch, columns: Sequence[str]) -> RecordRows:
    """Give an engine's rows the types of `RECORD_SCHEMA`."""
    fields = [RECORD_SCHEMA.field(name) for name in columns]
    arrays = [_typed(batch.column(name), field.type) for name, field in zip(columns, fields, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _typed(column: Any, type_: pa.DataType) -> Any:
    if pa.types.is_dictionary(type_) and not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    return column if column.type == type_ else column.cast(type_)
