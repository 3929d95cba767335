"""A small sealed log in memory and a bundle out of it: what the tests of bundles share."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
from tests.unit.tlog.trees import Tree

from kata_audit.tlog.bundle import ProvenEntry, ProvenRecord, encode_bundle
from kata_audit.tlog.checkpoint import Checkpoint, sign_checkpoint
from kata_audit.tlog.entry import encode_entry
from kata_audit.tlog.leaf import SALT_BYTES, batch_proof, batch_root, hash_leaves, make_salts
from kata_audit.tlog.merkle import hash_leaf, prove_inclusion, root_of
from kata_audit.tlog.note import Signer

SIGNER = Signer("audit.example/log", bytes(range(32)))
FILE = {"name": "00112233aabbccdd/000000000000-000000000000-deadbeef.parquet", "bytes": 29, "sha256": "00" * 32}
SCHEMA = pa.schema(
    [
        ("seq", pa.uint64()),
        ("observed_timestamp", pa.timestamp("ns", tz="UTC")),
        ("node", pa.string()),
        ("receiver", pa.string()),
        ("cursor", pa.string()),
        ("raw", pa.large_binary()),
    ]
)


def evidence_rows(records: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """Make rows of the leaf's columns."""
    names = {"observed_timestamp": "observed_unix_nano"}
    columns = [[record[names.get(field.name, field.name)] for record in records] for field in SCHEMA]
    arrays = [
        pa.array(values, pa.int64()).cast(field.type) if field.name in names else pa.array(values, field.type)
        for values, field in zip(columns, SCHEMA, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def record(seq: int) -> dict[str, Any]:
    """Make one record."""
    return {
        "seq": seq,
        "observed_unix_nano": 1_795_500_000_000_000_000 + seq,
        "node": "lab/node-a",
        "receiver": "file:journal_json",
        "cursor": f"/var/log/j?1-2-0123456789abcdef@{seq * 8}+8",
        "raw": b"line %02d\n" % seq,
    }


class Sealed(NamedTuple):
    """A log of a genesis, two cuts of 6 and 5 records and an entry behind them; batch `n` holds the records of cut `n`."""

    records: list[list[dict[str, Any]]]
    salts: list[bytes]
    leaves: list[bytes]
    cuts: list[dict[str, Any]]
    entries: list[bytes]

    def tree(self) -> Tree:
        """Lay the log out in tiles."""
        return Tree([hash_leaf(entry) for entry in self.entries])

    def checkpoint(self) -> Checkpoint:
        """State the log as it is."""
        size = len(self.entries)
        return Checkpoint(SIGNER.name, size, root_of(self.tree().read, 0, size))

    def proven_entry(self, index: int) -> ProvenEntry:
        """Prove one entry."""
        return ProvenEntry(index, self.entries[index], prove_inclusion(self.tree().read, index, len(self.entries)))

    def proven_record(self, batch: int, index: int) -> ProvenRecord:
        """Prove one record."""
        salt = self.salts[batch][index * SALT_BYTES : (index + 1) * SALT_BYTES]
        path = batch_proof(self.leaves[batch], index)
        return ProvenRecord(**self.records[batch][index], salt=salt, batch=batch, index=index, path=path)

    def bundle(self, places: Sequence[tuple[int, int]]) -> bytes:
        """Make the bundle of the records at some (batch, index)."""
        entries = [self.proven_entry(batch + 1) for batch in sorted({batch for batch, _ in places})]
        records = [self.proven_record(batch, index) for batch, index in places]
        note = sign_checkpoint(self.checkpoint(), SIGNER)
        return encode_bundle(vkey=SIGNER.vkey, checkpoint=note, entries=entries, records=records)


def seal(changes: Mapping[str, Any] | None = None) -> Sealed:
    """Seal two cuts; `changes` are made to the first one before the log commits to it."""
    ranges = [range(6), range(6, 11)]
    records = [[record(seq) for seq in numbers] for numbers in ranges]
    salts = [make_salts(bytes([n]) * 32, len(rows)) for n, rows in enumerate(records)]
    leaves = [hash_leaves(evidence_rows(rows), made) for rows, made in zip(records, salts, strict=True)]
    cuts: list[dict[str, Any]] = []
    for n, numbers in enumerate(ranges):
        root = batch_root(leaves[n]).hex()
        batch = {"n": n, "stream": "00112233aabbccdd", "records": len(numbers), "root": root, "file": FILE}
        cut = {"t": "cut", "v": 1, "time": n, "from": numbers.start, "to": numbers.stop, "derive": "1"}
        cuts.append({**cut, "batches": [batch], "gaps": []})
    cuts[0] |= changes or {}
    genesis = {
        "t": "genesis",
        "v": 1,
        "time": 0,
        "origin": SIGNER.name,
        "hash": "sha256",
        "leaf": "KAR1",
        "vkey": SIGNER.vkey,
    }
    last = {"t": "compact", "v": 1, "time": 9, "inputs": [], "outputs": []}
    entries = [encode_entry(entry) for entry in (genesis, *cuts, last)]
    return Sealed(records, salts, leaves, cuts, entries)
