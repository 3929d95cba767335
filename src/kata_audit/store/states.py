"""What outlives a cut: the states that the stages handed over, and the newest cursor of each stream, saved before its entry.

One file per sealed cut, a checksum and JSON, named by the number at which the cut ends; the one before it goes once the
cut is sealed.
"""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kata_audit.schema.cursor import Cursor, parse_cursor
from kata_audit.store.durable import Disk, write_file
from kata_audit.store.layout import Layout

VERSION = 1
_CHECKSUM_BYTES = 9
"""Eight hex digits of CRC-32 and a space."""


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
    write_file(disk, path, _spell(value))
    return path


def _spell(value: Mapping[str, Any]) -> bytes:
    """Spell a state file: its checksum, a space, its content."""
    content = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return f"{zlib.crc32(content):08x} ".encode() + content


def load(layout: Layout, sealed: int) -> Saved | None:
    """Read the states of the cut that ends at `sealed`; None if they are not there, broken, or of another version."""
    try:
        data = layout.state_file(sealed).read_bytes()
        value = json.loads(data[_CHECKSUM_BYTES:])
        if _spell(value) != data or value["v"] != VERSION or value["sealed"] != sealed:
            return None
        states = {name: base64.b64decode(state, validate=True) for name, state in value["states"].items()}
        cursors = {stream: parse_cursor(cursor) for stream, cursor in value["cursors"].items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Saved(states, {stream: cursor for stream, cursor in cursors.items() if cursor is not None})


def newest_cursors(cursors: Any) -> dict[str, Cursor]:
    """Find the last cursor of each stream.

    Args:
        cursors: String array in order of `seq`. Text that is no cursor of a byte stream is passed over.
    """
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
                group = file.read_row_group(number, columns=["seq", "cursor"]).combine_chunks()
                group = group.filter(pc.is_valid(group["cursor"])).sort_by("seq")
                cursors = group["cursor"].combine_chunks()
                at = dict(zip(group["cursor"].to_pylist(), group["seq"].to_pylist(), strict=True))
                for stream, cursor in newest_cursors(cursors).items():
                    seq = at[str(cursor)]
                    if stream not in newest or newest[stream][0] < seq:
                        newest[stream] = (seq, cursor)
    return {stream: cursor for stream, (_, cursor) in newest.items()}
