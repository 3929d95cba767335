r"""What stands in front of a line that a logger of the host wrote to a file: when, which machine, which program.

Syslog files (RFC 3164 and RFC 5424, with or without `<priority>`) and what `journalctl` prints as text: `short`,
`short-precise`, `short-iso`, `short-iso-precise`, `short-full`, `short-monotonic`, `short-delta`, `short-unix` and
`with-unit`. `cat` has no prefix. The form of the line alone decides; a line that fits none has no prefix.

Source: RFC 3164 section 4.1, RFC 5424 section 6; systemd `src/shared/logs-show.c` (`output_short`).
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

_CLOCK = r"\d\d:\d\d:\d\d(?:\.\d{1,9})?"
_NO_LEVEL = r"(?!(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL) )"
"""A logger that prints a level where the machine's name would be is no syslog."""
_TAIL = rf"{_NO_LEVEL}(?P<host>[^\s:\[\]]{{1,255}}) (?P<identifier>[^\s:\[\]]{{1,255}})(?:\[(?P<pid>\d{{1,10}})\])?:(?: |$)"
_LINE = re.compile(
    r"(?:<(?P<priority>\d{1,3})>)?(?:"
    rf"(?P<local>(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d {_CLOCK})"
    rf"|(?P<day>\d{{4}}-\d\d-\d\d)T(?P<clock>{_CLOCK})(?P<offset>Z|[+-]\d\d:?\d\d)"
    rf"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?P<date>\d{{4}}-\d\d-\d\d) (?P<daytime>{_CLOCK})"
    r" (?P<zone>[A-Z]{1,6}|[+-]\d\d(?:\d\d)?)"
    r"|(?P<unix>\d{9,11})(?P<micros>\.\d{6})"
    r"|\[ {0,8}(?P<elapsed>\d{1,12}\.\d{6})[ <>.\d]{0,40}\]"
    rf") {_TAIL}"
)
_PROTOCOL = re.compile(
    rf"<(?P<priority>\d{{1,3}})>1 (?:-|(?P<day>\d{{4}}-\d\d-\d\d)T(?P<clock>{_CLOCK})(?P<offset>Z|[+-]\d\d:\d\d))"
    r" (?P<host>\S{1,255}) (?P<identifier>\S{1,128}) (?P<pid>\S{1,128}) (?P<message_id>\S{1,128})"
    r' (?P<data>-|(?:\[[^\s\]="]++(?: [^\s="\]]++="[^"\\\]]*+(?:\\.[^"\\\]]*+)*+")*+\])++)(?: |$)'
)
_PROTOCOL_START = re.compile(r"<\d{1,3}>1 ")
_STARTS = frozenset("<JFMASONDTW[0123456789")
"""What a prefix may begin with; most lines of other files are told apart by it."""
_UTC = frozenset(("UTC", "GMT", "Z"))
_BYTE_ORDER_MARK = "\ufeff"


class Prefix(NamedTuple):
    """A line's prefix.

    `form` is `syslog`, `syslog-5424` or `journal-text`; `time` is RFC 3339 with a zone, None where the form says no year or
    a zone by a name that several have: then `attributes` holds what it says. `text` is the rest of the line.
    """

    form: str
    time: str | None
    identifier: str
    pid: str | None
    priority: str | None
    attributes: dict[str, str]
    text: str


def read_prefixes(lines: Sequence[str], *, kernel: bool) -> list[Prefix | None]:
    """Read the prefixes of lines; None where a line has none.

    Args:
        lines: Lines without their ends.
        kernel: Whether lines of a bare kernel ring may be among them, which look like `short-monotonic` at first: then that
            form is not read.
    """
    return [_read(line, kernel=kernel) if line[:1] in _STARTS else None for line in lines]


def _read(line: str, *, kernel: bool) -> Prefix | None:
    if line[0] == "<" and _PROTOCOL_START.match(line):
        return _read_protocol(line)
    match = _LINE.match(line)
    if match is None:
        return None
    said = match.groupdict()
    sure = said["pid"] is not None or said["identifier"] == "kernel"
    if (said["elapsed"] is not None and (kernel or not sure)) or (said["offset"] == "Z" and not sure):
        return None
    attributes = {"host.name": said["host"]}
    time = None
    if said["local"] is not None:
        attributes["time.local"] = said["local"]
    elif said["elapsed"] is not None:
        attributes["elapsed"] = said["elapsed"]
    elif said["unix"] is not None:
        time = f"{datetime.fromtimestamp(int(said['unix']), UTC):%Y-%m-%dT%H:%M:%S}{said['micros']}Z"
    elif said["day"] is not None:
        time = f"{said['day']}T{said['clock']}{_offset(said['offset'])}"
    elif said["zone"] in _UTC or said["zone"][0] in "+-":
        time = f"{said['date']}T{said['daytime']}{_offset(said['zone'])}"
    else:
        attributes["time.local"] = f"{said['date']} {said['daytime']} {said['zone']}"
    _add_facility(attributes, said["priority"])
    form = "syslog" if said["local"] is not None else "journal-text"
    return Prefix(form, time, said["identifier"], said["pid"], _severity(said["priority"]), attributes, line[match.end() :])


def _read_protocol(line: str) -> Prefix | None:
    match = _PROTOCOL.match(line)
    if match is None:
        return None
    said = match.groupdict()
    attributes = {} if said["host"] == "-" else {"host.name": said["host"]}
    _add_facility(attributes, said["priority"])
    if said["message_id"] != "-":
        attributes["syslog.msgid"] = said["message_id"]
    if said["data"] != "-":
        attributes["syslog.structured_data"] = said["data"]
    time = None if said["day"] is None else f"{said['day']}T{said['clock']}{_offset(said['offset'])}"
    pid = said["pid"] if said["pid"].isdecimal() and len(said["pid"]) <= 10 else None
    text = line[match.end() :].removeprefix(_BYTE_ORDER_MARK)
    return Prefix("syslog-5424", time, said["identifier"], pid, _severity(said["priority"]), attributes, text)


def _offset(written: str) -> str:
    """Write a zone as RFC 3339 has it.

    Example:
        >>> [_offset(zone) for zone in ("UTC", "+0130", "-07", "+01:00")]
        ['Z', '+01:30', '-07:00', '+01:00']
    """
    if written in _UTC:
        return "Z"
    return f"{written[:3]}:{written[3:].lstrip(':') or '00'}"


def _severity(priority: str | None) -> str | None:
    return None if priority is None else str(int(priority) & 7)


def _add_facility(attributes: dict[str, str], priority: str | None) -> None:
    if priority is not None:
        attributes["syslog.facility"] = str(int(priority) >> 3)
