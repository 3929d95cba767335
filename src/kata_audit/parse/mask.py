"""Mask secrets in frames before they reach the disk: the stage between split and the spool.

Pure and linear: one scan over all bytes of the rows, and a closer look only where it hits. Rows that hold nothing are not
copied. Pieces of a longer line that follow one another are looked at as the line they are.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.parse.secret_edits import Edit, Markers, apply_edits, find_edits
from kata_audit.parse.secret_export import block_lengths
from kata_audit.schema.cursor import parse_cursor
from kata_audit.schema.record import EvidenceRows
from kata_audit.schema.source import Transport, transport_of


class MaskCounts(NamedTuple):
    """What a call to `mask` found.

    Args:
        records: Rows that hold at least one marker of ours.
        secrets: Markers by kind; a secret that is cut between two rows counts once.
    """

    records: int
    secrets: Mapping[str, int]


def mask(rows: EvidenceRows, key: bytes | None) -> tuple[EvidenceRows, MaskCounts]:
    """Put markers in place of secrets.

    Args:
        rows: Rows of `EVIDENCE_SCHEMA`; rows of one stream in its order.
        key: Key of the fingerprints in markers; None leaves them out.

    Returns:
        The same rows in the same order (L2), where only `raw` may differ; and what was found. Every `*masked:` in the new
        `raw` is a marker of ours: one that came in is masked like a secret.
    """
    data, starts = _bytes_of(rows)
    if not data:
        return rows, MaskCounts(0, {})
    firsts = _record_firsts(rows)
    bounds = starts if firsts is None else [starts[first] for first in firsts] + [starts[-1]]
    edits = find_edits(data, bounds, Markers(key))
    if not edits:
        return rows, MaskCounts(0, {})
    parts = _cut_at_rows(starts, edits)
    lengths = block_lengths(data, bounds, _export_records(rows, firsts), parts)
    changed = _changed_rows(data, starts, [*parts, *_cut_at_rows(starts, lengths)])
    raw = pc.replace_with_mask(
        rows.column("raw"),
        pa.array([row in changed for row in range(rows.num_rows)]),
        pa.array(list(changed.values()), pa.large_binary()),
    )
    place = rows.schema.get_field_index("raw")
    counts = Counter(kind for edit in edits for kind in edit.kinds)
    return rows.set_column(place, rows.schema.field(place), raw), MaskCounts(len(changed), dict(counts))


def _bytes_of(rows: EvidenceRows) -> tuple[bytes, Sequence[int]]:
    """Give the bytes of all raws, which stand one behind the other, and where each begins, and the end."""
    raw = rows.column("raw")
    if not len(raw):
        return b"", (0,)
    _, offsets, values = raw.buffers()
    if values is None:
        return b"", (0,)
    starts = memoryview(offsets).cast("q")[raw.offset : raw.offset + len(raw) + 1].tolist()
    base = starts[0]
    data = bytes(values.slice(base, starts[-1] - base))
    return data, starts if base == 0 else [start - base for start in starts]


def _record_firsts(rows: EvidenceRows) -> list[int] | None:
    """Tell which rows begin a record; None if all do. A piece that follows on the piece before it does not."""
    cursors = rows.column("cursor")
    if not pc.any(pc.match_substring(cursors, "~")).as_py():
        return None
    firsts = []
    before = None
    for row, text in enumerate(cursors.to_pylist()):
        cursor = parse_cursor(text) if "~" in text else None
        follows = (
            cursor is not None
            and before is not None
            and (cursor.stream, cursor.line, cursor.offset) == (before.stream, before.line, before.end)
        )
        if not follows:
            firsts.append(row)
        before = cursor
    return firsts


def _export_records(rows: EvidenceRows, firsts: Sequence[int] | None) -> list[bool] | None:
    """Tell which records are blocks of the export format; None if none is."""
    receivers = rows.column("receiver")
    known = {name: transport_of(name) is Transport.JOURNAL_EXPORT for name in pc.unique(receivers).to_pylist()}
    if not any(known.values()):
        return None
    of_rows = [known[name] for name in receivers.to_pylist()]
    return of_rows if firsts is None else [of_rows[first] for first in firsts]


def _cut_at_rows(starts: Sequence[int], edits: Sequence[Edit]) -> list[Edit]:
    """Cut edits that reach over the end of a row.

    A secret leaves its marker in every row that held a part of it; other bytes are shared out as far as they go.
    """
    parts = []
    for edit in edits:
        last_row = bisect_left(starts, edit.end) - 1
        row = bisect_right(starts, edit.start) - 1
        if row == last_row:
            parts.append(edit)
            continue
        shared, kinds = edit.new, edit.kinds
        for here in range(row, last_row + 1):
            first, last = max(edit.start, starts[here]), min(edit.end, starts[here + 1])
            is_marker = edit.new.startswith(b"*")
            new = edit.new if is_marker else shared if here == last_row else shared[: last - first]
            parts.append(Edit(first, last, new, kinds))
            shared, kinds = shared[last - first :], ()
    return parts


def _changed_rows(data: bytes, starts: Sequence[int], edits: Sequence[Edit]) -> dict[int, bytes]:
    """Write the rows that edits touch, by row."""
    touched: dict[int, list[Edit]] = {}
    for edit in sorted(edits):
        touched.setdefault(bisect_right(starts, edit.start) - 1, []).append(edit)
    return {row: apply_edits(data, starts[row], starts[row + 1], found) for row, found in touched.items()}
