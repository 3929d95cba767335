"""Mask secrets before the disk: a marker with a keyed fingerprint stands where a secret stood.

One scan over all bytes of a batch finds the rows that may hold a secret; only those are looked at closely. Patterns run on
RE2, so the time is linear in the bytes whatever they are. The grammar around a secret stays: JSON stays JSON, a block of
the journal's export format keeps true lengths.
"""

import hashlib
import hmac
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import re2

from kata_audit.parse.secrets.find import TRIGGER, find_secrets, merge, replace
from kata_audit.parse.secrets.nested import ARRAY, decode_array, encode_array, export_fields
from kata_audit.parse.secrets.spans import Span
from kata_audit.schema.record import EVIDENCE_SCHEMA, EvidenceRows
from kata_audit.schema.source import Transport

_PEM_OPEN = re2.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
_PEM_CLOSE = re2.compile(rb"-----END [A-Z0-9 ]*PRIVATE KEY")
_PEM_LINE = re2.compile(
    rb"(?:^|[\s\"])([A-Za-z0-9+/]{1,76}={0,2})(?:\\+[rn])*(?:\\*\")?\s*$|"
    rb"(?:\"MESSAGE\":\"|MESSAGE=|vmconsole=\\*\")([A-Za-z0-9+/]{1,76}={0,2})(?:\\+[rn])*(?:\\*\"|\s)|"
    rb"([A-Za-z0-9+/]{64}={0,2})"
)
_HEX = re2.compile(rb"[0-9a-f]*")
_PEM_ROWS = 512
"""A key block has at most this many records; behind them one that never ended is given up."""
_ESCAPES = re2.compile(rb"\\+([\"'\\]?)")


class MaskCounts(NamedTuple):
    """What was masked: rows changed, secrets in all, and how many of each kind."""

    rows: int
    secrets: int
    kinds: Mapping[str, int]


def mask(rows: EvidenceRows, key: bytes | None) -> tuple[EvidenceRows, MaskCounts]:
    """Replace secrets in `raw`; one row per frame, in order, no other column changes (L2).

    A longer record's pieces are read as one text, so a secret cut by a frame's end is found; each of its halves gets a
    marker. A private key that spans records of one stream is masked in each of them.

    Args:
        rows: Rows of `EVIDENCE_SCHEMA`, as `split` gives them.
        key: Key of the fingerprints (32 bytes); None leaves fingerprints out.

    Returns:
        The rows, and what was masked. Text that looks like a marker and is not ours is masked as `forged`; so a second
        pass would call our own markers forged: mask once.
    """
    raws: list[bytes] = rows.column("raw").to_pylist()
    hits = _hits(raws)
    if not hits:
        return rows, MaskCounts(0, 0, {})
    cursors: list[str] = rows.column("cursor").to_pylist()
    receivers: list[str] = rows.column("receiver").to_pylist()
    masker = _Masker(key)
    groups = _groups(cursors)
    done: set[int] = set()
    for hit in hits:
        if hit in done:
            continue
        members = groups.get(_group_of(cursors[hit]), [hit])
        done.update(members)
        pieces = [raws[index] for index in members]
        export = receivers[hit].endswith(":" + Transport.JOURNAL_EXPORT)
        for index, piece in zip(members, masker.mask_text(pieces, export=export), strict=True):
            raws[index] = piece
    _mask_key_lines(rows.column("raw").to_pylist(), raws, cursors, hits, masker)
    column = pa.array(raws, pa.large_binary())
    place = EVIDENCE_SCHEMA.names.index("raw")
    changed = rows.num_rows - int(pc.sum(pc.equal(column, rows.column("raw"))).as_py() or 0)
    return rows.set_column(place, rows.schema.field("raw"), column), MaskCounts(
        changed, sum(masker.counts.values()), dict(masker.counts)
    )


def _hits(raws: list[bytes]) -> list[int]:
    """List the rows in which the trigger matches, each once: one scan over the joined bytes."""
    ends = list(accumulate(len(raw) for raw in raws))
    buffer = b"".join(raws)
    found: list[int] = []
    position = 0
    while (match := TRIGGER.search(buffer, position)) is not None:
        first = bisect_right(ends, match.start())
        last = bisect_right(ends, match.end() - 1)
        found += range(first, last + 1)
        position = ends[last]
    return found


def _group_of(cursor: str) -> str | None:
    """Name the longer line that a frame is a piece of; None for a whole record."""
    head, sign, line = cursor.rpartition("~")
    return f"{head.partition('@')[0]}~{line}" if sign and "@" in head else None


def _groups(cursors: list[str]) -> dict[str | None, list[int]]:
    """List the rows of each longer line."""
    groups: dict[str | None, list[int]] = {}
    for index, cursor in enumerate(cursors):
        if "~" in cursor and (group := _group_of(cursor)) is not None:
            groups.setdefault(group, []).append(index)
    return groups


class _Masker:
    """Makes markers and counts them."""

    def __init__(self, key: bytes | None) -> None:
        self.key = key
        self.counts: Counter[str] = Counter()

    def mark(self, kind: str, secret: bytes) -> bytes:
        """Make the marker of a secret; its fingerprint is equal for equal secrets, whatever escapes they carried."""
        self.counts[kind] += 1
        if self.key is None:
            return f"*masked:{kind}*".encode()
        plain = _ESCAPES.sub(rb"\1", secret)
        digest = hmac.new(self.key, kind.encode() + b"\0" + plain, hashlib.sha256).hexdigest()
        return f"*masked:{kind}:{digest[:16]}*".encode()

    def mask_text(self, pieces: list[bytes], *, export: bool) -> list[bytes]:
        """Mask one record that came in one or more pieces."""
        text = b"".join(pieces)
        edits = self._export_edits(text) if export else self._edits(text)
        return _apply(pieces, edits)

    def _edits(self, text: bytes) -> list[tuple[Span, bytes]]:
        """List what to put where in one text: markers, and arrays of bytes spelled anew."""
        arrays = []
        if text.startswith(b"{"):
            for found in ARRAY.finditer(text):
                data = decode_array(found.group(1))
                inner = [] if data is None else self._edits(data)
                if data is not None and inner:
                    new = replace(data, [span for span, _ in inner], [mark for _, mark in inner])
                    arrays.append((Span(int(found.start(1)), int(found.end(1)), ""), encode_array(new)))
        spans = find_secrets(text)
        if not arrays:
            return [(span, self.mark(span.kind, text[span.start : span.end])) for span in spans]
        taken = [span for span, _ in arrays]
        apart = [span for span in spans if not any(span.start < other.end and span.end > other.start for other in taken)]
        marks = [(span, self.mark(span.kind, text[span.start : span.end])) for span in apart]
        return sorted(arrays + marks, key=lambda edit: edit[0].start)

    def _export_edits(self, text: bytes) -> list[tuple[Span, bytes]]:
        """List what to put where in an export block; a binary field's length follows its data."""
        edits: list[tuple[Span, bytes]] = []
        for field in export_fields(text):
            data = text[field.start : field.end]
            if TRIGGER.search(data) is None:
                continue
            inner = self._edits(data)
            grown = sum(len(mark) + 2 * len(span.wrap) - (span.end - span.start) for span, mark in inner)
            if field.length_at is not None and inner:
                place = field.length_at
                edits.append((Span(place, place + 8, ""), (len(data) + grown).to_bytes(8, "little")))
            edits += [
                (span._replace(start=span.start + field.start, end=span.end + field.start), mark) for span, mark in inner
            ]
        return edits


def _apply(pieces: list[bytes], edits: list[tuple[Span, bytes]]) -> list[bytes]:
    """Apply edits of the joined text to its pieces; a marker that a cut goes through stands whole in the first piece."""
    if not edits:
        return pieces
    if len(pieces) == 1:
        return [replace(pieces[0], [span for span, _ in edits], [mark for _, mark in edits])]
    starts = [0, *accumulate(len(piece) for piece in pieces)]
    result = []
    for piece, start in zip(pieces, starts, strict=False):
        spans, marks = [], []
        for span, mark in edits:
            first, last = max(span.start, start), min(span.end, start + len(piece))
            if first < last:
                spans.append(Span(first - start, last - start, span.kind, span.wrap if first == span.start else b""))
                marks.append(mark if first == span.start else b"")
        result.append(replace(piece, spans, marks))
    return result


def _mask_key_lines(before: list[bytes], raws: list[bytes], cursors: list[str], hits: list[int], masker: _Masker) -> None:
    """Mask the lines of private keys that were begun in one record and go on in the next of its stream."""
    opened = [index for index in hits if _PEM_OPEN.search(before[index]) is not None]
    opened = [index for index in opened if _PEM_CLOSE.search(before[index]) is None]
    for first in opened:
        stream = cursors[first].partition("@")[0]
        left = _PEM_ROWS
        for index in range(first + 1, len(raws)):
            if not cursors[index].startswith(stream + "@"):
                continue
            if _PEM_CLOSE.search(before[index]) is not None or left == 0:
                break
            left -= 1
            raws[index] = _mask_key_line(raws[index], masker)


def _mask_key_line(raw: bytes, masker: _Masker) -> bytes:
    """Mask the text of one line of a key; hexadecimal ids are none."""
    spans = []
    for found in _PEM_LINE.finditer(raw):
        start, end = found.span(found.lastindex)
        if _HEX.fullmatch(raw[start:end]) is None or end - start < 32:
            spans.append(Span(int(start), int(end), "pem"))
    spans = merge(spans)
    return replace(raw, spans, [masker.mark("pem", raw[span.start : span.end]) for span in spans])
