r"""Values of names that say what they are: `password=…`, `"token": "…"`, `api_key: \"…\"`, `"--token", "…"`."""

from collections.abc import Iterator

import re2

from kata_audit.parse.secrets.spans import Span, bare_end, quoted_end, worth_masking

_WORDS = (
    rb"pass(?:word|wd|phrase|code)|(?:^|[^a-z])pwd|secrets?|secret[_-]?(?:access[_-]?)?key|[_-]?auth[_-]?token|tokens?|"
    rb"(?:api|private|access|account|signing|encryption|session|shared[_-]?access|master|license|storage|ssh|client)[_-]?key|"
    rb"credentials?|\"auth|sharedaccesssignature|authorization|cookie|connection[_-]?string|dsn|webhook[_-]?url"
)
_BLOBS = rb"cc_init_data|init_?data|agent\.policy"
_NAME = re2.compile(
    rb"(?i)(" + _WORDS + rb"|" + _BLOBS + rb")"
    rb"(?:(\\*)[\"'])?\s*(=>|:=|[:=])\s*(?:Some\()?(?:(\\*)([\"']))?"
)
_OPTION = re2.compile(
    rb"(?i)--?[a-z0-9-]*(pass(?:word|wd|phrase)?|secret|token|api-?key|access-?key|secret-?key|private-?key|credentials?|bearer)"
    rb"(?:\\*[\"'],?\s*(\\*)([\"'])|\s+(?:(\\*)([\"']))?)"
)
_CLOSING = re2.compile(rb"\s*(?:[,}\])]|$)")
_SCHEME = re2.compile(rb"(?i)\s*(?:bearer|basic|token|digest|negotiate|aws4-hmac-sha256)\s+")
_NUMBER = re2.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_GO_KEY = re2.compile(rb"[A-Z][A-Za-z]*:")
_NOT_BARE = re2.compile(rb"[\[{]")


def find_named(text: bytes, *, json: bool) -> Iterator[Span]:
    """Find values whose name is that of a secret, in JSON, logfmt, Rust Debug, Go dumps, YAML, at any depth of escapes.

    Args:
        text: One record.
        json: Whether the record as a whole is a JSON object: there an unescaped quote is never part of a value.

    Yields:
        A span for each value, ascending.
    """
    position = 0
    while (found := _NAME.search(text, position)) is not None:
        position = int(found.end())
        word, key_run, sign, _, quote = found.group(1, 2, 3, 4, 5)
        kind = _kind(word)
        if quote is not None:
            span = _quoted(text, found, json=json, kind=kind)
        elif _NOT_BARE.match(text, position) is not None:
            continue
        else:
            span = _bare(text, position, key_run, kind, word, prose=sign == b":")
        if span is not None:
            position = max(position, span.end)
            yield span


def _kind(word: bytes) -> str:
    lowered = word.lower().lstrip(b"\"'\\ ")
    if b"init" in lowered:
        return "initdata"
    if b"policy" in lowered:
        return "policy"
    if b"pass" in lowered or b"pwd" in lowered:
        return "password"
    if b"token" in lowered:
        return "token"
    if b"key" in lowered:
        return "key"
    return "authorization" if lowered == b"authorization" else "secret"


def _quoted(text: bytes, found: "re2._Match[bytes]", *, json: bool, kind: str) -> Span | None:
    key_run, sign, run, quote = found.group(2, 3, 4, 5)
    depth, start = len(run), int(found.end())
    if json and depth == 0 and quote == b'"' and (sign != b":" or key_run is None):
        return None  # the quote that ends the text around it, no opening one
    if key_run is None and _CLOSING.match(text, start) is not None:
        return None
    end = quoted_end(text, start, depth, quote)
    if json and quote == b"'":
        end = min(end, quoted_end(text, start, 0))
    return Span(start, end, kind) if end > start and worth_masking(text[start:end]) else None


def _bare(text: bytes, start: int, key_run: bytes | None, kind: str, word: bytes, *, prose: bool) -> Span | None:
    if word.lower() == b"authorization" and (scheme := _SCHEME.match(text, start)) is not None:
        start = int(scheme.end())
    end = bare_end(text, start)
    value = text[start:end]
    if _GO_KEY.match(value) is not None:
        return None  # an empty value in a Go dump: what follows is the next key
    if end == start or not worth_masking(value) or (kind == "secret" and prose and key_run is None and value.isalpha()):
        return None
    if key_run is not None:
        if _NUMBER.fullmatch(value) is None:
            return None if value.isalpha() else Span(start, end, kind)
        return Span(start, end, kind, key_run + b'"')
    if word.lower().endswith(b"pwd") and value.startswith(b"/"):
        return None
    return Span(start, end, kind)


def find_options(text: bytes) -> Iterator[Span]:
    """Find the value behind an option: `--password x`, `"--token", "x"`."""
    position = 0
    while (found := _OPTION.search(text, position)) is not None:
        position = int(found.end())
        run, quote = found.group(2, 3) if found.group(3) is not None else found.group(4, 5)
        if quote is not None:
            end = quoted_end(text, position, len(run), quote)
            if quote == b"'":
                end = min(end, quoted_end(text, position, 0))
        else:
            end = bare_end(text, position)
        if end > position and worth_masking(text[position:end]):
            yield Span(position, end, "argv")
            position = end
