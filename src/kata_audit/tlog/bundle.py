"""The proof bundle: records with all that a stranger needs to find them in the log, in one file with one spelling.

The spelling is JSON in ASCII, keys sorted, indented by one, with a line end: the same content always has the same bytes,
so a verifier can hold every byte to account, and the file is safe to look at. `verify_bundle.py` reads it and imports
nothing of ours, this file included. A bundle holds one salt for each of its records and never the key of a batch's salts.

Sources: `docs/reference/on-disk-format.md` (leaf, entry, checkpoint); `docs/reference/proof-bundle.md` (this format).
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kata_audit.errors import BundleError, KataAuditError
from kata_audit.tlog.checkpoint import format_checkpoint, open_checkpoint
from kata_audit.tlog.leaf import SALT_BYTES
from kata_audit.tlog.merkle import HASH_BYTES
from kata_audit.tlog.note import Verifier, parse_verifier

FORMAT = "kata-audit proof 1"


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """One log entry and its way to the checkpoint's root.

    Args:
        index: The entry's index in the log.
        data: Its canonical bytes.
        path: Its inclusion proof, 32 bytes each, from leaf to root.
    """

    index: int
    data: bytes
    path: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class ProvenRecord:
    """One record and its way to its batch's root.

    Args:
        seq: The record's number.
        observed_unix_nano: When it was received, in nanoseconds since 1970.
        node: As in the record's evidence, as are `receiver`, `cursor` and `raw`.
        salt: The 16 bytes of this record's salt.
        batch: Number of its batch.
        index: Its leaf's index in the batch.
        path: Its inclusion proof in the batch, 32 bytes each, from leaf to root.
    """

    seq: int
    observed_unix_nano: int
    node: str
    receiver: str
    cursor: str
    raw: bytes
    salt: bytes
    batch: int
    index: int
    path: Sequence[bytes]


def encode_bundle(*, vkey: str, checkpoint: bytes, entries: Sequence[ProvenEntry], records: Sequence[ProvenRecord]) -> bytes:
    """Spell a bundle.

    Args:
        vkey: The log's verifying key; its name is the log's.
        checkpoint: The signed note. Signatures of others are left out: no key of theirs is at hand to check them.
        entries: The cut entry of each record, in any order; each once.
        records: At least one, in any order; each once.

    Returns:
        The bundle: ASCII, the same for the same content.

    Raises:
        BundleError: The parts do not make a bundle, or the checkpoint is not signed by the log's key.
    """
    if not records or not entries:
        raise BundleError("a bundle holds at least one record and its log entry")
    try:
        verifier = parse_verifier(vkey)
        note = _own_signature_only(checkpoint, verifier)
        bundle = {
            "checkpoint": note,
            "entries": [_spell_entry(entry) for entry in sorted(entries, key=lambda entry: entry.index)],
            "format": FORMAT,
            "origin": verifier.name,
            "records": [_spell_record(record) for record in sorted(records, key=lambda record: record.seq)],
            "vkey": vkey,
        }
    except BundleError:
        raise
    except (KataAuditError, ValueError) as error:
        raise BundleError(f"no bundle can be made: {error}") from error
    _check_once("a log entry", [entry.index for entry in entries])
    _check_once("a record", [record.seq for record in records])
    return (json.dumps(bundle, sort_keys=True, indent=1) + "\n").encode("ascii")


def _own_signature_only(note: bytes, verifier: Verifier) -> str:
    """Keep the checkpoint's three lines and the first good signature of the log's own key."""
    checkpoint = open_checkpoint(note, verifier)
    head, _, tail = note.decode().rpartition("\n\n")
    text = f"{head}\n"
    if text != format_checkpoint(checkpoint):
        raise BundleError("the checkpoint carries extension lines, which this format does not hold")
    own = next(line for line in tail.splitlines() if _signs(line, verifier))
    return f"{text}\n{own}\n"


def _signs(line: str, verifier: Verifier) -> bool:
    """Tell whether a signature line is of a key."""
    _, name, signature = line.split(" ")
    return name == verifier.name and base64.b64decode(signature)[: len(verifier.id)] == verifier.id


def _check_once(what: str, numbers: Sequence[int]) -> None:
    if len(set(numbers)) != len(numbers):
        raise BundleError(f"{what} stands in the bundle twice")


def _spell_path(path: Sequence[bytes]) -> list[str]:
    if any(len(part) != HASH_BYTES for part in path):
        raise BundleError(f"a path holds a hash that has not {HASH_BYTES} bytes")
    return [base64.b64encode(part).decode() for part in path]


def _spell_entry(entry: ProvenEntry) -> dict[str, Any]:
    return {"index": entry.index, "data": entry.data.decode(), "path": _spell_path(entry.path)}


def _spell_record(record: ProvenRecord) -> dict[str, Any]:
    if len(record.salt) != SALT_BYTES:
        raise BundleError(f"a record's salt has {SALT_BYTES} bytes, not {len(record.salt)}")
    spelled = {"raw": base64.b64encode(record.raw).decode(), "salt": base64.b64encode(record.salt).decode()}
    return {**asdict(record), **spelled, "path": _spell_path(record.path)}
