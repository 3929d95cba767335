"""The record leaf, its batch, its log and its bundle are what an independent script makes of the description: J to M."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.unit.tlog.bundles import evidence_rows
from tests.unit.tlog.trees import recursive_root

from kata_audit.tlog.bundle import ProvenEntry, ProvenRecord, encode_bundle
from kata_audit.tlog.checkpoint import Checkpoint, sign_checkpoint
from kata_audit.tlog.entry import decode_entry, encode_entry
from kata_audit.tlog.leaf import batch_proof, batch_root, block_roots, canonical, fold_blocks, hash_leaves, make_salts
from kata_audit.tlog.merkle import hash_leaf
from kata_audit.tlog.note import Signer
from kata_audit.verify_bundle import verify

SCRIPT = Path(__file__).parent / "make_leaf_vectors.py"
VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "leaf.json").read_text())
SALT_KEY = bytes.fromhex(VECTORS["salt_key"])
RECORDS = VECTORS["J_records"]


def rows() -> pa.RecordBatch:
    """The stated records as evidence."""
    return evidence_rows([{**record, "raw": bytes.fromhex(record["raw"])} for record in RECORDS])


def leaves() -> bytes:
    """The leaves of the stated records."""
    return hash_leaves(rows(), make_salts(SALT_KEY, len(RECORDS)))


def long_leaves() -> bytes:
    """The leaves of a batch of several blocks, made by the script's rule."""
    count = VECTORS["K_batch"]["long_records"]
    records = [
        {
            "seq": number,
            "observed_unix_nano": 1767225600000000000 + number,
            "node": "lab/node-a",
            "receiver": "file:lines",
            "cursor": f"long@{number * 10}+10",
            "raw": b"%09d\n" % number,
        }
        for number in range(count)
    ]
    return hash_leaves(evidence_rows(records), make_salts(SALT_KEY, count))


def hexes(data: bytes) -> list[str]:
    return [data[start : start + 32].hex() for start in range(0, len(data), 32)]


def test_the_vectors_are_the_scripts() -> None:
    """The committed file is what the script prints."""
    done = subprocess.run([sys.executable, "-I", str(SCRIPT)], capture_output=True, check=True)

    assert done.stdout == SCRIPT.with_name("leaf.json").read_bytes()


def test_vector_j_records() -> None:
    """Salts, canonical bytes and leaves are the script's, for empty, foreign, binary and extreme values."""
    salts = make_salts(SALT_KEY, len(RECORDS))

    assert [salts[at : at + 16].hex() for at in range(0, len(salts), 16)] == [record["salt"] for record in RECORDS]
    assert [canon.hex() for canon in canonical(rows())] == [record["canon"] for record in RECORDS]
    assert hexes(leaves()) == [record["leaf"] for record in RECORDS]


def test_vector_k_batch() -> None:
    """Root and proofs of a batch are the script's."""
    vector = VECTORS["K_batch"]

    assert batch_root(leaves()).hex() == vector["root"]
    proofs = [[part.hex() for part in batch_proof(leaves(), index)] for index in range(len(RECORDS))]
    assert proofs == vector["proofs"]


def test_vector_k_blocks() -> None:
    """Blocks of 256 fold into the batch's root."""
    vector = VECTORS["K_batch"]
    blocks = block_roots(long_leaves())

    assert [block.hex() for block in blocks] == vector["long_blocks"]
    assert batch_root(long_leaves()).hex() == fold_blocks(blocks).hex() == vector["long_root"]
    assert [part.hex() for part in batch_proof(long_leaves(), 511)] == vector["long_proof_511"]


def test_vector_l_log() -> None:
    """Entries are spelled and signed for as the script does."""
    vector = VECTORS["L_log"]
    signer = Signer("audit.example/kata-audit/test", bytes.fromhex(VECTORS["seed"]))
    hashed = [hash_leaf(entry.encode()) for entry in vector["entries"]]
    checkpoint = Checkpoint(signer.name, len(hashed), recursive_root(hashed))

    assert [encode_entry(decode_entry(entry.encode())).decode() for entry in vector["entries"]] == vector["entries"]
    assert [leaf.hex() for leaf in hashed] == vector["leaves"]
    assert (signer.vkey, sign_checkpoint(checkpoint, signer).decode()) == (vector["vkey"], vector["checkpoint"])


def test_vector_m_bundle() -> None:
    """Our bundle is the script's, byte for byte, and verifies."""
    log, stated = VECTORS["L_log"], json.loads(VECTORS["M_bundle"])
    entry = ProvenEntry(1, log["entries"][1].encode(), [base64.b64decode(part) for part in stated["entries"][0]["path"]])
    records = [
        ProvenRecord(
            **{name: RECORDS[index][name] for name in ("seq", "observed_unix_nano", "node", "receiver", "cursor")},
            raw=bytes.fromhex(RECORDS[index]["raw"]),
            salt=bytes.fromhex(RECORDS[index]["salt"]),
            batch=0,
            index=index,
            path=batch_proof(leaves(), index),
        )
        for index in (3, 0)
    ]

    made = encode_bundle(vkey=log["vkey"], checkpoint=log["checkpoint"].encode(), entries=[entry], records=records)

    assert made.decode() == VECTORS["M_bundle"]
    assert [record.seq for record in verify(made, log["vkey"]).records] == [0, 4]
