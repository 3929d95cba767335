"""Proof bundles from a store: records with their salts, their way to their batch's root, and its way to the checkpoint.

Reading only: a bundle can be made beside a running writer. What goes into it is what the log committed to; whoever verifies
it works out every digest anew.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kata_audit.errors import StoreError, UsageError
from kata_audit.schema.record import EVIDENCE_SCHEMA
from kata_audit.store.layout import Layout, check_format
from kata_audit.store.live import Live
from kata_audit.store.log import read_checkpoint, read_entries
from kata_audit.store.segment import BatchHead, read_head
from kata_audit.tlog.bundle import ProvenEntry, ProvenRecord, encode_bundle
from kata_audit.tlog.checkpoint import open_checkpoint
from kata_audit.tlog.entry import decode_entry
from kata_audit.tlog.leaf import SALT_BYTES, batch_proof, hash_leaves, make_salts
from kata_audit.tlog.merkle import hash_leaf, hash_node, prove_inclusion
from kata_audit.tlog.note import parse_verifier

_COLUMNS = [*EVIDENCE_SCHEMA.names, "batch", "index"]


def prove_records(root: Path, seqs: Collection[int]) -> bytes:
    """Make the proof bundle of some records.

    Args:
        root: The store's directory.
        seqs: Numbers of sealed records.

    Returns:
        The bundle, as `verify_bundle.py` takes it.

    Raises:
        StoreError: There is no store, or a segment cannot be read.
        UsageError: A number is of no sealed record.
        VerificationError: The log is not what its checkpoint says.
    """
    layout = Layout(root)
    note = read_checkpoint(layout) if check_format(layout) else None
    if note is None:
        raise StoreError("There is no store here.", where=str(root), hint="Name a store with --store.")
    vkey = str(decode_entry(next(read_entries(layout, 0, 1)))["vkey"])
    size = open_checkpoint(note, parse_verifier(vkey)).size
    live, entries, place = Live(), list(read_entries(layout, 0, size)), dict[int, int]()
    for number, data in enumerate(entries):
        entry = decode_entry(data)
        live.apply(entry)
        if entry["t"] == "cut":
            place |= {batch["n"]: number for batch in entry["batches"]}
    wanted = frozenset(seqs)
    records = [record for name in sorted(live.files) for record in _records_of(layout.segment(name), wanted)]
    missing = sorted(wanted - {record.seq for record in records})
    if missing or not records:
        listed = ", ".join(map(str, missing[:10])) or "none was named"
        hint = f"Sealed are the numbers below {live.sealed_to}; what waits is sealed by the next `ingest`."
        raise UsageError(f"No sealed record has this number: {listed}.", hint=hint)
    subtree = _subtrees([hash_leaf(data) for data in entries])
    cuts = sorted({place[record.batch] for record in records})
    proven = [ProvenEntry(number, entries[number], prove_inclusion(subtree, number, size)) for number in cuts]
    return encode_bundle(vkey=vkey, checkpoint=note, entries=proven, records=records)


def _subtrees(hashes: Sequence[bytes]) -> Callable[[int, int], bytes]:
    """Make the function that gives roots of perfect subtrees over hashes in memory."""

    def read(start: int, end: int) -> bytes:
        middle = (start + end) // 2
        return hashes[start] if end - start == 1 else hash_node(read(start, middle), read(middle, end))

    return read


def _records_of(path: Path, seqs: frozenset[int]) -> Iterator[ProvenRecord]:
    """Prove the wanted records of one segment; each batch that holds one is read whole, its leaves are worked out."""
    try:
        batches = [batch for batch in read_head(path).batches if any(batch.first <= seq < batch.end for seq in seqs)]
        for batch in batches:
            rows = pq.read_table(path, columns=_COLUMNS, filters=[("batch", "=", batch.n)]).sort_by("index")
            yield from _records_in(rows.combine_chunks(), batch, seqs)
    except (OSError, pa.ArrowException) as error:
        raise StoreError("A segment cannot be read.", where=str(path), hint="Run `kata-audit verify`.") from error


def _records_in(rows: Any, batch: BatchHead, seqs: frozenset[int]) -> Iterator[ProvenRecord]:
    """Prove the wanted records of one batch, whose rows stand in leaf order."""
    found = [row for row, seq in enumerate(rows["seq"].to_pylist()) if seq in seqs]
    if not found:
        return
    salts = make_salts(batch.salt_key, batch.records)
    leaves = hash_leaves(rows.select(EVIDENCE_SCHEMA.names).to_batches()[0], salts)
    observed = rows["observed_timestamp"].cast(pa.int64())
    for row in found:
        stated = {name: rows[name][row].as_py() for name in ("seq", "node", "receiver", "cursor", "raw")}
        yield ProvenRecord(
            **stated,
            observed_unix_nano=observed[row].as_py(),
            salt=salts[row * SALT_BYTES : (row + 1) * SALT_BYTES],
            batch=batch.n,
            index=row,
            path=batch_proof(leaves, row),
        )
