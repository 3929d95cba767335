"""A record as an entry of Loki: which stream, at what time, what line, and what beside it.

Streams are what Loki's index and its memory pay for, so labels are only what has few values and what nobody in a guest, and
nobody who may make a namespace, can choose: the cluster, the node, the component, the origin, the class. Namespace, pod,
sandbox, actor and level are structured metadata: as well searched, and no stream more.

An entry's time is the record's own where it lies near the time of receipt, else the time of receipt. Loki refuses what lies
an hour behind the newest of its stream (half of `max_chunk_age`), or ahead of its clock; one guest whose clock is years
ahead would have all that follows refused. The rule looks at nothing but the record, so that a record that is sent again is
the same entry.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from kata_audit.schema.exported import Exported
from kata_audit.wire.loki import Entry

BEHIND_NS: Final = 30 * 60 * 1_000_000_000
"""How long before its receipt a record may have happened, to be sent with its own time."""
AHEAD_NS: Final = 5 * 60 * 1_000_000_000
"""How long after it, by its own clock."""
MAX_LINE_BYTES: Final = 256_000
"""Bytes of a line at most: Loki's default is 256 KB, which it counts in one way or the other."""
MAX_METADATA: Final = 120
"""Structured metadata of one entry at most; Loki's default is 128, and it adds some itself."""
MAX_METADATA_BYTES: Final = 60_000
"""Bytes of them at most, names and values; Loki's default is 64 KB."""
MAX_LABEL: Final = 128
"""Characters of a label's value at most."""
_JOB: Final = "kata-audit"
_LABELS: Final = ("class", "component", "origin")
_IN_LABELS: Final = frozenset({*_LABELS, "cluster", "node", "job", "service_name", "kata_class", "kata_origin"})
"""Names that say again what a label says; `service_name` Loki makes of `component`."""
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._:@/+-]")
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9]+")
_LEVELS: Final = ("trace", "debug", "info", "warn", "error", "fatal")
_OWN: Final = 3
"""Metadata that are added behind the document's."""


def entry_of(one: Exported) -> Entry:
    """Spell a record as an entry; equal for equal records."""
    time_ns = _time_of(one)
    body = one.record.get("body")
    whole = body if isinstance(body, str) and body else orjson.dumps(one.document).decode()
    line = _cut(whole)
    own = {}
    if level := _level_of(one.record.get("severity_number")):
        own["level"] = level
    if time_ns != one.time_ns:
        own["kata_sent_time"] = "observed"
    if line is not whole:
        own["kata_line_bytes"] = str(len(whole.encode()))
    return Entry(_labels_of(one.record), time_ns, line, _metadata_of(one, line, own))


def _time_of(one: Exported) -> int:
    observed = int(one.record["observed_timestamp"])
    return one.time_ns if observed - BEHIND_NS <= one.time_ns <= observed + AHEAD_NS else observed


def _labels_of(record: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return _spell_labels(str(record.get("node", "")), *(str(record.get(name, "")) for name in _LABELS))


@lru_cache(maxsize=1024)
def _spell_labels(place: str, *values_of_labels: str) -> tuple[tuple[str, str], ...]:
    """Spell the labels of a stream, of which there are few."""
    cluster, _, node = place.partition("/")
    values = {"cluster": cluster, "node": node, "job": _JOB, **dict(zip(_LABELS, values_of_labels, strict=True))}
    # No character of a sentence: Loki's answers quote labels, and they are read.
    return tuple(sorted((name, _UNSAFE.sub("_", value)[:MAX_LABEL]) for name, value in values.items() if value))


def _level_of(number: object) -> str | None:
    """Give the word for a severity of OpenTelemetry, 1 to 24."""
    return _LEVELS[(number - 1) // 4] if isinstance(number, int) and 0 < number <= 4 * len(_LEVELS) else None


def _cut(text: str) -> str:
    """Give a text itself where it fits, else as much of it as does."""
    if len(text) * 4 <= MAX_LINE_BYTES:
        return text
    data = text.encode()
    return text if len(data) <= MAX_LINE_BYTES else data[:MAX_LINE_BYTES].decode(errors="ignore")


def _metadata_of(one: Exported, line: str, own: Mapping[str, str]) -> dict[str, str]:
    """Give the document's values by flat names: the record's name first, what a sender may name as it likes last.

    What finds no room is left out and counted; the store has it.
    """
    pairs = [(path, text) for path, value in _flat(one.document, ()) if (text := _text(value)) and text != line]
    pairs.sort(key=lambda pair: (pair[1] != one.name, any("attributes" in name for name in pair[0]), len(pair[1])))
    made: dict[str, str] = {} if pairs and pairs[0][1] == one.name else {"kata_name": one.name}
    room, left_out = MAX_METADATA_BYTES, 0
    for path, text in pairs:
        name = metadata_name(path)
        if name in _IN_LABELS:
            continue
        size = len(name) + (len(text) if text.isascii() else len(text.encode()))
        if len(made) + _OWN >= MAX_METADATA or size > room:
            left_out += 1
            continue
        if name in made or name in own:
            name = next(free for number in range(2, MAX_METADATA + 3) if (free := f"{name}_{number}") not in made)
        made[name] = text
        room -= size
    return {**made, **own, **({"kata_left_out": str(left_out)} if left_out else {})}


def metadata_name(path: tuple[str, ...]) -> str:
    """Make a name that Loki takes as it is: one that it would change, or not take at all, fails the whole request there."""
    return _short_name_of(path) if sum(map(len, path)) <= MAX_LABEL else _made_name(path)


def _made_name(path: tuple[str, ...]) -> str:
    name = _NO_NAME.sub("_", "_".join(path)).strip("_")
    return name[:MAX_LABEL] if name[:1].isalpha() else f"x_{name[:MAX_LABEL]}".rstrip("_")


_short_name_of: Final = lru_cache(maxsize=4096)(_made_name)
"""Nearly all names are short and come again; long ones, which a sender may make, are not remembered."""


def _flat(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, (*path, str(name)))
    else:
        yield path, value


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()
