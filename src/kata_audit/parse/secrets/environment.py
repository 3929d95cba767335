r"""Values of environment variables: `"env":["A=b"]`, `env: Some([\"A=b\"])`, `Env:[A=b C=d]`, `envs:{key:"A" value:"b"}`."""

from collections.abc import Iterator

import re2

from kata_audit.parse.secrets.spans import Span, bare_end, quoted_end

_LIST = re2.compile(
    rb"(?i)(?:env|envs|environment|environ)(?:\\*\")?\s*[:=]\s*(?:Some\()?&?(?:\[\]string)?(?:vec!)?([\[{])\s*"
)
_ELEMENT = re2.compile(rb"[\s,]*(\\*)\"([A-Za-z_][A-Za-z0-9_.-]*)=")
_OTHER = re2.compile(rb"[\s,]*(\\*)\"")
_MEMBER = re2.compile(rb"[\s,]*(\\*)\"([^\"\\]*)\\*\"\s*:\s*(\\*)\"")
_PAIR = re2.compile(
    rb"(?i)(env(?:s|ironment)?\s*:?\s*\{\s*)?\b(?:name|key)(?:\\*\")?\s*[:=]\s*\\*\"([A-Za-z0-9_.-]+)\\*\"[\s,]+"
    rb"(?:\\*\")?value(?:\\*\")?\s*[:=]\s*(?:Some\()?(\\*)\""
)
_GO_PAIR = re2.compile(rb"(?:Name|Key):([A-Za-z_][A-Za-z0-9_]*),?\s*Value:")
_GO_PAIR_END = re2.compile(rb",\s*(?:ValueFrom|XXX_|\})|\}|\s+[A-Z][A-Za-z]*:|\\*\"")
_GO_LIST_END = re2.compile(rb"\](?:[\s,]+[A-Z][A-Za-z]*:|[}\])]|\\*\"|\s*$)")
_GO_NAME = re2.compile(rb"(?:^|\s)([A-Za-z_][A-Za-z0-9_]*)=")
_BARE_QUOTE = re2.compile(rb"\"")
_UPPER = re2.compile(rb"[A-Z_][A-Z0-9_]*")
_TELLING = re2.compile(rb"(?i)pass|secret|token|key|cred|auth|dsn|url")
_BENIGN = re2.compile(
    rb"PATH|HOME|HOSTNAME|TERM|LANG|LC_[A-Z]+|TZ|USER|LOGNAME|SHELL|PWD|SHLVL|KUBERNETES_(?:SERVICE|PORT)[A-Z0-9_]*|"
    rb"[A-Z0-9_]+_SERVICE_(?:HOST|PORT)[A-Z0-9_]*|[A-Z0-9_]+_PORT_[0-9]+_(?:TCP|UDP)(?:_(?:ADDR|PORT|PROTO))?|"
    rb"POD_(?:NAME|NAMESPACE|UID|IP)|NODE_NAME|RUST_(?:BACKTRACE|LOG)|GOMAXPROCS"
)


def is_benign(name: bytes) -> bool:
    """Tell whether a variable's value may stay: names that the platform sets and that carry no secret."""
    return _BENIGN.fullmatch(name) is not None


def find_environment(text: bytes, *, json: bool) -> Iterator[Span]:
    """Find values of environment variables; their names stay.

    Args:
        text: One record.
        json: Whether the record as a whole is a JSON object.

    Yields:
        A span for each value, ascending within each grammar.
    """
    position = 0
    while (found := _LIST.search(text, position)) is not None:
        position = int(found.end())
        walk = _members if found.group(1) == b"{" else _elements
        spans, seen = walk(text, position)
        if not seen and found.group(1) == b"[" and text[position : position + 1] != b"{":
            spans = list(_go_list(text, position, json=json))
        for span in spans:
            position = max(position, span.end)
            yield span
    yield from _pairs(text)
    yield from _go_pairs(text)


def _elements(text: bytes, position: int) -> tuple[list[Span], bool]:
    """Walk `"A=b", "C=d"`; also say whether there was any element."""
    spans: list[Span] = []
    seen = False
    while True:
        found = _ELEMENT.match(text, position) or _OTHER.match(text, position)
        if found is None:
            return spans, seen
        seen = True
        depth, start = len(found.group(1)), int(found.end())
        end = quoted_end(text, start, depth)
        named = found.re is _ELEMENT or text[start - 1 : start] == b"="
        name = text[found.start() : start].rsplit(b'"', 1)[-1][:-1] if named else b""
        if named and end > start and not is_benign(name):
            spans.append(Span(start, end, "env"))
        position = end + depth + 1
        if position <= start or position > len(text):
            return spans, seen


def _members(text: bytes, position: int) -> tuple[list[Span], bool]:
    """Walk `"A": "b", "C": "d"`."""
    spans: list[Span] = []
    while (found := _MEMBER.match(text, position)) is not None:
        start, depth = int(found.end()), len(found.group(3))
        end = quoted_end(text, start, depth)
        if end > start and not is_benign(found.group(2)) and found.group(2) not in {b"key", b"name"}:
            spans.append(Span(start, end, "env"))
        position = end + depth + 1
    return spans, bool(spans)


def _go_list(text: bytes, start: int, *, json: bool) -> Iterator[Span]:
    """Walk `A=b C=d]`: values may hold spaces; the list ends at a bracket that a Go dump goes on behind."""
    closing = _GO_LIST_END.search(text, start)
    end = int(closing.start()) if closing is not None else len(text.rstrip(b"\r\n"))
    if (json or text.startswith(b"time=")) and (quote := _BARE_QUOTE.search(text, start)) is not None:
        end = min(end, start + len(text[start : quote.start()].rstrip(b"\\")))
    names = list(_GO_NAME.finditer(text[start:end]))
    if not names or names[0].start() > 0:
        return
    for index, found in enumerate(names):
        stop = int(names[index + 1].start()) if index + 1 < len(names) else end - start
        if stop > found.end() and not is_benign(found.group(1)):
            yield Span(start + int(found.end()), start + stop, "env")


def _pairs(text: bytes) -> Iterator[Span]:
    """Find `name: "A", value: "b"`; a lower-case name only in a list that calls itself env, or where it tells a secret."""
    position = 0
    while (found := _PAIR.search(text, position)) is not None:
        position = start = int(found.end())
        inside, name, run = found.group(1, 2, 3)
        end = quoted_end(text, start, len(run))
        known = inside is not None or _UPPER.fullmatch(name) is not None
        telling = b"." not in name and _TELLING.search(name) is not None
        if end > start and (known or telling) and not is_benign(name):
            yield Span(start, end, "env")
            position = end


def _go_pairs(text: bytes) -> Iterator[Span]:
    """Find `{Name:A,Value:b,…}` and `{Key:A Value:b}`."""
    position = 0
    while (found := _GO_PAIR.search(text, position)) is not None:
        position = start = int(found.end())
        closing = _GO_PAIR_END.search(text, start)
        end = int(closing.start()) if closing is not None else bare_end(text, start)
        if end > start and not is_benign(found.group(1)):
            yield Span(start, end, "env")
            position = end
