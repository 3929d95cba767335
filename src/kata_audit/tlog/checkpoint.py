"""Checkpoints: how large a log is and what its root is, as a signed note.

Source: C2SP tlog-checkpoint 1.0.0.
"""

import base64
import re
from typing import NamedTuple

from kata_audit.errors import CheckpointError
from kata_audit.tlog.merkle import EMPTY_ROOT, HASH_BYTES
from kata_audit.tlog.note import Signer, Verifier, decode_base64, open_note, sign_note

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_MAX_SIZE = (1 << 63) - 1


class Checkpoint(NamedTuple):
    """A log's state: its name, how many entries it has, and their root hash."""

    origin: str
    size: int
    root: bytes


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """Spell a checkpoint's text: origin, size, root, a line each."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{base64.b64encode(checkpoint.root).decode()}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint's text; extension lines are allowed and ignored.

    Raises:
        CheckpointError: It is spelled in any other way.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] != "" or "" in lines[:-1]:
        raise CheckpointError("a checkpoint is an origin, a size and a root, a line each")
    origin, size, root = lines[:3]
    if not _SIZE.fullmatch(size) or int(size) > _MAX_SIZE:
        raise CheckpointError("a checkpoint's size is a decimal number without leading zeros, below 2^63")
    try:
        hashed = decode_base64(root)
    except ValueError as error:
        raise CheckpointError("a checkpoint's root is not base64") from error
    if len(hashed) != HASH_BYTES:
        raise CheckpointError(f"a checkpoint's root has {HASH_BYTES} bytes, not {len(hashed)}")
    if size == "0" and hashed != EMPTY_ROOT:
        raise CheckpointError("a checkpoint of no entries has the root of the empty tree")
    return Checkpoint(origin, int(size), hashed)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """Sign a checkpoint; the log's key carries the log's name.

    Raises:
        CheckpointError: The key's name is not the log's.
    """
    if signer.name != checkpoint.origin:
        raise CheckpointError(f"the key of {signer.name} does not sign checkpoints of another log")
    return sign_note(format_checkpoint(checkpoint), [signer])


def open_checkpoint(note: bytes, verifier: Verifier) -> Checkpoint:
    """Verify a checkpoint note against its log's key.

    Raises:
        CheckpointError: It is malformed, badly signed, or another log's.
    """
    checkpoint = parse_checkpoint(open_note(note, [verifier]))
    if checkpoint.origin != verifier.name:
        raise CheckpointError("the checkpoint is of another log than its key")
    return checkpoint
