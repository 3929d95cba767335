"""Opening a store for reading: the log up to its checkpoint, the index, the engine. Takes no lock and needs no key.

The checkpoint's signature is checked against the key in the log's first entry: that finds a damaged log, not a forged one,
which is `verify`'s business.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from kata_audit.errors import IndexDamagedError, LayoutVersionError, StoreError, VerificationError
from kata_audit.schema.record import RecordRows
from kata_audit.store.actors import ActorJoin
from kata_audit.store.answers import EVERYTHING_IN_SCOPE, Order, Reader, Scope, StoreStatus
from kata_audit.store.engine import DEFAULT_MEMORY_MB, DEFAULT_THREADS, Engine, to_record_rows
from kata_audit.store.index import CaughtUp, Index, Link, open_index, remove_index
from kata_audit.store.layout import Layout, check_format
from kata_audit.store.live import Live
from kata_audit.store.log import read_checkpoint, read_entries
from kata_audit.store.resolution import Resolution
from kata_audit.store.snapshot import Snapshot, measure
from kata_audit.tlog.checkpoint import open_checkpoint
from kata_audit.tlog.entry import decode_entry
from kata_audit.tlog.note import parse_verifier

__all__ = [
    "EVERYTHING_IN_SCOPE",
    "ActorJoin",
    "Order",
    "Reader",
    "Resolution",
    "Scope",
    "StoreStatus",
    "catch_up",
    "open_reader",
    "read_live",
    "segment_columns",
]

NO_STORE = "Name a store with --store, or `ingest` to create one."


@contextmanager
def open_reader(
    root: Path,
    *,
    link: Link | None = None,
    join: ActorJoin | None = None,
    memory_mb: int = DEFAULT_MEMORY_MB,
    threads: int = DEFAULT_THREADS,
) -> Iterator[Reader]:
    """Open a store for reading, beside a running writer or without one.

    Args:
        root: The store's directory.
        link: Turns host rows into facts. With it the index is brought up to date first, in its file where that can be
            written, else for this reader only; without it, segments that the index has not seen name no pods.
        join: How actors are joined from requests to the API server; None leaves them as records state them.
        memory_mb: What one query may take, in MiB.
        threads: How many threads a query uses.

    Raises:
        StoreError: There is no store, or it cannot be read.
        VerificationError: The log is not what its checkpoint says.
    """
    layout = Layout(root)
    if not check_format(layout):
        raise StoreError("There is no store here.", where=str(root), hint=NO_STORE)
    live = read_live(layout)
    with _index_for(layout, live, link) as index:
        engine = Engine(layout.segments, memory_mb=memory_mb, threads=threads)
        try:
            yield Reader(_snapshots(layout, index, live), index, engine, join)
        finally:
            engine.close()


def catch_up(root: Path, link: Link) -> CaughtUp:
    """Bring a store's index up to date with its log.

    Args:
        root: The store's directory.
        link: Turns host rows into facts.

    Raises:
        StoreError: There is no store, or its index cannot be written.
        VerificationError: The log is not what its checkpoint says.
    """
    layout = Layout(root)
    if not check_format(layout):
        raise StoreError("There is no store here.", where=str(root), hint=NO_STORE)
    return _catch_up(layout, read_live(layout), link)


def _catch_up(layout: Layout, live: Live, link: Link) -> CaughtUp:
    try:
        with open_index(layout.index_file) as index:
            return index.catch_up(live, segment_columns(layout), link)
    except IndexDamagedError:
        remove_index(layout.index_file)
    with open_index(layout.index_file) as index:
        return index.catch_up(live, segment_columns(layout), link)


def read_live(layout: Layout) -> Live:
    """Fold the log up to its newest checkpoint.

    Raises:
        StoreError: It cannot be read.
        VerificationError: The log is not what its checkpoint says.
    """
    live = Live()
    try:
        note = read_checkpoint(layout)
        if note is None:
            return live
        first = decode_entry(next(read_entries(layout, 0, 1)))
        try:
            verifier = parse_verifier(str(first.get("vkey", "")))
        except ValueError as error:
            raise VerificationError("The log's first entry names no key.", where=str(layout.log)) from error
        for entry in read_entries(layout, 0, open_checkpoint(note, verifier).size):
            live.apply(decode_entry(entry))
    except OSError as error:
        hint = "Let this user read the store."
        raise StoreError("The log cannot be read.", where=str(layout.log), hint=hint) from error
    return live


def segment_columns(layout: Layout) -> Callable[[str, tuple[str, ...]], Iterator[RecordRows]]:
    """Make the function by which the index reads columns of a segment; a missing one raises FileNotFoundError.

    A segment without such columns raises LayoutVersionError.
    """

    def read(name: str, columns: tuple[str, ...]) -> Iterator[RecordRows]:
        with pq.ParquetFile(layout.segment(name)) as file:
            if not set(columns).issubset(file.schema_arrow.names):
                hint = "Open it with the version of kata-audit that wrote it."
                where = str(layout.segment(name))
                raise LayoutVersionError("A segment was written by another version.", where=where, hint=hint)
            for batch in file.iter_batches(batch_size=65_536, columns=list(columns)):
                yield to_record_rows(batch, columns)

    return read


@contextmanager
def _index_for(layout: Layout, live: Live, link: Link | None) -> Iterator[Index]:
    """Open the index as far as this user may; caught up where `link` is given."""
    with ExitStack() as opened:
        if link is None:
            yield opened.enter_context(open_index(layout.index_file, writable=False))
            return
        try:
            _catch_up(layout, live, link)
            index = opened.enter_context(open_index(layout.index_file, writable=False))
        except StoreError:  # a user who may only read gets an index of their own
            index = opened.enter_context(open_index(layout.index_file, writable=False))
            index = opened.enter_context(index.copied())
            index.catch_up(live, segment_columns(layout), link)
        yield index


def _snapshots(layout: Layout, index: Index, first: Live) -> Callable[[], Snapshot]:
    """Make the function that looks at the log: the fold in hand the first time, a fresh one later."""
    folded = [first]

    def take() -> Snapshot:
        live = folded.pop() if folded else read_live(layout)
        while True:
            try:
                return _snapshot(layout, index, live)
            except FileNotFoundError as error:  # merged since the log was folded, or gone
                before, live = live.files.keys(), read_live(layout)
                if before <= live.files.keys():
                    hint = "Run `kata-audit verify`: it names the files that are missing."
                    raise StoreError("A segment that the log names is missing or cannot be read.", hint=hint) from error

    return take


def _snapshot(layout: Layout, index: Index, live: Live) -> Snapshot:
    known = index.segments()
    unindexed = frozenset(live.files).difference(known)
    measured = {name: measure(layout.segment(name), name) for name in unindexed}
    segments = {name: measured[name] if name in measured else known[name] for name in live.files}
    return Snapshot(live.origin, live.entries, live.sealed_to, segments, unindexed)
