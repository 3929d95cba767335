"""The fields that a condition may name: a fixed list, made from the record's schema.

Nothing else reaches a printed query as an identifier. `raw` is asked as text: its bytes as UTF-8, and in a record whose
bytes are not UTF-8 each byte above 127 counts as U+FFFD.
"""

from enum import StrEnum

import pyarrow as pa

from kata_audit.predicate.tree import NOTHING, Compare, Op, Predicate, Present
from kata_audit.schema.record import RECORD_SCHEMA
from kata_audit.schema.severity import DEBUG, ERROR, FATAL, INFO, TRACE, WARN

ATTRIBUTE = "attributes."
"""A field of this beginning is a key of `attributes`."""


class Kind(StrEnum):
    """What a field holds, and so how it may be compared."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "time"
    BYTES = "bytes"


def _kind(type_: pa.DataType) -> Kind:
    if pa.types.is_timestamp(type_):
        return Kind.TIME
    if pa.types.is_integer(type_):
        return Kind.NUMBER
    return Kind.BYTES if pa.types.is_large_binary(type_) else Kind.TEXT


FIELDS: dict[str, Kind] = {field.name: _kind(field.type) for field in RECORD_SCHEMA if field.name != "attributes"}
"""Each field's kind, in the order of the record's columns."""

ALIASES: dict[str, str] = {
    "pod": "k8s_pod",
    "namespace": "k8s_namespace",
    "ns": "k8s_namespace",
    "uid": "k8s_pod_uid",
    "sandbox": "sandbox_id",
    "container": "container_id",
    "event": "event_name",
    "level": "severity_number",
    "severity": "severity_number",
    "time": "timestamp",
}
"""Friendly names."""

TEXT_FIELD = "text"
"""`text:word` asks for the word in `body` or `raw`."""

SEVERITY_WORDS: dict[str, int] = {
    "trace": TRACE,
    "debug": DEBUG,
    "info": INFO,
    "warn": WARN,
    "warning": WARN,
    "error": ERROR,
    "fatal": FATAL,
}
"""Words that stand for a `severity_number`."""

_SIGNED = (-(1 << 63), (1 << 63) - 1)
_TIMES = (-9_223_286_400_000_000_000, (1 << 63) - 2)
"""Times that DuckDB takes in nanoseconds: from 1677-09-22; its greatest 64-bit number means infinity."""


def _limits(type_: pa.DataType) -> tuple[int, int]:
    if pa.types.is_timestamp(type_):
        return _TIMES
    return (0, (1 << type_.bit_width) - 1) if pa.types.is_unsigned_integer(type_) else _SIGNED


_LIMITS: dict[str, tuple[int, int]] = {
    str(field.name): _limits(field.type) for field in RECORD_SCHEMA if _kind(field.type) in (Kind.NUMBER, Kind.TIME)
}


def kind_of(field: str) -> Kind:
    """Give a field's kind.

    Raises:
        KeyError: There is no such field.
    """
    return Kind.TEXT if field.startswith(ATTRIBUTE) and field != ATTRIBUTE else FIELDS[field]


def fit(condition: Compare) -> Predicate:
    """Settle a comparison with a number that the column cannot hold; leave every other as it is.

    Example:
        >>> fit(Compare("severity_number", Op.LT, 1000))
        Present(field='severity_number')
    """
    if condition.field not in _LIMITS or not isinstance(condition.value, int):
        return condition
    low, high = _LIMITS[condition.field]
    if low <= condition.value <= high:
        return condition
    above = condition.value > high
    holds = condition.op is Op.NE or condition.op in ((Op.LT, Op.LE) if above else (Op.GT, Op.GE))
    return Present(condition.field) if holds else NOTHING
