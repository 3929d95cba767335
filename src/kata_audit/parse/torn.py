r"""Agent records that kernel text tears on the console, put together where that is certain.

Agent and kernel share one line of characters. The kernel writes a whole line wherever the agent happens to be: behind a
whole object, or inside one that goes on in a later line, or the machine goes off and nothing follows. Rows are never merged:

- the row of a piece is the kernel's statement that stands in it; the piece is its attribute `console.torn`, its status
  fragment. A piece without such a statement keeps its whole text;
- the row of the last piece is the agent's record, if the pieces together are one;
- text behind a whole object is its attribute `console.inserted`.

Nothing is invented: pieces are joined only around kernel lines, which a serial console writes whole, only in one way, and
only to a record as the agent writes them. Other writers (Cloud Hypervisor under the Go shim) mix with the agent character by
character; what they tear stays torn. A virtio console takes a kernel line in steps of 16 characters: where the agent wrote
between two steps, its quotes in the kernel's line show it, and nothing is joined; a piece without quotes, from inside a
message, cannot be seen. A record that was joined always has a `frame_group`.

Source: captures of Kata 4.1.0 on QEMU; Linux `kernel/printk` (`PRINTKRB_RECORD_MAX` is 1024) and
`drivers/tty/hvc/hvc_console.c`.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kata_audit.parse.frames.journal_json import load_once_named
from kata_audit.parse.terminal import INSERTED

TORN = "console.torn"
"""Attribute: the piece of an agent record that stands in the line before another writer's text."""

_START = '{"msg"'
_STAMP = re.compile(r"\[ {0,7}\d{1,10}\.\d{6}\](?:\[ *+[TC]\d{1,10}\])? ")
_SHORT_START = re.compile(r'\{(?:"(?:m(?:sg?)?)?)?' + _STAMP.pattern)
"""A record that is torn within its first characters."""
_FORMS = {
    "msg": "",
    "level": "CRIT|ERRO|WARN|INFO|DEBG|TRCE",
    "ts": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)",
    "version": r"\d+\.\d+\.\d+",
    "source": "agent",
    "name": "kata-agent",
    "pid": r"\d{1,10}",
    "subsystem": "",
}
"""What every record of the agent says, in all versions seen, and the forms of its values; empty is any."""
_BASE = [(key, re.compile(form).fullmatch if form else None) for key, form in _FORMS.items()]
_OF_JSON = ('":"', '","', '\\"')
"""Not in a kernel line: where one holds it, characters of the agent are inside."""
_MAX_KERNEL_LINE = 1088
"""The kernel's longest record and its prefix."""
_MAX_LINES = 64
"""How many lines of one console are looked at for the rest of a record."""
_MAX_STAMPS = 4
_MAX_WAYS = 8
_MAX_JOINED = 1 << 20
_WHOLE = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of the torn lines, by position.

    `texts` are to be parsed in place of the lines' own; `groups` names the first piece of each piece's record; `notes` are
    attributes; `fragments` are pieces whose record is not on their own line; `unfinished` are first pieces whose record may
    go on after the last line given.
    """

    texts: dict[int, str] = field(default_factory=dict)
    groups: dict[int, int] = field(default_factory=dict)
    notes: dict[int, dict[str, str]] = field(default_factory=dict)
    fragments: set[int] = field(default_factory=set)
    unfinished: list[int] = field(default_factory=list)


class _Lines(NamedTuple):
    """The texts of a wave, what their copies share, and the lines that ended a record already."""

    texts: Sequence[str]
    copies: Sequence[int | None]
    taken: set[int]


@dataclass(slots=True)
class _Tear:
    """A record that is being followed: the lines of its pieces, and what was written so far, in each possible way."""

    pieces: list[int]
    ways: list[str]
    whole: bool = False


def begins_torn(text: str) -> bool:
    """Tell whether a console line begins an agent record and does not end it."""
    return text[:1] == "{" and text[-1:] != "}" and (text[:6] == _START or _SHORT_START.match(text) is not None)


def mend(texts: Sequence[str], lines: Sequence[int], copies: Sequence[int | None], into: Mended) -> None:
    """Follow the torn records of one console.

    Args:
        texts: Console lines as a terminal shows them.
        lines: Positions of the lines of this console among them, in order.
        copies: Of each text, a number that its copies share; None where it has none. The Go shim writes each line twice.
        into: Where the result is put.
    """
    console = _Lines(texts, copies, set())
    for index, line in enumerate(lines):
        if begins_torn(texts[line]) and not _behind_whole(texts[line], line, into):
            tear = _Tear([], [""])
            if _goes_on(texts[line], line, tear, into):
                _follow(console, lines[index:], tear, into)
            into.fragments.add(line)
            into.groups.update(dict.fromkeys(tear.pieces or [line], line))


def _behind_whole(text: str, line: int, into: Mended) -> bool:
    """Take text behind a whole object off; tell whether there is one."""
    try:
        fields, end = _WHOLE.raw_decode(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(fields, dict):
        return False
    into.texts[line] = text[:end]
    if rest := text[end:].strip():
        into.notes[line] = {INSERTED: rest}
    return True


def _is_kernels(line: str) -> bool:
    return len(line) <= _MAX_KERNEL_LINE and not any(mark in line for mark in _OF_JSON)


def _cuts(text: str) -> list[int]:
    """Find where the kernel's line may begin in a line; nowhere if it cannot be the kernel's alone."""
    cuts = [match.start() for match in _STAMP.finditer(text)]
    return cuts if cuts and len(cuts) <= _MAX_STAMPS and _is_kernels(text[cuts[0] :]) else []


def _follow(console: _Lines, lines: Sequence[int], tear: _Tear, into: Mended) -> None:
    """Follow one record from its first piece, `lines[0]`, until it is whole or cannot become so."""
    seen = {console.copies[lines[0]]} - {None}
    looked_at = 0
    for line in lines[1:]:
        text, copy = console.texts[line], console.copies[line]
        if line in console.taken or copy in seen:
            continue
        if copy is not None:
            seen.add(copy)
        looked_at += 1
        if looked_at == _MAX_LINES or text[:6] == _START:
            return
        if _STAMP.match(text) and _is_kernels(text):
            continue
        if not _goes_on(text, line, tear, into):
            return
        console.taken.add(line)
        if tear.whole:
            return
    into.unfinished.append(lines[0])


def _goes_on(text: str, line: int, tear: _Tear, into: Mended) -> bool:
    """Read one line of a record: its end, or one more piece before kernel text. False where it is neither."""
    cuts = _cuts(text)
    if tear.pieces:
        ends = [(text[:cut], text[cut:]) for cut in cuts if text[cut - 1] == "}"] + [(text, "")]
        wholes = {(way + end, rest) for way in tear.ways for end, rest in ends if end[-1:] == "}" and _is_record(way + end)}
        if len(wholes) > 1:
            return False
        for whole, rest in wholes:
            into.texts[line] = whole
            into.notes[line] = {INSERTED: rest} if rest else {}
            tear.pieces.append(line)
            tear.whole = True
            return True
    ways = [way + text[:cut] for way in tear.ways for cut in cuts]
    if not ways or len(ways) > _MAX_WAYS or len(ways[-1]) > _MAX_JOINED:
        return False
    tear.ways = ways
    tear.pieces.append(line)
    into.texts[line] = text[cuts[0] :]
    into.notes[line] = {TORN: text[: cuts[0]]}
    into.fragments.add(line)
    return True


def _is_record(text: str) -> bool:
    """Tell whether a text is a record as the agent writes them."""
    fields = load_once_named(text.encode("utf-8", "surrogatepass")) if text[:6] == _START else None
    if fields is None or not all(type(value) is str for value in fields.values()):
        return False
    return all(key in fields and (form is None or form(fields[key]) is not None) for key, form in _BASE)
