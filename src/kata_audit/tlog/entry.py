"""Log entries: small JSON objects in one canonical spelling, so that the same content has the same leaf.

Keys sorted, no white space, text as UTF-8, no floats: RFC 8785 restricted to what needs no rounding.
"""

import json
from typing import Any

import orjson

from kata_audit.errors import VerificationError
from kata_audit.tlog.tiles import MAX_ENTRY_BYTES

_MAX_DEPTH = 16
_MAX_INTEGER = (1 << 64) - 1


def _check(entry: dict[str, Any]) -> None:
    """Refuse values that have no canonical spelling."""
    level: list[Any] = [entry]
    for _ in range(_MAX_DEPTH + 1):
        inside: list[Any] = []
        for value in level:
            if isinstance(value, (str, bool)):
                continue
            if isinstance(value, int):
                if abs(value) > _MAX_INTEGER:
                    raise VerificationError("a log entry holds a number beyond 64 bits")
            elif isinstance(value, list):
                inside += value
            elif isinstance(value, dict) and _has_plain_keys(value):
                inside += value.values()
            else:
                raise VerificationError("a log entry holds a value that is neither text, number, list nor object")
        if not inside:
            return
        level = inside
    raise VerificationError(f"a log entry is nested deeper than {_MAX_DEPTH}")


def _has_plain_keys(value: dict[Any, Any]) -> bool:
    try:
        return all(map(str.isascii, value))
    except TypeError:  # one is no text
        return False


def encode_entry(entry: dict[str, Any]) -> bytes:
    """Spell an entry canonically.

    Raises:
        VerificationError: It holds what cannot be spelled, or is longer than 65,535 bytes.

    Example:
        >>> encode_entry({"t": "cut", "from": 0})
        b'{"from":0,"t":"cut"}'
    """
    _check(entry)
    try:
        data = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise VerificationError("a log entry holds a lone surrogate") from error
    if len(data) > MAX_ENTRY_BYTES:
        raise VerificationError(f"a log entry has at most {MAX_ENTRY_BYTES} bytes, not {len(data)}")
    return data


def decode_entry(data: bytes) -> dict[str, Any]:
    """Read an entry in its canonical spelling.

    Raises:
        VerificationError: It is no object, or spelled in any other way.
    """
    plain = _read_plain(data)
    if plain is not None:
        return plain
    try:
        entry = json.loads(data)
        canonical = encode_entry(entry) if isinstance(entry, dict) else None
    except (ValueError, RecursionError, VerificationError) as error:
        raise VerificationError("a log entry is not canonical JSON") from error
    if canonical != data or not isinstance(entry.get("t"), str):
        raise VerificationError("a log entry is not canonical JSON with a type")
    return dict(entry)


def _read_plain(data: bytes) -> dict[str, Any] | None:
    r"""Read an entry quickly, as opening a store does for each; None where it is left to be read with care.

    In ASCII without a backslash every loader and writer of JSON spells texts alike, so that the quick ones can be asked.
    """
    if not data.isascii() or b"\\" in data:
        return None
    try:
        entry = orjson.loads(data)
        if orjson.dumps(entry, option=orjson.OPT_SORT_KEYS) != data or not isinstance(entry, dict):
            return None
        _check(entry)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, VerificationError):
        return None
    return entry if isinstance(entry.get("t"), str) and len(data) <= MAX_ENTRY_BYTES else None
