"""The record's leaf: what a batch commits to, and the salts that hide it. `hash_leaves()` is one of the two hot loops.

A leaf is `SHA256(0x00 || "KAR1" || salt[16] || canon)`, version 1, for ever. `canon` is the record's evidence: `u64be(seq)
|| i64be(observed_unix_nano) ||` node, receiver, cursor and raw, each as `u32be(length) || bytes`.

Sources: DESIGN section 4; RFC 6962 section 2.1; NIST SP 800-38A (AES-CTR).
"""

import struct
from collections.abc import Sequence
from hashlib import sha256
from typing import TypeAlias

import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from kata_audit.tlog.merkle import HASH_BYTES, hash_node, prove_inclusion

EvidenceRows: TypeAlias = pa.RecordBatch
"""Rows that have the leaf's columns; the log is a stranger to the vocabulary that defines them."""

VERSION = b"KAR1"
SALT_BYTES = 16
BLOCK_RECORDS = 256
"""A batch's roots are kept per block of so many records, so that damage is found without a leaf of each."""
_PREFIX = b"\x00" + VERSION
_HEAD = struct.Struct(">Qq")
_LENGTH = struct.Struct(">I")


def canonical(evidence: EvidenceRows) -> list[bytes]:
    """Spell the evidence of each row as the leaf commits to it.

    Args:
        evidence: The leaf's columns, none null.

    Returns:
        `canon` of each row, in order.
    """
    rows = zip(
        evidence.column("seq").to_pylist(),
        evidence.column("observed_timestamp").cast(pa.int64()).to_pylist(),
        _prefixed(evidence, "node"),
        _prefixed(evidence, "receiver"),
        _prefixed(evidence, "cursor"),
        evidence.column("raw").to_pylist(),
        strict=True,
    )
    head, length = _HEAD.pack, _LENGTH.pack
    return [
        b"".join((head(seq, observed), node, receiver, cursor, length(len(raw)), raw))
        for seq, observed, node, receiver, cursor, raw in rows
    ]


def _prefixed(evidence: EvidenceRows, name: str) -> list[bytes]:
    """Spell a column of texts with their lengths; the few texts that recur are spelled once."""
    spelled: dict[str, bytes] = {}
    out = []
    for text in evidence.column(name).to_pylist():
        found = spelled.get(text)
        if found is None:
            data = text.encode()
            found = _LENGTH.pack(len(data)) + data
            if len(spelled) < BLOCK_RECORDS:
                spelled[text] = found
        out.append(found)
    return out


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
    prefix = _PREFIX
    starts = range(0, len(salts), SALT_BYTES)
    return b"".join(
        [
            sha256(prefix + salts[start : start + SALT_BYTES] + canon).digest()
            for start, canon in zip(starts, canonical(evidence), strict=True)
        ]
    )


def _level(hashes: list[bytes]) -> list[bytes]:
    """Hash neighbours into parents; an odd last one goes up as it is, which is RFC 6962's tree."""
    parents = [hash_node(hashes[at], hashes[at + 1]) for at in range(0, len(hashes) - 1, 2)]
    return [*parents, hashes[-1]] if len(hashes) & 1 else parents


def batch_root(leaves: bytes) -> bytes:
    """Work out the root of a batch from its leaves, 32 bytes each, at least one.

    Raises:
        ValueError: There is no leaf, or a part of one.
    """
    if not leaves or len(leaves) % HASH_BYTES:
        raise ValueError(f"{len(leaves)} bytes are no leaves of {HASH_BYTES} bytes")
    hashes = [leaves[start : start + HASH_BYTES] for start in range(0, len(leaves), HASH_BYTES)]
    while len(hashes) > 1:
        hashes = _level(hashes)
    return hashes[0]


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
