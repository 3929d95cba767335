"""Pieces of longer lines: told by the cursor, joined where all of them are at hand.

Rows are never merged: each piece keeps its row with its own bytes, and the joined text is parsed for the last one. A line
whose pieces are not all in the same rows stays in fragments; nothing is guessed.
"""

import itertools
from typing import NamedTuple

import pyarrow.compute as pc

from kata_audit.schema.cursor import Cursor, parse_cursor
from kata_audit.schema.record import EvidenceRows

_MAX_JOINED = 4 << 20
"""A longer line is not parsed: its pieces are rows, and that is all that can be said of it."""


class Pieces(NamedTuple):
    """What the pieces of longer lines are parsed as, by row.

    `raws` holds the bytes to parse in place of the frame's own: the joined line for the last piece, None for the others;
    `groups` names the line of each piece.
    """

    raws: dict[int, bytes | None]
    groups: dict[int, str]


def join_pieces(evidence: EvidenceRows) -> Pieces:
    """Find the pieces of longer lines and join those that are all at hand.

    Args:
        evidence: Rows of `EVIDENCE_SCHEMA`.
    """
    rows = pc.indices_nonzero(pc.match_substring(evidence.column("cursor"), "~")).to_pylist()
    pieces = Pieces({}, {})
    lines: dict[str, list[tuple[Cursor, int]]] = {}
    for row in rows:
        place = parse_cursor(evidence.column("cursor")[row].as_py())
        if place is not None and place.line is not None:
            pieces.raws[row] = None
            pieces.groups[row] = f"{place.stream}@{place.line}"
            lines.setdefault(pieces.groups[row], []).append((place, row))
    for parts in lines.values():
        places = [place for place, _ in parts]
        whole = places[0].offset == places[0].line and all(
            place.end == following.offset for place, following in itertools.pairwise(places)
        )
        if whole and sum(place.length for place in places) <= _MAX_JOINED:
            line = b"".join(evidence.column("raw")[row].as_py() for _, row in parts)
            if line.endswith(b"\n"):
                pieces.raws[parts[-1][1]] = line
    return pieces
