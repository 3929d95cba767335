"""The canary: of which layers a sandbox's records arrived, told by the records alone.

`Watch` reads records of any source once and remembers of every sandbox what came of each layer; `judge()` then says PASS,
FAIL or BLIND for each. Silence is a failure only where facts that the host wrote down say that the layer must have spoken.
A guest's text proves the way that it came by, and nothing that it says (law L7).
"""

import re
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from kata_audit.errors import Problem, UsageError
from kata_audit.node.canary_table import Layer, Row, Table, all_hold, answer
from kata_audit.node.check import Status
from kata_audit.parse.frames.journal_export import read_fields
from kata_audit.parse.frames.journal_json import load_object
from kata_audit.schema.cursor import parse_cursor
from kata_audit.schema.record import Component, RecordRows
from kata_audit.schema.source import Origin, Transport, transport_of

COLUMNS: Final = (
    "seq",
    "timestamp",
    "timestamp_basis",
    "cursor",
    "receiver",
    "raw",
    "severity_number",
    "body",
    "event_name",
    "origin",
    "component",
    "dialect",
    "object",
    "attributes",
    "guest_timestamp",
    "sandbox_id",
    "k8s_namespace",
    "k8s_pod",
    "runtime_class",
)
"""What the canary looks at of a record."""
HOST_CLOCK: Final = frozenset({"host", "journal"})
"""Words of `timestamp_basis` for times that no guest can set."""
AROUND_NS: Final = 30_000_000_000
"""How long before and after its own records a sandbox's pod is spoken of."""
SHIMS: Final = frozenset({str(Component.RUNTIME_GO), str(Component.RUNTIME_RS)})
LEAST_PREFIX: Final = 4
_SANDBOXES: Final = 4_096
_PODS: Final = 4_096
_OF_POD: Final = 1_024
"""How many sandboxes, pods, and records of a pod that name no sandbox are remembered: the newest."""
_CRI_ID: Final = re.compile(r"[0-9a-f]{64}")
_JOURNALS: Final[Mapping[Transport, Any]] = {
    Transport.JOURNAL_JSON: load_object,
    Transport.JOURNAL_EXPORT: lambda raw: read_fields(raw)[0],
}
_CHANNELS: Final = {Transport.CRI: "pod-log", Transport.CONSOLE: "console"}
_OF_JOURNAL: Final = {"syslog": "syslog", "journal": "native"}
"""Channels by journald's own `_TRANSPORT`; what else it has came by a stream."""


@dataclass(slots=True)
class Tally:
    """What came of one layer: how many records, from when to when, and the name of the first."""

    records: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    record: str | None = None

    def add(self, ns: int | None, record: str) -> None:
        """Count a record."""
        self.records += 1
        self.record = self.record or record
        if ns is not None:
            self.first_ns = ns if self.first_ns is None else min(self.first_ns, ns)
            self.last_ns = ns if self.last_ns is None else max(self.last_ns, ns)


class _Statement(NamedTuple):
    """A record that names a pod and no sandbox."""

    layer: str
    ns: int | None
    record: str


@dataclass(slots=True)
class _Heard:
    """What is remembered of one sandbox."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    facts: set[str] = field(default_factory=set)
    pod: tuple[str, str] | None = None
    runtime_class: str | None = None
    first_ns: int | None = None
    last_ns: int | None = None

    @property
    def is_katas(self) -> bool:
        """Whether a shim of Kata's wrote of it, or its class is called after Kata."""
        return bool(self.facts & SHIMS) or (self.runtime_class or "").startswith("kata")


class Subject(NamedTuple):
    """What is judged: a sandbox, or a pod that never got one; None where not even its records came."""

    sandbox_id: str | None
    namespace: str | None
    pod: str | None


class Finding(NamedTuple):
    """The answer for one layer; `record` names the first of its records."""

    layer: str
    title: str
    status: Status
    said: str
    next: str | None
    records: int
    first_ns: int | None
    last_ns: int | None
    record: str | None


class Verdict(NamedTuple):
    """The answers for one sandbox, from the caller down to the guest.

    `facts` are what its records show, `undeclared` how many records came from files of which nobody declared who wrote them.
    """

    subject: Subject
    runtime_class: str | None
    facts: tuple[str, ...]
    findings: tuple[Finding, ...]
    undeclared: int

    @property
    def has_failed(self) -> bool:
        """Whether a layer that must have spoken did not."""
        return any(one.status is Status.FAIL for one in self.findings)


class Watch:
    """Reads records once, in any order, and remembers what came of whom.

    Args:
        table: What the canary knows.
        store: The origin of the store that the records have their numbers from; None names them by their place in a file.
        marker: What stands in the canary's exec, where there was one.
    """

    def __init__(self, table: Table, *, store: str | None = None, marker: str | None = None) -> None:
        self.table = table
        self._store, self._marker = store, marker
        self._sandboxes: OrderedDict[str, _Heard] = OrderedDict()
        self._pods: OrderedDict[tuple[str, str], deque[_Statement]] = OrderedDict()
        self._around: set[str] = set()
        self._marked: dict[str, Tally] = {}
        self._undeclared = 0

    def add(self, rows: RecordRows) -> None:
        """Read a batch of records; it holds the columns `COLUMNS`."""
        for record in _records(rows):
            if record["origin"] == Origin.UNKNOWN:
                self._undeclared += 1
                continue
            row = _row(record, rows, self._marker)
            held = [layer for layer in self.table.layers if layer.holds(row)]
            layers = [layer.id for layer in held if not layer.marker]
            self._around.update(layers)
            for layer in held:  # no other sandbox has our marker, so that a record with it need not say whose it is
                if layer.marker:
                    self._marked.setdefault(layer.id, Tally()).add(record["timestamp"], self._name(record))
            sandbox, pod = _sandbox(record), (record["k8s_namespace"] or "", record["k8s_pod"] or "")
            if sandbox is not None:
                self._hear(_kept(self._sandboxes, sandbox, _Heard, _SANDBOXES), record, row, layers)
            elif pod[1]:
                spoken = _kept(self._pods, pod, _statements, _PODS)
                spoken.extend(_Statement(layer, record["timestamp"], self._name(record)) for layer in layers)

    def overhear(self, rows: RecordRows) -> None:
        """Learn from a batch which layers write at all, whomever they write of; nothing of it is counted."""
        for record in _records(rows):
            row = _row(record, rows, None)
            self._around.update(layer.id for layer in self.table.layers if layer.holds(row))

    def _hear(self, heard: _Heard, record: Mapping[str, Any], row: Row, layers: Iterable[str]) -> None:
        ns = record["timestamp"]
        for layer in layers:
            heard.tallies.setdefault(layer, Tally()).add(ns, self._name(record))
        if row.origin != Origin.HOST:
            return
        heard.facts.update(sign.fact for sign in self.table.signs if sign.holds(row))
        heard.runtime_class = heard.runtime_class or record["runtime_class"]
        if record["k8s_pod"] is not None:
            heard.pod = heard.pod or (record["k8s_namespace"] or "", record["k8s_pod"])
        if ns is not None and record["timestamp_basis"] in HOST_CLOCK:
            heard.first_ns = ns if heard.first_ns is None else min(heard.first_ns, ns)
            heard.last_ns = ns if heard.last_ns is None else max(heard.last_ns, ns)

    def _name(self, record: Mapping[str, Any]) -> str:
        if self._store is not None:
            return f"{self._store}/{record['seq']}"
        place = parse_cursor(record["cursor"])
        if place is None:
            return str(record["cursor"])
        return f"{unquote(place.stream.partition('?')[0])}@{place.offset}+{place.length}"

    def newest(self) -> Subject:
        """Give the sandbox that began last: of Kata's where any is known to be, else of all."""
        katas = {name: one for name, one in self._sandboxes.items() if one.is_katas}
        return self._subject(max(katas or self._sandboxes, key=self._begin, default=None))

    def of_sandbox(self, name: str) -> Subject:
        """Give the sandbox whose id is or begins with `name`.

        Raises:
            UsageError: Several begin with it.
        """
        found = [one for one in self._sandboxes if one.startswith(name)] if len(name) >= LEAST_PREFIX else []
        if name in self._sandboxes or not found:
            return self._subject(name)
        if len(found) > 1:
            problems = [Problem(one, "begins with it") for one in found[:20]]
            raise UsageError(
                f"The name means {len(found)} sandboxes.", problems=problems, hint="Name one of them by its id."
            )
        return self._subject(found[0])

    def of_pod(self, namespace: str, pod: str) -> Subject:
        """Give the newest sandbox of a pod, or the pod alone where none is known."""
        found = [name for name, one in self._sandboxes.items() if one.pod == (namespace, pod)]
        newest = max(found, key=self._begin, default=None)
        return Subject(newest, namespace, pod)

    def _subject(self, sandbox: str | None) -> Subject:
        known = self._sandboxes.get(sandbox or "")
        namespace, pod = (known.pod if known else None) or (None, None)
        return Subject(sandbox, namespace, pod)

    def _begin(self, sandbox: str) -> int:
        return self._sandboxes[sandbox].first_ns or 0

    def judge(self, subject: Subject, *, expected: Collection[str] = (), told: Collection[str] = ()) -> Verdict:
        """Answer for every layer that the subject's facts ask for.

        Args:
            subject: Whose records to look at.
            expected: Layers of which a record must have come, whatever the facts say.
            told: Facts that no record shows: `asked` where we made the pod, `executed` where its exec was made.
        """
        heard = self._sandboxes.get(subject.sandbox_id or "", _Heard())
        tallies = self._tallies(subject, heard)
        facts = heard.facts | set(told) | {f"around:{layer}" for layer in self._around}
        facts |= {f"heard:{layer}" for layer in tallies}
        facts |= {"sandbox"} if subject.sandbox_id is not None and subject.sandbox_id in self._sandboxes else set()
        if "sandbox" in facts and not _CRI_ID.fullmatch(subject.sandbox_id or ""):
            facts.add("own-name")
        findings = tuple(
            _finding(layer, tallies.get(layer.id), facts, is_expected=layer.id in expected)
            for layer in self.table.layers
            if all_hold(layer.needs, facts)
        )
        shown = tuple(sorted(heard.facts | set(told)))
        return Verdict(subject, heard.runtime_class, shown, findings, self._undeclared)

    def _tallies(self, subject: Subject, heard: _Heard) -> dict[str, Tally]:
        """Add what was said of the pod in the sandbox's time to what was said of the sandbox."""
        tallies = {layer: Tally(one.records, one.first_ns, one.last_ns, one.record) for layer, one in heard.tallies.items()}
        tallies.update(self._marked)
        for said in self._pods.get((subject.namespace or "", subject.pod or ""), ()):
            if _is_within(said.ns, heard):
                tallies.setdefault(said.layer, Tally()).add(said.ns, said.record)
        return tallies


def _is_within(ns: int | None, heard: _Heard) -> bool:
    if heard.first_ns is None or heard.last_ns is None:
        return True
    return ns is not None and heard.first_ns - AROUND_NS <= ns <= heard.last_ns + AROUND_NS


def _finding(layer: Layer, tally: Tally | None, facts: Collection[str], *, is_expected: bool) -> Finding:
    if tally is not None:
        counted = tally.records, tally.first_ns, tally.last_ns, tally.record
        return Finding(layer.id, layer.title, Status.PASS, layer.passed or "Its records arrive.", None, *counted)
    rule = answer(layer, facts)
    is_missing = is_expected and rule.status is not Status.FAIL
    status, said = (Status.FAIL, f"It was expected. {rule.said}") if is_missing else (rule.status, rule.said)
    return Finding(layer.id, layer.title, status, said, rule.next, 0, None, None, None)


def _kept(known: "OrderedDict[Any, Any]", key: Any, make: Any, most: int) -> Any:
    """Give what is remembered under a key, which is now the newest; the oldest is let go."""
    one = known.get(key)
    if one is None:
        one = known[key] = make()
        if len(known) > most:
            known.popitem(last=False)
    known.move_to_end(key)
    return one


def _statements() -> "deque[_Statement]":
    return deque(maxlen=_OF_POD)


_LAZY: Final = frozenset({"raw", "attributes", "object"})
"""Columns of which a value is read only where it is needed."""


def _records(rows: RecordRows) -> Iterator[dict[str, Any]]:
    """Give records as Python values, times as nanoseconds; `at` is the place in the batch."""
    names = [name for name in COLUMNS if name not in _LAZY]
    columns = [_values(rows.column(name)) for name in names]
    for at, values in enumerate(zip(*columns, strict=True)):
        yield {"at": at, **dict(zip(names, values, strict=True))}


def _sandbox(record: Mapping[str, Any]) -> str | None:
    """Tell whose a record is; a guest's own file is told by the name that the host gave it."""
    stated: str | None = record["sandbox_id"]
    if stated is None and record["origin"] == Origin.GUEST:
        found = _CRI_ID.search(record["cursor"].partition("?")[0])
        return found[0] if found else None
    return stated


def _values(column: Any) -> list[Any]:
    return list((column.cast("int64") if str(column.type).startswith("timestamp") else column).to_pylist())


def _row(record: Mapping[str, Any], rows: RecordRows, marker: str | None) -> Row:
    """Make what the table looks at."""
    channel, guest = _channel(record, rows), record["origin"] == Origin.GUEST
    by_go = guest and channel != "console" and "logrus" in (record["dialect"] or "").split("/")
    return Row(
        origin=record["origin"] or str(Origin.UNKNOWN),
        component=record["component"],
        channel=channel,
        relay=str(Component.RUNTIME_GO) if by_go else None,
        body=record["body"] or "",
        event=record["event_name"],
        severity=record["severity_number"],
        has_guest_clock=record["guest_timestamp"] is not None,
        carries_marker=marker is not None and any(marker in text for text in _texts(record, rows)),
    )


def _channel(record: Mapping[str, Any], rows: RecordRows) -> str:
    """Tell the way that a record came by: its receiver's transport, and within the journal journald's own field."""
    transport = transport_of(record["receiver"] or "")
    read = _JOURNALS.get(transport)
    if read is None:
        return _CHANNELS.get(transport, "stream")
    if record["component"] not in SHIMS:  # of others the way is not asked
        return "stream"
    fields = read(rows.column("raw")[record["at"]].as_py() or b"") or {}
    return _OF_JOURNAL.get(str(fields.get("_TRANSPORT")), "stream")


def _texts(record: Mapping[str, Any], rows: RecordRows) -> Iterator[str]:
    """Give the texts of a record in which a command may stand."""
    at = record["at"]
    yield record["body"] or ""
    yield rows.column("object")[at].as_py() or ""
    for _, value in rows.column("attributes")[at].as_py() or ():
        yield value or ""
