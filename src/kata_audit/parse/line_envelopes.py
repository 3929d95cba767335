"""Lines of files and consoles: what a logger wrote before them, by the position that holds the file.

In a host's file a prefix is the host's own statement, as the journal's fields are; on a guest's console it is a claim like
all the rest. What stands behind it is the text that the dialects read.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote

from kata_audit.parse.about import About
from kata_audit.parse.dialects import auditd, host_kernel, journald, runtime_rs_text
from kata_audit.parse.draft import Draft
from kata_audit.parse.frames.prefixes import Prefix, read_prefixes
from kata_audit.parse.identifiers import COMPONENT_OF_IDENTIFIER, DIALECT_OF_IDENTIFIER
from kata_audit.schema.record import Component, ParseStatus
from kata_audit.schema.severity import SYSLOG_PRIORITY
from kata_audit.schema.source import Origin

_DIALECT_OF_PREFIX: dict[str, str] = {
    "kernel": host_kernel.DIALECT.name,
    "systemd-journald": journald.DIALECT.name,
    "audit": auditd.DIALECT.name,
}
"""The grammar of lines whose prefix names an identifier that only journald or syslogd itself would give in the journal."""
_FORWARDING = frozenset(("kata",))
"""Identifiers under which a shim writes its own records and forwards a guest's. In the journal fields tell them apart."""
_UNITS = (".service", ".scope", ".slice")
"""`journalctl -o with-unit` names a unit, which shims share with other programs."""
_AGENT_JSON = ('{"msg"',)
"""What the agent's records begin with; runtime-rs itself writes none."""
_CONTINUATION = " " * 16
"""Further lines of a message in `journalctl`'s text stand as far right as its first line's text: 16 columns at least."""
_COMPONENT_OF_GUEST_IDENTIFIER = {
    "kata-agent": Component.AGENT,
    "kernel": Component.GUEST_KERNEL,
    "systemd": Component.GUEST_SYSTEMD,
}
"""Who writes under an identifier in a guest, as the guest claims."""
_FILE = re.compile(
    r"(?:^|/)(containerd|crio|kubelet|kube-apiserver)(?:[.-](?:stdout|stderr|\d{4}-?\d\d-?\d\d))*\.log(?:[.-][^/]*)?$"
)
"""A log that is called after its program, as k3s and RKE2 call containerd's."""


_KERNEL_FILE = re.compile(r"(?:^|/)(?:dmesg|kmsg|kern)(?:\.(?:log|txt))?(?:[.-][^/]*)?$")
"""A copy of the kernel's ring is called so by those who make it."""


class Lines(NamedTuple):
    """Texts behind prefixes, aligned: row, text, whether a guest wrote it, the dialect that its prefix decides."""

    rows: list[int]
    texts: list[str]
    guest: list[bool]
    dialects: list[str | None]


def program_of_file(stream: str) -> str | None:
    """Tell whose log a host's file is, by the name that whoever configured the host gave it.

    Args:
        stream: The stream part of a cursor: `<path>?<file identity>`, the path percent-encoded.

    Example:
        >>> program_of_file("/var/lib/rancher/k3s/agent/containerd/containerd.log?1-2-aa")
        <Component.CONTAINERD: 'containerd'>
    """
    match = _FILE.search(unquote(stream.partition("?")[0]))
    return COMPONENT_OF_IDENTIFIER[match[1]] if match else None


def dialect_of_file(stream: str) -> str | None:
    """Tell the dialect of a host's file that is a copy of its kernel's log, whose lines look like a guest kernel's.

    Args:
        stream: The stream part of a cursor.
    """
    return host_kernel.DIALECT.name if _KERNEL_FILE.search(unquote(stream.partition("?")[0])) else None


def read_guest_lines(draft: Draft, rows: Sequence[int], lines: Sequence[str], declared: Sequence[str | None]) -> Lines:
    """Read lines of a guest's console: a prefix there is the guest's own claim, of its own time and program.

    Args:
        draft: Where what prefixes state is written.
        rows: Of each line.
        lines: Without their ends.
        declared: The dialect that each line's receiver declares; None where its text tells.
    """
    prefixes = read_prefixes(lines, kernel=True)
    found = [(row, prefix) for row, prefix in zip(rows, prefixes, strict=True) if prefix is not None]
    _state_prefixes(draft, found, "guest_time")
    components = [_COMPONENT_OF_GUEST_IDENTIFIER.get(prefix.identifier) for _, prefix in found]
    draft.put("component", [row for row, _ in found], components)
    texts = [line if prefix is None else prefix.text for line, prefix in zip(lines, prefixes, strict=True)]
    return Lines(list(rows), texts, [True] * len(rows), list(declared))


def read_host_lines(draft: Draft, rows: Sequence[int], lines: Sequence[str], declared: Sequence[str | None]) -> Lines:
    """Read lines of a file: what a logger wrote before them, if any, and the text behind it.

    Of a message of several lines `journalctl` prints all but the first far to the right. Whoever wrote such a line is named
    elsewhere, if at all, so it is read as nothing but text, and of unknown origin. So are lines whose prefix leaves open
    whether a shim wrote them or forwarded what a guest wrote.

    Args:
        draft: Where what prefixes state is written.
        rows: Of each line.
        lines: Without their ends.
        declared: The dialect that each line's receiver declares; None where its text tells.
    """
    out = Lines([], [], [], [])
    found: list[tuple[int, Prefix]] = []
    forwarded: list[int] = []
    behind: dict[int, str] = {}
    origins = draft.columns["origin"]
    for row, line, prefix, named in zip(rows, lines, read_prefixes(lines, kernel=False), declared, strict=True):
        dialect, guest, text = named, False, line
        if prefix is not None:
            found.append((row, prefix))
            text = prefix.text
            if prefix.identifier in _FORWARDING or prefix.identifier.endswith(_UNITS):
                origins[row] = Origin.UNKNOWN
                guest = named is None and text.startswith(_AGENT_JSON)
                forwarded += [row] if guest else []
            dialect = named or _dialect_of_prefix(prefix)
        elif line.startswith(_CONTINUATION):
            behind[row] = line
            continue
        out.rows.append(row)
        out.texts.append(text)
        out.guest.append(guest)
        out.dialects.append(dialect)
    _state_prefixes(draft, found, "host_time")
    draft.put("component", [row for row, _ in found], [_component_of_prefix(prefix) for _, prefix in found])
    for row in forwarded:
        origins[row] = Origin.GUEST
        draft.columns["component"][row] = draft.columns["pid"][row] = None
    for row, line in behind.items():
        origins[row] = Origin.UNKNOWN
        draft.column("body")[row] = line.rstrip("\r")
        draft.column("parse_status")[row] = ParseStatus.PLAIN
    return out


def _state_prefixes(draft: Draft, found: Sequence[tuple[int, Prefix]], time: str) -> None:
    """Write what prefixes state of their lines into the draft."""
    rows = [row for row, _ in found]
    draft.put(time, rows, [prefix.time for _, prefix in found])
    draft.put("pid", rows, [prefix.pid for _, prefix in found])
    draft.put("severity_number", rows, [SYSLOG_PRIORITY.get(prefix.priority or "") for _, prefix in found])
    for row, prefix in found:
        draft.attributes[row] = prefix.attributes
        draft.name_dialect([row], prefix.form)


def _component_of_prefix(prefix: Prefix) -> str:
    if _is_runtime_rs(prefix):
        return Component.RUNTIME_RS
    return COMPONENT_OF_IDENTIFIER.get(prefix.identifier.removesuffix(".service"), Component.OTHER)


def _is_runtime_rs(prefix: Prefix) -> bool:
    """Tell runtime-rs's messages from the Go shim's records and the agent's under the identifier that they share."""
    return prefix.identifier in _FORWARDING and not prefix.text.startswith((*_AGENT_JSON, 'time="'))


def _dialect_of_prefix(prefix: Prefix) -> str | None:
    """Tell the dialect that a prefix's identifier decides for the text behind it; None leaves it to the signatures."""
    if _is_runtime_rs(prefix):
        return runtime_rs_text.DIALECT.name
    return _DIALECT_OF_PREFIX.get(prefix.identifier) or DIALECT_OF_IDENTIFIER.get(prefix.identifier)


ABOUT = About(
    producer="rsyslog, syslog-ng and `journalctl` without `-o json`: files such as /var/log/syslog, messages and kern.log.",
    versions="RFC 3164 and 5424; systemd 252 to 258 as it prints text. Captures have `short`, `short-iso` and"
    " `short-iso-precise`; the other forms were not seen in a capture.",
    examples=(
        (
            "2026-11-23T06:17:51.449301+0000 worker-a systemd-journald[77]: Suppressed 173433 messages from"
            " containerd.service"
        ),
    ),
    holes=(
        "RFC 3164 says neither year nor zone: what it says stands in `time.local`, and is no time.",
        (
            "Under the identifier `kata` runtime-rs forwards what a guest wrote, and only the journal's fields tell which:"
            " such lines are of unknown origin, and so are those that name a unit in place of a program."
        ),
        "A message of several lines is one row a line: all but the first are plain, of unknown origin.",
    ),
    source="RFC 3164, RFC 5424, systemd `output_short`.",
)
