"""Mask secrets in frames before they reach the disk: the stage between split and the spool.

Pure and linear: one scan over all bytes of the rows, and a closer look only where it hits. Rows that hold nothing are not
copied. Pieces of a longer line that follow one another are looked at as the line they are. What a stream's next rows may
still decide is held back: a line that is not over, and a private key whose end has not come.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.parse.secret_edits import Edit, Markers, apply_edits, find_edits, first_open
from kata_audit.parse.secret_export import block_lengths
from kata_audit.schema.cursor import parse_cursor
from kata_audit.schema.record import EvidenceRows
from kata_audit.schema.source import Transport, transport_of

HELD_BYTES = 4 << 20
"""Most bytes of `raw` that are held back. Of a longer line the last piece is, so that its secrets are found too."""


class MaskCounts(NamedTuple):
    """What a call to `mask` found.

    Args:
        records: Rows that hold at least one marker of ours.
        secrets: Markers by kind; a secret that is cut between two rows counts once.
    """

    records: int
    secrets: Mapping[str, int]


class Open(NamedTuple):
    """Rows of one stream as they came in, which the next ones are looked at together with.

    The first `given` of them are out already; the others are not.
    """

    rows: EvidenceRows | None = None
    given: int = 0


def mask(rows: EvidenceRows, key: bytes | None) -> tuple[EvidenceRows, MaskCounts]:
    """Put markers in place of secrets.

    Args:
        rows: Rows of `EVIDENCE_SCHEMA`; rows of one stream in its order.
        key: Key of the fingerprints in markers; None leaves them out.

    Returns:
        The same rows in the same order (L2), where only `raw` may differ; and what was found. Every `*masked:` in the new
        `raw` is a marker of ours: one that came in is masked like a secret.
    """
    now, counts, _ = _masked(rows, key)
    return now, counts


def mask_onward(
    held: Open, rows: EvidenceRows, key: bytes | None, *, in_line: bool, ended: bool = False
) -> tuple[Open, EvidenceRows]:
    """Put markers in place of secrets in the next rows of a stream; hold back what its later rows may still decide.

    Args:
        held: What the last call on this stream gave back; `Open()` at the start.
        rows: Its next rows.
        key: Key of the fingerprints in markers; None leaves them out.
        in_line: Whether the last row is a piece of a line that is not over.
        ended: Whether nothing more comes: then nothing is held back.

    Returns:
        What is held now, and the rows that are ready, masked: together the rows of all calls are the stream's (L2), with the
        same masks however they were dealt out, as long as `HELD_BYTES` hold what is open.
    """
    if held.rows is not None and held.rows.num_rows:
        rows = pa.concat_batches([held.rows, rows])
    given = held.given
    over = _last_record(rows) if in_line and not ended else rows.num_rows
    now, _, ready = _masked(rows.slice(0, over), key)
    if ended:
        return Open(), now.slice(given)
    if _size(rows.slice(ready)) > HELD_BYTES:
        ready = rows.num_rows - int(in_line)
        return Open(rows.slice(ready - 1), 1), _masked(rows, key)[0].slice(given, ready - given)
    return Open(rows.slice(ready), max(given - ready, 0)), now.slice(given, max(ready - given, 0))


def _masked(rows: EvidenceRows, key: bytes | None) -> tuple[EvidenceRows, MaskCounts, int]:
    """Mask rows; tell what was found, and the first row of what is open."""
    data, starts = _bytes_of(rows)
    if not data:
        return rows, MaskCounts(0, {}), rows.num_rows
    firsts = _record_firsts(rows)
    bounds = starts if firsts is None else [starts[first] for first in firsts] + [starts[-1]]
    found = find_edits(data, bounds, Markers(key))
    ready = first_open(data, bounds, found)
    if firsts is not None:
        ready = [*firsts, rows.num_rows][ready]
    if not found.edits:
        return rows, MaskCounts(0, {}), ready
    parts = _cut_at_rows(starts, found.edits)
    lengths = block_lengths(data, bounds, _export_records(rows, firsts), parts)
    changed = _changed_rows(data, starts, [*parts, *_cut_at_rows(starts, lengths)])
    raw = pc.replace_with_mask(
        rows.column("raw"),
        pa.array([row in changed for row in range(rows.num_rows)]),
        pa.array(list(changed.values()), pa.large_binary()),
    )
    place = rows.schema.get_field_index("raw")
    counts = Counter(kind for edit in found.edits for kind in edit.kinds)
    return rows.set_column(place, rows.schema.field(place), raw), MaskCounts(len(changed), dict(counts)), ready


def _size(rows: EvidenceRows) -> int:
    """Count the bytes of `raw`."""
    return int(pc.sum(pc.binary_length(rows.column("raw"))).as_py() or 0)


def _last_record(rows: EvidenceRows) -> int:
    """Give the first row of the last record."""
    if not rows.num_rows:
        return 0
    firsts = _record_firsts(rows)
    return rows.num_rows - 1 if firsts is None else firsts[-1]


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
