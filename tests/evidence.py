"""Evidence rows for tests: from bytes or files, through the real split, with seq from 0."""

import gzip
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
