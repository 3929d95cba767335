"""The draft of a slice of records: Python columns while the waves fill them, Arrow columns at the end.

A column that nobody filled is all null and costs nothing. `RECORD_SCHEMA` decides the types.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pyarrow as pa

from kata_audit.parse.texts import clean, written
from kata_audit.schema.record import (
    ATTRIBUTES_TYPE,
    EVIDENCE,
    EVIDENCE_SCHEMA,
    POSITION,
    RECORD_SCHEMA,
    TIME_TYPE,
    WORD_TYPE,
    EvidenceRows,
    RecordRows,
)
from kata_audit.schema.source import Origin

_NONE: dict[str, str] = {}
INNERMOST = ("severity_number", "body", "component", "subsystem", "pid", "exec_id")
"""Columns that describe the innermost record: an inner record that does not state one empties it."""


class Draft:
    """Columns of `count` records, each a list or not there yet.

    `attributes` of a record may be None, and records may share them, so that nobody writes into them; `path` is the names of
    the dialects that read it, outermost first; `unfinished` are rows that begin a torn record or a partial line whose rest
    may stand behind the last row.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.columns: dict[str, list[Any]] = {}
        self.attributes: list[dict[str, str] | None] = [None] * count
        self.path: list[str] = [""] * count
        self.unfinished: list[int] = []
        self._all = list(range(count))

    def column(self, name: str) -> list[Any]:
        """Return a column to write into, all None at first."""
        column = self.columns.get(name)
        if column is None:
            column = self.columns[name] = [None] * self.count
        return column

    def put(self, name: str, rows: Sequence[int], values: Sequence[Any]) -> None:
        """Write the stated values of some rows; None leaves what is there."""
        if name not in self.columns and rows == self._all:
            self.columns[name] = list(values)
            return
        column = self.column(name)
        if not any(values) and values.count(None) == len(values):
            return  # most columns of most dialects: told without a look at each row
        for row, value in zip(rows, values, strict=True):
            if value is not None:
                column[row] = value

    def name_dialect(self, rows: Iterable[int], name: str) -> None:
        """Add a dialect to the path of some rows."""
        path, behind = self.path, f"/{name}"
        for row in rows:
            before = path[row]
            path[row] = before + behind if before else name

    def relay(self, rows: Iterable[int]) -> None:
        """Make what some rows state so far the relay's: its values move to `relay.*` attributes.

        What a guest relays replaces nothing that a host's relay around it stated (law L7).
        """
        columns = [(f"relay.{name}", self.columns[name]) for name in INNERMOST if name in self.columns]
        origins = self.column("origin")
        known: dict[int, tuple[dict[str, str], dict[str, str]]] = {}
        for row in rows:
            before = self.attributes[row] or _NONE
            if id(before) not in known:  # records share what is equal in them; what is known is kept, so an id stays its own
                known[id(before)] = (
                    before,
                    {key if key.startswith("relay.") else f"relay.{key}": value for key, value in before.items()},
                )
            after = known[id(before)][1].copy()
            for name, column in columns:
                value = column[row]
                if value is not None:
                    after[name] = value if type(value) is str else written(value)
                    column[row] = None
            if origins[row] == Origin.GUEST:
                after |= {key: value for key, value in before.items() if key.startswith("relay.")}
            self.attributes[row] = after


def strings(values: Sequence[Any], kind: Any = None) -> Any:
    """Make an Arrow column of texts; what is no text or holds lone surrogates is written out."""
    try:
        return pa.array(values, kind or pa.string())
    except (pa.ArrowTypeError, pa.ArrowInvalid, UnicodeEncodeError):
        return pa.array([None if value is None else clean(written(value)) for value in values], kind or pa.string())


def integers(values: Sequence[Any], kind: Any = None) -> Any:
    """Make an Arrow column of whole numbers from digits; what is no number of at most 18 digits is null."""
    cleaned = [
        value if type(value) is str and len(value) <= 18 and value.isdigit() and value.isascii() else None
        for value in values
    ]
    return pa.array(cleaned, pa.string()).cast(kind or pa.int64())


def times(values: Sequence[Any]) -> Any:
    """Make an Arrow column of UTC nanoseconds from RFC 3339 texts; what is no time is null.

    Args:
        values: Texts with a zone, zero to nine digits of fraction; or None.
    """
    texts = strings(values)
    try:
        return texts.cast(TIME_TYPE)
    except pa.ArrowInvalid:
        return pa.concat_arrays([_time(text) for text in texts])


def _time(text: Any) -> Any:
    """Cast one text to a time, or to null."""
    try:
        return pa.array([text.as_py()], pa.string()).cast(TIME_TYPE)
    except pa.ArrowInvalid:
        return pa.nulls(1, TIME_TYPE)


def attribute_map(attributes: Sequence[dict[str, str] | None]) -> Any:
    """Make the Arrow map column of attributes; a record without any is null."""
    stated = [record for record in attributes if record]
    ends = itertools.accumulate((len(record) if record else 0 for record in attributes), initial=0)
    offsets = [end if record else None for end, record in zip(ends, attributes, strict=False)]
    keys = list(itertools.chain.from_iterable(stated))
    items = list(itertools.chain.from_iterable([record.values() for record in stated]))
    offsets.append(len(keys))
    return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), strings(keys), strings(items), type=ATTRIBUTES_TYPE)


_NOT_DERIVED = frozenset(column.name for column in (*EVIDENCE, *POSITION))
DERIVED_SCHEMA = pa.schema([field for field in RECORD_SCHEMA if field.name not in _NOT_DERIVED])
"""The columns of `RECORD_SCHEMA` that parsing makes."""
_OF_EVIDENCE = frozenset(EVIDENCE_SCHEMA.names)
_OF_DERIVED = frozenset(DERIVED_SCHEMA.names)


def finish(draft: Draft, ready: dict[str, Any]) -> Any:
    """Turn a draft into derived columns.

    Args:
        draft: The filled draft.
        ready: Columns that are Arrow arrays already.

    Returns:
        A batch of `DERIVED_SCHEMA`, a row per record of the draft, in order (L2).
    """
    columns, arrays = draft.columns, []
    for name, kind, make in _MAKERS:
        if name in ready:
            arrays.append(ready[name])
        elif name in columns:
            arrays.append(make(columns[name], kind))
        else:
            arrays.append(pa.nulls(draft.count, kind))
    return pa.RecordBatch.from_arrays(arrays, schema=DERIVED_SCHEMA)


def attach(evidence: EvidenceRows, derived: Any) -> RecordRows:
    """Put derived columns beside their evidence; `batch` and `index` are null until sealed."""
    arrays = [
        evidence.column(field.name)
        if field.name in _OF_EVIDENCE
        else derived.column(field.name)
        if field.name in _OF_DERIVED
        else pa.nulls(len(evidence), field.type)
        for field in RECORD_SCHEMA
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=RECORD_SCHEMA)


def _maker(kind: Any) -> Callable[[Sequence[Any], Any], Any]:
    """Tell how a column of a type is made of Python values, which need not be of that type."""
    if kind == pa.int64():
        return integers
    return strings if kind in (pa.string(), pa.large_string(), WORD_TYPE) else pa.array


_MAKERS = tuple((field.name, field.type, _maker(field.type)) for field in DERIVED_SCHEMA)
