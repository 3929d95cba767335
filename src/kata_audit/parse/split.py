"""Cut received bytes into frames: the first stage, and the keeper of law L1.

The frames of one stream tile its bytes in order, whatever the chunks were; nothing is dropped, merged or added. A frame is
one record of its transport with its line end (one journal entry, one export block, one line), or a piece of one longer
than `MAX_FRAME`. What a frame means is not asked here.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import pyarrow as pa

from kata_audit.parse.frames.audit_eventlist import scan_eventlist
from kata_audit.parse.frames.journal_export import scan_export
from kata_audit.parse.frames.lines import scan_lines
from kata_audit.schema.record import EVIDENCE_SCHEMA, TIME_TYPE, EvidenceRows
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
    """Frames found so far, one behind the other: where each begins and the last one ends, and the group of each piece."""

    edges: list[int]
    groups: list[int | None]

    def add(self, end: int, base: int, group: int | None, *, last: bool) -> int | None:
        """Add the record up to `end`, in pieces where it is too long; return its group if more of it is to come."""
        start = self.edges[-1]
        if group is None and last and end - start <= MAX_FRAME:
            self.edges.append(end)
            self.groups.append(None)
            return None
        group = base + start if group is None else group
        edges = [*range(start + MAX_FRAME, end, MAX_FRAME), end]
        self.edges.extend(edges)
        self.groups.extend([group] * len(edges))
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
    if chunk.frames:
        return Held(offset=chunk.offset + len(chunk.data)), _sealed_rows(chunk)
    data = held.data + chunk.data if held.data else chunk.data
    ends, scanned = _SCANNERS[chunk.source.transport](data, held.scanned, MAX_FRAME)
    frames, group = _Frames([held.given], []), held.group
    for end in ends:
        group = frames.add(end, held.offset, group, last=True)
    while len(data) - (start := frames.edges[-1]) > MAX_FRAME:
        group = frames.add(start + MAX_FRAME, held.offset, group, last=False)
    keep = min(start, scanned) if scanned >= 0 else start
    rest = Held(data[keep:], held.offset + keep, max(scanned - keep, -1), group, start - keep)
    return rest, _rows(chunk, data, held.offset, frames)


def finish(held: Held, chunk: Chunk) -> EvidenceRows:
    """Give out what is held when a stream has ended: the last record, without its line end.

    Args:
        held: What the last `split` gave back.
        chunk: Any chunk of the stream, for its source and time.

    Returns:
        Rows of `EVIDENCE_SCHEMA`: none, one, or the last piece of a longer record.
    """
    frames = _Frames([held.given], [])
    if held.given < len(held.data):
        frames.add(len(held.data), held.offset, held.group, last=True)
    return _rows(chunk, held.data, held.offset, frames)


def _rows(chunk: Chunk, data: bytes, base: int, frames: _Frames) -> EvidenceRows:
    """Make evidence rows of frames of `data`, whose bytes are not copied; `seq` is the spool's to give."""
    count = len(frames.groups)
    prefix = chunk.stream + "@"
    cursors = [
        f"{prefix}{base + start}+{end - start}" if group is None else f"{prefix}{base + start}+{end - start}~{group}"
        for (start, end), group in zip(pairwise(frames.edges), frames.groups, strict=True)
    ]
    if chunk.names:
        cursors = _named(cursors, chunk.names, [base + start for start in frames.edges[:-1]])
    edges = pa.array(frames.edges, pa.int64()).buffers()[1]
    source = chunk.source
    return pa.RecordBatch.from_arrays(
        [
            pa.nulls(count, pa.uint64()),
            pa.repeat(pa.scalar(chunk.observed_ns, pa.timestamp("ns", tz="UTC")), count),
            pa.repeat(source.node, count),
            pa.repeat(source.receiver, count),
            pa.array(cursors, pa.string()),
            pa.Array.from_buffers(pa.large_binary(), count, [None, edges, pa.py_buffer(data)]),
            pa.repeat(source.tenant, count),
        ],
        schema=EVIDENCE_SCHEMA,
    )


def _sealed_rows(chunk: Chunk) -> EvidenceRows:
    """Make evidence rows of frames that another store of ours had sealed: what it is there, each keeps; `seq` is new."""
    edges = accumulate((len(frame.raw) for frame in chunk.frames), initial=chunk.offset)
    told = dict(chunk.names)
    places = [
        frame.place._replace(stream=chunk.stream, position=told.get(end), name=frame.name)
        for frame, (_, end) in zip(chunk.frames, pairwise(edges), strict=True)
    ]
    count = len(chunk.frames)
    kind = chunk.source.name
    return pa.RecordBatch.from_arrays(
        [
            pa.nulls(count, pa.uint64()),
            pa.array([frame.observed_ns for frame in chunk.frames], pa.int64()).cast(TIME_TYPE),
            pa.array([frame.node for frame in chunk.frames], pa.string()),
            pa.array([f"{kind}/{frame.receiver}" for frame in chunk.frames], pa.string()),
            pa.array(list(map(str, places)), pa.string()),
            pa.array([frame.raw for frame in chunk.frames], pa.large_binary()),
            pa.repeat(chunk.source.tenant, count),
        ],
        schema=EVIDENCE_SCHEMA,
    )


def _named(cursors: Sequence[str], names: Sequence[tuple[int, str]], starts: Sequence[int]) -> list[str]:
    """Put what the source calls its records behind the cursors of their frames."""
    ends = [end for end, _ in names]
    places = [bisect_right(ends, start) for start in starts]
    return [
        f"{cursor}#{names[place][1]}" if place < len(names) else cursor
        for cursor, place in zip(cursors, places, strict=True)
    ]
