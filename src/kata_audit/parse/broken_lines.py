"""Lines of a program's output that were longer than journald takes (`LineMax`, 48 KiB): entries that belong together.

journald marks a piece that goes on with `_LINE_BREAK=line-max`, a trusted field, and names the stream; the next entry of
that stream goes on. Rows are never merged: each piece keeps its row, and the joined text is parsed for the last one. A piece
is not parsed by itself, for where it was cut is up to whoever made the line so long.

Two things no entry tells: that the rate limit dropped a piece in between, and that an entry is the last piece of a line
whose others are not among the rows.

Source: systemd.journal-fields(7), `_LINE_BREAK`; systemd `src/journal/journald-stream.c`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kata_audit.parse.texts import journal_text

_MAX_JOINED = 4 << 20
"""A longer line stays in pieces."""


@dataclass(slots=True)
class _Line:
    """A line that goes on: rows and texts of its pieces."""

    rows: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    size: int = 0


@dataclass(frozen=True, slots=True)
class Broken:
    """What is parsed for the pieces of broken lines, by row; entries are added one after another.

    `texts` has the joined line for a last piece, None for every other; `first` gives each piece the row of its line's first;
    `unfinished` are first rows of lines whose last piece is not at hand; `open` are the lines that go on, by stream.
    """

    texts: dict[int, str | None] = field(default_factory=dict)
    first: dict[int, int] = field(default_factory=dict)
    unfinished: list[int] = field(default_factory=list)
    open: dict[str, _Line] = field(default_factory=dict)

    def add(self, row: int, entry: Mapping[str, Any]) -> None:
        """Add the next entry; one that is no piece changes nothing. While no line is open, only one with a mark can be.

        Args:
            row: Its row.
            entry: Its fields.
        """
        goes_on = entry.get("_LINE_BREAK") == "line-max"
        stream = entry.get("_STREAM_ID")
        if type(stream) is not str or not (goes_on or stream in self.open):
            return
        line = self.open.setdefault(stream, _Line())
        text = journal_text(entry.get("MESSAGE")) or ""
        line.rows.append(row)
        line.size += len(text)
        if line.size <= _MAX_JOINED:
            line.texts.append(text)
        self.first[row] = line.rows[0]
        self.texts[row] = None
        if not goes_on:
            self.texts[row] = "".join(line.texts) if line.size <= _MAX_JOINED else None
            del self.open[stream]

    def end(self) -> None:
        """Say that no entry follows."""
        self.unfinished.extend(line.rows[0] for line in self.open.values())
