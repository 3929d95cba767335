"""Verify a store against its own log: the log against its checkpoint, and each live file against the log.

It shows that nothing was altered since it was sealed, as far as the checkpoint in the store goes; an older or rewritten
store that was put back whole is seen only against a checkpoint kept elsewhere.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kata_audit.errors import ConsistencyError, SegmentMismatchError, StoreError, VerificationError
from kata_audit.store.layout import Layout, check_format
from kata_audit.store.live import Live, LiveFile
from kata_audit.store.log import read_checkpoint, read_entries
from kata_audit.store.segment import Mark, check_segment, mark_file
from kata_audit.tlog.checkpoint import open_checkpoint
from kata_audit.tlog.entry import decode_entry
from kata_audit.tlog.merkle import Frontier, hash_leaf
from kata_audit.tlog.note import parse_verifier


class CheckedLog(NamedTuple):
    """A log that agrees with its checkpoint; `lost` numbers are declared as gaps."""

    origin: str
    vkey: str
    entries: int
    sealed_to: int
    records: int
    lost: int
    live: Live


class CheckedFile(NamedTuple):
    """A live file, and what is wrong with it; None where it is as the log says."""

    name: str
    records: int
    problem: str | None


def verify_log(root: Path) -> CheckedLog:
    """Work out the log's root from its entries and hold it against the signed checkpoint.

    Raises:
        StoreError: There is no store, or it cannot be read.
        VerificationError: The log is not what its checkpoint says, or an entry does not go on from those before.
    """
    layout = Layout(root)
    note = read_checkpoint(layout) if check_format(layout) else None
    if note is None:
        raise StoreError("There is no store here.", where=str(root), hint="Name a store with --store.")
    genesis = decode_entry(next(read_entries(layout, 0, 1)))
    try:
        verifier = parse_verifier(str(genesis.get("vkey", "")))
    except ValueError as error:
        raise VerificationError("The log's first entry names no key.", where=str(layout.log)) from error
    checkpoint = open_checkpoint(note, verifier)
    live, frontier, lost = Live(), Frontier(), 0
    for data in read_entries(layout, 0, checkpoint.size):
        entry = decode_entry(data)
        live.apply(entry)
        frontier.append(hash_leaf(data))
        lost += sum(gap["to"] - gap["from"] for gap in entry.get("gaps", ()))
    if frontier.root() != checkpoint.root or checkpoint.origin != live.origin:
        raise ConsistencyError("The entries of the log do not lead to the root of its checkpoint.", where=str(layout.log))
    records = sum(batch.records for batch in live.batches.values())
    return CheckedLog(live.origin, live.vkey, live.entries, live.sealed_to, records, lost, live)


def verify_files(root: Path, checked: CheckedLog, *, deep: bool) -> Iterator[CheckedFile]:
    """Hold each live file against the log.

    Args:
        root: The store's directory.
        checked: Its log.
        deep: Work out every record's leaf and every batch's root too; else the file's digest, which commits to all of it.

    Yields:
        Each file as it is done.
    """
    for file in checked.live.files.values():
        records = sum(checked.live.batches[n].records for n in file.batches)
        yield CheckedFile(file.name, records, _problem(Layout(root).segment(file.name), file, checked.live, deep=deep))


def _problem(path: Path, file: LiveFile, live: Live, *, deep: bool) -> str | None:
    mark = Mark(file.bytes, file.sha256)
    try:
        if deep:
            check_segment(path, mark, {n: live.batches[n].root for n in file.batches})
        elif mark_file(path) != mark:
            return "The file's bytes are not those that the log committed to."
    except FileNotFoundError:
        return "The file is missing."
    except OSError as error:
        return f"The file cannot be read: {error.strerror}."
    except SegmentMismatchError as error:
        return error.message
    return None
