"""Find the secrets in bytes: each place that the trigger names is looked at by its rule.

A rule answers with spans of secret bytes only: names, quotes, escapes and delimiters around them stay, so that the grammar
around a secret holds whatever stands in its place.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from kata_audit.parse import secret_patterns as known

_BACKSLASH, _QUOTE, _SPACE = 0x5C, 0x22, 0x20
_WINDOW = 400
"""How far behind a command's name its arguments are looked at."""
_NAME_BACK = 64
"""How far before a sensitive word its name may begin."""
_LOOK_BACK = 16 * 1024
"""How far before a place the quote that it stands in is looked for."""
_COMMANDS = {b"curl": known.CURL, b"sshp": known.SSHPASS, b"redi": known.REDIS, b"logi": known.LOGIN}
"""Where a secret stands in a command's arguments, by the beginning of its name."""
_ANY_DEPTH = (1 << 30) - 1
"""The depth of a text that every quote ends."""
_ARGUMENT_KEYS = (b"args:", b"command:", b"[", b",", b", ")
_NAME_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")


class Span(NamedTuple):
    """Secret bytes `[start, end)` of one kind; `open_end` when the secret goes on behind the record."""

    start: int
    end: int
    kind: str
    open_end: bool = False


class Place(NamedTuple):
    """Where a rule looks: what the trigger found, the raw line around it and the record around that.

    `commands` is where secrets of commands were found so far, by the beginning of the command's name.
    """

    data: bytes
    start: int
    end: int
    line_end: int
    record: int
    record_end: int
    found: Any
    commands: dict[bytes, list[int]]


def closing_quote(data: bytes, start: int, end: int, depth: int) -> int:
    """Find where a quoted value ends: before the backslashes of the quote that closes it, or at `end`.

    Args:
        data: The bytes.
        start: First byte of the value.
        end: Where to give up: the end of the raw line.
        depth: Backslashes before the opening quote.

    A quote that is escaped `n` times has `2**n - 1` backslashes before it, and a backslash of the text in there has `2**n`;
    so the ones at the end of the run's length, in binary, tell how often a quote is escaped. What is escaped no more often
    than the opening quote closes the value, or something around it.
    """
    level = _trailing_ones(depth)
    place = start
    while (quote := data.find(b'"', place, end)) >= 0:
        first = quote
        while first > start and data[first - 1] == _BACKSLASH:
            first -= 1
        escapes = _trailing_ones(quote - first)
        if escapes <= level:
            return quote - (1 << escapes) + 1
        place = quote + 1
    while end > start and data[end - 1] == _BACKSLASH:
        end -= 1
    return end


def _trailing_ones(number: int) -> int:
    """Count the ones at the end of a number in binary."""
    return ((number + 1) & -(number + 1)).bit_length() - 1


def _backslashes(data: bytes, quote: int) -> int:
    """Count the backslashes before a quote."""
    first = quote
    while first > 0 and data[first - 1] == _BACKSLASH:
        first -= 1
    return quote - first


def _text_end(place: Place, start: int) -> int:
    """Find where the quoted text ends that `start` stands in; the line's end if it stands in none.

    The nearest quote before opened that text or stands inside it, so what closes its depth or less ends it.
    """
    back = max(place.record, start - _LOOK_BACK)
    quote = place.data.rfind(b'"', back, start)
    if quote >= 0:
        return closing_quote(place.data, start, place.line_end, _backslashes(place.data, quote))
    return place.line_end if back == place.record else closing_quote(place.data, start, place.line_end, _ANY_DEPTH)


def _name_start(place: Place) -> int:
    """Find where the name that holds a sensitive word begins."""
    first = place.start
    stop = max(place.record, first - _NAME_BACK)
    while first > stop and place.data[first - 1] in _NAME_BYTES:
        first -= 1
    if first < place.start and first > place.record and place.data[first - 1] == _BACKSLASH and place.data[first] in b"nrt":
        first += 1
    return first


def _argument_depth(place: Place, start: int) -> int | None:
    """Tell the depth of the quote before an item of a list of arguments or variables; None if there is no such quote."""
    data = place.data
    if start <= place.record or data[start - 1] != _QUOTE:
        return None
    depth = _backslashes(data, start - 1)
    before = data[max(place.record, start - depth - 10) : start - depth - 1]
    return depth if before.endswith(_ARGUMENT_KEYS) else None


def _plain(place: Place) -> Iterator[Span]:
    """The trigger's group is the secret, or the one value group within it."""
    found = place.found
    kind = found.lastgroup.decode()
    kind = "pem" if kind == "keyblob" else kind
    for name, index in known.VALUE_GROUPS.get(kind, ()):
        first, last = found.span(index)
        if first >= 0:
            yield Span(first, min(last, place.line_end), "url" if name.startswith("url") else kind)
            return
    yield Span(place.start, min(place.end, place.line_end), kind)


def _value_span(place: Place, start: int, quote: bytes) -> tuple[int, int]:
    """Give the span of a value that begins at `start`, opened by `quote` (empty for a bare value)."""
    if quote.endswith(b'"'):
        return start, closing_quote(place.data, start, place.line_end, len(quote) - 1)
    if quote:
        last = place.data.find(b"'", start, place.line_end)
        if last >= 0 and place.data.find(b'"', start, last) < 0:
            return start, start + len(place.data[start:last].rstrip(b"\\"))
    bare = known.BARE.match(place.data, start, place.line_end)
    if bare is None:
        return start, start
    last = bare.end()
    following = known.NEXT_PARAMETER.search(place.data, start, last)
    return start, following.start() if following else last


def _keyvalue(place: Place) -> Iterator[Span]:
    data = place.data
    found = known.KEYVALUE.match(data, place.start, place.line_end)
    if found is None:
        return
    first = _name_start(place)
    name = data[first : found.end(1)].lstrip(b"-")
    quote, separator = found[b"open"] or b"", found[b"sep"]
    start = found.end()
    if quote and known.NO_OPENING.match(data, start, place.line_end):
        return
    password = known.PASSWORD_NAME.search(name) is not None
    depth = None if quote or found[b"closed"] else _argument_depth(place, first)
    if depth is not None and b"=" in separator:
        end = closing_quote(data, start, place.line_end, depth)
    else:
        start, end = _value_span(place, start, quote)
    value = data[start:end]
    if separator.endswith(b"[") and not quote:
        return
    if name.lower().endswith(b"pwd") and value.startswith(b"/"):
        return
    if not value or known.NO_SECRET_NAME.fullmatch(name) or value[:1] == b"$":
        return
    if known.NO_SECRET.fullmatch(value) and not (
        password and value.isdigit() and len(value) > 3 and (quote or not found[b"closed"])
    ):
        return
    if name.lower().endswith((b"auth", b"credential", b"credentials")) and value.startswith(
        (b"/", b"file:", b"kbs:", b"system:")
    ):
        return
    if (
        not quote
        and not found[b"closed"]
        and separator.strip(b" \t") == b":"
        and not _is_no_prose(value, separator, strong=password)
    ):
        return
    yield Span(start, end, "bootstrap" if known.BOOTSTRAP.fullmatch(value) else "keyvalue")


def _is_no_prose(value: bytes, separator: bytes, *, strong: bool) -> bool:
    """Tell whether the bare text behind `name:` is a value rather than the next word or the next field of a dump."""
    if len(separator) == 1:
        return True
    if value[:1].isupper() and b":" in value:
        return False
    return not value.endswith(b":") if strong else len(value) > 19 or any(48 <= byte < 58 for byte in value)


def _group(found: Any, kind: str, index: int = 1, *, open_end: bool = False) -> Span:
    """Give the span of a group of a match."""
    start, end = found.span(index)
    return Span(start, end, kind, open_end)


def _option(place: Place) -> Iterator[Span]:
    before = place.data[place.start - 1] if place.start > place.record else _SPACE
    if before in _NAME_BYTES and not (before in b"nrt" and place.data[place.start - 2 : place.start - 1] == b"\\"):
        return
    found = known.OPTION.match(place.data, place.start, place.line_end)
    if found is None or known.NO_SECRET_NAME.fullmatch(found[b"name"].lstrip(b"-")):
        return
    start = found.end()
    quoted = place.data[start - 1] == _QUOTE
    if quoted and known.NO_OPENING.match(place.data, start, place.line_end):
        return
    end = (
        closing_quote(place.data, start, place.line_end, _backslashes(place.data, start - 1))
        if quoted
        else _value_span(place, start, b"")[1]
    )
    if end > start and not known.NO_SECRET.fullmatch(place.data, start, end):
        yield Span(start, end, "bootstrap" if known.BOOTSTRAP.fullmatch(place.data, start, end) else "argv")


def _command(place: Place) -> Iterator[Span]:
    """Look at a command's arguments; from the last secret on where one of its name before it has seen the first."""
    data, start = place.data, place.start
    limit = min(place.line_end, start + _WINDOW)
    stop = known.COMMAND_END.search(data, place.end, limit)
    end = stop.start() if stop else limit
    name = data[start : start + 4]
    rule, seen = _COMMANDS.get(name, known.MYSQL), place.commands.setdefault(name, [])
    first = rule.search(data, place.end - 1, end)
    if first is None:
        return
    for found in rule.finditer(data, seen[-1] if first.start() in seen[-_WINDOW:] else first.start(), end):
        seen.append(found.start())
        yield _group(found, "argv")


def _header(place: Place) -> Iterator[Span]:
    found = known.HEADER.match(place.data, place.start, place.line_end)
    if found is None:
        return
    value = found[b"value"]
    if value[:1] != b"$" and (found[b"scheme"] or found[b"closed"] or len(value) > 15):
        yield _group(found, "bearer", 3)


def _basic(place: Place) -> Iterator[Span]:
    token = place.data[place.start : place.end].split()[-1]
    if token.endswith(b"=") or any(48 <= byte < 58 for byte in token):
        yield Span(place.end - len(token), place.end, "bearer")


def _blob(place: Place) -> Iterator[Span]:
    found = known.BLOB.match(place.data, place.start, place.line_end)
    if found is not None:
        yield _group(found, "initdata" if found[b"name"].startswith(b"cc") else "policy", 2)


def _pem(place: Place) -> Iterator[Span]:
    whole = known.PEM_BLOCK.match(place.data, place.start, place.record_end)
    if whole is not None:
        yield _group(whole, "pem", 0)
        return
    cut = known.PEM_CUT.match(place.data, place.start, place.record_end)
    yield Span(place.start, cut.end() if cut else min(place.end, place.record_end), "pem", open_end=True)


def _name_value(place: Place) -> Iterator[Span]:
    found = known.NAME_VALUE.match(place.data, place.start, place.line_end)
    if found is None:
        return
    start, end = _value_span(place, found.end(), found[b"open"])
    if not _is_benign(found[b"name"], place.data, start, end):
        yield Span(start, end, "env")


def _is_benign(name: bytes, data: bytes, start: int, end: int) -> bool:
    """Tell whether a variable's value stays: it is empty, or has a well-known name and a harmless look."""
    if end <= start:
        return True
    return bool(known.BENIGN_ENV.fullmatch(name) and known.BENIGN_ENV_VALUE.fullmatch(data, start, end))


def _secret_data(place: Place) -> Iterator[Span]:
    """Every value of the `data` of a Kubernetes Secret, whatever its name."""
    start = place.data.index(b"{", place.start)
    while item := known.MAP_ITEM.match(place.data, start, place.line_end):
        end = closing_quote(place.data, item.end(), place.line_end, len(item[b"open"]) - 1)
        if end > item.end():
            yield Span(item.end(), end, "secret")
        start = end + len(item[b"open"])


def _go_struct(place: Place) -> Iterator[Span]:
    """`EnvVar{Name:A,Value:b,ValueFrom:nil,}`, as the kubelet writes a container."""
    found = known.GO_STRUCT.match(place.data, place.start, place.line_end)
    if found is None:
        return
    end = _text_end(place, found.end())
    last = known.GO_STRUCT_END.search(place.data, found.end(), end)
    end = last.start() if last else end
    if not _is_benign(found[b"name"], place.data, found.end(), end):
        yield Span(found.end(), end, "env")


def _rego(place: Place) -> Iterator[Span]:
    """A whole agent policy: from the quote before its package to the one that closes it."""
    quote = place.data.rfind(b'"', max(place.record, place.start - _LOOK_BACK), place.start)
    yield Span(quote + 1 if quote >= 0 else place.start, _text_end(place, place.start), "policy")


def _env_list(place: Place) -> Iterator[Span]:
    """The values of a list of variables, and last an empty span at the list's end: inside, no other list is looked for."""
    data = place.data
    bracket = data.index(b"[", place.start)
    next_item = bracket
    while item := known.ENV_ITEM.match(data, next_item, place.line_end):
        start = item.end()
        end = closing_quote(data, start, place.line_end, len(item[b"open"]) - 1)
        equals = data.find(b"=", start, end)
        if equals >= 0 and not _is_benign(data[start:equals], data, equals + 1, end):
            yield Span(equals + 1, end, "env")
        next_item = end + len(item[b"open"])
    if next_item == bracket:
        yield from _go_env_list(place, bracket)
    else:
        yield Span(next_item, next_item, "env")


def _go_env_list(place: Place, bracket: int) -> Iterator[Span]:
    """`Env:[A=b C=d]` of a Go dump: nothing is quoted, so a value ends where the next name or the list does."""
    data = place.data
    end = _text_end(place, bracket)
    last = known.GO_LIST_END.search(data, bracket, end)
    end = last.start() if last else end
    names = [(found.span(), found.span(1)) for found in known.GO_ENV_NAME.finditer(data, bracket, end)]
    for index, ((_, value), name) in enumerate(names):
        value_end = names[index + 1][0][0] if index + 1 < len(names) else end
        if not _is_benign(data[slice(*name)], data, value, value_end):
            yield Span(value, value_end, "env")
    yield Span(end, end, "env")


RULES: dict[str, Callable[[Place], Iterator[Span]]] = {
    **dict.fromkeys(known.PLAIN_KINDS, _plain),
    "envlist": _env_list,
    "envpair": _name_value,
    "namevalue": _name_value,
    "keyvalue": _keyvalue,
    "option": _option,
    "command": _command,
    "header": _header,
    "basic": _basic,
    "blob": _blob,
    "pem": _pem,
    "secretdata": _secret_data,
    "gostruct": _go_struct,
    "rego": _rego,
}
"""Which rule looks at what group of the trigger; `array`, `hex`, `pemend` and `secretobject` are the caller's."""
