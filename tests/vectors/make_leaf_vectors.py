"""Make the vectors J to M of the record leaf: records, batch, log, bundle. Run: `python make_leaf_vectors.py`.

Written from the format's description alone, with hashlib, json and `cryptography`: it imports nothing of ours, builds
trees by the recursive definition of RFC 6962, and prints one JSON object, which stands in `leaf.json` beside it.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

Record = dict[str, Any]
Leaves = Sequence[bytes]
ORIGIN = "audit.example/kata-audit/test"
SEED = bytes(range(32))
SALT_KEY = hashlib.sha256(b"kata-audit vector salt key").digest()
LONG = 600
STATED: tuple[Record, ...] = (
    {"seq": 0, "observed_unix_nano": 1767225600000000000, "node": "lab/node-a", "receiver": "file:journal_json",
     "cursor": "/var/log/j?1-2-0123456789abcdef@0+7", "raw": b"line 1\n"},
    {"seq": 1, "observed_unix_nano": -1, "node": "", "receiver": "", "cursor": "", "raw": b""},
    {"seq": 2, "observed_unix_nano": 0, "node": "lab/n\u00f8de", "receiver": "file:cri", "cursor": "caf\u00e9@1+2~0",
     "raw": bytes(range(256))},
    {"seq": 4, "observed_unix_nano": 2**63 - 1, "node": "lab/node-a", "receiver": "kata-audit:finding",
     "cursor": "\U0001f512@9223372036854775807+1", "raw": b"\x1b[31m\xff\r\n"},
    {"seq": 2**64 - 2, "observed_unix_nano": -(2**63), "node": "lab/node-a", "receiver": "stdin:lines", "cursor": "s@0+300",
     "raw": b"kata" * 75},
)  # fmt: skip


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def field(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def canon(record: Record) -> bytes:
    numbers: bytes = record["seq"].to_bytes(8, "big") + record["observed_unix_nano"].to_bytes(8, "big", signed=True)
    texts = b"".join(field(record[name].encode()) for name in ("node", "receiver", "cursor"))
    return numbers + texts + field(record["raw"])


def salt(index: int) -> bytes:
    """One block of the CTR keystream, by its definition: the cipher of the counter."""
    block = Cipher(AES(SALT_KEY), ECB()).encryptor()  # one block of a counter: what CTR is made of
    return bytes(block.update(index.to_bytes(16, "big")) + block.finalize())


def leaf(index: int, record: Record) -> bytes:
    return sha(b"\x00" + b"KAR1" + salt(index) + canon(record))


def half(size: int) -> int:
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def root(leaves: Leaves) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    middle = half(len(leaves))
    return sha(b"\x01" + root(leaves[:middle]) + root(leaves[middle:]))


def path(index: int, leaves: Leaves) -> list[bytes]:
    if len(leaves) == 1:
        return []
    middle = half(len(leaves))
    if index < middle:
        return [*path(index, leaves[:middle]), root(leaves[middle:])]
    return [*path(index - middle, leaves[middle:]), root(leaves[:middle])]


def long_record(number: int) -> Record:
    return {"seq": number, "observed_unix_nano": 1767225600000000000 + number, "node": "lab/node-a",
            "receiver": "file:lines", "cursor": f"long@{number * 10}+10", "raw": b"%09d\n" % number}  # fmt: skip


def compact(value: Record) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def make_log(batch_root: bytes) -> tuple[str, list[str], list[bytes], str]:
    key = Ed25519PrivateKey.from_private_bytes(SEED)
    public = b"\x01" + key.public_key().public_bytes_raw()
    identity = sha(ORIGIN.encode() + b"\n" + public)[:4]
    vkey = f"{ORIGIN}+{identity.hex()}+{b64(public)}"
    genesis = {"t": "genesis", "v": 1, "time": 1, "origin": ORIGIN, "hash": "sha256", "leaf": "KAR1", "vkey": vkey}
    file = {"name": "00112233aabbccdd/000000000000-000000000000-deadbeef.parquet", "bytes": 29, "sha256": "00" * 32}
    batch = {"n": 0, "stream": "00112233aabbccdd", "records": len(STATED), "root": batch_root.hex(), "file": file}
    gap = {"from": 5, "to": 2**64 - 2, "reason": "vector \u00e9"}
    cut = {"t": "cut", "v": 1, "time": 2, "from": 0, "to": 2**64 - 1, "derive": "1", "batches": [batch], "gaps": [gap]}
    merge = {"t": "compact", "v": 1, "time": 3, "inputs": [file["name"]], "outputs": []}
    entries = [compact(entry) for entry in (genesis, cut, merge)]
    leaves = [sha(b"\x00" + entry.encode()) for entry in entries]
    text = f"{ORIGIN}\n{len(entries)}\n{b64(root(leaves))}\n"
    note = f"{text}\n\u2014 {ORIGIN} {b64(identity + key.sign(text.encode()))}\n"
    return vkey, entries, leaves, note


def make_bundle(vkey: str, entries: list[str], entry_leaves: Leaves, note: str, leaves: Leaves) -> str:
    proof = {"index": 1, "data": entries[1], "path": [b64(part) for part in path(1, entry_leaves)]}
    records = [
        record
        | {"raw": b64(record["raw"]), "salt": b64(salt(index)), "batch": 0, "index": index}
        | {"path": [b64(part) for part in path(index, leaves)]}
        for index, record in enumerate(STATED)
        if index in (0, 3)
    ]
    bundle = {"format": "kata-audit proof 1", "origin": ORIGIN, "vkey": vkey, "checkpoint": note, "entries": [proof]}
    return json.dumps(bundle | {"records": records}, sort_keys=True, indent=1) + "\n"


def main() -> None:
    leaves = [leaf(index, record) for index, record in enumerate(STATED)]
    long_leaves = [leaf(number, long_record(number)) for number in range(LONG)]
    vkey, entries, entry_leaves, note = make_log(root(leaves))
    vectors = {
        "salt_key": SALT_KEY.hex(),
        "seed": SEED.hex(),
        "J_records": [
            record
            | {"raw": record["raw"].hex(), "salt": salt(index).hex(), "canon": canon(record).hex(), "leaf": hashed.hex()}
            for index, (record, hashed) in enumerate(zip(STATED, leaves, strict=True))
        ],
        "K_batch": {
            "root": root(leaves).hex(),
            "proofs": [[part.hex() for part in path(index, leaves)] for index in range(len(leaves))],
            "long_records": LONG,
            "long_root": root(long_leaves).hex(),
            "long_blocks": [root(long_leaves[start : start + 256]).hex() for start in range(0, LONG, 256)],
            "long_proof_511": [part.hex() for part in path(511, long_leaves)],
        },
        "L_log": {"vkey": vkey, "entries": entries, "leaves": [hashed.hex() for hashed in entry_leaves], "checkpoint": note},
        "M_bundle": make_bundle(vkey, entries, entry_leaves, note, leaves),
    }
    sys.stdout.write(json.dumps(vectors, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
