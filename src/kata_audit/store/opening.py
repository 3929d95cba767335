"""Opening a store for writing: create it or recover it, under the lock of its one writer.

The order matters: what no one finished is removed, the log is held against its checkpoint, an entry without checkpoint is
completed or taken back, files and states that the log does not name go, and the spool is read last.
"""

import fcntl
import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from kata_audit.clock import Clock
from kata_audit.errors import StoreError, StoreLockedError, VerificationError
from kata_audit.schema.cursor import Cursor
from kata_audit.store.durable import Disk, explain, make_directories, write_file
from kata_audit.store.inbox import settle
from kata_audit.store.keys import Keys, load_or_create
from kata_audit.store.layout import FORMAT_LINE, Layout, check_format
from kata_audit.store.live import Live
from kata_audit.store.log import TileLog, open_log, read_entries
from kata_audit.store.recover import Recovery, is_complete, open_spool, remove_temporaries, sweep
from kata_audit.store.spool import Spool
from kata_audit.store.states import Saved, load, newest_cursors, rebuild_cursors
from kata_audit.tlog.entry import decode_entry, encode_entry

PRIVATE_MODE = 0o700


class Opened(NamedTuple):
    """The parts of a store that is open for writing."""

    log: TileLog
    live: Live
    spool: Spool
    saved: Saved
    spooled_cursors: dict[str, Cursor]
    recovery: Recovery
    keys: Keys


@contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Be the store's one writer for the length of a block.

    Raises:
        StoreLockedError: Another process is.
        StoreError: The lock file cannot be written.
    """
    try:
        file = os.open(layout.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise explain(error, doing="take its lock", where=layout.lock_file) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreLockedError(
                "Another process is writing to this store.",
                where=str(layout.lock_file),
                hint="Stop the running `kata-audit ingest`, `collect` or `serve`, or name another store with --store.",
            ) from error
        yield
    finally:
        os.close(file)


def make_root(disk: Disk, layout: Layout, *, create: bool) -> None:
    """See that the store's directory is there, and is ours or empty.

    Raises:
        StoreError: It is missing and must not be created, or holds something else.
        LayoutVersionError: It is a store of another version.
    """
    if check_format(layout):
        return
    if not create:
        raise StoreError(
            "There is no store here.", where=str(layout.root), hint="Name a store with --store, or `ingest` to create one."
        )
    ours = {path.name for path in (*layout.folders, layout.lock_file, layout.format_file, layout.index_file)}
    try:
        make_directories(disk, layout.root)
        strangers = [path.name for path in layout.root.iterdir() if path.name.removesuffix(".tmp") not in ours]
    except OSError as error:
        raise explain(error, doing="create its directory", where=layout.root) from error
    if strangers:
        raise StoreError(
            "This directory is not empty and is no store.",
            where=str(layout.root),
            hint="Name an empty directory, or one that kata-audit created, with --store.",
        )


def open_parts(disk: Disk, layout: Layout, clock: Clock, node: str | None) -> Opened:
    """Recover the store, or create it, and open its parts. The lock must be held.

    Raises:
        StoreError: The disk or the keys do not allow it.
        VerificationError: The log on the disk is not what its checkpoint says: nothing is signed on top of it.
    """
    try:
        return _open_parts(disk, layout, clock, node)
    except OSError as error:
        raise explain(error, doing="be opened for writing", where=layout.root) from error


def _open_parts(disk: Disk, layout: Layout, clock: Clock, node: str | None) -> Opened:
    for folder in layout.folders:
        make_directories(disk, folder, PRIVATE_MODE if folder == layout.inbox else 0o750)
    remove_temporaries(disk, layout)
    keys = load_or_create(disk, layout, _new_origin(node))
    _check_key(layout, keys)
    log = open_log(disk, layout, keys.signer)
    live = Live()
    for entry in log.entries():
        live.apply(decode_entry(entry))
    forward, dropped = _complete(layout, log, live, keys)
    if live.entries == 0:
        _begin(log, live, keys, clock)
    if not check_format(layout):
        write_file(disk, layout.format_file, FORMAT_LINE)
    quarantined, missing = sweep(disk, layout, live)
    spool, torn, gaps, aside = open_spool(disk, layout, live.sealed_to)
    settle(disk, layout, spool.end)
    saved = load(layout, live.sealed_to)
    if saved is None:
        saved = Saved({}, rebuild_cursors(layout, iter(live.files)))
    recovery = Recovery(forward, dropped, torn, tuple(gaps), (*quarantined, *aside), tuple(missing))
    return Opened(log, live, spool, saved, _spooled_cursors(spool, saved), recovery, keys)


def _check_key(layout: Layout, keys: Keys) -> None:
    """See that the key is the one that the log began with: any other would only find the checkpoint badly signed."""
    first = next(read_entries(layout, 0, 1), None) if layout.checkpoint.exists() else None
    if first is not None and decode_entry(first).get("vkey") != keys.vkey:
        raise StoreError(
            "The signing key beside the store is not the one its log began with.",
            where=str(layout.keys),
            hint="Put the keys back that belong to this store, or name their folder in KATA_AUDIT_KEYS.",
        )


def _complete(layout: Layout, log: TileLog, live: Live, keys: Keys) -> tuple[bool, bool]:
    """Give an entry without a checkpoint its checkpoint, or take it back; say which was done."""
    if log.unsigned is None:
        return False, False
    if _may_sign(layout, log.unsigned, live, keys):
        entry = decode_entry(log.unsigned)
        log.append(log.unsigned)
        live.apply(entry)
        return True, False
    log.drop_unsigned()
    return False, True


def _may_sign(layout: Layout, data: bytes, live: Live, keys: Keys) -> bool:
    """Say whether an entry is whole: canonical, next in this log, and true of the files that it names."""
    try:
        entry = decode_entry(data)
    except VerificationError:
        return False
    if live.entries == 0:
        return bool(entry["t"] == "genesis" and entry["vkey"] == keys.vkey)
    return is_complete(layout, live, entry)


def _begin(log: TileLog, live: Live, keys: Keys, clock: Clock) -> None:
    """Write the log's first entry."""
    entry = {
        "t": "genesis",
        "v": 1,
        "time": clock.now_ns(),
        "origin": keys.origin,
        "hash": "sha256",
        "leaf": "KAR1",
        "vkey": keys.vkey,
    }
    log.append(encode_entry(entry))
    live.apply(entry)


def _new_origin(node: str | None) -> str:
    """Name a new log: `kata-audit/<node>/<8 random hex digits>`."""
    name = re.sub(r"[^A-Za-z0-9._/-]", "-", node or socket.gethostname() or "node")
    return f"kata-audit/{name}/{secrets.token_hex(4)}"


def _spooled_cursors(spool: Spool, saved: Saved) -> dict[str, Cursor]:
    cursors: dict[str, Cursor] = {}
    for rows in spool.waiting():
        cursors.update(newest_cursors(rows, {**saved.cursors, **cursors}))
    return cursors
