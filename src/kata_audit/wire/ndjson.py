"""Records as JSON over HTTP: an object a line, or one array of objects. No bytes leave or come here.

Source: what Fluent Bit's `http` output sends as `json_lines` and `json`, Vector's `http` sink as `newline_delimited` and
`json`.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

MAX_DEPTH: Final = 32
"""How deep values of a record may lie in each other."""
_BLANKS: Final = b" \t\r\n"


class Sent(NamedTuple):
    """One record: its fields, none where it is no object, and its bytes without the line end."""

    values: Mapping[str, Any]
    line: bytes


def decode_records(body: bytes) -> list[Sent]:
    r"""Read the records of a body.

    What is no JSON object is a record without fields, as it stands: nothing that was sent is refused for its form. Empty
    lines are no records.

    Example:
        >>> decode_records(b'{"log":"a"}\nb\n')
        [Sent(values={'log': 'a'}, line=b'{"log":"a"}'), Sent(values={}, line=b'b')]
    """
    if body.lstrip(_BLANKS)[:1] == b"[":
        listed = _load(body)
        if isinstance(listed, list) and all(isinstance(one, dict) for one in listed):
            return [Sent(one, orjson.dumps(one)) for one in listed]
    lines = (line.removesuffix(b"\r") for line in body.split(b"\n"))
    return [Sent(_object(line), line) for line in lines if line.strip(_BLANKS)]


def _object(line: bytes) -> Mapping[str, Any]:
    told = _load(line) if line.lstrip(_BLANKS)[:1] == b"{" else None
    return told if isinstance(told, dict) else {}


def _load(text: bytes) -> Any:
    """Load JSON; None for what is none, or deeper than a record is."""
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return None if is_deep(told) else told


def is_deep(value: Any, most: int = MAX_DEPTH) -> bool:
    """Say whether maps and lists lie in each other more than `most` deep."""
    layer = _inside([value])
    for _ in range(most):
        layer = [inner for one in layer for inner in _inside(one)]
    return bool(layer)


def _inside(value: Any) -> list[Any]:
    within = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [one for one in within if isinstance(one, Mapping | list | tuple)]
