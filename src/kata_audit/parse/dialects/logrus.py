r"""logrus text: the Go shim, kata-monitor, kata-runtime, containerd, CRI-O.

`time="…" level=… msg=… key=value …`; keys may hold spaces, values are bare or quoted by Go; `msg` is left out when empty,
an empty value is `key=`. The same record of the shim arrives twice, once through containerd and once through syslog, with
another number of zeros in its time: `copy_key` is equal.

Source: sirupsen/logrus `TextFormatter`; Kata `src/runtime/pkg/katautils` (syslog hook), seen in captures of 4.1.0.
"""

import re
from collections.abc import Sequence
from typing import Any

from kata_audit.parse.about import About
from kata_audit.parse.dialects.base import Dialect, Inner, Scan, inner_of
from kata_audit.parse.logrus_fields import component_of, copy_keys, identities_of
from kata_audit.parse.relays import GO_SUBSYSTEMS, Relay, of_go
from kata_audit.parse.texts import unquote_go
from kata_audit.schema.record import Component
from kata_audit.schema.severity import LOGRUS

_PAIR = re.compile(r' ?([^=]+)=("[^"\\]*+(?:\\.[^"\\]*+)*+"|[^" ]*+)|.+', re.DOTALL)
"""One pair, or all the rest of a text that goes on otherwise: then both groups are empty."""


def _pairs(texts: Sequence[str]) -> tuple[list[dict[str, str]], list[int]]:
    """Cut texts into their pairs, values still quoted; of a key that comes twice the first is kept."""
    fields, malformed = [], []
    for row, text in enumerate(texts):
        pairs = _PAIR.findall(text)
        record = dict(pairs)
        if len(record) != len(pairs):
            record = dict(reversed(pairs))
        if record.pop("", None) is not None:
            malformed.append(row)
        fields.append(record)
    return fields, malformed


def _inner(fields: Sequence[dict[str, str]], columns: dict[str, list[Any]]) -> Inner | None:
    """Find what is relayed.

    The guest's own text is the value of `vmconsole`, and what the 1.x proxy relayed as its message, with line end. What a
    hypervisor or its helper wrote is the host's.
    """
    found = []
    levels, bodies, components = columns["severity_number"], columns["body"], columns["component"]
    for row, (record, subsystem) in enumerate(zip(fields, columns["subsystem"], strict=True)):
        source = record.get("source")
        if "vmconsole" in record:
            found.append((row, Relay(None, unquote_go(record.pop("vmconsole")), guest=True)))
        elif source == "agent" and record.get("name") == "kata-proxy":
            found.append((row, Relay(None, bodies[row].rstrip("\n"), guest=True)))
        elif (subsystem in GO_SUBSYSTEMS or source == "virtiofsd") and components[row] == Component.RUNTIME_GO:
            relay = of_go(subsystem, levels[row], bodies[row], record)
            if relay is not None:
                found.append((row, relay))
    return inner_of(found)


def scan(texts: Sequence[str], guest: Sequence[bool]) -> Scan:
    """Read logrus lines; see `Dialect`."""
    fields, malformed = _pairs(texts)
    times = [unquote_go(record.pop("time", "")) or None for record in fields]
    levels = [LOGRUS.get(record.pop("level", "")) for record in fields]
    bodies = [unquote_go(record.pop("msg", "")) for record in fields]
    components = [component_of(record, guest=is_guest) for record, is_guest in zip(fields, guest, strict=True)]
    columns: dict[str, list[Any]] = {
        "time": times,
        "severity_number": levels,
        "body": bodies,
        "component": components,
        "subsystem": [record.pop("subsystem", None) for record in fields],
        "pid": [record.pop("pid", None) for record in fields],
        "copy_key": copy_keys(texts, times, components),
        **identities_of(fields),
    }
    inner = _inner(fields, columns)
    attributes = [
        {key: value if value[:1] != '"' else unquote_go(value) for key, value in record.items()} for record in fields
    ]
    return Scan(columns, attributes, malformed, inner)


ABOUT = About(
    producer="The Go shim (in containerd's stream and, a second time, through syslog), kata-runtime, kata-monitor,"
    " containerd and CRI-O on stderr.",
    versions="Kata 1.x to 4.1 with the Go runtime, containerd 1.6 to 2.4; captures of Kata 4.1.0 and containerd 2.4.2.",
    examples=(
        (
            'time="2026-11-23T06:06:45.548138013Z" level=info msg="Sandbox is started" name=containerd-shim-v2 pid=270'
            " sandbox=b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f source=virtcontainers"
            " subsystem=sandbox"
        ),
    ),
    holes=(
        "Records of some early loggers name no program; then the envelope tells, or nobody.",
        "Of a key that comes twice the first value is kept.",
    ),
    source="sirupsen/logrus `TextFormatter`; captures.",
)
DIALECT = Dialect("logrus", r'time="', "t", scan, ABOUT)
