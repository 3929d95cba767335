r"""Rust's tracing-subscriber as text: `2026-08-01T10:00:00.123456Z  INFO target::path: text`.

Newer guest components write it on the agent's output, which is the guest's console. The level is right-aligned; spans stand
between level and target; fields follow the text as `key=value` and stay in it, for they cannot be told from it.

Source: tracing-subscriber `fmt::format::Full`.
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.guest_components import component_of_module, is_known
from kata_audit.parse.terminal import without_sequences
from kata_audit.schema.severity import RUST

_COLOUR = r"(?:\x1b\[[0-9;]{0,16}m){0,3}"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z"
_LEVEL = "ERROR|WARN|INFO|DEBUG|TRACE"
_LINE = re.compile(rf"({_TIME}) {{1,2}}({_LEVEL}) (?:([a-z_]\w{{0,63}}(?:::\w{{1,63}}){{0,9}}): )?(.*)", re.DOTALL)


def _parts(line: str) -> tuple[str | None, str | None, str | None, str]:
    """Cut a line into time, level, target and text. A first word that may be the text's own is no target."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None, None, None, line
    time, level, target, text = match.groups()
    if target is not None and "::" not in target and not is_known(target):
        return time, level, None, f"{target}: {text}"
    return time, level, target, text


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read tracing lines; see `Dialect`. Which program it is, its target tells."""
    found = [_parts(without_sequences(text).rstrip("\r\n")) for text in texts]
    columns: dict[str, list[Any]] = {
        "time": [time for time, _, _, _ in found],
        "severity_number": [RUST.get(level or "") for _, level, _, _ in found],
        "body": [text for _, _, _, text in found],
        "component": [
            component_of_module(target, guest=is_guest) for (_, _, target, _), is_guest in zip(found, guest, strict=True)
        ],
        "subsystem": [target for _, _, target, _ in found],
    }
    malformed = [row for row, (time, _, _, _) in enumerate(found) if time is None]
    return Scan(columns, [{} for _ in texts], malformed, None)


ABOUT = About(
    producer="Guest components (attestation-agent, confidential-data-hub, api-server-rest) on the guest's console.",
    versions="Guest components of Kata 3.x and 4.x. Not seen in a capture: from the library's source.",
    examples=(
        "2026-08-01T10:00:00.123456Z  INFO confidential_data_hub: starting socket=/run/confidential-containers/cdh.sock",
    ),
    holes=(
        "Fields stay in the text: their end cannot be told from it.",
        "A target of one word that is no program we know stays in the text.",
    ),
    source="tracing-subscriber `fmt::format::Full`.",
)
DIALECT = Dialect(
    "tracing", rf"{_COLOUR}{_TIME}{_COLOUR} {{1,2}}{_COLOUR} {{0,2}}(?:{_LEVEL}){_COLOUR} ", "0123456789\x1b", scan, ABOUT
)
