"""The record's leaf: what a batch commits to, and the salts that hide it. `hash_leaves()` is one of the two hot loops.

A leaf is `SHA256(0x00 || "KAR1" || salt[16] || canon)`, version 1, for ever. `canon` is the record's evidence: `u64be(seq)
|| i64be(observed_unix_nano) ||` node, receiver, cursor and raw, each as `u32be(length) || bytes`.

Sources: `docs/reference/on-disk-format.md`; RFC 6962 section 2.1; NIST SP 800-38A (AES-CTR).
"""

import struct
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from kata_audit.tlog.merkle import HASH_BYTES, NODE_PREFIX, prove_inclusion

EvidenceRows: TypeAlias = pa.RecordBatch
"""Rows that have the leaf's columns; the log is a stranger to the vocabulary that defines them."""

VERSION = b"KAR1"
SALT_BYTES = 16
BLOCK_RECORDS = 256
"""A batch's roots are kept per block of so many records, so that damage is found without a leaf of each."""
_PREFIX = b"\x00" + VERSION
_SLICE = 2048
_HEAD = struct.Struct(">Qq")
_LENGTH = struct.Struct(">I")


def canonical(evidence: EvidenceRows) -> list[bytes]:
    """Spell the evidence of each row as the leaf commits to it.

    Args:
        evidence: The leaf's columns, none null.

    Returns:
        `canon` of each row, in order.
    """
    return [head + raw for head, raw in zip(_heads(evidence), evidence.column("raw").to_pylist(), strict=True)]


def _heads(evidence: EvidenceRows) -> list[bytes]:
    """Spell all of `canon` that stands before the bytes of `raw`."""
    rows = zip(
        evidence.column("seq").to_pylist(),
        evidence.column("observed_timestamp").cast(pa.int64()).to_pylist(),
        _prefixed(evidence.column("node")),
        _prefixed(evidence.column("receiver")),
        evidence.column("cursor").cast(pa.binary()).to_pylist(),
        pc.binary_length(evidence.column("raw")).to_pylist(),
        strict=True,
    )
    pack, length = _HEAD.pack, _LENGTH.pack
    return [
        b"".join((pack(seq, observed), node, receiver, length(len(cursor)), cursor, length(size)))
        for seq, observed, node, receiver, cursor, size in rows
    ]


def _prefixed(column: Any) -> list[bytes]:
    """Spell a column of few different texts with their lengths, each once."""
    coded = column.dictionary_encode()
    texts = [text.encode() for text in coded.dictionary.to_pylist()]
    spelled = [_LENGTH.pack(len(text)) + text for text in texts]
    return spelled * len(column) if len(spelled) == 1 else [spelled[code] for code in coded.indices.to_pylist()]


def make_salts(salt_key: bytes, count: int) -> bytes:
    """Make the salts of a batch: `count` times 16 bytes of the AES-256-CTR keystream under its key.

    Args:
        salt_key: 32 random bytes of this batch alone.
        count: Records in the batch.
    """
    encryptor = Cipher(algorithms.AES256(salt_key), modes.CTR(bytes(SALT_BYTES))).encryptor()
    return encryptor.update(bytes(SALT_BYTES * count)) + encryptor.finalize()


def hash_leaves(evidence: EvidenceRows, salts: bytes) -> bytes:
    """Hash the leaf of each row.

    Args:
        evidence: The leaf's columns, none null.
        salts: 16 bytes per row, in order.

    Returns:
        32 bytes per row, in order.

    Raises:
        ValueError: There are more or fewer salts than rows.
    """
    if len(salts) != SALT_BYTES * len(evidence):
        raise ValueError(f"{len(evidence)} rows need as many salts of {SALT_BYTES} bytes, not {len(salts)} bytes")
    return b"".join(
        [
            _hash_slice(evidence.slice(start, _SLICE), salts[start * SALT_BYTES : (start + _SLICE) * SALT_BYTES])
            for start in range(0, len(evidence), _SLICE)
        ]
    )


def _hash_slice(evidence: EvidenceRows, salts: bytes) -> bytes:
    """Hash few rows, so that few rows' bytes are held twice."""
    rows = zip(range(0, len(salts), SALT_BYTES), _heads(evidence), _views(evidence.column("raw")), strict=True)
    join, prefix = b"".join, _PREFIX
    return join([sha256(join((prefix, salts[at : at + SALT_BYTES], head, raw))).digest() for at, head, raw in rows])


def _views(raws: Any) -> list[memoryview]:
    """Look at the bytes of each row where they stand."""
    _, offsets, values = raws.buffers()
    if not len(raws) or values is None:
        return [memoryview(b"")] * len(raws)
    edges = memoryview(offsets).cast("q")[raws.offset : raws.offset + len(raws) + 1].tolist()
    data = memoryview(values)
    return [data[start:end] for start, end in pairwise(edges)]


def _level(hashes: bytes) -> bytes:
    """Hash neighbours into parents; an odd last one goes up as it is, which is RFC 6962's tree."""
    pair = 2 * HASH_BYTES
    whole = len(hashes) // pair * pair
    parents = [sha256(NODE_PREFIX + hashes[at : at + pair]).digest() for at in range(0, whole, pair)]
    return b"".join([*parents, hashes[whole:]])


def batch_root(leaves: bytes) -> bytes:
    """Work out the root of a batch from its leaves, 32 bytes each, at least one.

    Raises:
        ValueError: There is no leaf, or a part of one.
    """
    if not leaves or len(leaves) % HASH_BYTES:
        raise ValueError(f"{len(leaves)} bytes are no leaves of {HASH_BYTES} bytes")
    while len(leaves) > HASH_BYTES:
        leaves = _level(leaves)
    return leaves


def block_roots(leaves: bytes) -> list[bytes]:
    """Work out the root of each block of 256 leaves; the last may hold fewer.

    256 is a power of two, so the batch's root is the root over these roots: see `fold_blocks()`.
    """
    step = BLOCK_RECORDS * HASH_BYTES
    return [batch_root(leaves[start : start + step]) for start in range(0, len(leaves), step)]


def fold_blocks(blocks: Sequence[bytes]) -> bytes:
    """Work out a batch's root from the roots of its blocks."""
    return batch_root(b"".join(blocks))


def batch_proof(leaves: bytes, index: int) -> list[bytes]:
    """Make the inclusion proof of record `index` in its batch, from leaf to root.

    Raises:
        InclusionError: There is no such record.
    """

    def read(start: int, end: int) -> bytes:
        return batch_root(leaves[start * HASH_BYTES : end * HASH_BYTES])

    return prove_inclusion(read, index, len(leaves) // HASH_BYTES)
