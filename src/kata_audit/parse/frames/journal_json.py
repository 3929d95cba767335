"""journald's JSON: one object a line, as `journalctl -o json` prints it.

Source: systemd, "Journal JSON Format".
"""

import json
from typing import Any

import orjson

_MAX_SLOW_BYTES = 1 << 20


def _first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that says one name twice: whoever wrote it is no journald."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name comes twice")
    return fields


def _load_slowly(text: bytes) -> dict[str, Any] | None:
    """Load what the fast loader refused or what may hold a name twice; None where it is no object or has one twice."""
    if len(text) > _MAX_SLOW_BYTES:
        return None
    try:
        fields = json.loads(text, object_pairs_hook=_first_of_each)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def load_once_named(text: bytes) -> dict[str, Any] | None:
    """Load one JSON object whose writer is not trusted to name each field once.

    A name in a compact object follows `{` or `,`; an unescaped `,"` cannot stand inside a string unless a string ends in a
    comma. So one count tells nearly always that no name comes twice, and the rest is looked at slowly.

    Args:
        text: The object's text, with or without white space around it.

    Returns:
        The fields, or None where `text` is no JSON object or says one name twice.
    """
    fields = load_object(text)
    if fields is not None and (text.count(b',"') + 1 != len(fields) or b', "' in text):
        return _load_slowly(text)
    return fields


def load_object(text: bytes) -> dict[str, Any] | None:
    """Load one JSON object; None where `text` is none. Of a name that comes twice the last counts."""
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _load_slowly(text)
    return fields if isinstance(fields, dict) else None
