"""Cut received bytes into frames: the first stage, and the keeper of law L1.

The frames of one stream tile its bytes in order, whatever the chunks were; nothing is dropped, merged or added. A frame is
one record of its transport with its line end (one journal entry, one export block, one line), or a piece of one longer
than `MAX_FRAME`. What a frame means is not asked here.
"""

from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa

from kata_audit.parse.frames.audit_eventlist import scan_eventlist
from kata_audit.parse.frames.journal_export import scan_export
from kata_audit.parse.frames.lines import scan_lines
from kata_audit.schema.record import EVIDENCE_SCHEMA, EvidenceRows
from kata_audit.schema.source import Chunk, Transport

MAX_FRAME = 256 * 1024
"""A longer record becomes successive frames of this size in one frame group."""

_GRAMMARS = {Transport.JOURNAL_EXPORT: scan_export, Transport.AUDIT_EVENTLIST: scan_eventlist}
_SCANNERS: dict[Transport, Callable[[bytes, int, int], tuple[list[int], int]]] = {
    transport: _GRAMMARS.get(transport, scan_lines) for transport in Transport
}


class Held(NamedTuple):
    """What is kept of one stream between chunks: at most two frames' bytes and four numbers.

    `data` begins at `offset` of the stream; `scanned` is how far the frame grammar has seen it; `group` is where the
    record began when pieces of it are already out; `given` is how many of the first bytes are out in such pieces and are
    kept only because the grammar has not understood them yet.
    """

    data: bytes = b""
    offset: int = 0
    scanned: int = 0
    group: int | None = None
    given: int = 0


class _Frames(NamedTuple):
    """Frames found so far: their bytes, where each begins, and the group of those that are pieces."""

    raws: list[bytes]
    offsets: list[int]
    groups: list[int | None]

    def add(self, data: bytes, offset: int, group: int | None, *, last: bool) -> int | None:
        """Add one record's bytes, in pieces where they are too long; return the group if more of it is to come."""
        if group is None and last and len(data) <= MAX_FRAME:
            self.raws.append(data)
            self.offsets.append(offset)
            self.groups.append(None)
            return None
        group = offset if group is None else group
        for start in range(0, len(data), MAX_FRAME):
            self.raws.append(data[start : start + MAX_FRAME])
            self.offsets.append(offset + start)
            self.groups.append(group)
        return None if last else group


def split(held: Held, chunk: Chunk) -> tuple[Held, EvidenceRows]:
    """Cut what is held and one more chunk of the same stream into frames.

    Args:
        held: What the last call on this stream gave back; `Held(offset=chunk.offset)` at the start.
        chunk: The next bytes of the stream: `chunk.offset == held.offset + len(held.data)`.

    Returns:
        What is held now, and rows of `EVIDENCE_SCHEMA` with null `seq`, one per frame, in order (L1).

    Raises:
        ValueError: The chunk does not follow on what is held.
    """
    if chunk.offset != held.offset + len(held.data):
        raise ValueError(f"chunk begins at {chunk.offset}, {held.offset + len(held.data)} was expected")
    data = held.data + chunk.data if held.data else chunk.data
    ends, scanned = _SCANNERS[chunk.source.transport](data, held.scanned, MAX_FRAME)
    frames = _Frames([], [], [])
    start, group = held.given, held.group
    for end in ends:
        group = frames.add(data[start:end], held.offset + start, group, last=True)
        start = end
    while len(data) - start > MAX_FRAME:
        group = frames.add(data[start : start + MAX_FRAME], held.offset + start, group, last=False)
        start += MAX_FRAME
    keep = min(start, scanned) if scanned >= 0 else start
    rest = Held(data[keep:], held.offset + keep, max(scanned - keep, -1), group, start - keep)
    return rest, _rows(chunk, frames)


def finish(held: Held, chunk: Chunk) -> EvidenceRows:
    """Give out what is held when a stream has ended: the last record, without its line end.

    Args:
        held: What the last `split` gave back.
        chunk: Any chunk of the stream, for its source and time.

    Returns:
        Rows of `EVIDENCE_SCHEMA`: none, one, or the last piece of a longer record.
    """
    frames = _Frames([], [], [])
    if held.given < len(held.data):
        frames.add(held.data[held.given :], held.offset + held.given, held.group, last=True)
    return _rows(chunk, frames)


def _rows(chunk: Chunk, frames: _Frames) -> EvidenceRows:
    """Make evidence rows of frames; `seq` is the spool's to give."""
    count = len(frames.raws)
    prefix = chunk.stream + "@"
    cursors = [
        f"{prefix}{offset}+{len(raw)}" if group is None else f"{prefix}{offset}+{len(raw)}~{group}"
        for offset, raw, group in zip(frames.offsets, frames.raws, frames.groups, strict=True)
    ]
    source = chunk.source
    return pa.RecordBatch.from_arrays(
        [
            pa.nulls(count, pa.uint64()),
            pa.repeat(pa.scalar(chunk.observed_ns, pa.timestamp("ns", tz="UTC")), count),
            pa.repeat(source.node, count),
            pa.repeat(source.receiver, count),
            pa.array(cursors, pa.string()),
            pa.array(frames.raws, pa.large_binary()),
            pa.repeat(source.tenant, count),
        ],
        schema=EVIDENCE_SCHEMA,
    )
