"""Records by hand: rows of the record's schema from what a test cares about."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from kata_audit.schema.record import RECORD_SCHEMA


def record_rows(*records: Mapping[str, Any]) -> pa.RecordBatch:
    """Make rows, one for each mapping of columns to values; times are nanoseconds, and what is not named is null."""
    columns = [_column([record.get(field.name) for record in records], field.type) for field in RECORD_SCHEMA]
    return pa.RecordBatch.from_arrays(columns, schema=RECORD_SCHEMA)


def _column(values: list[Any], type_: pa.DataType) -> Any:
    if pa.types.is_timestamp(type_):
        return pa.array(values, pa.int64()).cast(type_)
    if pa.types.is_dictionary(type_):
        return pa.array(values, pa.string()).dictionary_encode().cast(type_)
    if pa.types.is_map(type_):
        return pa.array([None if value is None else list(value.items()) for value in values], type_)
    return pa.array(values, type_)
