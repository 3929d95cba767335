"""The one door to a terminal: text of a log is shown, never sent.

A log can hold sequences that rename a window, write the clipboard, draw pictures or turn text around. Every character that
is not plainly visible leaves here as its number. The rule is the same for a pipe, because a pipe often ends in a terminal.
"""

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TextIO

from kata_audit.schema.visible import is_visible, show

__all__ = [
    "escape_json",
    "fit",
    "is_coloured",
    "pad",
    "paint",
    "progress",
    "say",
    "show",
    "table",
    "terminal_width",
    "width_of",
    "wrap",
]

_COLOURS = {"dim": "2", "bold": "1", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}
_SAMPLE_ROWS = 200
"""Rows read ahead to choose the widths of a table's columns."""
_DEFAULT_WIDTH = 100


def escape_json(text: str) -> str:
    r"""Make a compact JSON text safe to print by spelling what is not visible as `\uNNNN`; its value stays the same.

    Such characters stand only inside its strings, so the spelling is always allowed.
    """
    return text if is_visible(text) else "".join(c if is_visible(c) else _json_number(c) for c in text)


def _json_number(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def width_of(text: str) -> int:
    """Count the columns that a shown text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def fit(text: str, width: int) -> str:
    """Show a text in at most `width` columns; what is cut off is marked by `…`. A width of 0 cuts nothing.

    Example:
        >>> fit("Creating sandbox", 9)
        'Creating…'
    """
    if width <= 0:
        return show(text)
    shown = show(text[: width + 1])
    if width_of(shown) <= width and len(text) <= width + 1:
        return shown
    kept, used = [], 0
    for character in shown:
        used += width_of(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept).rstrip(" …") + "…"


def wrap(text: str, width: int, *, indent: int) -> Iterator[str]:
    """Show a text over as many indented lines as it needs; a word that is longer than a line is cut into several.

    Args:
        text: Anything.
        width: Columns; 0 keeps one line.
        indent: Blanks before each line.
    """
    room = max(width - indent, 20) if width else 6 * len(text) + 1
    line = ""
    for word in (long[at : at + room] for long in show(text).split(" ") for at in range(0, max(len(long), 1), room)):
        if line and width_of(line) + 1 + width_of(word) > room:
            yield " " * indent + line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield " " * indent + line


def pad(text: str, width: int) -> str:
    """Fill a shown text with spaces up to `width` columns."""
    return text + " " * (width - width_of(text))


def terminal_width() -> int:
    """Return the columns of the terminal; `$COLUMNS` wins, and a pipe counts as 100."""
    return shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns


def is_coloured(stream: TextIO) -> bool:
    """Say whether colour may be sent: only to a terminal, and not where `NO_COLOR` is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str | None, *, coloured: bool) -> str:
    """Colour a text that has been shown already."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if coloured and colour else text


def say(text: str) -> None:
    """Talk to the person: one line on stderr, shown."""
    print("\n".join(show(line) for line in text.split("\n")), file=sys.stderr)


def progress(text: str | None) -> None:
    """Show how far long work is, on one line of stderr and only on a terminal; None wipes it."""
    if sys.stderr.isatty():
        line = fit(show(text), terminal_width()) if text else ""
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, width: int, last_free: bool = True) -> Iterator[str]:
    """Lay rows out in columns that fit a terminal, as they come.

    Args:
        head: Names of the columns; none of them prints no head.
        rows: Cells as they are; they are shown here.
        width: Columns of the terminal; 0 lets the last column run free.
        last_free: The last column takes what is left of the width.

    Yields:
        Lines without their end. Widths are chosen from the first rows, so that any number of rows can stream through.
    """
    source = iter(rows)
    sample = [[show(cell) for cell in row] for row in islice(source, _SAMPLE_ROWS)]
    if not sample and not head:
        return
    columns = len(head) or len(sample[0])
    widths = [max([width_of(row[at]) for row in [list(head), *sample] if row] or [0]) for at in range(columns)]
    if width:
        widths = _squeeze(widths, width, last_free=last_free)
    if head:
        yield _line([name.upper() for name in head], widths, width)
    for row in sample:
        yield _line(row, widths, width)
    for later in source:
        yield _line(later, widths, width)


def _squeeze(widths: list[int], width: int, *, last_free: bool) -> list[int]:
    """Take from the widest columns until a line fits, but leave eight columns to each."""
    room = width - 2 * (len(widths) - 1)
    widths = [min(size, room) for size in widths]
    while sum(widths) > room and max(widths) > 8:
        widest = len(widths) - 1 if last_free and widths[-1] > 24 else widths.index(max(widths))
        widths[widest] -= 1
    return widths


def _line(cells: Sequence[str], widths: Sequence[int], width: int) -> str:
    shown = [pad(fit(cell, size), size) for cell, size in zip(cells[:-1], widths[:-1], strict=True)]
    last = fit(cells[-1], widths[-1] if width else 0)
    return "  ".join([*shown, last]).rstrip()
