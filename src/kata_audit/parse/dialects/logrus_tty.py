r"""logrus on a terminal: `INFO[0000] announce                                     app=kata-monitor …`.

Four letters of the level, seconds since the program began, the text filled with blanks to 44 characters, two blanks before
the first pair. Colours mark level and keys.

Source: sirupsen/logrus `TextFormatter.printColored`.
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.terminal import without_sequences
from kata_audit.parse.texts import unquote_go
from kata_audit.schema.record import Component
from kata_audit.schema.severity import DEBUG, ERROR, FATAL, INFO, TRACE, WARN

_LEVELS = {"TRAC": TRACE, "DEBU": DEBUG, "INFO": INFO, "WARN": WARN, "ERRO": ERROR, "FATA": FATAL, "PANI": FATAL}
_NAMES = {"kata-monitor": Component.KATA_MONITOR, "kata-runtime": Component.RUNTIME_GO}
_COLOUR = r"(?:\x1b\[[0-9;]{0,16}m)?"
_LINE = re.compile(r"([A-Z]{4})\[(\d{4,10})\](?: (.*)|)", re.DOTALL)
_FIRST_PAIR = re.compile(r"  (?=[\w.:/-]{1,128}=)")
_PAIR = re.compile(r' ([\w.:/ -]{1,128}?)=("[^"\\]*+(?:\\.[^"\\]*+)*+"|[^" ]*+)(?= |\Z)', re.DOTALL)
_MAX_TRIES = 8
"""Places where the pairs may begin, tried from the left: the text may hold such places too."""


def _pairs(text: str) -> dict[str, str] | None:
    """Read pairs up to the end of a text; None where something else is there, or a key comes twice."""
    pairs: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _PAIR.match(text, place)
        if match is None or match[1] in pairs:
            return None
        pairs[match[1]] = unquote_go(match[2])
        place = match.end()
    return pairs


def _parts(message: str) -> tuple[str, dict[str, str]]:
    """Cut what follows the time into the text and its pairs."""
    for _, place in zip(range(_MAX_TRIES), _FIRST_PAIR.finditer(message), strict=False):
        pairs = _pairs(message[place.start() + 1 :].rstrip())
        if pairs is not None:
            return message[: place.start()].rstrip(" "), pairs
    return message.rstrip(" "), {}


def scan(texts: Sequence[str], _guest: Sequence[bool]) -> Scan:
    """Read logrus lines of a terminal; see `Dialect`."""
    malformed, severities, bodies, components, pids, attributes = [], [], [], [], [], []
    for row, text in enumerate(texts):
        line = without_sequences(text).rstrip("\r\n")
        match = _LINE.fullmatch(line)
        if match is None or match[1] not in _LEVELS:
            malformed.append(row)
        level, seconds, message = match.groups() if match is not None else (None, None, line)
        body, pairs = _parts(message or "")
        severities.append(_LEVELS.get(level or ""))
        bodies.append(body)
        components.append(_NAMES.get(pairs.get("name") or pairs.get("app") or ""))
        pids.append(pairs.pop("pid", None))
        attributes.append({**pairs, "elapsed": seconds} if seconds is not None else pairs)
    columns: dict[str, list[Any]] = {
        "severity_number": severities,
        "body": bodies,
        "component": components,
        "pid": pids,
    }
    return Scan(columns, attributes, malformed, None)


ABOUT = About(
    producer="kata-monitor, kata-runtime and containerd where their output is a terminal.",
    versions="logrus 1.x. Not seen in a capture: from the library's source.",
    examples=("INFO[0000] announce                                       app=kata-monitor arch=amd64 version=0.3.0",),
    holes=(
        "Times count seconds from the program's start; `elapsed` holds them.",
        "Where the text itself ends in two blanks and pairs, they are read as the record's.",
    ),
    source="sirupsen/logrus `TextFormatter.printColored`.",
)
DIALECT = Dialect(
    "logrus-tty",
    rf"{_COLOUR}(?:TRAC|DEBU|INFO|WARN|ERRO|FATA|PANI){_COLOUR}\[\d{{4,10}}\]",
    "TDIWEFP\x1b",
    scan,
    ABOUT,
)
