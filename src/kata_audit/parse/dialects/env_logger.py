r"""Rust's env_logger: `[2026-08-01T10:00:00Z INFO  module::path] text`.

kata-deploy writes it in its pod; of the guest's components the attestation agent, the confidential data hub and the API
server do, on the agent's own output, which is the guest's console. Fractions of seconds and colours are settings.

Source: env_logger `fmt::DefaultFormat`.
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.guest_components import component_of_module
from kata_audit.parse.terminal import without_sequences
from kata_audit.schema.severity import RUST

_COLOUR = r"(?:\x1b\[[0-9;]{0,16}m){0,3}"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z"
_LEVEL = "ERROR|WARN|INFO|DEBUG|TRACE"
_LINE = re.compile(rf"\[({_TIME}) ({_LEVEL}) {{0,2}}([\w:.-]{{1,255}})?\](?: (.*)|)", re.DOTALL)


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read env_logger lines; see `Dialect`. Which program it is, its module path tells."""
    malformed = []
    found: list[tuple[str | None, ...]] = []
    for row, text in enumerate(texts):
        line = without_sequences(text).rstrip("\r\n")
        match = _LINE.fullmatch(line)
        if match is None:
            malformed.append(row)
        found.append(match.groups() if match is not None else (None, None, None, line))
    columns: dict[str, list[Any]] = {
        "time": [time for time, _, _, _ in found],
        "severity_number": [RUST.get(level or "") for _, level, _, _ in found],
        "body": [body or "" for _, _, _, body in found],
        "component": [
            component_of_module(module, guest=is_guest) for (_, _, module, _), is_guest in zip(found, guest, strict=True)
        ],
        "subsystem": [module for _, _, module, _ in found],
    }
    return Scan(columns, [{} for _ in texts], malformed, None)


ABOUT = About(
    producer="kata-deploy in its pod's log; attestation-agent, confidential-data-hub and api-server-rest on the guest's"
    " console.",
    versions="kata-deploy since 3.25, guest components of Kata 3.x and 4.x. Not seen in a capture: from documentation and"
    " the library's source.",
    examples=(
        "[2026-08-01T10:00:00Z INFO  kata_deploy::config] * DEBUG: false",
        "[2026-08-01T10:00:00.123Z WARN  attestation_agent] No attestation evidence source",
    ),
    holes=(
        "A module that belongs to no program we know tells no component.",
        "In a pod's log the line is the container's, whatever module it names: kata-deploy's own pod too.",
    ),
    source="env_logger `fmt::DefaultFormat`; Kata `tools/packaging/kata-deploy`.",
)
DIALECT = Dialect("env-logger", rf"{_COLOUR}\[{_COLOUR}{_TIME} {_COLOUR}(?:{_LEVEL})\b", "[\x1b", scan, ABOUT)
