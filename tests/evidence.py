"""Evidence rows for tests: from bytes or files, through the real split, with seq from 0."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from kata_audit.parse.split import Held, finish, split
from kata_audit.schema.record import EvidenceRows, RecordRows
from kata_audit.schema.source import Chunk, Source, Transport
from kata_audit.wiring import derivation

DATA = Path(__file__).parent / "data"
OBSERVED_NS = 1_795_500_000_000_000_000


def evidence(data: bytes, transport: Transport, *, stream: str = "test?1-2-aa", first: int = 0) -> EvidenceRows:
    """Split bytes into evidence, numbered from `first`."""
    source = Source("file", "lab/node", "default", transport)
    chunk = Chunk(source, stream, 0, data, OBSERVED_NS)
    held, rows = split(Held(), chunk)
    table = pa.Table.from_batches([rows, finish(held, chunk)]).combine_chunks()
    numbers = pa.array(range(first, first + len(table)), pa.uint64())
    batches = table.set_column(0, "seq", numbers).to_batches()
    return batches[0] if batches else rows


def derive(rows: EvidenceRows) -> RecordRows:
    """Derive records as the commands do, with all known messages."""
    return derivation()(rows)


def capture(name: str, transport: Transport = Transport.JOURNAL_JSON) -> EvidenceRows:
    """Read one of the captures in `tests/data/captures`."""
    return evidence(gzip.decompress((DATA / "captures" / name).read_bytes()), transport)


def column(rows: Any, name: str) -> list[Any]:
    """Give a column as Python values; times as integers of nanoseconds."""
    values = rows.column(name)
    return list((values.cast(pa.int64()) if pa.types.is_timestamp(values.type) else values).to_pylist())


def row(records: RecordRows, *names: str, at: int = 0) -> tuple[Any, ...]:
    """Give some columns of one record."""
    return tuple(column(records, name)[at] for name in names)


def attributes(records: RecordRows, at: int = 0) -> dict[str, str]:
    """Give the attributes of one record."""
    return dict(column(records, "attributes")[at] or [])


def read_text(text: str, transport: Transport = Transport.HOST_FILE) -> RecordRows:
    """Derive the records of lines of text."""
    return derive(evidence(text.encode() + b"\n", transport))


def journal_entry(**fields: object) -> str:
    """Write one entry of a journal as a line of JSON, with the fields that each has."""
    always = {"__CURSOR": "c", "__REALTIME_TIMESTAMP": "1795414671449476", "_BOOT_ID": "7b9c4d5e2f314c8a9a6e0d1c2b3a4f50"}
    return json.dumps({**always, **fields})
