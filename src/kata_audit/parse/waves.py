"""Parse in waves: the envelope, then dialect by dialect what it holds, then what that relays, four deep.

All rows of a wave are routed at once and each dialect is called once per wave, so there is no dispatch by row. Stateless:
the same evidence gives the same records, whatever came before (L2). Origin follows the transport and the host-written
position that held a text, never the text (L7).
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.parse import identity
from kata_audit.parse.catalog.matcher import Catalog, name
from kata_audit.parse.classify import classify
from kata_audit.parse.console import Console, read_console
from kata_audit.parse.dialects import journal_native
from kata_audit.parse.dialects.base import Scan
from kata_audit.parse.dialects.registry import DIALECTS, route
from kata_audit.parse.draft import Draft, attach, attribute_map, finish, times
from kata_audit.parse.envelopes import Texts, read_envelopes
from kata_audit.parse.fragments import Pieces, join_pieces
from kata_audit.parse.identity_crio import from_crio
from kata_audit.parse.losses import state_losses
from kata_audit.parse.secret_edits import MARKS
from kata_audit.schema.cursor import parse_cursor
from kata_audit.schema.record import TIME_TYPE, WORD_TYPE, Component, EvidenceRows, ParseStatus, RecordRows
from kata_audit.schema.severity import TEXT_OF
from kata_audit.schema.source import Origin

DERIVE_VERSION = "1"
"""Changes whenever the same evidence would give other derived columns; stands in each `cut` entry."""

_MAX_DEPTH = 4
_RARE = 512
"""A character that stands once in so many bytes at most is rare."""
_SLICE = 512
"""Rows parsed at once: enough to share the cost of a wave, few enough to stay in the processor's caches."""


@dataclass(frozen=True, slots=True)
class _Wave:
    """Texts of one wave: their rows in the draft, whether a guest wrote each, and the dialect that its position decides."""

    rows: list[int]
    texts: list[str]
    guest: list[bool]
    dialects: list[str | None]

    def __add__(self, other: "_Wave") -> "_Wave":
        return _Wave(
            self.rows + other.rows, self.texts + other.texts, self.guest + other.guest, self.dialects + other.dialects
        )


_NOTHING = _Wave([], [], [], [])


def parse(evidence: EvidenceRows, catalog: Catalog) -> RecordRows:
    """Parse evidence into records.

    Args:
        evidence: Rows of `EVIDENCE_SCHEMA`, masked, of any receivers.
        catalog: The known messages.

    Returns:
        Rows of `RECORD_SCHEMA`, one per row and in order (L2); `batch` and `index` are null.
    """
    pieces = join_pieces(evidence)
    slices: list[Any] = []
    start = 0
    while start < len(evidence) or not slices:
        slices.append(_parse_slice(evidence, start, pieces, catalog))
        start += len(slices[-1])
    return attach(evidence, slices[0] if len(slices) == 1 else _concatenate(slices))


def _concatenate(slices: Sequence[Any]) -> Any:
    """Put slices together, with one dictionary per column."""
    return pa.Table.from_batches(slices).unify_dictionaries().combine_chunks().to_batches()[0]


def _parse_slice(whole: EvidenceRows, start: int, pieces: Pieces, catalog: Catalog) -> Any:
    """Parse few rows through all waves, into derived columns.

    Fewer than a slice come out where a torn record or a partial line goes on behind it: the next slice begins with its first
    piece. At least half of a slice always comes out, so nothing is parsed more than twice; what is wider stays in pieces.
    """
    evidence = whole.slice(start, _SLICE)
    raws: list[bytes | None] = evidence.column("raw").to_pylist()
    draft = Draft(len(raws))
    for row in pieces.groups:
        if start <= row < start + len(raws):
            raws[row - start] = pieces.raws[row]
            draft.column("frame_group")[row - start] = pieces.groups[row]
    texts = read_envelopes(draft, evidence, raws)
    outermost = _Wave(texts.rows, texts.texts, texts.guest, texts.dialects)
    wave = _native_wave(draft, texts) + _text_wave(draft, evidence, outermost, first=True)
    for _ in range(_MAX_DEPTH - 1):
        if not wave.rows:
            break
        draft.relay(wave.rows)
        wave = _text_wave(draft, evidence, wave, first=False)
    _state_identities(draft, texts)
    name(draft, catalog)
    state_losses(draft)
    _state_names(draft, evidence)
    derived = finish(draft, _arrow_columns(draft, evidence))
    more = start + len(raws) < len(whole)
    return derived.slice(0, min((row for row in draft.unfinished if more and row >= _SLICE // 2), default=len(raws)))


def _native_wave(draft: Draft, texts: Texts) -> _Wave:
    """Read what runtime-rs wrote to the journal itself."""
    if not texts.native_rows:
        return _NOTHING
    scan, guest = journal_native.scan(texts.native_entries)
    _scatter(draft, journal_native.NAME, texts.native_rows, scan, [False] * len(guest))
    draft.put("origin", texts.native_rows, [Origin.GUEST if is_guest else None for is_guest in guest])
    return _inner_wave(texts.native_rows, scan, guest)


def _text_wave(draft: Draft, evidence: EvidenceRows, wave: _Wave, *, first: bool) -> _Wave:
    """Route a wave's texts to their dialects; give back what they relay."""
    out = _NOTHING
    if not first:
        draft.put("origin", wave.rows, [Origin.GUEST if is_guest else None for is_guest in wave.guest])
    console = read_console(draft, evidence, wave.rows, wave.texts, wave.guest) if any(wave.guest) else Console(wave.texts)
    for dialect, positions in route(console.texts, wave.dialects if any(wave.dialects) else None).items():
        rows = [wave.rows[position] for position in positions]
        texts = [console.texts[position] for position in positions]
        guest = [wave.guest[position] for position in positions]
        if dialect is None:
            plain = [console.unread(position, wave.rows[position], wave.texts[position]) for position in positions]
            draft.put("body", rows, [text.rstrip("\r\n") for text in plain])
            draft.put("parse_status", rows, [ParseStatus.ENVELOPE if draft.path[row] else ParseStatus.PLAIN for row in rows])
            continue
        scan = DIALECTS[dialect].scan(texts, guest)
        _scatter(draft, dialect, rows, scan, guest)
        out += _inner_wave(rows, scan, guest)
    console.annotate(draft)
    return out


def _inner_wave(rows: Sequence[int], scan: Scan, guest: Sequence[bool]) -> _Wave:
    """Make the next wave of what a scan relays; whatever a guest's text relays is the guest's too (L7)."""
    inner = scan.inner
    if inner is None:
        return _NOTHING
    dialects = inner.dialects or [None] * len(inner.rows)
    guests = [is_guest or guest[position] for position, is_guest in zip(inner.rows, inner.guest, strict=True)]
    return _Wave([rows[position] for position in inner.rows], inner.texts, guests, dialects)


def _state_names(draft: Draft, evidence: EvidenceRows) -> None:
    """State what another store of ours, which sent a record here, calls it."""
    cursors = evidence.column("cursor")
    for row in pc.indices_nonzero(pc.match_substring(cursors, "|")).to_pylist():
        place = parse_cursor(cursors[row].as_py())
        if place is not None and place.name is not None:
            draft.attributes[row] = {**(draft.attributes[row] or {}), NAME_THERE: place.name}


NAME_THERE = "relay.log.record.uid"
"""The attribute that says so; no text of a guest can state it, as it is a relay's."""
_NAMING_COMPONENTS = (Component.CONTAINERD, Component.RUNTIME_GO, None)
"""Whose messages name ids in words of their own; None is a host file whose program nothing tells."""
_IDENTITY_OF_TEXT = ("sandbox_id", "container_id", "identity_basis", "copy_key", "fold_key")
_OURS = ("relay.", "journal.", "console.")
"""What the names of attributes begin with that say how a text came: no text says that of itself."""
_GUEST_COMPONENTS = frozenset(
    {
        Component.AGENT,
        Component.GUEST_KERNEL,
        Component.GUEST_SYSTEMD,
        Component.GUEST_COMPONENTS,
        Component.CLOUD_HYPERVISOR,
    }
)
"""What a text at a guest's position may be of. Cloud Hypervisor shares the guest's console under the Go shim, where its
lines cannot be told from forged ones: they are claims like all the rest. Every other name would be a host's."""


def _scatter(draft: Draft, dialect: str, rows: Sequence[int], scan: Scan, guest: Sequence[bool]) -> None:
    """Write a scan into the draft. What a guest says of time is `guest_timestamp`, what it says of ids an attribute."""
    some_guest = any(guest)
    _drop_relay_pids(draft, rows, scan)
    for column, values in scan.columns.items():
        if column == "time":
            _put_times(draft, rows, values, guest)
        elif column == "assumed_time":
            _assume_times(draft, rows, values, guest)
        elif some_guest and column == "component":
            draft.put(column, rows, _no_host_names(draft, rows, values, guest))
        elif some_guest and column in _IDENTITY_OF_TEXT:
            draft.put(column, rows, [None if is_guest else value for value, is_guest in zip(values, guest, strict=True)])
        else:
            draft.put(column, rows, values)
    draft.put("parse_status", rows, [ParseStatus.PARSED] * len(rows))
    read = rows
    if scan.malformed:
        malformed = {rows[position] for position in scan.malformed}
        draft.put("parse_status", list(malformed), [ParseStatus.MALFORMED] * len(malformed))
        read = [row for row in rows if row not in malformed]
    draft.name_dialect(read, dialect)
    attributes = draft.attributes
    for row, stated, is_guest in zip(rows, scan.attributes, guest, strict=True):
        before = attributes[row]
        if is_guest:
            attributes[row] = _claims(stated, before or {})
        else:
            attributes[row] = {**before, **stated} if before else stated


def _claims(stated: dict[str, str], before: dict[str, str]) -> dict[str, str]:
    """Take what a guest's text states, but no name that is ours or that the host has stated around it."""
    return {**before, **{key: value for key, value in stated.items() if key not in before and not key.startswith(_OURS)}}


def _no_host_names(draft: Draft, rows: Sequence[int], components: Sequence[Any], guest: Sequence[bool]) -> list[Any]:
    """Give texts of guests no component that only a host has, and output of containers none but `other`."""
    path = draft.path
    return [
        Component.OTHER
        if is_guest and (path[row][:3] == "cri" or (component is not None and component not in _GUEST_COMPONENTS))
        else component
        for row, component, is_guest in zip(rows, components, guest, strict=True)
    ]


def _drop_relay_pids(draft: Draft, rows: Sequence[int], scan: Scan) -> None:
    """Forget the envelope's process id where the text is of another program, as a shim's is in containerd's stream.

    Taken for the shim's own, it would make every record of containerd one of that sandbox.
    """
    components = scan.columns.get("component")
    if components is None or "component" not in draft.columns or "pid" not in draft.columns:
        return
    before, pids = draft.columns["component"], draft.columns["pid"]
    for row, component in zip(rows, components, strict=True):
        if component is not None and before[row] is not None and component != before[row]:
            pids[row] = None


def _put_times(draft: Draft, rows: Sequence[int], values: Sequence[Any], guest: Sequence[bool]) -> None:
    if not any(guest):
        draft.put("host_time", rows, values)
        return
    draft.put("guest_time", rows, [value if is_guest else None for value, is_guest in zip(values, guest, strict=True)])
    draft.put("host_time", rows, [None if is_guest else value for value, is_guest in zip(values, guest, strict=True)])


def _assume_times(draft: Draft, rows: Sequence[int], values: Sequence[Any], guest: Sequence[bool]) -> None:
    """Take times whose zone their writer does not state, where nothing around the text tells the time better."""
    stated = [draft.columns[name] for name in ("host_time", "journal_time") if name in draft.columns]
    _put_times(
        draft,
        rows,
        [
            None if any(column[row] is not None for column in stated) else value
            for row, value in zip(rows, values, strict=True)
        ],
        guest,
    )


def _state_identities(draft: Draft, texts: Texts) -> None:
    """Fill identities that host text states elsewhere; what a record's own dialect stated stays."""
    origins = draft.column("origin")
    bodies = draft.columns.get("body", [None] * draft.count)
    host = [row for row, origin in enumerate(origins) if origin is Origin.HOST]
    sandboxes = draft.column("sandbox_id")
    for basis, stated in (
        ("cri", identity.from_cri(bodies, draft.attributes, host)),
        ("cri", from_crio(bodies, draft.attributes, _of(host, draft.column("component"), Component.CRIO))),
        ("dump", identity.from_dumps(bodies, host)),
        ("cgroup", identity.from_cgroups(texts.cgroups)),
    ):
        _fill(draft, sandboxes, stated, basis)
    nameless = [row for row, sandbox in enumerate(sandboxes) if sandbox is None]
    _fill(draft, sandboxes, identity.from_command_lines(texts.command_lines, nameless), "cmdline")
    components, containers = draft.column("component"), draft.column("container_id")
    speechless = [
        row for row in host if sandboxes[row] is None and containers[row] is None and components[row] in _NAMING_COMPONENTS
    ]
    _fill(draft, sandboxes, identity.from_words(bodies, speechless), "text")


def _of(rows: Sequence[int], components: Sequence[str | None], component: Component) -> list[int]:
    return [row for row in rows if components[row] == component]


def _fill(draft: Draft, sandboxes: Sequence[str | None], stated: identity.Stated, basis: str) -> None:
    """Fill what is not stated yet; a statement about another sandbox than the row's own is not of this row."""
    bases = draft.column("identity_basis")
    for row, columns in zip(stated.rows, stated.identities, strict=True):
        if sandboxes[row] is not None and columns.get("sandbox_id", sandboxes[row]) != sandboxes[row]:
            continue
        for field, value in columns.items():
            column = draft.column(field)
            column[row] = column[row] or value
        bases[row] = bases[row] or basis


_BASES = {name: pa.scalar(name) for name in ("host", "journal", "guest", "observed")}


def _arrow_columns(draft: Draft, evidence: EvidenceRows) -> dict[str, Any]:
    """Make the columns that are worked out with Arrow: times, severity words, counts, class."""
    observed = evidence.column("observed_timestamp")
    absent = pa.nulls(draft.count, TIME_TYPE)
    host, guest = (
        times(draft.columns.pop(name)) if name in draft.columns else absent for name in ("host_time", "guest_time")
    )
    journal = pa.array(draft.columns.pop("journal_time", [None] * draft.count), pa.int64()).cast(TIME_TYPE)
    severities = draft.column("severity_number")
    basis = _BASES["observed"]
    for stated, known in (("guest", guest), ("journal", journal), ("host", host)):
        basis = pc.if_else(pc.is_valid(known), _BASES[stated], basis)
    columns = {
        "timestamp": pc.coalesce(host, journal, guest, observed),
        "timestamp_basis": basis.dictionary_encode(),
        "guest_timestamp": guest,
        "severity_text": pa.array(list(map(TEXT_OF.get, severities)), WORD_TYPE),
        "attributes": attribute_map(draft.attributes),
        "dialect": pa.array([path or None for path in draft.path], WORD_TYPE),
        "mask_count": _count_markers(evidence.column("raw")),
    }
    draft.columns["class"] = classify(draft, evidence.column("receiver").to_pylist())
    return columns


def _count_markers(raws: Any) -> Any:
    """Count the marks of masked secrets in each frame: passes over the whole buffer, for few frames have any."""
    counts = [0] * len(raws)
    offsets = pa.Array.from_buffers(pa.int64(), len(raws) + 1, [None, raws.buffers()[1]], offset=raws.offset).to_pylist()
    first = offsets[0]
    data = bytes(memoryview(raws.buffers()[2])[first : offsets[-1]]) if raws.buffers()[2] is not None else b""
    for mark in MARKS:
        for place in _places(data, mark):
            counts[bisect_right(offsets, first + place) - 1] += 1
    return pa.array(counts, pa.uint32())


def _places(data: bytes, mark: bytes) -> Iterator[int]:
    """Find a mark. Its first character alone is found much faster, and in logs it is a rare one where it is no digit."""
    start, place, left = mark[:1], -1, 0 if mark[:1].isdigit() else len(data) // _RARE + 1
    while left and (place := data.find(start, place + 1)) >= 0:
        left -= 1
        if data.startswith(mark, place):
            yield place
    if left:
        return
    while (place := data.find(mark, place + 1)) >= 0:
        yield place
