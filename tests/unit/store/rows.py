"""Rows for the store's tests: evidence from nothing or from the reference captures, and a toy deriver."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.schema.record import EVIDENCE_SCHEMA, RECORD_SCHEMA, EvidenceRows, RecordRows
from kata_audit.store.cut import Batch

NODE = "lab/worker-a"
RECEIVER = "file:journal-json"
START_NS = 1_795_000_000_000_000_000
CLASSES = ("audit", "operational")


def evidence(texts: Sequence[bytes], *, stream: str = "journal", offset: int = 0, tenant: str = "default") -> EvidenceRows:
    """Rows of one stream as a receiver hands them on: no number yet."""
    cursors, at = [], offset
    for text in texts:
        cursors.append(f"{stream}@{at}+{len(text)}")
        at += len(text)
    count = len(texts)
    columns = [
        pa.nulls(count, pa.uint64()),
        pa.array(range(START_NS, START_NS + count), pa.int64()).cast(EVIDENCE_SCHEMA.field("observed_timestamp").type),
        pa.array([NODE] * count, pa.string()),
        pa.array([RECEIVER] * count, pa.string()),
        pa.array(cursors, pa.string()),
        pa.array(texts, pa.large_binary()),
        pa.array([tenant] * count, pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=EVIDENCE_SCHEMA)


def derive(rows: EvidenceRows) -> RecordRows:
    """Fill a few derived columns: the text as body, a class by parity, a sandbox by thirds."""
    count = rows.num_rows
    seqs = rows["seq"].to_pylist()
    filled = {name: rows[name] for name in EVIDENCE_SCHEMA.names}
    filled["timestamp"] = rows["observed_timestamp"]
    filled["body"] = pa.array([f"text {seq}" for seq in seqs], pa.large_string())
    filled["class"] = pa.array([CLASSES[seq % 2] for seq in seqs], pa.string()).dictionary_encode()
    filled["sandbox_id"] = pa.array([None if seq % 3 == 0 else f"{seq % 3:064x}" for seq in seqs], pa.string())
    columns = [filled[field.name] if field.name in filled else pa.nulls(count, field.type) for field in RECORD_SCHEMA]
    return pa.RecordBatch.from_arrays(columns, schema=RECORD_SCHEMA)


def batches(rows: EvidenceRows) -> list[Batch]:
    """Class rows as the pipeline does: one batch for each tenant and class that has records."""
    records = derive(rows)
    made = []
    for tenant in pc.unique(records["tenant"]).to_pylist():
        for name in CLASSES:
            chosen = pc.and_(pc.equal(records["tenant"], tenant), pc.equal(records["class"], name))
            part = records.filter(chosen)
            if part.num_rows:
                made.append(Batch(tenant, name, part))
    return made


def corpus_lines(corpus: Path, count: int) -> list[bytes]:
    """Real journal lines, repeated in order until there are `count`."""
    lines: list[bytes] = []
    for path in sorted((corpus / "captures").glob("*/journal.json.gz")):
        with gzip.open(path) as file:
            lines.extend(file.read().splitlines(keepends=True))
    return [lines[number % len(lines)] for number in range(count)]
