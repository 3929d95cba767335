"""Following what kata-audit itself says in a store: sealed records of some of its receivers, in order, each once.

It reads the log onward from where it was, and of each new cut only the segments that hold such records. It takes no lock and
writes nothing; whoever follows keeps the number that it has come to.
"""

from collections import deque
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kata_audit.errors import SegmentMismatchError, StoreError, VerificationError
from kata_audit.schema.record import RECORD_SCHEMA, RecordRows
from kata_audit.schema.source import OWN_RECEIVER
from kata_audit.store.engine import to_record_rows
from kata_audit.store.layout import Layout, check_format
from kata_audit.store.live import Live
from kata_audit.store.log import read_checkpoint, read_entries
from kata_audit.store.segment import UNREADABLE
from kata_audit.tlog.checkpoint import open_checkpoint
from kata_audit.tlog.entry import decode_entry
from kata_audit.tlog.note import parse_verifier

COLUMNS: Final = ("seq", "observed_timestamp", "node", "receiver", "tenant", "event_name", "attributes")
"""What is read of a record."""
_SCHEMA: Final = pa.schema([RECORD_SCHEMA.field(name) for name in COLUMNS])
_FOUND_BY: Final = ("receiver", "batch")
_CUTS: Final = 4_096
"""Cuts that one step goes on at most, so that a long way behind costs no more memory than a short one."""
_TRIES: Final = 5


class Step(NamedTuple):
    """What came: records in order, and the number that the follower has now come to."""

    rows: RecordRows
    seen_to: int


class _Cut(NamedTuple):
    end: int
    next_batch: int


class Tail:
    """Follows one store.

    Args:
        root: Its directory.
        kinds: Kinds of our records: of each receiver `kata-audit:<kind>`.
        after: The number to begin with.

    Attributes:
        seen_to: The number that it has come to.
        sealed_ns: When the newest cut was sealed, nanoseconds since the Unix epoch; None before the first.
    """

    def __init__(self, root: Path, kinds: Collection[str], after: int) -> None:
        self._layout = Layout(root)
        self._receivers = pa.array(sorted(f"{OWN_RECEIVER}:{kind}" for kind in kinds), pa.string())
        self._live = Live()
        self._note: bytes | None = None
        self._cuts: deque[_Cut] = deque()
        self._next_batch = 0
        self.seen_to = after
        self.sealed_ns: int | None = None

    def step(self) -> Step | None:
        """Go on by some cuts.

        Returns:
            What came; None where nothing was sealed that was not seen.

        Raises:
            StoreError: There is no store, or it cannot be read.
            VerificationError: The log is not what its checkpoint says.
        """
        for left in reversed(range(_TRIES)):
            try:
                self._look()
                if not self._cuts:
                    return None
                last = self._cuts[min(_CUTS, len(self._cuts)) - 1]
                rows = self._read(self._next_batch, last.next_batch)
                break
            except FileNotFoundError as error:  # merged away since the log was read
                if not left:
                    hint = "Run `kata-audit verify`: it names the files that are missing."
                    raise StoreError("A segment that the log names is missing.", hint=hint) from error
            except OSError as error:
                where, hint = str(self._layout.root), "Let this user read the store."
                raise StoreError("The store cannot be read.", where=where, hint=hint) from error
        while self._cuts and self._cuts[0].end <= last.end:
            self._cuts.popleft()
        self.seen_to, self._next_batch = last.end, last.next_batch
        return Step(rows, last.end)

    def _look(self) -> None:
        """Read the log onward."""
        if self._note is None and not check_format(self._layout):
            hint = "Name a store with --store; `collect` creates one."
            raise StoreError("There is no store here.", where=str(self._layout.root), hint=hint)
        note = read_checkpoint(self._layout)
        if note is None or note == self._note:
            return
        vkey = self._live.vkey or str(decode_entry(next(read_entries(self._layout, 0, 1))).get("vkey", ""))
        try:
            verifier = parse_verifier(vkey)
        except ValueError as error:
            raise VerificationError("The log's first entry names no key.", where=str(self._layout.log)) from error
        size = open_checkpoint(note, verifier).size
        if size < self._live.entries:
            where, hint = str(self._layout.log), "Run `kata-audit verify`: an older copy of the log was put back."
            raise VerificationError(f"The log had {self._live.entries} entries and has {size}.", where=where, hint=hint)
        for data in read_entries(self._layout, self._live.entries, size):
            self._take(decode_entry(data))
        if self._live.sealed_to < self.seen_to:
            where, hint = (
                str(self._layout.root),
                "Another store is here, or an older copy of it. To begin anew, name another outbox.",
            )
            message = f"The store was read to number {self.seen_to}, and is sealed to {self._live.sealed_to}."
            raise VerificationError(message, where=where, hint=hint)
        self._note = note

    def _take(self, entry: dict[str, Any]) -> None:
        self._live.apply(entry)
        if entry["t"] != "cut":
            return
        self.sealed_ns = int(entry["time"])
        if entry["to"] <= self.seen_to:
            self._next_batch = self._live.next_batch
        else:
            self._cuts.append(_Cut(entry["to"], self._live.next_batch))

    def _read(self, first: int, end: int) -> RecordRows:
        """Read our records of the batches `[first, end)` that were not seen, in order."""
        files = self._live.files.values()
        names = [file.name for file in files if min(file.batches) < end and max(file.batches) >= first]
        parts = [rows for name in names for rows in self._of(name, first, end)]
        rows = pa.Table.from_batches(parts, _SCHEMA).unify_dictionaries()
        rows = rows.filter(pc.greater_equal(rows["seq"], self.seen_to)).sort_by("seq").combine_chunks()
        return rows.to_batches()[0] if rows.num_rows else pa.RecordBatch.from_pylist([], _SCHEMA)

    def _of(self, name: str, first: int, end: int) -> Iterator[RecordRows]:
        path = self._layout.segment(name)
        try:
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    if not _may_hold(file, group):
                        continue
                    found = file.read_row_group(group, columns=list(_FOUND_BY), use_threads=False)
                    ours = pc.is_in(found["receiver"].cast(pa.string()), value_set=self._receivers)
                    inside = pc.and_(pc.greater_equal(found["batch"], first), pc.less(found["batch"], end))
                    wanted = pc.and_(ours, inside)
                    if not pc.any(wanted).as_py():
                        continue
                    rows = file.read_row_group(group, columns=list(COLUMNS), use_threads=False).filter(wanted)
                    yield from (to_record_rows(batch, COLUMNS) for batch in rows.combine_chunks().to_batches())
        except FileNotFoundError:
            raise
        except UNREADABLE as error:
            raise SegmentMismatchError("The segment cannot be read.", where=str(path)) from error


def _may_hold(file: Any, group: int) -> bool:
    """Say whether a row group may hold a record of ours, from the least and the greatest of its receivers."""
    column = file.metadata.row_group(group).column(file.schema_arrow.names.index("receiver"))
    known = column.statistics
    if known is None or not known.has_min_max:
        return True
    return bool(known.min <= f"{OWN_RECEIVER};" and known.max >= f"{OWN_RECEIVER}:")
