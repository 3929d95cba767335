"""Pieces of longer lines: told by the cursor, joined where all of them are at hand.

Rows are never merged: each piece keeps its row with its own bytes, and the joined text is parsed for the last one. A line
whose pieces are not all in the same rows stays in fragments; nothing is guessed.
"""

import itertools
from collections.abc import Sequence

import pyarrow.compute as pc

from kata_audit.schema.cursor import parse_cursor
from kata_audit.schema.record import EvidenceRows

_MAX_JOINED = 4 << 20
"""A longer line is not parsed: its pieces are rows, and that is all that can be said of it."""


def joined_raws(evidence: EvidenceRows) -> tuple[list[bytes | None], list[str | None]]:
    """Give the bytes to parse for each row.

    Args:
        evidence: Rows of `EVIDENCE_SCHEMA`.

    Returns:
        Per row the bytes to parse: the frame's own; for the last piece of a line the joined line; None for a piece that
        is not parsed. And per row its frame group, None for a frame that is whole.
    """
    raws: list[bytes | None] = evidence.column("raw").to_pylist()
    groups: list[str | None] = [None] * len(raws)
    pieces = pc.indices_nonzero(pc.match_substring(evidence.column("cursor"), "~")).to_pylist()
    if pieces:
        _join(evidence.column("cursor").take(pieces).to_pylist(), pieces, raws, groups)
    return raws, groups


def _join(cursors: Sequence[str], rows: Sequence[int], raws: list[bytes | None], groups: list[str | None]) -> None:
    """Collect the pieces of each line and put the joined line on its last piece."""
    lines: dict[str, list[tuple[int, int, int]]] = {}
    for cursor, row in zip(cursors, rows, strict=True):
        place = parse_cursor(cursor)
        if place is None or place.line is None:
            continue
        groups[row] = f"{place.stream}@{place.line}"
        lines.setdefault(f"{place.stream}@{place.line}", []).append((place.offset, place.length, row))
    for name, parts in lines.items():
        whole = int(name.rpartition("@")[2]) == parts[0][0] and all(
            offset + length == following for (offset, length, _), (following, _, _) in itertools.pairwise(parts)
        )
        bodies = [raws[row] or b"" for _, _, row in parts]
        for _, _, row in parts:
            raws[row] = None
        if whole and bodies[-1].endswith(b"\n") and sum(map(len, bodies)) <= _MAX_JOINED:
            raws[parts[-1][2]] = b"".join(bodies)
