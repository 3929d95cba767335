"""What must hold of a store after anything: told from the files, with hashing of its own."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from kata_audit.clock import ManualClock
from kata_audit.store.durable import Disk
from kata_audit.store.layout import Layout
from kata_audit.store.log import read_entries
from kata_audit.store.writer import open_writer

WIDTH = 32
"""Bytes of every text in the fault tests, so that an offset in the source names a text."""


class Found(NamedTuple):
    """Everything a store holds."""

    sealed: dict[int, bytes]
    waiting: dict[int, bytes]
    lost: set[int]


def text(number: int) -> bytes:
    return b"text %026d\n" % number


def examine(root: Path, disk: Disk | None = None) -> Found:
    """Open a store after an accident, check L3 and L4 as far as the files tell, and return what it holds."""
    with open_writer(root, clock=ManualClock(), create=False, disk=disk) as writer:
        entries = [json.loads(entry) for entry in read_entries(Layout(root), 0, _size(writer.checkpoint))]
        sealed, lost = _sealed(root, entries)
        found = writer.unsealed(max_rows=1 << 20, max_bytes=1 << 30)
        waiting = {}
        if found is not None:
            cut, rows = found
            waiting = dict(zip(rows["seq"].to_pylist(), rows["raw"].to_pylist(), strict=True))
            lost |= set(range(cut.first, cut.end)) - set(waiting)
        # L3: sealed, waiting and lost tile the numbers; nothing is in two of them.
        assert set(sealed) | set(waiting) | lost == set(range(writer.next_seq))
        assert len(sealed) + len(waiting) + len(lost) == writer.next_seq
        assert set(sealed) == set(range(writer.sealed_to)) - lost
    left = {path.name for path in root.rglob("*.tmp")}
    assert left == set()
    return Found(sealed, waiting, lost)


def _size(checkpoint: bytes) -> int:
    return int(checkpoint.split(b"\n")[1])


def _sealed(root: Path, entries: list[dict[str, Any]]) -> tuple[dict[int, bytes], set[int]]:
    assert [entry["t"] for entry in entries] == ["genesis"] + ["cut"] * (len(entries) - 1)
    sealed: dict[int, bytes] = {}
    lost: set[int] = set()
    named = set()
    end = batches = 0
    for entry in entries[1:]:
        assert entry["from"] == end
        end = entry["to"]
        for batch in entry["batches"]:
            assert batch["n"] == batches
            batches += 1
            path = Layout(root).segment(batch["file"]["name"])
            named.add(path)
            assert hashlib.sha256(path.read_bytes()).hexdigest() == batch["file"]["sha256"]
            rows = _rows(path)
            assert _root(_leaves(path, rows)).hex() == batch["root"]
            sealed.update({row["seq"]: row["raw"] for row in rows})
        for gap in entry["gaps"]:
            lost |= set(range(gap["from"], gap["to"]))
    assert set(Layout(root).segments.rglob("*.parquet")) == named
    return sealed, lost


def _rows(path: Path) -> list[dict[str, Any]]:
    table = pq.read_table(path, columns=["seq", "observed_timestamp", "node", "receiver", "cursor", "raw", "index"])
    at = table.schema.get_field_index("observed_timestamp")
    rows: list[dict[str, Any]] = table.set_column(at, "observed", table["observed_timestamp"].cast("int64")).to_pylist()
    return sorted(rows, key=lambda row: row["index"])


def _leaves(path: Path, rows: list[dict[str, Any]]) -> list[bytes]:
    """Leaves as docs/reference/on-disk-format.md spells them, written without the store's code."""
    (batch,) = json.loads(pq.read_metadata(path).metadata[b"kata-audit.segment"])["batches"]
    stream = Cipher(algorithms.AES(bytes.fromhex(batch["salt_key"])), modes.CTR(bytes(16))).encryptor()
    leaves = []
    for row in rows:
        data = b"\0KAR1" + stream.update(bytes(16))
        data += row["seq"].to_bytes(8, "big") + row["observed"].to_bytes(8, "big", signed=True)
        for part in (row["node"].encode(), row["receiver"].encode(), row["cursor"].encode(), row["raw"]):
            data += len(part).to_bytes(4, "big") + part
        leaves.append(hashlib.sha256(data).digest())
    return leaves


def _root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + _root(leaves[:half]) + _root(leaves[half:])).digest()
