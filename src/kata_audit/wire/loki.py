"""Loki's push API: entries as JSON, and what its answers say about them.

An entry belongs to a stream, which is a set of labels; beside its line it has structured metadata, which is searched and not
indexed. Loki takes what it can of a request and answers 400 for the rest, in sentences; few of them name a record, but some
name the limit that was broken, by which the records are found.

Source: Loki 3.7, `docs/sources/reference/loki-http-api.md` (`POST /loki/api/v1/push`), `pkg/validation/validate.go` and
`pkg/ingester/stream.go` for the sentences, `pkg/distributor/distributor.go` for what is taken beside them.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final, NamedTuple

import orjson

PUSH_PATH: Final = "/loki/api/v1/push"
"""Where entries are pushed to, behind the base of its URL."""
TENANT_HEADER: Final = "X-Scope-OrgID"
"""Names the tenant that a request is of."""


class Entry(NamedTuple):
    """One line in Loki.

    Attributes:
        labels: The stream it belongs to: names and values, by name.
        time_ns: When, nanoseconds since the Unix epoch.
        line: The text.
        metadata: Its structured metadata: names that match `[A-Za-z][A-Za-z0-9_]*`, values that are not empty.
    """

    labels: tuple[tuple[str, str], ...]
    time_ns: int
    line: str
    metadata: Mapping[str, str]


class Why(Enum):
    """What Loki does not take, by its sentences."""

    TOO_OLD = "timestamp too old"
    """Older than `reject_old_samples_max_age`."""
    TOO_NEW = "timestamp too new"
    """Ahead of Loki's clock by more than `creation_grace_period`."""
    TOO_FAR_BEHIND = "entry too far behind"
    """Older than the newest of its stream by more than half of `max_chunk_age`."""
    OUT_OF_ORDER = "entry out of order"
    """Older than the newest of its stream, where `unordered_writes` is off."""
    LINE_TOO_LONG = "max entry size"
    """Longer than `max_line_size`."""
    METADATA_TOO_LARGE = "structured metadata too large"
    """More bytes than `max_structured_metadata_size`."""
    METADATA_TOO_MANY = "too many structured metadata"
    """More than `max_structured_metadata_entries_count`."""
    METADATA_OFF = "includes structured metadata, but"
    """`allow_structured_metadata` is off: nothing of ours is taken."""
    LABELS_MISSING = "missing required labels"
    """`enforced_labels` asks for labels that we do not send: nothing of ours is taken."""
    TOO_MANY_STREAMS = "maximum active stream limit"
    """More streams than `max_global_streams_per_user`."""


class Refusal(NamedTuple):
    """What an answer says about entries that were not taken.

    Attributes:
        why: The reasons that it names; an answer in other words has none.
        oldest_ns: Entries before this time were all refused as too old; None where no such limit is named.
        longest_line: Lines of more bytes were all refused; None where no such limit is named.
    """

    why: frozenset[Why]
    oldest_ns: int | None = None
    longest_line: int | None = None


_OLDEST = re.compile(
    rb"timestamp too old: [0-9TZ:.+-]{1,40}, oldest acceptable timestamp is: ([0-9TZ:+-]{20,25})(?![0-9TZ:+.-])"
)
_LONGEST = re.compile(rb"max entry size '([0-9]{1,12})' bytes exceeded")
_SECOND: Final = 1_000_000_000


def encode_push(entries: Sequence[Entry]) -> bytes:
    """Spell entries as the body of a push: each stream once, its entries in the order given."""
    streams: dict[tuple[tuple[str, str], ...], list[list[Any]]] = {}
    for one in entries:
        value: list[Any] = [str(one.time_ns), one.line]
        if one.metadata:
            value.append(one.metadata)
        streams.setdefault(one.labels, []).append(value)
    return orjson.dumps({"streams": [{"stream": dict(labels), "values": values} for labels, values in streams.items()]})


def decode_push(body: bytes) -> list[Entry]:
    """Read the body of a push; entries of one stream stand together, in its order.

    Raises:
        ValueError: It is none; the text says what is wrong, and holds nothing of the body.
    """
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError("a push is JSON") from error
    streams = read.get("streams") if isinstance(read, dict) else None
    if not isinstance(streams, list):
        raise ValueError("a push has `streams`")  # noqa: TRY004 - what was sent is wrong, not how this was called
    return [entry for stream in streams for entry in _entries_of(stream)]


def _entries_of(stream: object) -> list[Entry]:
    if not isinstance(stream, dict) or not _is_texts(stream.get("stream")) or not isinstance(stream.get("values"), list):
        raise ValueError("a stream has labels, `stream`, and entries, `values`")
    labels = tuple(sorted(stream["stream"].items()))
    entries = []
    for value in stream["values"]:
        if not isinstance(value, list) or not 2 <= len(value) <= 3 or not all(isinstance(part, str) for part in value[:2]):
            raise ValueError("an entry is a time and a line, both texts, and perhaps metadata")
        time, line, *metadata = value
        if not (time.isascii() and time.isdecimal() and len(time) <= 19):
            raise ValueError("a time is nanoseconds in digits")
        if metadata and not _is_texts(metadata[0]):
            raise ValueError("metadata are texts by name")
        entries.append(Entry(labels, int(time), line, metadata[0] if metadata else {}))
    return entries


def _is_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


def decode_refusal(answer: bytes) -> Refusal:
    """Read the reasons out of an answer that refuses; where a limit is named more than once, the one that refuses least.

    It relies on labels that no sentence can be written with: those of a stream are part of what Loki says.
    """
    why = frozenset(one for one in Why if one.value.encode() in answer)
    oldest = [time for found in _OLDEST.findall(answer) if (time := _nanoseconds(found)) is not None]
    longest = [int(found) for found in _LONGEST.findall(answer)]
    return Refusal(why, min(oldest, default=None), max(longest, default=None))


def _nanoseconds(text: bytes) -> int | None:
    """Read a time as Go spells it (RFC 3339, whole seconds, the server's own zone)."""
    try:
        read = datetime.fromisoformat(text.decode())
    except ValueError:
        return None
    return None if read.tzinfo is None else int(read.timestamp()) * _SECOND
