"""The cursor: where in its source a record stands, so that a receiver can go on behind it.

Text form: `<stream>@<offset>+<length>`, and `…~<offset of the line>` for a piece of a longer line. The stream's name holds
no `@` (it is percent-encoded), so the first one ends it. Where a source has names of its own for its records, as the journal
has cursors and Kafka has offsets, a saved cursor ends in `#<that name>`; so does a record's own, unless its bytes hold it.
What another store of ours had sealed before ends in `|<origin>/<seq>`, its name there, and has its place there.
"""

import re
from typing import NamedTuple

_CURSOR = re.compile(r"([^@]*)@([0-9]+)\+([0-9]+)(?:~([0-9]+))?(?:#([!-{}~]+))?(?:\|([!-~]+))?")


class Cursor(NamedTuple):
    """A place in one byte stream.

    Args:
        stream: Name of the stream, without `@`.
        offset: First byte of the frame in the stream.
        length: Bytes of the frame.
        line: First byte of the line that the frame is a piece of; None for a whole line.
        position: What the source itself calls the record, or that which the frame is a piece of; None where it has no names.
        name: What another store of ours had named the record that came from there; None where none had it.
    """

    stream: str
    offset: int
    length: int
    line: int | None = None
    position: str | None = None
    name: str | None = None

    @property
    def end(self) -> int:
        """The offset behind the frame: where a receiver goes on."""
        return self.offset + self.length

    def __str__(self) -> str:
        piece = "" if self.line is None else f"~{self.line}"
        position = "" if self.position is None else f"#{self.position}"
        name = "" if self.name is None else f"|{self.name}"
        return f"{self.stream}@{self.offset}+{self.length}{piece}{position}{name}"


def parse_cursor(text: str) -> Cursor | None:
    """Read a cursor's text form; None for text that is no cursor.

    Example:
        >>> parse_cursor("console.log?1-2-aa@10+5~4")
        Cursor(stream='console.log?1-2-aa', offset=10, length=5, line=4, position=None, name=None)
    """
    found = _CURSOR.fullmatch(text)
    if found is None:
        return None
    stream, offset, length, line, position, name = found.groups()
    return Cursor(stream, int(offset), int(length), None if line is None else int(line), position, name)
