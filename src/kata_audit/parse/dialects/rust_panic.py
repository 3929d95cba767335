r"""What the agent prints as plain text: panics with their backtraces, and its last words.

A panic is many lines, each a row: `thread 'main' (1) panicked at src/agent/src/main.rs:121:75:`, the message, `Stack
backtrace:`, `   0: anyhow::kind::Adhoc::new`, `             at src/main.rs:5:3`. The message itself has no grammar and stays
plain, but for `called …` of a failed unwrap.

Source: Rust `std::panicking` and `std::backtrace`, anyhow; captures of kata-agent 4.1.0.
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.schema.record import Component
from kata_audit.schema.severity import FATAL, INFO

_LAST_WORDS = r"kata-agent shutdown complete\s*\Z|wait task error: |INFO: interruptable_io_copier: "
_PARTS = (
    r"called `(?:Result|Option)::unwrap(?:_err)?\(\)` on |Caused by:\s*\Z|[Ss]tack backtrace:\s*\Z"
    r"|note: run with `RUST_BACKTRACE="
)
_FRAME = r" {1,4}\d{1,4}: {1,24}(?:0x[0-9a-f]{1,16} - \S|<?[A-Za-z_])| {4,40}at \S{1,1024}\.rs(?::\d{1,7}){1,2}\s*\Z"
_PANIC = re.compile(
    r"thread '(?P<thread>[^'\n]{0,255})'(?: \((?P<id>\d{1,20})\))? panicked at "
    r"(?:'(?P<message>.*)', )?(?P<file>[^\s':]{1,1024}):(?P<line>\d{1,7}):(?P<column>\d{1,7}):?\s*",
    re.DOTALL,
)
_NAMES = {"thread": "thread.name", "id": "thread.id", "file": "code.file.path", "line": "code.line.number"}
_COLUMN = "code.column.number"


def _panic(text: str) -> tuple[str, dict[str, str]] | None:
    """Read the first line of a panic: what is said, and where; None where it is none or is cut."""
    match = _PANIC.fullmatch(text)
    if match is None:
        return None
    found = match.groupdict()
    said = {name: found[key] for key, name in _NAMES.items() if found[key]}
    return found["message"] or text, {**said, _COLUMN: found["column"]}


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read the agent's plain lines; see `Dialect`. Whose they are, only a guest's position tells."""
    malformed, severities, bodies = [], [], []
    attributes: list[dict[str, str]] = []
    for row, text in enumerate(texts):
        line = text.rstrip("\r\n")
        severity, body = None, line
        said: dict[str, str] = {}
        if line.startswith("thread '"):
            panic = _panic(line)
            severity = FATAL
            if panic is None:
                malformed.append(row)
            else:
                body, said = panic
        elif line.startswith("INFO: "):
            severity = INFO
        severities.append(severity)
        bodies.append(body)
        attributes.append(said)
    columns: dict[str, list[Any]] = {
        "severity_number": severities,
        "body": bodies,
        "component": [Component.AGENT if is_guest else None for is_guest in guest],
    }
    return Scan(columns, attributes, malformed, None)


ABOUT = About(
    producer="kata-agent on the guest's console or its own standard error.",
    versions="Kata 2.x to 4.1; captures of 4.1.0.",
    examples=(
        "thread 'main' (1) panicked at src/agent/src/main.rs:121:75:",
        "called `Result::unwrap()` on an `Err` value: invalid log level",
        "  13:     0x55d935c4d1a1 - _start",
        "INFO: interruptable_io_copier: got shutdown request",
        "kata-agent shutdown complete",
    ),
    holes=(
        "A panic's own message and the lines below `Caused by:` have no grammar: they are plain.",
        "Any program of the guest that shares the console can print such lines.",
        "Lines of one panic are not put together: other writers stand between them.",
    ),
    source="Rust `std::panicking`, anyhow; Kata `src/agent`; captures of 4.1.0.",
)
DIALECT = Dialect(
    "rust-panic",
    rf"thread '[^'\n]{{0,255}}'[^\n]{{0,32}} panicked at |{_LAST_WORDS}|{_PARTS}|{_FRAME}",
    "tkwIcCSsn ",
    scan,
    ABOUT,
)
