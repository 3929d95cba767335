"""What is sealed in a store, as a destination wants it: filtered, with pods and actors named, in the words of its field set.

Identities and actors are filled from all that is known when a record is read. What is exported is not told again when more
is known later: a record that left before its pod was known leaves without it, and its sandbox's id joins the two.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, NamedTuple

import pyarrow as pa

from kata_audit.errors import StoreError
from kata_audit.pipeline.export import Sealed
from kata_audit.predicate.tree import Compare, Op, Predicate, all_of
from kata_audit.schema.cursor import parse_cursor
from kata_audit.schema.exported import Exported
from kata_audit.schema.fieldset import FieldSet, spell_record
from kata_audit.schema.record import RECORD_SCHEMA, RecordRows
from kata_audit.schema.source import Frame
from kata_audit.store.answers import EVERYTHING_IN_SCOPE, Order, Reader
from kata_audit.wire.evidence import NAME, encode_evidence

_INSIDE: Final = frozenset({"raw", "batch", "index", "frame_group", "fold_key"})
"""Columns that mean nothing outside the store, and the frame itself, which is sent where it is asked for."""
_READ: Final = 32_768
"""Numbers that are read at a time: however much waits, and however large its segments are, no more of it is held."""
_OF_EVIDENCE: Final = ("seq", "observed_timestamp", "node", "receiver", "cursor", "timestamp")
"""What leaves of a record that is sent as evidence beside its frame; its own time is for what carries it."""
_TOGETHER: Final = 2_000
"""Records that are spelled at a time: what memory they take has this bound."""


class Wanted(NamedTuple):
    """What a destination wants.

    Attributes:
        where: Which records.
        raw: Whether with the frame as received.
        fieldset: In whose words; None for evidence.
        form: Gives a document that has them another form; it is asked in the thread that reads, so that the time it takes
            is not added to the destination's. None for documents as they are.
    """

    where: Predicate
    raw: bool
    fieldset: FieldSet | None
    form: Callable[[Exported], Any] | None = None


class StoreSource:
    """Reads one store for one destination.

    Args:
        open_reader: Opens the store for reading.
        look: Reads the store's checkpoint as it is now; equal bytes mean that nothing new is sealed.
        wanted: What the destination wants.
    """

    def __init__(
        self,
        open_reader: Callable[[], AbstractContextManager[Reader]],
        look: Callable[[], bytes | None],
        wanted: Wanted,
    ) -> None:
        self._open, self._look, self._wanted = open_reader, look, wanted
        self._note: bytes | None = None
        self._sealed_to = 0

    def place(self) -> tuple[str, int]:
        """Give the log's origin, and the number behind its last sealed record.

        Raises:
            StoreError: There is no store, or it cannot be read.
        """
        with self._open() as reader:
            status = reader.status()
            return status.origin, status.sealed_to

    @contextmanager
    def read(self, after: int) -> Iterator[Iterator[Sealed]]:
        """Give what is sealed from a number on, in order; nothing where nothing new is.

        Raises:
            StoreError: The store cannot be read, or holds less than was read before.
            VerificationError: The log is not what its checkpoint says.
        """
        note = self._look()
        if note == self._note and after >= self._sealed_to:
            yield iter(())
            return
        with self._open() as reader:
            status = reader.status()
            if status.sealed_to < after:
                hint = "Another store is here, or an older copy of it. To send it too, give the export another name."
                message = f"The store was sent to number {after}, and is sealed to {status.sealed_to}."
                raise StoreError(message, hint=hint)
            self._note, self._sealed_to = note, status.sealed_to
            yield self._parts(reader, status.origin, after, status.sealed_to)

    def _parts(self, reader: Reader, origin: str, after: int, end: int) -> Iterator[Sealed]:
        columns = self._columns()
        for low in range(after, end, _READ):
            high = min(low + _READ, end)
            where = all_of(self._wanted.where, Compare("seq", Op.GE, low), Compare("seq", Op.LT, high))
            for rows in reader.scan(EVERYTHING_IN_SCOPE, where, columns, order=Order("seq")):
                for first in range(0, rows.num_rows, _TOGETHER):
                    records = self._spelled(rows.slice(first, _TOGETHER), origin)
                    yield Sealed(records, records[-1].seq + 1)
            yield Sealed((), high)

    def _columns(self) -> Sequence[str]:
        is_evidence = self._wanted.fieldset is None
        return (*_OF_EVIDENCE, "raw") if is_evidence else exported_columns(raw=self._wanted.raw)

    def _spelled(self, rows: RecordRows, origin: str) -> list[Exported]:
        if self._wanted.fieldset is not None:
            return [self._exported(record, None, origin) for record in records_of(rows)]
        records, raws = records_of(rows.select(_OF_EVIDENCE)), rows.column("raw").to_pylist()
        return [self._exported(record, raw, origin) for record, raw in zip(records, raws, strict=True)]

    def _exported(self, record: Mapping[str, Any], raw: bytes | None, origin: str) -> Exported:
        seq = int(record["seq"])
        name = f"{origin}/{seq}"
        time_ns = int(record.get("timestamp", record["observed_timestamp"]))
        fieldset = self._wanted.fieldset
        document = _evidence(record, raw, name) if fieldset is None else spell_record(fieldset, record, name)
        spelled = Exported(name, seq, time_ns, record, document)
        return spelled if self._wanted.form is None else spelled._replace(document=self._wanted.form(spelled))


def _evidence(record: Mapping[str, Any], raw: bytes | None, name: str) -> Mapping[str, Any]:
    """Spell a record as evidence; one that was redacted is its name alone."""
    place = parse_cursor(str(record.get("cursor", "")))
    if raw is None or place is None:
        return {NAME: name}
    return encode_evidence(Frame(record["node"], record["receiver"], place, record["observed_timestamp"], name, raw))


def exported_columns(*, raw: bool) -> tuple[str, ...]:
    """Name the columns that leave: all that mean something outside the store; the frame itself where it is asked for."""
    return tuple(name for name in RECORD_SCHEMA.names if name not in _INSIDE or (raw and name == "raw"))


def records_of(rows: RecordRows) -> Iterator[dict[str, Any]]:
    """Turn rows into records: columns that are not null, times in nanoseconds, bytes as text, `attributes` as a mapping.

    Bytes that are no UTF-8 are spelled with backslashes, as a system that takes JSON has no other way; `prove` gives them
    as they are. `copy_key` is spelled in hexadecimal: not every system holds a number of 64 bits.
    """
    names, columns = rows.schema.names, [_plain(rows.column(name), name) for name in rows.schema.names]
    for cells in zip(*columns, strict=True):
        yield {name: cell for name, cell in zip(names, cells, strict=True) if cell is not None}


def _mappings(column: Any) -> list[Any]:
    """Turn a column of maps into mappings, None for empty ones: over its keys and its items, as making each pair is slow."""
    ends = column.offsets.to_pylist()
    first, count = ends[0], ends[-1] - ends[0]
    keys, items = (side.slice(first, count).to_pylist() for side in (column.keys, column.items))
    edges = [end - first for end in ends]
    return [
        dict(zip(keys[begin:end], items[begin:end], strict=True)) if is_some and begin < end else None
        for begin, end, is_some in zip(edges, edges[1:], column.is_valid().to_pylist(), strict=False)
    ]


def _plain(column: Any, name: str) -> list[Any]:
    if pa.types.is_dictionary(column.type):  # one text for each word, not for each record
        words = column.dictionary.to_pylist()
        return [None if at is None else words[at] for at in column.indices.to_pylist()]
    if pa.types.is_timestamp(column.type):
        return list(column.cast(pa.int64()).to_pylist())
    if pa.types.is_map(column.type):
        return _mappings(column)
    if name == "raw":
        return [None if cell is None else cell.decode("utf-8", "backslashreplace") for cell in column.to_pylist()]
    if name == "copy_key":
        return [None if cell is None else f"{cell:016x}" for cell in column.to_pylist()]
    return list(column.to_pylist())
