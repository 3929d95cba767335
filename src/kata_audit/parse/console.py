"""Guest consoles within a wave: which texts are console lines, what of them is parsed, and what is said of torn ones.

A console line is text at a guest's position that is no container's output: of a console file, or that a shim read from one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kata_audit.parse.draft import Draft
from kata_audit.parse.terminal import RESET, shown
from kata_audit.parse.torn import Mended, begins_torn, mend
from kata_audit.schema.record import EvidenceRows, ParseStatus


@dataclass(frozen=True, slots=True)
class Console:
    """What a wave's console lines are parsed as.

    `texts` are aligned with the wave's; `notes` are attributes by row, `groups` the name of a torn record by the rows of its
    pieces, `fragments` the rows that hold a piece only.
    """

    texts: Sequence[str]
    notes: dict[int, dict[str, str]] = field(default_factory=dict)
    groups: dict[int, str] = field(default_factory=dict)
    fragments: list[int] = field(default_factory=list)

    def unread(self, position: int, row: int, written: str) -> str:
        """Give the text of a line that no dialect read: as written, but for a piece, two statements, or a cleared screen."""
        changed = row in self.notes or row in self.groups or RESET in written
        return self.texts[position] if changed else written

    def annotate(self, draft: Draft) -> None:
        """Write what is said of console lines into the draft, once they are parsed."""
        for row, notes in self.notes.items():
            draft.attributes[row] = {**(draft.attributes[row] or {}), **notes}
        if self.groups:
            draft.put("frame_group", list(self.groups), list(self.groups.values()))
            draft.put("parse_status", self.fragments, [ParseStatus.FRAGMENT] * len(self.fragments))


def _is_console(path: str) -> bool:
    """Tell by the dialects around a guest's text whether it is a console line; a message inside a record is none."""
    return path[:3] != "cri" and not path.endswith("slog-json")


def read_console(
    draft: Draft, evidence: EvidenceRows, rows: Sequence[int], texts: Sequence[str], guest: Sequence[bool]
) -> Console:
    """Read the console lines of a wave as a terminal shows them, and put torn records together.

    Args:
        draft: What is known of the rows so far. Rows whose record may go on after the last one are put in `unfinished`.
        evidence: The rows, for their places.
        rows: Row of each text.
        texts: The wave's texts.
        guest: Whether each text's position is the guest's.
    """
    out = list(texts)
    notes: dict[int, dict[str, str]] = {}
    torn = False
    for position, (text, is_guest) in enumerate(zip(texts, guest, strict=True)):
        if not is_guest or not _is_console(draft.path[rows[position]]):
            continue
        if "\x1b" in text or "\r" in text:
            text, said = shown(text)  # noqa: PLW2901 (what is shown is the line)
            out[position] = text
            if said:
                notes[rows[position]] = said
        torn = torn or begins_torn(text)
    return _mended(draft, evidence, rows, Console(out, notes), guest) if torn else Console(out, notes)


def _mended(draft: Draft, evidence: EvidenceRows, rows: Sequence[int], console: Console, guest: Sequence[bool]) -> Console:
    """Put torn records together, console by console."""
    cursors = evidence.column("cursor").to_pylist()
    receivers = evidence.column("receiver").to_pylist()
    sandboxes = draft.columns.get("sandbox_id", [None] * draft.count)
    keys = draft.columns.get("copy_key", [None] * draft.count)
    copies = [keys[row] for row in rows]
    consoles: dict[Any, list[int]] = {}
    for position in sorted(range(len(rows)), key=rows.__getitem__):
        row = rows[position]
        path = draft.path[row]
        if guest[position] and _is_console(path) and (not path or sandboxes[row] is not None):
            stream = cursors[row].rpartition("@")[0]
            consoles.setdefault((receivers[row], stream, path, sandboxes[row]), []).append(position)
    mended = Mended()
    for lines in consoles.values():
        mend(console.texts, lines, copies, mended)
    texts = list(console.texts)
    for position, text in mended.texts.items():
        texts[position] = text
    notes = dict(console.notes)
    for position, said in mended.notes.items():
        notes[rows[position]] = {**notes.get(rows[position], {}), **said}
    draft.unfinished.extend(rows[position] for position in mended.unfinished)
    groups = {rows[piece]: cursors[rows[first]].partition("+")[0] for piece, first in mended.groups.items()}
    return Console(texts, notes, groups, [rows[position] for position in mended.fragments])
