"""The keys of a store, in a folder beside it that only its owner may read.

`log.key` signs checkpoints and carries the log's name; `fingerprint.key` makes the fingerprints of masked secrets. Both
are made with the store. A key whose log is gone never signs another one: two logs of one name would contradict each other.
"""

import secrets
from pathlib import Path
from typing import NamedTuple

from kata_audit.errors import StoreError
from kata_audit.store.durable import Disk, make_directories, sync_names, write_file
from kata_audit.store.layout import Layout
from kata_audit.tlog.note import Signer, generate_signer, parse_signer

LOG_KEY, FINGERPRINT_KEY = "log.key", "fingerprint.key"
FINGERPRINT_BYTES = 32


class Keys(NamedTuple):
    """The keys of one store.

    Args:
        origin: The log's name; the signing key carries it.
        signer: Signs checkpoints.
        vkey: The verifying key, for everyone.
        fingerprint_key: 32 bytes, for `parse.mask`.
    """

    origin: str
    signer: Signer
    vkey: str
    fingerprint_key: bytes


def load_or_create(disk: Disk, layout: Layout, new_origin: str) -> Keys:
    """Load a store's keys; make them where the store has no log yet.

    Args:
        disk: What all writing goes through.
        layout: The store.
        new_origin: Name of the log, if it is new.

    Raises:
        StoreError: A key is missing or broken beside a log that exists.
        OSError: As the disk says.
    """
    folder = layout.keys
    path = folder / LOG_KEY
    has_log = layout.checkpoint.exists() or any(layout.log.glob("tile/entries/*"))
    if has_log and not path.exists():
        raise StoreError(
            "The store's signing key is missing.",
            where=str(path),
            hint="Put the folder of keys back, or name it in KATA_AUDIT_KEYS; reading and verifying need no key.",
        )
    make_directories(disk, folder, 0o700)
    if not has_log and path.exists():
        _retire(disk, path)
    if not path.exists():
        _write_secret(disk, path, generate_signer(new_origin, secrets.token_bytes(32)).spell())
    signer = _load_signer(path)
    return Keys(signer.name, signer, signer.vkey, _fingerprint_key(disk, folder / FINGERPRINT_KEY))


def _retire(disk: Disk, path: Path) -> None:
    """Put a key away whose log is not here: it may have signed checkpoints that others hold."""
    disk.rename(path, path.with_name(f"{LOG_KEY}.{secrets.token_hex(4)}.retired"))
    sync_names(disk, path.parent)


def _write_secret(disk: Disk, path: Path, line: str) -> None:
    write_file(disk, path, f"{line}\n".encode())


def _load_signer(path: Path) -> Signer:
    try:
        return parse_signer(path.read_text().strip())
    except ValueError as error:
        raise StoreError("The store's signing key is broken.", where=str(path), hint="Put a copy of it back.") from error


def _fingerprint_key(disk: Disk, path: Path) -> bytes:
    if not path.exists():
        _write_secret(disk, path, secrets.token_hex(FINGERPRINT_BYTES))
    try:
        key = bytes.fromhex(path.read_text().strip())
    except ValueError:
        key = b""
    if len(key) != FINGERPRINT_BYTES:
        raise StoreError("The store's fingerprint key is broken.", where=str(path), hint="Put a copy of it back.")
    return key
