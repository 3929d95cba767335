"""What outlives a cut: the states that the stages handed over, and the newest cursor of each stream, saved before its entry.

One file per sealed cut, a checksum and JSON, named by the number at which the cut ends; the one before it goes once the
cut is sealed.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kata_audit.schema.cursor import Cursor, parse_cursor
from kata_audit.store.checked import read_checked, spell_checked
from kata_audit.store.durable import Disk, write_file
from kata_audit.store.layout import Layout

VERSION = 1
JOURNAL_STREAM = "journald?"
"""How the name of a stream begins that is read from the journal itself: its entries have names of their own, the journal's
cursors, and reading goes on behind the last one."""
_JOURNAL_CURSOR = re.compile(rb"__CURSOR=([!-~]{1,1024})\n")


class Saved(NamedTuple):
    """What a state file holds: a value of each stage by name, and the newest sealed cursor of each stream."""

    states: Mapping[str, bytes]
    cursors: Mapping[str, Cursor]


def save(disk: Disk, layout: Layout, sealed: int, saved: Saved) -> Path:
    """Write the states of the cut that ends at `sealed`, durably.

    Raises:
        OSError: As the disk says.
    """
    value = {
        "v": VERSION,
        "sealed": sealed,
        "states": {name: base64.b64encode(state).decode() for name, state in saved.states.items()},
        "cursors": {stream: str(cursor) for stream, cursor in saved.cursors.items()},
    }
    path = layout.state_file(sealed)
    write_file(disk, path, spell_checked(value))
    return path


def load(layout: Layout, sealed: int) -> Saved | None:
    """Read the states of the cut that ends at `sealed`; None if they are not there, broken, or of another version."""
    try:
        value = read_checked(layout.state_file(sealed).read_bytes())
        if value is None or value["v"] != VERSION or value["sealed"] != sealed:
            return None
        states = {name: base64.b64decode(state, validate=True) for name, state in value["states"].items()}
        cursors = {stream: parse_cursor(cursor) for stream, cursor in value["cursors"].items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Saved(states, {stream: cursor for stream, cursor in cursors.items() if cursor is not None})


def newest_cursors(rows: Any, before: Mapping[str, Cursor] = MappingProxyType({})) -> dict[str, Cursor]:
    """Find the last cursor of each stream, with what the source itself calls that record.

    Args:
        rows: Columns `cursor` and `raw` in order of `seq`. Text that is no cursor of a byte stream is passed over.
        before: The newest cursors so far: where a line goes on in these rows, its name stands before them.
    """
    found = _last_of_each(rows["cursor"])
    for stream, cursor in found.items():
        if stream.startswith(JOURNAL_STREAM):
            found[stream] = cursor._replace(position=_position(rows, cursor, before.get(stream)))
    return found


def _position(rows: Any, cursor: Cursor, before: Cursor | None) -> str | None:
    """Read what the journal calls an entry from its first frame."""
    start = f"{cursor.stream}@{cursor.offset if cursor.line is None else cursor.line}+"
    at = pc.index(pc.starts_with(rows["cursor"], start), value=True).as_py()
    if at < 0:
        return before.position if before is not None and before.line == cursor.line else None
    named = _JOURNAL_CURSOR.match(rows["raw"][at].as_py())
    return named[1].decode() if named is not None else None


def _last_of_each(cursors: Any) -> dict[str, Cursor]:
    """Find the last cursor of each stream in a string array."""
    if len(cursors) == 0:
        return {}
    newest = parse_cursor(cursors[-1].as_py())
    if newest is not None and pc.all(pc.starts_with(cursors, newest.stream + "@")).as_py():
        return {newest.stream: newest}
    streams = pc.list_element(pc.split_pattern(cursors, "@", max_splits=1), 0)
    rows = pa.table({"stream": streams, "row": pa.array(range(len(cursors)), pa.int64())})
    last = rows.group_by("stream", use_threads=False).aggregate([("row", "max")])
    found = (parse_cursor(text) for text in cursors.take(last["row_max"].combine_chunks()).to_pylist())
    return {cursor.stream: cursor for cursor in found if cursor is not None}


def rebuild_cursors(layout: Layout, names: Iterator[str]) -> dict[str, Cursor]:
    """Find the newest cursor of each stream in segments, where the state file is lost.

    Args:
        layout: The store.
        names: Live segments. One that is missing is passed over: `verify` names it.

    Raises:
        OSError: One cannot be read.
    """
    newest: dict[str, tuple[int, Cursor]] = {}
    for name in names:
        path = layout.segment(name)
        if not path.exists():
            continue
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                group = file.read_row_group(number, columns=["seq", "cursor", "raw"]).combine_chunks()
                group = group.filter(pc.is_valid(group["cursor"])).sort_by("seq").combine_chunks()
                rows = group.to_batches()[0] if group.num_rows else pa.RecordBatch.from_pylist([], schema=group.schema)
                at = dict(zip(map(_unnamed, rows["cursor"].to_pylist()), rows["seq"].to_pylist(), strict=True))
                for stream, cursor in newest_cursors(rows).items():
                    seq = at[str(cursor._replace(position=None, name=None))]
                    if stream not in newest or newest[stream][0] < seq:
                        newest[stream] = (seq, cursor)
    return {stream: cursor for stream, (_, cursor) in newest.items()}


def _unnamed(text: str) -> str:
    """Give a cursor's text without what others call the record."""
    cursor = parse_cursor(text)
    return text if cursor is None else str(cursor._replace(position=None, name=None))
