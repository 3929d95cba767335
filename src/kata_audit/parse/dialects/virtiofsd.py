r"""virtiofsd: `[2026-11-23T06:27:19Z INFO  virtiofsd] text`; in C `[2026-11-23 06:27:30.063325+0000] [ID: 00015885] text`.

With `--syslog` only the text is left, and the level is the journal's. Usage errors and FUSE's are bare text.

Source: virtiofsd `src/main.rs` (env_logger), QEMU `tools/virtiofsd/passthrough_ll.c`; captures of both.
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.stderr import severity_of
from kata_audit.schema.record import Component
from kata_audit.schema.severity import RUST

_LEVEL = "ERROR|WARN|INFO|DEBUG|TRACE"
_RUST_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z"
_RUST = re.compile(rf"\[({_RUST_TIME}) ({_LEVEL}) {{1,2}}([\w:.-]{{1,255}})\](?: (.*)|)", re.DOTALL)
_C = re.compile(r"\[(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{1,9})([+-]\d\d)(\d\d)\] \[ID: (\d{1,10})\](?: (.*)|)", re.DOTALL)
_TORN = re.compile(r"\[\d{4}-")

_Read = tuple[str | None, int | None, str, dict[str, str], str | None]


def _line(line: str) -> _Read | None:
    """Read a logger's line: time, severity, text, attributes, module; None where it is none."""
    match = _RUST.fullmatch(line)
    if match is not None:
        return match[1], RUST[match[2]], match[4] or "", {}, match[3]
    match = _C.fullmatch(line)
    if match is None:
        return None
    day, clock, hours, minutes, thread, text = match.groups()
    return f"{day}T{clock}{hours}:{minutes}", None, text or "", {"thread.id": thread.lstrip("0") or "0"}, None


def scan(texts: Sequence[str], _guest: Sequence[bool]) -> Scan:
    """Read virtiofsd's lines; see `Dialect`."""
    malformed = []
    found: list[_Read] = []
    for row, raw in enumerate(texts):
        line = raw.rstrip("\r\n")
        read = _line(line)
        if read is None:
            if _TORN.match(line):
                malformed.append(row)
            read = None, severity_of(line), line, {}, None
        found.append(read)
    columns: dict[str, list[Any]] = {
        "time": [time for time, _, _, _, _ in found],
        "severity_number": [severity for _, severity, _, _, _ in found],
        "body": [body for _, _, body, _, _ in found],
        "component": [Component.VIRTIOFSD] * len(texts),
        "subsystem": [module for _, _, _, _, module in found],
    }
    return Scan(columns, [stated for _, _, _, stated, _ in found], malformed, None)


ABOUT = About(
    producer="virtiofsd: in the journal under its own identifier (Go shim), relayed by runtime-rs (`source: virtiofsd`) and"
    " by old Go shims, or in a file of its own.",
    versions="Captures of the one in Rust and of the one in C; text under `--syslog` not seen in a capture.",
    examples=(
        (
            "[2026-11-23T06:17:31Z WARN  virtiofsd::limits] Failure when trying to set the limit to 1000000, the hard limit"
            " (20000) of open file descriptors is used instead."
        ),
        "[2026-11-23 06:17:32.077057+0000] [ID: 00012459] virtio_session_mount: Waiting for vhost-user socket connection...",
    ),
    holes=(
        "The one in Rust gives whole seconds: records of one second have no order among other writers'.",
        "The one in C states no level.",
        "Bare text is its own only where the position says so.",
    ),
    source="virtiofsd `src/main.rs`; QEMU `tools/virtiofsd`; captures of both.",
)
DIALECT = Dialect(
    "virtiofsd",
    rf"\[{_RUST_TIME} (?:{_LEVEL}) {{1,2}}virtiofsd(?:::[\w:]{{1,255}})?\]"
    r"|\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{1,9}[+-]\d{4}\] \[ID: \d{1,10}\]",
    "[",
    scan,
    ABOUT,
)
