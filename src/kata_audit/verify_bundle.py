"""Verify a proof bundle without us: `python verify_bundle.py BUNDLE [--vkey VKEY] [--json]`.

This file stands alone. It needs Python 3.11, the package `cryptography`, and nothing else of kata-audit, so that a
stranger can read it in one sitting and run it. A bundle shows that records were in a log when its owner signed a
checkpoint. It does not show that a record says the truth, nor that the log's owner is who the name says: for that,
compare the key by another way than the one by which the bundle came.

The bundle has one spelling for one content, so every byte of it is checked. Text of records is hostile: it is never
printed as it is.

Sources: RFC 6962 section 2.1 (hashes), RFC 9162 section 2.1.3.2 (inclusion), C2SP signed-note and tlog-checkpoint 1.0.0.
"""

import argparse
import base64
import json
import re
import struct
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "kata-audit proof 1"
MAX_BUNDLE_BYTES = 64 << 20
EXIT_VERIFIED, EXIT_USAGE, EXIT_NOT_VERIFIED, EXIT_UNREADABLE = 0, 2, 3, 4

_HASH_BYTES, _SALT_BYTES, _ID_BYTES, _ED25519 = 32, 16, 4, 0x01
_MAX_ENTRY_BYTES = 65_535
_U32, _U63, _U64 = (1 << 32) - 1, (1 << 63) - 1, (1 << 64) - 1
_SHOWN_BYTES = 400
_VKEY = re.compile(r"([^\s+\x00-\x1f]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")
_NOTE = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([^\n]+)\n\n\u2014 ([^ \n]+) ([^ \n]+)\n")
_HEX_HASH = re.compile(r"[0-9a-f]{64}")

_BUNDLE = {"checkpoint": str, "entries": list, "format": str, "origin": str, "records": list, "vkey": str}
_ENTRY = {"data": str, "index": int, "path": list}
_RECORD = {
    "batch": int,
    "cursor": str,
    "index": int,
    "node": str,
    "observed_unix_nano": int,
    "path": list,
    "raw": str,
    "receiver": str,
    "salt": str,
    "seq": int,
}
_CUT = {"batches": list, "derive": str, "from": int, "gaps": list, "t": str, "time": int, "to": int, "v": int}
_BATCH = {"file": dict, "n": int, "records": int, "root": str, "stream": str}


class BundleNotVerifiedError(Exception):
    """The bundle does not verify.

    Args:
        step: Number of the step that failed.
        message: What was found; never text of a record.
    """

    def __init__(self, step: int, message: str) -> None:
        super().__init__(message)
        self.step = step
        self.message = message

    def __str__(self) -> str:
        return f"step {self.step}, {STEPS[self.step]}: {self.message}"


class VkeyError(ValueError):
    """The verifying key that was given is spelled wrongly."""


class Step(NamedTuple):
    """One step that passed, and what it found."""

    number: int
    title: str
    found: str


class Record(NamedTuple):
    """One record that was shown to be in the log. All its text may be hostile."""

    seq: int
    observed_unix_nano: int
    node: str
    receiver: str
    cursor: str
    raw: bytes


class Verdict(NamedTuple):
    """What a bundle that verifies shows.

    Args:
        origin: The log's name; `<origin>/<seq>` names a record.
        size: Entries in the log at its checkpoint.
        vkey: The key that the checkpoint is signed with.
        is_key_given: Whether the caller named that key; if not, the bundle only agrees with itself.
        steps: Every step, in order.
        records: The records, in order of `seq`.
    """

    origin: str
    size: int
    vkey: str
    is_key_given: bool
    steps: tuple[Step, ...]
    records: tuple[Record, ...]


class _Checkpoint(NamedTuple):
    size: int
    root: bytes


class _Commitment(NamedTuple):
    """A batch as its log entry commits to it."""

    entry: int
    first: int
    end: int
    records: int
    root: bytes


STEPS = {
    1: "the bundle has its one form",
    2: "the checkpoint is signed by the log's key",
    3: "each log entry is under the checkpoint's root",
    4: "each entry is a cut that commits to the records' batches",
    5: "each record's leaf follows from its salt and its evidence",
    6: "each record's leaf is under its batch's root",
}
"""What is checked, in this order."""


def verify(data: bytes, vkey: str | None = None) -> Verdict:
    """Verify a bundle, step by step.

    Args:
        data: The whole bundle.
        vkey: The log's verifying key, from another way than the bundle's; without it the bundle's own is taken.

    Returns:
        The verdict, with the steps and the records.

    Raises:
        BundleNotVerifiedError: A step failed.
        VkeyError: `vkey` is spelled wrongly.
    """
    if vkey is not None and _read_vkey(vkey) is None:
        raise VkeyError("a verifying key is spelled <name>+<8 hex digits>+<base64>, and its id follows from name and key")
    bundle = _check_form(data)
    checkpoint = _check_checkpoint(bundle, vkey)
    _check_entries(bundle["entries"], checkpoint)
    commitments = _check_cuts(bundle["entries"], bundle["records"])
    leaves = [_leaf(record) for record in bundle["records"]]
    for record, leaf in zip(bundle["records"], leaves, strict=True):
        _check_record(record, leaf, commitments[record["batch"]])
    entries, records = bundle["entries"], bundle["records"]
    found = (
        f"{len(data)} bytes, {len(entries)} log entries, {len(records)} records",
        f"{bundle['origin']}, {checkpoint.size} entries, root {checkpoint.root.hex()}",
        ", ".join(f"entry {entry['index']}" for entry in entries),
        ", ".join(f"batch {n} of {made.records} records in entry {made.entry}" for n, made in commitments.items()),
        ", ".join(f"record {record['seq']} {leaf.hex()}" for record, leaf in zip(records, leaves, strict=True)),
        ", ".join(f"record {record['seq']} is {record['index']} of batch {record['batch']}" for record in records),
    )
    steps = tuple(Step(number, STEPS[number], text) for number, text in enumerate(found, 1))
    shown = tuple(_record(record) for record in records)
    return Verdict(bundle["origin"], checkpoint.size, bundle["vkey"], vkey is not None, steps, shown)


# Step 1: the form. One content has one spelling: no byte of the file is left unchecked.


def _check_form(data: bytes) -> Any:
    if len(data) > MAX_BUNDLE_BYTES:
        raise BundleNotVerifiedError(1, f"a bundle has at most {MAX_BUNDLE_BYTES} bytes")
    try:
        bundle = json.loads(data.decode("ascii"))
        spelled = json.dumps(bundle, sort_keys=True, indent=1, allow_nan=False) + "\n"
    except (ValueError, RecursionError) as error:
        raise BundleNotVerifiedError(1, "it is no JSON in ASCII") from error
    if spelled.encode() != data:
        raise BundleNotVerifiedError(
            1, "it is not in the canonical spelling of JSON: sorted keys, each once, indented by one"
        )
    _shape(1, "the bundle", bundle, _BUNDLE)
    if bundle["format"] != FORMAT:
        raise BundleNotVerifiedError(1, f"its format is not {FORMAT!r}")
    if not bundle["records"] or not bundle["entries"]:
        raise BundleNotVerifiedError(1, "it holds no record or no log entry")
    for entry in bundle["entries"]:
        _shape(1, "a log entry", entry, _ENTRY)
        _bounds(1, entry, {"index": (0, _U63)})
        _path(1, entry)
    for record in bundle["records"]:
        _shape(1, "a record", record, _RECORD)
        bounds = {"batch": (0, _U63), "index": (0, _U32), "seq": (0, _U64), "observed_unix_nano": (-_U63 - 1, _U63)}
        _bounds(1, record, bounds)
        _path(1, record)
        _decode(1, "a record's evidence", record["raw"])
        if len(_decode(1, "a record's salt", record["salt"])) != _SALT_BYTES:
            raise BundleNotVerifiedError(1, f"a record's salt has not {_SALT_BYTES} bytes")
    _ascending(1, "log entries", [entry["index"] for entry in bundle["entries"]])
    _ascending(1, "records", [record["seq"] for record in bundle["records"]])
    return bundle


def _shape(step: int, what: str, value: Any, fields: Mapping[str, type]) -> None:
    """Hold an object against its fields: all of them, no others, each of exactly its type."""
    if type(value) is not dict or value.keys() != fields.keys():
        raise BundleNotVerifiedError(step, f"{what} has other fields than {', '.join(fields)}")
    for name, kind in fields.items():
        if type(value[name]) is not kind:
            raise BundleNotVerifiedError(step, f"the field {name} of {what} has another type than {kind.__name__}")


def _bounds(step: int, value: Mapping[str, Any], bounds: Mapping[str, tuple[int, int]]) -> None:
    for name, (low, high) in bounds.items():
        if not low <= value[name] <= high:
            raise BundleNotVerifiedError(step, f"a number in the field {name} is out of range")


def _ascending(step: int, what: str, numbers: Sequence[int]) -> None:
    if any(after <= before for before, after in pairwise(numbers)):
        raise BundleNotVerifiedError(step, f"the {what} are repeated or out of order")


def _decode(step: int, what: str, text: str) -> bytes:
    """Decode base64 in its one spelling: padded, standard alphabet, no stray bits."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise BundleNotVerifiedError(step, f"{what} is not base64") from error
    if base64.b64encode(data).decode() != text:
        raise BundleNotVerifiedError(step, f"{what} is not canonical base64")
    return data


def _path(step: int, holder: Mapping[str, Any]) -> list[bytes]:
    if not all(type(part) is str for part in holder["path"]):
        raise BundleNotVerifiedError(step, "a path holds what is no text")
    hashes = [_decode(step, "a hash of a path", part) for part in holder["path"]]
    if any(len(part) != _HASH_BYTES for part in hashes):
        raise BundleNotVerifiedError(step, f"a hash of a path has not {_HASH_BYTES} bytes")
    return hashes


# Step 2: the checkpoint. A note of three lines, an empty line and the one signature of the log's key.


def _read_vkey(vkey: str) -> tuple[str, bytes, bytes] | None:
    """Read a verifying key: name, id and the 32 bytes of an Ed25519 key; None where it is spelled wrongly."""
    match = _VKEY.fullmatch(vkey)
    if match is None:
        return None
    name, identity, spelled = match.groups()
    try:
        key = base64.b64decode(spelled, validate=True)
        named = name.encode()
    except ValueError:
        return None
    if base64.b64encode(key).decode() != spelled or len(key) != _HASH_BYTES + 1 or key[0] != _ED25519:
        return None
    expected = sha256(named + b"\n" + key).digest()[:_ID_BYTES]
    return (name, expected, key[1:]) if expected.hex() == identity else None


def _check_checkpoint(bundle: Mapping[str, Any], vkey: str | None) -> _Checkpoint:
    key = _read_vkey(bundle["vkey"])
    if key is None:
        raise BundleNotVerifiedError(2, "the bundle's verifying key is spelled wrongly")
    if vkey is not None and vkey != bundle["vkey"]:
        raise BundleNotVerifiedError(2, "the bundle is of another log than the key that was given")
    note = _NOTE.fullmatch(bundle["checkpoint"])
    if note is None:
        raise BundleNotVerifiedError(2, "the checkpoint is no origin, size and root under one signature")
    origin, size, spelled_root, signer, spelled_signature = note.groups()
    name, identity, public = key
    if not origin == signer == name == bundle["origin"]:
        raise BundleNotVerifiedError(2, "the bundle, its checkpoint, the signature and the key name different logs")
    root = _decode(2, "the checkpoint's root", spelled_root)
    signature = _decode(2, "the checkpoint's signature", spelled_signature)
    if len(root) != _HASH_BYTES or int(size) > _U63 or signature[:_ID_BYTES] != identity:
        raise BundleNotVerifiedError(2, "the checkpoint's root, size or key id is wrong")
    text = bundle["checkpoint"].rpartition("\n\n")[0] + "\n"
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature[_ID_BYTES:], text.encode())
    except (InvalidSignature, ValueError) as error:
        raise BundleNotVerifiedError(2, "the checkpoint's signature is not the log's") from error
    return _Checkpoint(int(size), root)


# Step 3: each log entry hashes up to the checkpoint's root.


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _climb(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Hash from a leaf to the root of a tree of `size` leaves; None where the path cannot be of that leaf."""
    if index >= size:
        return None
    node, last, hashed = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            hashed = _node(sibling, hashed)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            hashed = _node(hashed, sibling)
        node >>= 1
        last >>= 1
    return hashed if last == 0 else None


def _check_entries(entries: Sequence[Any], checkpoint: _Checkpoint) -> None:
    for entry in entries:
        leaf = sha256(b"\x00" + _entry_bytes(3, entry)).digest()
        if _climb(leaf, entry["index"], checkpoint.size, _path(3, entry)) != checkpoint.root:
            raise BundleNotVerifiedError(3, f"entry {entry['index']} does not lead to the checkpoint's root")


def _entry_bytes(step: int, entry: Mapping[str, Any]) -> bytes:
    try:
        data: bytes = entry["data"].encode()
    except UnicodeEncodeError as error:
        raise BundleNotVerifiedError(step, f"entry {entry['index']} is no text") from error
    if len(data) > _MAX_ENTRY_BYTES:
        raise BundleNotVerifiedError(step, f"entry {entry['index']} has more than {_MAX_ENTRY_BYTES} bytes")
    return data


# Step 4: each entry is a cut, and each record's batch stands in exactly one of them.


def _check_cuts(entries: Sequence[Any], records: Sequence[Any]) -> dict[int, _Commitment]:
    wanted = {record["batch"] for record in records}
    commitments: dict[int, _Commitment] = {}
    for entry in entries:
        found = _read_cut(entry)
        if commitments.keys() & found.keys():
            raise BundleNotVerifiedError(4, f"entry {entry['index']} names a batch of an earlier entry again")
        if not wanted & found.keys():
            raise BundleNotVerifiedError(4, f"entry {entry['index']} commits to no record of this bundle")
        commitments |= found
    for record in records:
        made = commitments.get(record["batch"])
        if made is None:
            raise BundleNotVerifiedError(4, f"no entry names the batch of record {record['seq']}")
        _check_place(record, made)
    _ascending(4, "records in their batches", _places(records))
    return {n: made for n, made in sorted(commitments.items()) if n in wanted}


def _read_cut(entry: Mapping[str, Any]) -> dict[int, _Commitment]:
    """Read a cut entry in its canonical spelling: the batches that it commits to, by number."""
    what = f"entry {entry['index']}"
    try:
        cut = json.loads(entry["data"], parse_float=_refuse_float)
        spelled = json.dumps(cut, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise BundleNotVerifiedError(4, f"{what} is no JSON") from error
    if spelled != entry["data"]:
        raise BundleNotVerifiedError(4, f"{what} is not in the canonical spelling of JSON")
    _shape(4, what, cut, _CUT)
    if cut["t"] != "cut" or cut["v"] != 1:
        raise BundleNotVerifiedError(4, f"{what} is no cut of version 1")
    _bounds(4, cut, {"from": (0, _U64), "to": (cut["from"] + 1, _U64)})
    commitments: dict[int, _Commitment] = {}
    for batch in cut["batches"]:
        _shape(4, f"a batch of {what}", batch, _BATCH)
        _bounds(4, batch, {"n": (0, _U63), "records": (1, min(cut["to"] - cut["from"], _U32 + 1))})
        if batch["n"] in commitments or not _HEX_HASH.fullmatch(batch["root"]):
            raise BundleNotVerifiedError(4, f"a batch of {what} is named twice or has no root")
        root = bytes.fromhex(batch["root"])
        commitments[batch["n"]] = _Commitment(entry["index"], cut["from"], cut["to"], batch["records"], root)
    return commitments


def _refuse_float(_text: str) -> None:
    raise ValueError("a log entry holds no floats")


def _check_place(record: Mapping[str, Any], made: _Commitment) -> None:
    """A batch is in order of `seq`, so a record's index leaves room for those before and behind it."""
    before, behind = record["seq"] - made.first, made.end - 1 - record["seq"]
    if not 0 <= record["index"] < made.records:
        raise BundleNotVerifiedError(4, f"record {record['seq']} is beyond its batch")
    if before < record["index"] or behind < made.records - 1 - record["index"]:
        raise BundleNotVerifiedError(4, f"record {record['seq']} is not in the range of its cut")


def _places(records: Sequence[Mapping[str, Any]]) -> list[int]:
    """List the places of records as one number each, so that they ascend when `seq` and index agree in every batch."""
    ordered = sorted(records, key=lambda record: (record["batch"], record["seq"]))
    return [(record["batch"] << 32) + record["index"] for record in ordered]


# Steps 5 and 6: the record's leaf, and its way to the batch's root.


def _leaf(record: Mapping[str, Any]) -> bytes:
    """Hash a record: `SHA256(0x00 || "KAR1" || salt || seq || observed || node || receiver || cursor || raw)`."""
    try:
        texts = [record[name].encode() for name in ("node", "receiver", "cursor")]
    except UnicodeEncodeError as error:
        raise BundleNotVerifiedError(5, f"a text of record {record['seq']} is not UTF-8") from error
    head = struct.pack(">Qq", record["seq"], record["observed_unix_nano"])
    parts = [*texts, _decode(5, "a record's evidence", record["raw"])]
    canon = head + b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return sha256(b"\x00KAR1" + _decode(5, "a record's salt", record["salt"]) + canon).digest()


def _check_record(record: Mapping[str, Any], leaf: bytes, made: _Commitment) -> None:
    if _climb(leaf, record["index"], made.records, _path(6, record)) != made.root:
        raise BundleNotVerifiedError(6, f"record {record['seq']} does not lead to the root of its batch")


def _record(record: Mapping[str, Any]) -> Record:
    raw = base64.b64decode(record["raw"])
    texts = (record["node"], record["receiver"], record["cursor"])
    return Record(record["seq"], record["observed_unix_nano"], *texts, raw)


# What a person sees.


def show(data: bytes) -> str:
    """Spell bytes so that a terminal can do nothing with them: printable ASCII, all else in hex."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F and byte != 0x5C else f"\\x{byte:02x}" for byte in data)


def _print_verdict(verdict: Verdict) -> None:
    for step in verdict.steps:
        found = step.found if len(step.found) <= _SHOWN_BYTES else step.found[:_SHOWN_BYTES] + " ..."
        print(f"{step.number}  ok  {step.title}\n       {show(found.encode())}")
    for record in verdict.records:
        print(f"\nrecord    {show(verdict.origin.encode())}/{record.seq}")
        print(f"observed  {record.observed_unix_nano} ns since 1970, by the collector's clock")
        for name, text in (("node", record.node), ("receiver", record.receiver), ("cursor", record.cursor)):
            print(f"{name:<9} {show(text.encode())}")
        more = f" ... ({len(record.raw)} bytes)" if len(record.raw) > _SHOWN_BYTES else ""
        print(f"raw       {show(record.raw[:_SHOWN_BYTES])}{more}")
    print(f"\nVERIFIED under the key {show(verdict.vkey.encode())}")
    if not verdict.is_key_given:
        print("The key was taken from the bundle itself. This proves nothing until you compare it with the log's key")
        print("that you got by another way, or run this again with --vkey.")


def _json_verdict(verdict: Verdict) -> str:
    records = [record._asdict() | {"raw": base64.b64encode(record.raw).decode()} for record in verdict.records]
    steps = [step._asdict() for step in verdict.steps]
    value = verdict._asdict() | {"verified": True, "steps": steps, "records": records}
    return json.dumps(value, sort_keys=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify the bundle that the arguments name, and print the steps.

    Returns:
        0 verified, 2 usage, 3 does not verify, 4 the bundle cannot be read.
    """
    parser = argparse.ArgumentParser(prog="verify_bundle.py", description="Verify a proof bundle of kata-audit, offline.")
    parser.add_argument("bundle", help="the file, `-` for standard input")
    parser.add_argument("--vkey", help="the log's verifying key, from another way than the bundle's")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        data = _read(options.bundle)
    except OSError as error:
        print(f"The bundle cannot be read: {error.strerror}.", file=sys.stderr)
        return EXIT_UNREADABLE
    try:
        verdict = verify(data, options.vkey)
    except VkeyError as error:
        print(f"--vkey: {error}", file=sys.stderr)
        return EXIT_USAGE
    except BundleNotVerifiedError as error:
        if options.json:
            print(json.dumps({"verified": False, "step": error.step, "message": error.message}, sort_keys=True))
        print(f"DOES NOT VERIFY: {error}", file=sys.stderr)
        return EXIT_NOT_VERIFIED
    if options.json:
        print(_json_verdict(verdict))
    else:
        _print_verdict(verdict)
    return EXIT_VERIFIED


def _read(name: str) -> bytes:
    """Read a file, no further than one byte beyond the limit."""
    if name == "-":
        return sys.stdin.buffer.read(MAX_BUNDLE_BYTES + 1)
    with Path(name).open("rb") as file:
        return file.read(MAX_BUNDLE_BYTES + 1)


if __name__ == "__main__":
    sys.exit(main())
