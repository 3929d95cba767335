"""The first wave: what each transport's envelope states, and the text it holds.

The envelope is the host's own statement (journald's trusted fields, the kubelet's file name), whatever the text inside is.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from kata_audit.parse.broken_lines import Broken
from kata_audit.parse.dialects import auditd, host_kernel, journald
from kata_audit.parse.dialects.journal_native import is_native
from kata_audit.parse.dialects.registry import DIALECTS
from kata_audit.parse.draft import Draft
from kata_audit.parse.frames.audit_eventlist import read_item
from kata_audit.parse.frames.cri import join_partials, read_lines, read_path
from kata_audit.parse.frames.journal_export import read_fields
from kata_audit.parse.frames.journal_json import each_object
from kata_audit.parse.frames.sandbox_path import read_sandbox
from kata_audit.parse.identifiers import COMPONENT_OF_IDENTIFIER, DIALECT_OF_IDENTIFIER
from kata_audit.parse.line_envelopes import Lines, dialect_of_file, program_of_file, read_guest_lines, read_host_lines
from kata_audit.parse.texts import decode, journal_text
from kata_audit.schema.record import Component, EvidenceRows, ParseStatus
from kata_audit.schema.severity import SYSLOG_PRIORITY
from kata_audit.schema.source import ORIGIN_OF, Origin, Transport, dialect_of, origin_of, reader_of, transport_of

_DIALECT_OF_TRANSPORT: dict[str, str] = {
    "kernel": host_kernel.DIALECT.name,
    "audit": auditd.DIALECT.name,
    "driver": journald.DIALECT.name,
}
"""The grammar of what journald itself received over a `_TRANSPORT`, its own trusted field."""
_ATTRIBUTE_OF_FIELD = {
    "MESSAGE_ID": "journal.message_id",
    "N_DROPPED": "count",
    "OBJECT_SYSTEMD_UNIT": "systemd.unit",
    "OBJECT_PID": "process.pid",
    "OBJECT_COMM": "process.executable.name",
    "_AUDIT_TYPE_NAME": "audit.type",
    "_AUDIT_ID": "audit.serial",
    "_KERNEL_DEVICE": "kernel.device",
    "_KERNEL_SUBSYSTEM": "kernel.subsystem",
}
"""What journald's entries about itself, the kernel and audit state in fields of their own."""
_SERIAL = re.compile(r"[0-9]{1,20}\Z")
_LAST_MICROSECOND = ((1 << 63) - 1) // 1000
"""The last time that 64 bits of nanoseconds hold: in the year 2262."""
_MICROSECOND_DIGITS = range(1, 17)


_NO_FIELDS: Mapping[str, Any] = MappingProxyType({})
_OF_ONE_SANDBOX = "fifo"
"""Receivers whose every source is one hypervisor's, in the folder of its sandbox."""


class Texts(NamedTuple):
    """What the envelopes hold.

    `rows`, `texts`, `guest` and `dialects` (what the position decides, if anything) are aligned; `native_rows` and
    `native_entries` are records whose fields are the envelope's own; `cgroups` and `command_lines` are by row of the draft,
    as journald had them from the kernel.
    """

    rows: list[int]
    texts: list[str]
    guest: list[bool]
    dialects: list[str | None]
    native_rows: list[int]
    native_entries: list[Mapping[str, Any]]
    cgroups: list[Any]
    command_lines: list[Any]


def read_envelopes(draft: Draft, evidence: EvidenceRows, raws: Sequence[bytes | None]) -> Texts:
    """Read the envelopes of all rows into the draft.

    Args:
        draft: Where what the envelopes state is written.
        evidence: The rows, for receivers and cursors.
        raws: Bytes to parse per row; None for a piece that is not parsed.

    Returns:
        The texts inside, for the next wave.
    """
    texts = Texts([], [], [], [], [], [], [None] * draft.count, [None] * draft.count)
    by_transport: dict[Transport, list[int]] = {}
    receivers = evidence.column("receiver").to_pylist()
    transports = {receiver: transport_of(receiver) for receiver in set(receivers)}
    dialects = {receiver: _known_dialect(receiver) for receiver in transports}
    for row, (receiver, raw) in enumerate(zip(receivers, raws, strict=True)):
        if raw is None:
            draft.column("parse_status")[row] = ParseStatus.FRAGMENT
        else:
            by_transport.setdefault(transports[receiver], []).append(row)
    origins = {receiver: origin_of(receiver) for receiver in transports}
    of_one_sandbox = {receiver for receiver in transports if reader_of(receiver) == _OF_ONE_SANDBOX}
    draft.columns["origin"] = [origins[receiver] for receiver in receivers]
    for transport, rows in by_transport.items():
        frames = [raws[row] or b"" for row in rows]
        if transport is Transport.JOURNAL_JSON:
            _group(draft, evidence, _read_journal(draft, texts, rows, frames, each_object(frames)))
        elif transport is Transport.JOURNAL_EXPORT:
            _group(draft, evidence, _read_journal(draft, texts, rows, frames, map(_export, frames)))
        elif transport is Transport.CRI:
            _read_cri(draft, texts, rows, frames, evidence)
        elif transport is Transport.AUDIT_EVENTLIST:
            _read_eventlist(draft, texts, rows, frames)
        else:
            lines = [decode(frame).removesuffix("\n") for frame in frames]
            declared = [dialects[receivers[row]] for row in rows]
            if ORIGIN_OF[transport] is Origin.GUEST:
                _state_sandboxes(draft, evidence, rows)
                _extend(texts, read_guest_lines(draft, rows, lines, declared))
            else:
                if transport is Transport.HOST_FILE:
                    if ones := [row for row in rows if receivers[row] in of_one_sandbox]:
                        _state_sandboxes(draft, evidence, ones)
                    declared = _state_programs(draft, evidence, rows, declared)
                _extend(texts, read_host_lines(draft, rows, lines, declared))
    return texts


def _known_dialect(receiver: str) -> str | None:
    """Read the declared dialect; one that only a newer version knows, which sent the record here, is none."""
    dialect = dialect_of(receiver)
    return dialect if dialect in DIALECTS else None


def _extend(texts: Texts, lines: Lines) -> None:
    texts.rows.extend(lines.rows)
    texts.texts.extend(lines.texts)
    texts.guest.extend(lines.guest)
    texts.dialects.extend(lines.dialects)


def _state_sandboxes(draft: Draft, evidence: EvidenceRows, rows: Sequence[int]) -> None:
    """Write the sandbox that the path of a console, log port or fifo names: the host chose it, whatever is written there."""
    streams = [cursor.rpartition("@")[0] for cursor in evidence.column("cursor").take(rows).to_pylist()]
    sandboxes = {stream: read_sandbox(stream) for stream in set(streams)}
    if any(sandboxes.values()):
        draft.put("sandbox_id", rows, [sandboxes[stream] for stream in streams])
        draft.put("identity_basis", rows, ["path" if sandboxes[stream] else None for stream in streams])


def _state_programs(
    draft: Draft, evidence: EvidenceRows, rows: Sequence[int], declared: Sequence[str | None]
) -> list[str | None]:
    """Name the program of a host's file that is called after it; its records may still name another one themselves.

    Gives the dialects that are declared, or that the file's name tells.
    """
    streams = [cursor.rpartition("@")[0] for cursor in evidence.column("cursor").take(rows).to_pylist()]
    programs = {stream: program_of_file(stream) for stream in set(streams)}
    if any(programs.values()):
        draft.put("component", rows, [programs[stream] for stream in streams])
    dialects = {stream: dialect_of_file(stream) for stream in programs}
    return [dialect or dialects[stream] for dialect, stream in zip(declared, streams, strict=True)]


def _export(block: bytes) -> Mapping[str, Any] | None:
    fields, whole = read_fields(block)
    return fields if whole and fields else None


def _read_journal(
    draft: Draft,
    texts: Texts,
    rows: Sequence[int],
    frames: Sequence[bytes],
    entries: Iterable[Mapping[str, Any] | None],
) -> Broken:
    """Read journal entries: when, which boot, who wrote it by the kernel's word, and the text or the native fields.

    One pass takes all that is wanted of an entry while it is new, and lets go of it before the next one is made. Gives back
    which of them are pieces of longer lines.
    """
    lost, silent = [], []
    times, boots, pids, components, severities = [], [], [], [], []
    writers: dict[Any, _Writer] = {}
    pieces = Broken()
    for row, entry in zip(rows, entries, strict=True):
        if entry is None:
            lost.append(row)
            entry = _NO_FIELDS  # noqa: PLW2901 (it states nothing)
        get = entry.get
        name, transport, priority, message = get("SYSLOG_IDENTIFIER"), get("_TRANSPORT"), get("PRIORITY"), get("MESSAGE")
        key = (name if type(name) is str else None, transport if type(transport) is str else None)
        writer = writers.get(key) or writers.setdefault(key, _writer_of(*key))
        times.append(get("__REALTIME_TIMESTAMP"))
        boots.append(get("_BOOT_ID"))
        pids.append(get("_PID"))
        components.append(writer.component)
        severities.append(SYSLOG_PRIORITY.get(priority if type(priority) is str else journal_text(priority) or ""))
        texts.cgroups[row], texts.command_lines[row] = get("_SYSTEMD_CGROUP"), get("_CMDLINE")
        if message is None:
            silent.append(row)
        if pieces.open or "_LINE_BREAK" in entry:
            pieces.add(row, entry)
        if transport == "journal" and is_native(entry):
            texts.native_rows.append(row)
            texts.native_entries.append(entry)
            continue
        text = pieces.texts[row] if row in pieces.texts else message if type(message) is str else journal_text(message)
        if writer.is_trusted:
            _state_fields(draft, row, entry)
        if text is not None:
            texts.rows.append(row)
            texts.texts.append(text)
            texts.guest.append(False)
            texts.dialects.append(writer.dialect)
    pieces.end()
    unread = set(lost)
    draft.name_dialect([row for row in rows if row not in unread] if lost else rows, "journal")
    draft.put("journal_time", rows, _nanoseconds(times))
    draft.put("boot_id", rows, boots)
    draft.put("pid", rows, pids)
    draft.put("component", rows, components)
    draft.put("severity_number", rows, severities)
    draft.put("parse_status", silent, [ParseStatus.ENVELOPE] * len(silent))
    _keep_broken(draft, lost, dict(zip(rows, frames, strict=True)) if lost else {})
    return pieces


def _group(draft: Draft, evidence: EvidenceRows, pieces: Broken) -> None:
    """Name the line of each piece; a piece that is not the last, or whose line is not whole, is a fragment."""
    if not pieces.first:
        return
    cursors = evidence.column("cursor")
    names = [cursors[first].as_py().partition("+")[0] for first in pieces.first.values()]
    draft.put("frame_group", list(pieces.first), names)
    parts = [row for row, text in pieces.texts.items() if text is None]
    draft.put("parse_status", parts, [ParseStatus.FRAGMENT] * len(parts))
    for row in pieces.unfinished:
        draft.attributes[row] = {**(draft.attributes[row] or {}), "journal.line_break": "line-max"}
    draft.unfinished.extend(pieces.unfinished)


def _read_eventlist(draft: Draft, texts: Texts, rows: Sequence[int], frames: Sequence[bytes]) -> None:
    """Read the events of a webhook's bodies; a body's head and tail are envelope."""
    for row, frame in zip(rows, frames, strict=True):
        item = read_item(frame)
        if item is None:
            draft.column("parse_status")[row] = ParseStatus.ENVELOPE
            continue
        texts.rows.append(row)
        texts.texts.append(decode(item))
        texts.guest.append(False)
        texts.dialects.append("kube-audit")
    draft.name_dialect(rows, "audit-eventlist")


def _state_fields(draft: Draft, row: int, entry: Mapping[str, Any]) -> None:
    """Keep the fields of an entry that journald itself, the kernel or the audit system wrote."""
    stated = {name: text for field, name in _ATTRIBUTE_OF_FIELD.items() if (text := journal_text(entry.get(field)))}
    draft.attributes[row] = stated or None
    serial = stated.get("audit.serial", "")
    [ns] = _nanoseconds([entry.get("_SOURCE_REALTIME_TIMESTAMP")])
    if ns is not None and _SERIAL.match(serial):
        draft.column("fold_key")[row] = auditd.fold_key(str(ns // 10**9), f"{ns // 10**6 % 1000:03}", serial)


class _Writer(NamedTuple):
    """What the name and the transport of entries decide: their component, their dialect, and whether their fields count.

    `is_trusted` tells that journald itself, the kernel or the audit system wrote them.
    """

    component: str | None
    dialect: str | None
    is_trusted: bool


def _writer_of(identifier: str | None, transport: str | None) -> _Writer:
    """Tell who writes under an identifier over a transport; a dialect of None leaves it to the signatures.

    Programs write to the kernel's log too, and journald takes their name from there: such an entry is not the kernel's.
    """
    by_transport = _DIALECT_OF_TRANSPORT.get(transport or "")
    is_trusted = by_transport is not None
    if identifier is None:
        return _Writer(None, by_transport, is_trusted)
    if by_transport == host_kernel.DIALECT.name and identifier != "kernel":
        by_transport = journald.DIALECT.name if identifier == "systemd-journald" else None
    component = COMPONENT_OF_IDENTIFIER.get(identifier, Component.OTHER)
    return _Writer(component, by_transport or DIALECT_OF_IDENTIFIER.get(identifier), is_trusted)


def _keep_broken(draft: Draft, rows: Sequence[int], frames: Mapping[int, bytes]) -> None:
    """Give frames that break their envelope's grammar a body and a status; they state nothing."""
    draft.put("parse_status", rows, [ParseStatus.MALFORMED] * len(rows))
    draft.put("body", rows, [decode(frames[row]).rstrip("\n") for row in rows])


def _nanoseconds(microseconds: Sequence[Any]) -> list[int | None]:
    """Turn journald's microseconds into nanoseconds; None where one is no number that a time can have."""
    try:
        digits = "".join(microseconds)
    except TypeError:
        digits = ""
    if digits.isdigit() and digits.isascii() and all(map(_MICROSECOND_DIGITS.__contains__, map(len, microseconds))):
        numbers = list(map(int, microseconds))
        if max(numbers) <= _LAST_MICROSECOND:
            return [number * 1000 for number in numbers]
    return [_one_nanoseconds(text) for text in microseconds]


def _one_nanoseconds(microseconds: Any) -> int | None:
    if type(microseconds) is not str or len(microseconds) not in _MICROSECOND_DIGITS:
        return None
    if not microseconds.isdigit() or not microseconds.isascii() or int(microseconds) > _LAST_MICROSECOND:
        return None
    return int(microseconds) * 1000


def _read_cri(draft: Draft, texts: Texts, rows: Sequence[int], frames: Sequence[bytes], evidence: EvidenceRows) -> None:
    """Read container log lines: the host's time, the pod by the kubelet's path, and the container's own text."""
    lines = read_lines(frames)
    cursors = evidence.column("cursor").to_pylist()
    places = [(cursors[row].rpartition("@")[0], cursors[row].partition("+")[0]) for row in rows]
    joined, groups = join_partials(lines, places)
    draft.put("host_time", rows, [line.time if line else None for line in lines])
    if any(groups):
        draft.put("frame_group", rows, groups)
        ended = {group for group, text in zip(groups, joined, strict=True) if text is not None}
        begun = dict(zip(reversed(groups), reversed(rows), strict=True))
        draft.unfinished.extend(row for group, row in begun.items() if group is not None and group not in ended)
    pods = {file: read_path(file) for file, _ in places}
    for name in ("k8s_namespace", "k8s_pod", "k8s_pod_uid", "k8s_container"):
        draft.put(name, rows, [getattr(pods[file], name, None) for file, _ in places])
    draft.put("identity_basis", rows, ["path" if pods[file] else None for file, _ in places])
    draft.put("component", rows, [Component.OTHER] * len(rows))
    for row, line, text in zip(rows, lines, joined, strict=True):
        if line is None:
            continue
        draft.attributes[row] = {"log.iostream": line.stream}
        if text is None:
            draft.column("parse_status")[row] = ParseStatus.FRAGMENT
            continue
        texts.rows.append(row)
        texts.texts.append(decode(text))
        texts.guest.append(True)
        texts.dialects.append(None)
    whole = [row for row, line in zip(rows, lines, strict=True) if line is not None]
    draft.name_dialect(whole, "cri")
    broken = [row for row, line in zip(rows, lines, strict=True) if line is None]
    _keep_broken(draft, broken, dict(zip(rows, frames, strict=True)))
