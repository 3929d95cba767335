r"""slog's compact terminal form: kata-ctl without `--json-logging`.

Lines of one logger stand below a line with its own values (`subsystem: x86_64`), indented by one blank:
` Nov 23 06:20:28.251 INFO check CPU: x86_64`. The time has no year and no zone; the record's own values follow the text as
`, key: value` and stay in it, for they cannot be told from it.

Source: slog-term `CompactFormat`; captures of kata-ctl 4.1.0.
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.terminal import without_sequences
from kata_audit.schema.record import Component
from kata_audit.schema.severity import SLOG

_COLOUR = r"(?:\x1b\[[0-9;]{0,16}m){0,3}"
_MONTH = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_TIME = rf"(?:{_MONTH}) [ \d]\d \d\d:\d\d:\d\d\.\d{{3}}"
_LEVEL = "CRIT|ERRO|WARN|INFO|DEBG|TRCE"
_LINE = re.compile(rf" {{0,8}}({_TIME}) ({_LEVEL})(?: (.*)|)|subsystem: ([\w-]{{1,64}})", re.DOTALL)


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read slog's terminal lines; see `Dialect`."""
    malformed, severities, bodies, subsystems, components = [], [], [], [], []
    attributes: list[dict[str, str]] = []
    for row, (text, is_guest) in enumerate(zip(texts, guest, strict=True)):
        line = without_sequences(text).rstrip("\r\n")
        match = _LINE.fullmatch(line)
        if match is None:
            malformed.append(row)
        time, level, message, subsystem = match.groups() if match is not None else (None, None, line, None)
        attributes.append({"time.local": time} if time is not None else {})
        severities.append(SLOG.get(level or ""))
        bodies.append(line if subsystem is not None else message or "")
        subsystems.append(subsystem)
        components.append(Component.KATA_CTL if match is not None and not is_guest else None)
    columns: dict[str, list[Any]] = {
        "severity_number": severities,
        "body": bodies,
        "component": components,
        "subsystem": subsystems,
    }
    return Scan(columns, attributes, malformed, None)


ABOUT = About(
    producer="kata-ctl on its terminal.",
    versions="kata-ctl 3.x and 4.x; captures of 4.1.0.",
    examples=("subsystem: x86_64", ' Nov 23 06:20:28.251 WARN Missing CPU flags ["vmx"]'),
    holes=(
        "Times have no year and no zone: `time.local` holds them, and when it happened is when we received it.",
        "A line does not say its subsystem; only the line above a group does.",
        "What a message goes on with in further lines is plain.",
    ),
    source="slog-term `CompactFormat`; captures of 4.1.0.",
)
DIALECT = Dialect(
    "slog-term",
    rf"{_COLOUR} {{0,8}}{_COLOUR}(?:{_TIME}{_COLOUR} {_COLOUR}(?:{_LEVEL})\b"
    rf"|subsystem{_COLOUR}: {_COLOUR}[\w-]{{1,64}}{_COLOUR}\s*\Z)",
    " \x1bJFMASONDs",
    scan,
    ABOUT,
)
