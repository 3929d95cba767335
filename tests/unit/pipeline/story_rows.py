"""Records for stories, from a few values each."""

from typing import Any

import pyarrow as pa

from kata_audit.schema.record import RECORD_SCHEMA, RecordRows

START_NS = 1_795_000_000_000_000_000
SECOND = 1_000_000_000
SANDBOX = "a" * 64


def records(*rows: dict[str, Any]) -> RecordRows:
    """Make records; `at` is seconds after the start, and what is not said is a host record at info of one sandbox."""
    whole = []
    for seq, row in enumerate(rows):
        base = {
            "seq": seq,
            "timestamp": START_NS + round(row.get("at", seq) * SECOND),
            "timestamp_basis": "host",
            "severity_number": 9,
            "origin": "host",
            "component": "runtime-go",
            "sandbox_id": SANDBOX,
            "body": f"record {seq}",
        }
        whole.append({**base, **{key: value for key, value in row.items() if key != "at"}})
    columns = []
    for field in RECORD_SCHEMA:
        values = [row.get(field.name) for row in whole]
        is_word = pa.types.is_dictionary(field.type)
        array = pa.array(values, pa.string() if is_word else field.type)
        columns.append(array.dictionary_encode() if is_word else array)
    return pa.RecordBatch.from_arrays(columns, schema=RECORD_SCHEMA)
