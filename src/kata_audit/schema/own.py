"""What we say ourselves: how a record of ours is spelled, and the rows in which it enters a store.

A record is one JSON object on one line, in a form of its own:

`{"time":"…","event":"collect.lost","severity":"WARN","message":"…","attributes":{"…":"…"}}`. `parse/dialects/own.py` reads
it. The receiver's name makes a record ours, never the text.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa

from kata_audit.schema.cursor import Cursor
from kata_audit.schema.record import EVIDENCE_SCHEMA, EvidenceRows
from kata_audit.schema.source import OWN_RECEIVER

_NS = 1_000_000_000


def spell(event: str, severity: str, message: str, *, time_ns: int, attributes: Mapping[str, str]) -> bytes:
    """Spell a record of ours, with its line end.

    Args:
        event: Its name, `<room>.<what happened>`.
        severity: The OTel word of its severity.
        message: One sentence.
        time_ns: When it happened, in nanoseconds since the Unix epoch.
        attributes: What else is known; `action`, `object`, `outcome` and `actor` become columns.
    """
    record = {
        "time": spell_time(time_ns),
        "event": event,
        "severity": severity,
        "message": message,
        "attributes": dict(attributes),
    }
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"


def spell_time(ns: int) -> str:
    """Spell nanoseconds since the Unix epoch as RFC 3339 in UTC, with nine digits.

    Example:
        >>> spell_time(1_795_000_000_123_456_789)
        '2026-11-18T11:06:40.123456789Z'
    """
    return f"{_spell_second(ns // _NS)}.{ns % _NS:09d}Z"


@lru_cache(maxsize=4096)
def _spell_second(seconds: int) -> str:
    """Spell a second, in which many records lie."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class Said(NamedTuple):
    """A record of ours that is spelled: when it was said, of which node and whose it is, and its line."""

    said_ns: int
    node: str
    tenant: str
    line: bytes


def own_rows(kind: str, said: Sequence[Said]) -> EvidenceRows:
    """Give records of ours of one kind as evidence with null `seq`; a record's place in its stream is its time.

    Args:
        kind: It ends the receiver's name, `kata-audit:<kind>`.
        said: The records, in order.
    """
    receiver = f"{OWN_RECEIVER}:{kind}"
    cursors = [str(Cursor(receiver, one.said_ns, len(one.line))) for one in said]
    return pa.RecordBatch.from_arrays(
        [
            pa.nulls(len(said), pa.uint64()),
            pa.array([one.said_ns for one in said], pa.int64()).cast(pa.timestamp("ns", tz="UTC")),
            pa.array([one.node for one in said], pa.string()),
            pa.array([receiver] * len(said), pa.string()),
            pa.array(cursors, pa.string()),
            pa.array([one.line for one in said], pa.large_binary()),
            pa.array([one.tenant for one in said], pa.string()),
        ],
        schema=EVIDENCE_SCHEMA,
    )


def read_prefixed(attributes: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Give the attributes whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in attributes.items() if name.startswith(prefix)}


def read_integer(text: str) -> int:
    """Read a whole number as `str` spells it.

    Raises:
        ValueError: It is none, or spelled in another way.
    """
    value = int(text) if len(text) <= 20 else 0
    if str(value) != text:
        raise ValueError(text[:20])
    return value
