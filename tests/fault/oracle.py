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
    """Read what the log says is sealed, and hold every live file against it."""
    files: dict[str, tuple[str, list[int]]] = {}
    roots: list[str] = []
    lost: set[int] = set()
    end = 0
    for number, entry in enumerate(entries):
        assert (entry["t"] == "genesis") == (number == 0)
        if entry["t"] == "cut":
            assert entry["from"] == end
            end = entry["to"]
            for batch in entry["batches"]:
                assert batch["n"] == len(roots)
                roots.append(batch["root"])
                files[batch["file"]["name"]] = (batch["file"]["sha256"], [batch["n"]])
            for gap in entry["gaps"]:
                lost |= set(range(gap["from"], gap["to"]))
        elif entry["t"] == "compact":
            for name in entry["inputs"]:
                del files[name]
            files |= {file["name"]: (file["sha256"], file["batches"]) for file in entry["outputs"]}
    assert set(Layout(root).segments.rglob("*.parquet")) == {Layout(root).segment(name) for name in files}
    assert sorted(n for _, numbers in files.values() for n in numbers) == list(range(len(roots)))
    sealed: dict[int, bytes] = {}
    for name, (digest, numbers) in files.items():
        sealed |= _read_segment(Layout(root).segment(name), digest, {n: roots[n] for n in numbers})
    return sealed, lost


def _read_segment(path: Path, digest: str, roots: dict[int, str]) -> dict[int, bytes]:
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    table = pq.read_table(path, columns=["seq", "observed_timestamp", "node", "receiver", "cursor", "raw", "batch", "index"])
    at = table.schema.get_field_index("observed_timestamp")
    rows: list[dict[str, Any]] = table.set_column(at, "observed", table["observed_timestamp"].cast("int64")).to_pylist()
    heads = json.loads(pq.read_metadata(path).metadata[b"kata-audit.segment"])["batches"]
    assert [head["n"] for head in heads] == sorted(roots)
    for head in heads:
        batch = sorted((row for row in rows if row["batch"] == head["n"]), key=lambda row: int(row["index"]))
        assert [row["index"] for row in batch] == list(range(head["records"]))
        assert _root(_leaves(batch, bytes.fromhex(head["salt_key"]))).hex() == head["root"] == roots[head["n"]]
    return {row["seq"]: row["raw"] for row in rows}


def _leaves(rows: list[dict[str, Any]], salt_key: bytes) -> list[bytes]:
    """Leaves as docs/reference/on-disk-format.md spells them, written without the store's code."""
    stream = Cipher(algorithms.AES(salt_key), modes.CTR(bytes(16))).encryptor()
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
