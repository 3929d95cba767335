"""The first wave: what each transport's envelope states, and the text it holds.

The envelope is the host's own statement (journald's trusted fields, the kubelet's file name), whatever the text inside is.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kata_audit.parse.dialects.journal_native import is_native
from kata_audit.parse.draft import Draft
from kata_audit.parse.frames.audit_eventlist import read_item
from kata_audit.parse.frames.cri import join_partials, read_lines, read_path
from kata_audit.parse.frames.journal_export import read_fields
from kata_audit.parse.frames.journal_json import load_object
from kata_audit.parse.texts import decode, journal_text
from kata_audit.schema.record import Component, EvidenceRows, ParseStatus
from kata_audit.schema.severity import SYSLOG_PRIORITY
from kata_audit.schema.source import ORIGIN_OF, Origin, Transport, dialect_of, transport_of

_COMPONENT_OF_IDENTIFIER = {
    "containerd": Component.CONTAINERD,
    "crio": Component.CRIO,
    "kubelet": Component.KUBELET,
    "kata": Component.RUNTIME_GO,
    "virtiofsd": Component.VIRTIOFSD,
    "kernel": Component.HOST_KERNEL,
    "systemd-journald": Component.JOURNALD,
    "audit": Component.AUDITD,
}
"""Who writes under a SYSLOG_IDENTIFIER, where the record itself does not say."""
_DIALECT_OF_TRANSPORT: dict[str, str] = {}
"""The grammar of what journald itself received over a `_TRANSPORT`, its own trusted field."""
_DIALECT_OF_IDENTIFIER: dict[str, str] = {}
"""The grammar of all that is written under a SYSLOG_IDENTIFIER, where its texts tell none."""

_LAST_MICROSECOND = ((1 << 63) - 1) // 1000
"""The last time that 64 bits of nanoseconds hold: in the year 2262."""


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
    dialects = {receiver: dialect_of(receiver) for receiver in transports}
    for row, (receiver, raw) in enumerate(zip(receivers, raws, strict=True)):
        if raw is None:
            draft.column("parse_status")[row] = ParseStatus.FRAGMENT
        else:
            by_transport.setdefault(transports[receiver], []).append(row)
    draft.columns["origin"] = [ORIGIN_OF[transports[receiver]] for receiver in receivers]
    for transport, rows in by_transport.items():
        frames = [raws[row] or b"" for row in rows]
        if transport is Transport.JOURNAL_JSON:
            _read_journal(draft, texts, rows, [load_object(frame) for frame in frames], frames)
        elif transport is Transport.JOURNAL_EXPORT:
            _read_journal(draft, texts, rows, [_export(frame) for frame in frames], frames)
        elif transport is Transport.CRI:
            _read_cri(draft, texts, rows, frames, evidence)
        elif transport is Transport.AUDIT_EVENTLIST:
            _read_eventlist(draft, texts, rows, frames)
        else:
            guest = ORIGIN_OF[transport] is Origin.GUEST
            texts.rows.extend(rows)
            texts.texts.extend([decode(frame).removesuffix("\n") for frame in frames])
            texts.guest.extend([guest] * len(rows))
            texts.dialects.extend(dialects[receivers[row]] for row in rows)
    return texts


def _export(block: bytes) -> Mapping[str, Any] | None:
    fields, whole = read_fields(block)
    return fields if whole and fields else None


def _read_journal(
    draft: Draft, texts: Texts, rows: Sequence[int], entries: Sequence[Mapping[str, Any] | None], frames: Sequence[bytes]
) -> None:
    """Read journal entries: when, which boot, who wrote it by the kernel's word, and the text or the native fields."""
    broken = [row for row, entry in zip(rows, entries, strict=True) if entry is None]
    known: list[Mapping[str, Any]] = [entry or {} for entry in entries]
    draft.name_dialect([row for row, entry in zip(rows, entries, strict=True) if entry is not None], "journal")
    draft.put("journal_time", rows, _nanoseconds([entry.get("__REALTIME_TIMESTAMP") for entry in known]))
    draft.put("boot_id", rows, [entry.get("_BOOT_ID") for entry in known])
    draft.put("pid", rows, [entry.get("_PID") for entry in known])
    identifiers = [entry.get("SYSLOG_IDENTIFIER") for entry in known]
    components = [
        _COMPONENT_OF_IDENTIFIER.get(name, Component.OTHER) if isinstance(name, str) else None for name in identifiers
    ]
    draft.put("component", rows, components)
    draft.put("severity_number", rows, [SYSLOG_PRIORITY.get(str(entry.get("PRIORITY"))) for entry in known])
    for row, entry in zip(rows, known, strict=True):
        texts.cgroups[row] = entry.get("_SYSTEMD_CGROUP")
        texts.command_lines[row] = entry.get("_CMDLINE")
        if is_native(entry):
            texts.native_rows.append(row)
            texts.native_entries.append(entry)
            continue
        message = entry.get("MESSAGE")
        text = message if type(message) is str else journal_text(message)
        if text is not None:
            texts.rows.append(row)
            texts.texts.append(text)
            texts.guest.append(False)
            texts.dialects.append(_dialect_of_entry(entry))
    _keep_broken(draft, broken, dict(zip(rows, frames, strict=True)))
    lost = set(broken)
    silent = [row for row, entry in zip(rows, known, strict=True) if entry.get("MESSAGE") is None and row not in lost]
    draft.put("parse_status", silent, [ParseStatus.ENVELOPE] * len(silent))


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


def _dialect_of_entry(entry: Mapping[str, Any]) -> str | None:
    """Tell the dialect that an entry's trusted transport or its identifier decides; None leaves it to the signatures."""
    transport, identifier = entry.get("_TRANSPORT"), entry.get("SYSLOG_IDENTIFIER")
    found = _DIALECT_OF_TRANSPORT.get(transport) if type(transport) is str else None
    return found or (_DIALECT_OF_IDENTIFIER.get(identifier) if type(identifier) is str else None)


def _keep_broken(draft: Draft, rows: Sequence[int], frames: Mapping[int, bytes]) -> None:
    """Give frames that break their envelope's grammar a body and a status; they state nothing."""
    draft.put("parse_status", rows, [ParseStatus.MALFORMED] * len(rows))
    draft.put("body", rows, [decode(frames[row]).rstrip("\n") for row in rows])


def _nanoseconds(microseconds: Sequence[Any]) -> list[int | None]:
    """Turn journald's microseconds into nanoseconds; None where one is no number that a time can have."""
    return [
        int(text) * 1000
        if type(text) is str and len(text) <= 16 and text.isdigit() and text.isascii() and int(text) <= _LAST_MICROSECOND
        else None
        for text in microseconds
    ]


def _read_cri(draft: Draft, texts: Texts, rows: Sequence[int], frames: Sequence[bytes], evidence: EvidenceRows) -> None:
    """Read container log lines: the host's time, the pod by the kubelet's path, and the container's own text."""
    lines = read_lines(frames)
    cursors = evidence.column("cursor").to_pylist()
    places = [(cursors[row].rpartition("@")[0], cursors[row].partition("+")[0]) for row in rows]
    joined, groups = join_partials(lines, places)
    draft.put("host_time", rows, [line.time if line else None for line in lines])
    if any(groups):
        draft.put("frame_group", rows, groups)
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
