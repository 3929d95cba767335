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
from typing import Any, Final, NamedTuple, TypeAlias

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
_NAME: Final = "kata_name"
"""The record's name, where the document does not say it."""
_LEFT_OUT: Final = "kata_left_out"
_OWN_NAMES: Final = ("level", "kata_sent_time", "kata_line_bytes", _NAME, _LEFT_OUT)
_OWN: Final = 3
"""Metadata that are added behind the document's."""
_MOST_BYTES: Final = 4
"""Bytes of a character at most, in UTF-8: texts that surely fit need not be measured."""
_MOST_PLANS: Final = 1024
_LONGEST_SHAPE: Final = 8_192
"""Characters of the names of a shape that is remembered; those of real records have a thousand."""


_INTO: Final = 1
"""Stands in a shape before the name of an object."""
_OUT: Final = 2
"""Stands behind an object."""
_Shape: TypeAlias = tuple[str | int, ...]
"""The names of a document in their order, those of an object between its edges."""


class _Plan(NamedTuple):
    """What the values of documents of one shape are called.

    Attributes:
        names: The name of each value; None where a label says the same.
        sent: Those of them that a sender may make as it likes.
    """

    names: tuple[str | None, ...]
    sent: frozenset[str]


_PLANS: Final[dict[_Shape, _Plan]] = {}


def entry_of(one: Exported) -> Entry:
    """Spell a record as an entry; equal for equal records."""
    time_ns = _time_of(one)
    body = one.record.get("body")
    whole = body if isinstance(body, str) and body else orjson.dumps(one.document).decode()
    line = _cut(whole)
    own = dict[str, str]()
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


def _metadata_of(one: Exported, line: str, own: dict[str, str]) -> dict[str, str]:
    """Give the document's values by flat names, the record's name first; what finds no room is left out and counted."""
    shape: list[str | int] = []
    values: list[object] = []
    _walk(one.document, shape, values)
    plan = _plan_of(tuple(shape))
    texts = [value if isinstance(value, str) else _text(value) for value in values]
    first = plan.names[texts.index(one.name)] if one.name in texts else None
    made = {first or _NAME: one.name}
    made |= {name: text for name, text in zip(plan.names, texts, strict=True) if name and text and text != line}
    chars = sum(map(len, made)) + sum(map(len, made.values()))
    if len(made) + _OWN <= MAX_METADATA and chars * _MOST_BYTES <= MAX_METADATA_BYTES:
        return made | own
    fitting = _fitting(made, plan.sent)
    return fitting | own | ({_LEFT_OUT: str(len(made) - len(fitting))} if len(fitting) < len(made) else {})


def _fitting(made: Mapping[str, str], sent: frozenset[str]) -> dict[str, str]:
    """Give what finds room: the record's name first, what a sender may name as it likes last, short before long."""
    first, *others = made.items()
    others.sort(key=lambda pair: (pair[0] in sent, len(pair[1])))
    fitting, room = dict[str, str](), MAX_METADATA_BYTES
    for name, text in (first, *others):
        size = len(name) + (len(text) if text.isascii() else len(text.encode()))
        if len(fitting) + _OWN < MAX_METADATA and size <= room:
            fitting[name] = text
            room -= size
    return fitting


def _walk(document: Mapping[str, object], shape: list[str | int], values: list[object]) -> None:
    """Take a document apart: its shape, which is its names and where its objects begin and end, and its values."""
    for name, value in document.items():
        if isinstance(value, dict):
            shape += (_INTO, name)
            _walk(value, shape, values)
            shape.append(_OUT)
        else:
            shape.append(name)
            values.append(value)


def _plan_of(shape: _Shape) -> _Plan:
    """Work names out once for all records of a shape; whoever writes records cannot make us remember without end."""
    plan = _PLANS.get(shape)
    if plan is None:
        plan = _planned(shape)
        if sum(len(one) for one in shape if isinstance(one, str)) <= _LONGEST_SHAPE:
            if len(_PLANS) >= _MOST_PLANS:
                _PLANS.clear()
            _PLANS[shape] = plan
    return plan


def _planned(shape: _Shape) -> _Plan:
    """Name the values of a shape: of two whose names become one, what a sender names has a number."""
    paths = list(_paths(shape))
    names: list[str | None] = [None] * len(paths)
    numbers = dict.fromkeys(_OWN_NAMES, 1)
    sent = [any("attributes" in part for part in path) for path in paths]
    for at in sorted(range(len(paths)), key=sent.__getitem__):
        name = base = metadata_name(paths[at])
        if name in _IN_LABELS:
            continue
        while name in numbers:
            numbers[base] += 1
            name = f"{base}_{numbers[base]}"
        numbers[name] = 1
        names[at] = name
    return _Plan(tuple(names), frozenset(name for name, is_sent in zip(names, sent, strict=True) if name and is_sent))


def _paths(shape: _Shape) -> Iterator[tuple[str, ...]]:
    """Give the path of each value of a shape."""
    above: list[str] = []
    is_object = False
    for one in shape:
        if isinstance(one, int):
            is_object = one == _INTO
            if one == _OUT:
                above.pop()
        elif is_object:
            above.append(one)
            is_object = False
        else:
            yield (*above, one)


def metadata_name(path: tuple[str, ...]) -> str:
    """Make a name that Loki takes as it is: one that it would change, or not take at all, fails the whole request there."""
    return _short_name_of(path) if sum(map(len, path)) <= MAX_LABEL else _made_name(path)


def _made_name(path: tuple[str, ...]) -> str:
    name = _NO_NAME.sub("_", "_".join(path)).strip("_")
    return name[:MAX_LABEL] if name[:1].isalpha() else f"x_{name[:MAX_LABEL]}".rstrip("_")


_short_name_of: Final = lru_cache(maxsize=4096)(_made_name)
"""Nearly all names are short and come again; long ones, which a sender may make, are not remembered."""


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()
