"""All finders over one text, merged; and the trigger that says which texts may hold a secret at all."""

import orjson
import re2

from kata_audit.parse.secrets.environment import find_environment
from kata_audit.parse.secrets.named import find_named, find_options
from kata_audit.parse.secrets.spans import Span
from kata_audit.parse.secrets.tokens import VENDORS, find_blocks, find_tokens

_LITERALS = (
    rb"(?i:pass(?:word|wd|phrase|code)|[^a-z]pwd|secret|token|credential)(?:s|[_-]?(?:access[_-]?)?key)?\\*[\"']?\s*[=:,\s]\s*\S|"
    rb"(?i:(?:api|private|access|account|signing|encryption|session|master|license|storage|ssh|client)[_-]?key)\\*[\"']?\s*[=:,\s]\s*\S|"
    rb"(?i:sharedaccesssignature|authorization|cookie|connection[_-]?string|dsn|webhook[_-]?url|\"auth)\\*[\"']?\s*[=:]|"
    rb"(?i:bearer[\s\"'\\])|"
    rb"(?i:env|envs|environment|environ)(?:\\*\")?\s*[:=]\s*(?:Some\(|&|\[\]string|vec!)*[\[{]|"
    rb"value(?:\\*\")?\s*[:=]\s*(?:Some\()?\\*\"|\bValue:|"
    rb"(?:cc_init_data|init_?data|agent\.policy)(?:\\*\")?\s*[:=]|package\s+agent_policy|"
    rb"-----BEGIN [A-Z0-9 ]*PRIVATE|\*masked:|[?&;](?i:sig|x-amz-)|u0026(?i:sig|x-amz-)|pass:|"
    rb"://[^\s/@:\"'\\]*:[^\s@\"'\\/][^\s@\"'\\]*@|"
    rb"[\s\"]-[pPawu](?:\\*\"|\s|[^\s\"\\])|--user[\s=\"\\]|"
)
_ARRAY = rb"\":\s?\[[0-9]{1,3},\s?[0-9]"
TRIGGER = re2.compile(_LITERALS + _ARRAY + b"|" + b"|".join(pattern for _, pattern in VENDORS))
"""A text without a match holds nothing that any finder knows: one scan without groups, over many records at once."""

_STRING = re2.compile(rb"(?s)\"((?:[^\"\\]|\\.)*)\"")


def find_secrets(text: bytes) -> list[Span]:
    """Find every secret in one text; a JSON object stays one when the spans are replaced.

    Args:
        text: One record, or the joined pieces of one.

    Returns:
        Spans, ascending, apart.
    """
    json = text.startswith(b"{")
    spans = merge(
        [
            *find_blocks(text, json=json),
            *find_environment(text, json=json),
            *find_named(text, json=json),
            *find_options(text),
            *find_tokens(text),
        ]
    )
    return _keep_json(text, spans) if json and spans else spans


def merge(spans: list[Span]) -> list[Span]:
    """Order spans and join those that overlap; the joined one keeps the kind of the first."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if merged and span.start < merged[-1].end:
            if span.end > merged[-1].end:
                merged[-1] = merged[-1]._replace(end=span.end)
        else:
            merged.append(span)
    return merged


def replace(text: bytes, spans: list[Span], marks: list[bytes]) -> bytes:
    """Put a mark in the place of each span."""
    parts = []
    position = 0
    for span, mark in zip(spans, marks, strict=True):
        parts += [text[position : span.start], span.wrap, mark, span.wrap]
        position = span.end
    return b"".join([*parts, text[position:]])


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _keep_json(text: bytes, spans: list[Span]) -> list[Span]:
    """Keep the spans where JSON stays JSON; else widen each to the whole string that it touches."""
    if _is_json(replace(text, spans, [b"x"] * len(spans))) or not _is_json(text):
        return spans
    strings = [found.span(1) for found in _STRING.finditer(text)]
    widened = []
    for start, end in strings:
        touching = [span for span in spans if span.start < end and span.end > start]
        if touching:
            widened.append(Span(start, end, touching[0].kind))
    return widened
