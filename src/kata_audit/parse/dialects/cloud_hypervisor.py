r"""Cloud Hypervisor: `cloud-hypervisor:   0.001036s: <vmm> INFO:vmm/src/lib.rs:2369 -- Booting VM`, ended by CR LF.

Times count from the program's start, in older versions as Rust prints a duration: `674.660288ms`. Its last words are lines
without any head: `Error: Cloud Hypervisor exited with …` and `  0: cause` of a chain. The event monitor writes JSON, in one
line or spread over eight; each line is a row, and a member's line states that member.

Source: cloud-hypervisor `src/main.rs` (`Logger`), `event_monitor`; captures of v53 and of Kata 4.1.0.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Scan
from kata_audit.parse.frames.journal_json import load_once_named
from kata_audit.parse.stderr import severity_of
from kata_audit.parse.texts import json_text
from kata_audit.schema.record import Component
from kata_audit.schema.severity import ERROR, RUST

_NAME = "cloud-hypervisor: "
_ELAPSED = r" {0,16}\d{1,12}(?:\.\d{1,9})?(?:s|ms|µs|us|ns): "
_LEVEL = "ERROR|WARN|INFO|DEBUG|TRACE"
_LINE = re.compile(
    r"(?:cloud-hypervisor: )? {0,16}(\d{1,12}(?:\.\d{1,9})?)(s|ms|µs|us|ns): <([^>\n]{0,64})> "
    rf"({_LEVEL}):([^\s:]{{1,1024}})(?::(\d{{1,7}}))? -- (.*)",
    re.DOTALL,
)
_HEAD = re.compile(rf"cloud-hypervisor: {{1,17}}(?:\d|\Z)|{_ELAPSED}<")
"""What only a logger's line begins with: one that goes on otherwise is torn."""
_CAUSE = re.compile(r"  \d{1,3}: ")
_MEMBER = re.compile(r' {2,8}"(timestamp|secs|nanos|source|event|properties)": (.{1,4096}?),?')
_MAX_PROPERTIES = 64
"""Properties of an event that become attributes."""
_PLACES = {"s": 0, "ms": -3, "µs": -6, "us": -6, "ns": -9}


def _seconds(number: str, unit: str) -> str:
    """Write a duration in seconds, with the digits that it has."""
    return f"{Decimal(number).scaleb(_PLACES[unit]):f}"


def _event(text: str) -> tuple[str, dict[str, str]] | None:
    """Read an event that stands in one line: its name, and what else it says; None where it is none."""
    message = load_once_named(text.encode("utf-8", "surrogatepass"))
    if message is None or not isinstance(message.get("event"), str):
        return None
    stated = {}
    stamp = message.get("timestamp")
    if isinstance(stamp, dict) and type(stamp.get("secs")) is int and type(stamp.get("nanos")) is int:
        stated["elapsed"] = f"{stamp['secs']}.{stamp['nanos']:09}"
    if isinstance(message.get("source"), str):
        stated["source"] = message["source"]
    if isinstance(message.get("properties"), dict):
        members = list(message["properties"].items())[:_MAX_PROPERTIES]
        stated.update({f"properties.{name}": json_text(value) for name, value in members})
    return message["event"], stated


def _plain(line: str) -> tuple[int | None, str, dict[str, str]]:
    """Read a line that no logger wrote: last words, a cause, an event or a piece of one."""
    text = line.removeprefix(_NAME)
    if _CAUSE.match(text):
        return ERROR, text, {}
    if text.startswith('{"') and (event := _event(text)) is not None:
        return None, *event
    member = _MEMBER.fullmatch(text)
    stated = {member[1]: member[2].strip('"')} if member is not None and member[2] not in ("{", "null") else {}
    return severity_of(text), text, stated


def scan(texts: Sequence[str], _guest: Sequence[bool]) -> Scan:
    """Read Cloud Hypervisor's lines; see `Dialect`."""
    malformed, severities, bodies, attributes = [], [], [], []
    for row, raw in enumerate(texts):
        line = raw.rstrip("\r\n")
        match = _LINE.fullmatch(line)
        if match is not None:
            number, unit, thread, level, file, code_line, body = match.groups()
            stated = {"elapsed": _seconds(number, unit), "thread.name": thread, "code.file.path": file}
            if code_line is not None:
                stated["code.line.number"] = code_line
            severity: int | None = RUST[level]
        elif _HEAD.match(line):
            malformed.append(row)
            severity, body, stated = None, line, {}
        else:
            severity, body, stated = _plain(line)
        severities.append(severity)
        bodies.append(body)
        attributes.append(stated)
    columns: dict[str, list[Any]] = {
        "severity_number": severities,
        "body": bodies,
        "component": [Component.CLOUD_HYPERVISOR] * len(texts),
    }
    return Scan(columns, attributes, malformed, None)


ABOUT = About(
    producer="Cloud Hypervisor: on the guest's console under the Go shim, relayed with `STREAM=stderr` by runtime-rs, or in"
    " a file of its own.",
    versions="Captures of v53, and of one line through Kata 4.1.0; public logs of 2025 in the older spelling of times.",
    examples=(
        "cloud-hypervisor:   1.999657s: <vmm> INFO:vmm/src/lib.rs:2369 -- Booting VM\r",
        (
            "cloud-hypervisor:   0.019532s: <main> ERROR:cloud-hypervisor/src/lib.rs:24 -- Fatal error: VmBoot(VmBoot("
            'KernelFile(Os { code: 2, kind: NotFound, message: "No such file or directory" })))\r'
        ),
        "Error: Cloud Hypervisor exited with the following chain of errors:",
    ),
    holes=(
        "There is no absolute time: `elapsed` is in seconds since the program began.",
        "Under the Go shim it shares the guest's console: there its lines are the guest's claims.",
        "Under runtime-rs its standard output can be the guest's console: what comes with `STREAM=stdout` is the guest's.",
        "Of an event spread over lines each line is a row; only events of one line are read as one.",
        "Lines of a chain, usage texts and pieces of events are its own only where the position says so.",
    ),
    source="cloud-hypervisor `src/main.rs`, `event_monitor/src/lib.rs`; captures of v53.",
)
DIALECT = Dialect(
    "cloud-hypervisor",
    rf"cloud-hypervisor: |{_ELAPSED}<[^>\n]{{0,64}}> (?:{_LEVEL}):|Error: Cloud Hypervisor exited with "
    r'|\{"timestamp":\{"secs":',
    "c 0123456789E{",
    scan,
    ABOUT,
)
