"""From bytes to edits: what stands in place of each secret, also in byte arrays, hexadecimal text and split key blocks."""

import hmac
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from kata_audit.parse import secret_patterns as known
from kata_audit.parse.secret_spans import RULES, Place, Span

_KEY_BLOCK_RECORDS = 128
"""How many records a private key may be spread over, line by line."""


def _plain(secret: bytes) -> bytes:
    """Take escapes out, so that a secret has one fingerprint at any depth of quoting."""
    return bytes(known.ESCAPES.sub(rb"\1", secret)) if b"\\" in secret else secret


def _as_array(data: bytes) -> bytes:
    return b",".join(b"%d" % byte for byte in data)


def _as_hex(data: bytes) -> bytes:
    return data.hex().upper().encode()


_MARK = b"*masked:"
"""What every marker begins with."""
MARKS = (_MARK, _as_array(_MARK) + b",", _as_hex(_MARK))
"""The same in each form that `find_edits` writes: as text, as numbers of an array, as hexadecimal digits."""


class Edit(NamedTuple):
    """Bytes `[start, end)` become `new`; `kinds` are the secrets in it."""

    start: int
    end: int
    new: bytes
    kinds: tuple[str, ...]


class Found(NamedTuple):
    """What stands in records.

    `edits` are in order and do not overlap. `begins` and `ends` are the records in which a private key begins without
    ending, and ends without having begun.
    """

    edits: list[Edit]
    begins: Sequence[int]
    ends: Sequence[int]


class Markers:
    """Makes markers; remembers those it has made, since the same secret comes many times.

    Args:
        key: Key of the fingerprints; None leaves them out.
    """

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self._made: dict[tuple[str, bytes], bytes] = {}

    def marker(self, kind: str, secret: bytes) -> bytes:
        """Give `*masked:<kind>:<16 hex>*`: the fingerprint is HMAC-SHA256(key, kind NUL secret), its first 8 bytes."""
        made = self._made.get((kind, secret))
        if made is None:
            head = kind.encode()
            tail = (
                b""
                if self._key is None
                else b":" + hmac.digest(self._key, head + b"\0" + _plain(secret), "sha256")[:8].hex().encode()
            )
            made = self._made[kind, secret] = _MARK + head + tail + b"*"
        return made


def find_edits(data: bytes, bounds: Sequence[int], markers: Markers) -> Found:
    """Find every secret in `data` and say what stands there instead.

    Args:
        data: Records, one behind the other.
        bounds: Where each record begins, and where the last one ends.
        markers: Makes the markers.

    Returns:
        The edits, and the ends of private keys whose lines are records of their own: any other secret ends with its record.
    """
    spans, views, begins, ends = _scan(data, bounds, markers)
    found: list[tuple[int, int, str, Edit | None]] = [(span.start, span.end, span.kind, None) for span in spans]
    found += [(view.start, view.end, "bytes", view) for view in views]
    found.sort(key=lambda one: (one[0], -one[1]))
    edits: list[Edit] = []
    start = end = 0
    kind, view = "", None
    for first, last, other, seen in [*found, (len(data), len(data), "", None)]:
        if first < end:
            end, view = (_past_marker_tail(data, last), None) if last > end else (end, view)
            continue
        if end > start:
            edits.append(view or Edit(start, end, markers.marker(kind, data[start:end]), (kind,)))
        start, end, kind, view = first, _past_marker_tail(data, last), other, seen
    return Found(edits, begins, ends)


def first_open(data: bytes, bounds: Sequence[int], found: Found) -> int:
    """Tell which records must be looked at again together with the ones behind them.

    A private key that has begun is open until it ends or `_KEY_BLOCK_RECORDS` have passed. A line that looks like one of a
    key is open as long, because an end that comes would make it one.

    Args:
        data: Records, one behind the other.
        bounds: Where each record begins, and where the last one ends.
        found: What was found in them.

    Returns:
        The first such record; their number where there is none.
    """
    count = len(bounds) - 1
    begin, end = (marks[-1] if marks else -1 for marks in (found.begins, found.ends))
    if begin >= max(end, 0) and count - begin <= _KEY_BLOCK_RECORDS + 1:
        return begin
    for record in range(max(begin + 1, end + 1, count - _KEY_BLOCK_RECORDS, 0), count):
        if next(_lines(known.PEM_LINE, data, bounds, record), None) is not None:
            return record
    return count


def _past_marker_tail(data: bytes, end: int) -> int:
    """Step over text that our marker's last character would make a marker of: `masked:` behind a secret."""
    while data.startswith(b"masked:", end):
        end = known.MARKER_TAIL.match(data, end).end()
    return end


def apply_edits(data: bytes, start: int, end: int, edits: Sequence[Edit]) -> bytes:
    """Give `data[start:end]` with the edits in it."""
    parts = []
    for edit in edits:
        parts += [data[start : edit.start], edit.new]
        start = edit.end
    parts.append(data[start:end])
    return b"".join(parts)


def _scan(
    data: bytes, bounds: Sequence[int], markers: Markers
) -> tuple[list[Span], list[Edit], Sequence[int], Sequence[int]]:
    """Walk over the trigger's hits."""
    spans: list[Span] = []
    views: list[Edit] = []
    cut_keys: list[int] = []
    stray_ends: list[int] = []
    commands: dict[bytes, list[int]] = {}
    place, end, line_end, lists, secret_object = bounds[0], bounds[-1], -1, -1, -1
    while found := known.TRIGGER.search(data, place, end):
        first, last = found.span()
        record = bisect_right(bounds, first) - 1
        start, stop = bounds[record], bounds[record + 1]
        if first >= line_end:
            newline = data.find(b"\n", first, stop)
            line_end = stop if newline < 0 else newline
        rule = found.lastgroup.decode()
        place = max(last - 1, first + 1) if last <= stop else first + 1
        if rule == "pemend":
            stray_ends.append(record)
        elif rule == "secretobject":
            secret_object = record
        elif rule in {"array", "hex"}:
            views += _view(data, first, line_end, rule, markers)
            place = max(place, views[-1].end if views else 0)
        elif (rule != "envlist" or first >= lists) and (rule != "secretdata" or record == secret_object):
            found_spans = list(RULES[rule](Place(data, first, min(last, stop), line_end, start, stop, found, commands)))
            spans += [span for span in found_spans if span.end > span.start]
            if found_spans and rule == "envlist":
                lists = found_spans[-1].end
            elif found_spans and rule != "command":
                place = max(place, found_spans[-1].end)
            if found_spans and found_spans[-1].open_end:
                cut_keys.append(record)
    if cut_keys or stray_ends:
        spans += _key_lines(data, bounds, cut_keys, stray_ends)
    return spans, views, cut_keys, stray_ends


def _view(data: bytes, start: int, end: int, rule: str, markers: Markers) -> Iterator[Edit]:
    """Look into bytes written as numbers or as hexadecimal digits; write them again only where they held a secret."""
    found = (known.ARRAY if rule == "array" else known.HEX).match(data, start, end)
    if found is None:
        return
    first, last = found.span(1)
    if rule == "array":
        numbers = [int(number) for number in found[b"value"].split(b",")]
        if max(numbers) > 255:
            return
        text = bytes(numbers)
    else:
        text = bytes.fromhex(found[b"value"].decode()).replace(b"\0", b" ")
    edits = find_edits(text, (0, len(text)), markers).edits
    if not edits:
        return
    masked = apply_edits(text, 0, len(text), edits)
    yield Edit(
        first,
        last,
        _as_array(masked) if rule == "array" else _as_hex(masked),
        tuple(kind for edit in edits for kind in edit.kinds),
    )


def _key_lines(data: bytes, bounds: Sequence[int], cut_keys: Sequence[int], stray_ends: Sequence[int]) -> Iterator[Span]:
    """Mask the lines of private keys whose begin and end stand in different records.

    The line before the end may hold any few letters. It is one only behind a begin or another line of the key. What a record
    with a begin or an end holds is decided by that alone: so none needs what stands before a begin, or behind an end.
    """
    last_record = len(bounds) - 2
    begun: dict[int, bool] = {}
    for record in stray_ends:
        before = bisect_left(cut_keys, record)
        first = max([*(one + 1 for one in cut_keys[max(before - 1, 0) : before]), record - _KEY_BLOCK_RECORDS, 0])
        begun.update(dict.fromkeys(range(first, record + 1), False))
    for record in cut_keys:
        after = bisect_right(stray_ends, record)
        last = min([*stray_ends[after : after + 1], record + _KEY_BLOCK_RECORDS, last_record])
        begun.update(dict.fromkeys(range(record + 1, last + 1), True))
    ends = set(stray_ends)
    last_line = never = -_KEY_BLOCK_RECORDS
    for record in sorted(begun.keys() - (set(cut_keys) - ends)):
        behind = begun[record] or record - last_line < _KEY_BLOCK_RECORDS
        rule = known.PEM_LAST_LINE if behind and record + 1 in ends and record not in ends else known.PEM_LINE
        for span in _lines(rule, data, bounds, record):
            last_line = record
            yield span
        last_line = never if record in ends else last_line


def _lines(rule: Any, data: bytes, bounds: Sequence[int], record: int) -> Iterator[Span]:
    """Find what looks like lines of a key in a record."""
    for line in rule.finditer(data, bounds[record], bounds[record + 1]):
        if not known.HEXADECIMAL.fullmatch(line[b"value"]):
            start, end = line.span(1)
            yield Span(start, end, "pem")
