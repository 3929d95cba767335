"""Why a pod failed: from the records of one sandbox to the layer, the first causal record and the known cause.

Pure: rows in, a verdict out. Rows come in host order; nothing is kept of them but the first record of each cause, so that a
sandbox of any size takes little memory. A guest's lines never make a pod failed: they only explain, as claims, what records
of the host say happened.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from kata_audit.parse.error_chain import innermost, read_chain
from kata_audit.pipeline.why_causes import Cause, Causes, Layer, Statement
from kata_audit.schema.record import RecordRows
from kata_audit.schema.severity import ERROR
from kata_audit.schema.source import Origin

COLUMNS: Final = (
    "seq",
    "timestamp",
    "timestamp_basis",
    "severity_number",
    "body",
    "event_name",
    "origin",
    "component",
    "attributes",
    "copy_key",
    "guest_timestamp",
    "exec_id",
    "container_id",
    "sandbox_id",
    "k8s_namespace",
    "k8s_pod",
    "k8s_pod_uid",
    "runtime_class",
)
"""What a verdict needs of a record."""
HOST_CLOCK: Final = frozenset({"host", "journal"})
"""Words of `timestamp_basis` for times that a host record carried: a guest's clock, and the time of ingesting, tell no more
of when a sandbox was there than what they say themselves."""
UNDECLARED: Final = "undeclared"
"""Stands among the layers that were heard where records came from files of which nobody declared who wrote them."""
_ERRORS: Final = ("error", "err")
_COPIES: Final = 4_096
"""Records among which copies of one are looked for."""
_OTHERS: Final = 64
"""Further errors that are told apart; those beyond are counted only."""
_LONGEST: Final = 2_000
"""Characters that are quoted of one record."""
_FEW: Final = 3
_MESSAGE: Final = 160
"""An innermost text of so few words stands behind its message, unless that is longer than this."""
_SHORT: Final = 12
"""Characters of an id that a person compares."""
_CONTAINERS: Final = 4_096
"""Containers of one sandbox whose end may have been asked for."""

_ASKS_CONTAINER: Final = (
    "StopContainer for ", "Stop container ", "Kill container ", "Forcibly stopping container", "RemoveContainer for ",
    "Killing container with a grace period",
)  # fmt: skip
_ASKS_SANDBOX: Final = (
    "StopPodSandbox for ", "Forcibly stopping sandbox", "RemovePodSandbox for ", "begin stop sandbox",
    "shutdown virtiofsd pid", "receive action Shutdown", "Stopping sandbox in the VM",
)  # fmt: skip
"""How bodies begin that ask for the end of a container or a sandbox. Sources: containerd, kubelet, Kata's shims."""
_AFTERMATH: Final = ("failed to delete task", "ttrpc: received message on inactive stream", "Failed to destroy network")
"""How bodies begin that only follow from a failure: they may show a cause, and are no errors of their own."""
_STARTS: Final = (
    "Starting VM",
    "VM started",
    "Starting QEMU VM",
    "Starting REMOTE VM",
    "Starting CLH VM",
    "sandbox is started",
)
_EXIT: Final = re.compile(
    r'^received (?:container|sandbox) exit event container_id:"([^"]{1,128})" {1,4}id:"\1".{0,80}?exit_status:(\d{1,5})'
)
_EXIT_RS: Final = re.compile(
    r'^receive action Event\(TaskExit \{ container_id: "([^"]{1,128})", id: "\1", .{0,80}?exit_status: (\d{1,5})'
)
_DIGITS: Final = 5
_EXIT_GO: Final = "Publishing container exit status"
_ASKED_CODES: Final = frozenset({137, 143})
"""What a container that is stopped ends with. Without a CRI's records nobody can say whether it was."""
_CRI_SAYS: Final = ("RunPodSandbox for ", "CreateContainer within ", "StartContainer for ", "StopPodSandbox for ")
_VARIES: Final = re.compile(r"[0-9a-f]{12,}|\d+|\"[^\"]*\"")


class Quote(NamedTuple):
    """A record as an answer names it; `text` is its innermost cause, else its body; `links` lead there, outermost first."""

    seq: int
    timestamp_ns: int
    origin: str
    component: str
    text: str
    links: tuple[str, ...]

    @property
    def is_claim(self) -> bool:
        """Whether a guest, or nobody known, wrote it."""
        return self.origin != Origin.HOST


class Other(NamedTuple):
    """A further error: its first record, and how many there were."""

    first: Quote
    times: int


class Verdict(NamedTuple):
    """The answer for one sandbox, or for a pod that never got one.

    Args:
        sandbox_id: Whose it is; None where no sandbox came to be.
        named: Identity columns with the value stated last.
        records: How many records were read, copies not counted.
        first_ns: Time of the first record by the host's clock; where no record carries that, by any.
        last_ns: Time of the last one, alike.
        layer: Where it failed; none where nothing did.
        cause: What is known of it; None where nothing failed.
        first: The first record that shows the cause.
        outside: What the host saw of it, where the cause is a guest's claim.
        also: Further errors in order of their first record.
        more: Kinds of errors beyond those.
        heard: Which layers wrote any of the records.
        machine_ran: Whether the host says that a machine was started.
    """

    sandbox_id: str | None
    named: Mapping[str, str]
    records: int
    first_ns: int | None
    last_ns: int | None
    layer: Layer
    cause: Cause | None
    first: Quote | None
    outside: tuple[Cause, Quote] | None
    also: tuple[Other, ...]
    more: int
    heard: frozenset[str]
    machine_ran: bool

    @property
    def failed(self) -> bool:
        """Whether anything failed."""
        return self.layer != Layer.NONE


@dataclass(slots=True)
class Case:
    """The records of one sandbox, read once in host order; then the verdict."""

    causes: Causes
    sandbox_id: str | None = None
    _named: dict[str, str] = field(default_factory=dict)
    _records: int = 0
    _times: dict[bool, tuple[int, int]] = field(default_factory=dict)
    """First and last time, by whether the host's clock tells it."""
    _shown: dict[int, Quote] = field(default_factory=dict)
    """The first record of each cause that was shown, by precedence."""
    _others: dict[tuple[str, str], tuple[Quote, int, int | None]] = field(default_factory=dict)
    """Errors by kind: first record, count, and which cause it shows."""
    _more: int = 0
    _heard: set[str] = field(default_factory=set)
    _machine_ran: bool = False
    _seen: OrderedDict[tuple[bool, int], None] = field(default_factory=OrderedDict)
    _asked: set[str] = field(default_factory=set)
    _all_asked: bool = False

    def add(self, rows: RecordRows) -> None:
        """Read a batch of records; it holds the columns `COLUMNS`."""
        for row in _rows(rows):
            if self._is_copy(row):
                continue
            self._records += 1
            self._note(row)
            statement = self._statement(row)
            if statement.origin == Origin.HOST:
                self._hear_asking(statement)
            place = self.causes.find(statement)
            is_error = statement.severity >= ERROR and not self.causes.is_noise(statement.body)
            if place is not None or is_error:
                quote = _quote(statement)
                if place is not None:
                    self._shown.setdefault(place, quote)
                if not statement.body.startswith(_AFTERMATH):
                    self._add_other(quote, statement.body, place)

    def verdict(self) -> Verdict:
        """Say what failed."""
        place, outside = self._reason()
        first_ns, last_ns = self._times.get(True, self._times.get(False, (None, None)))
        first = self._shown[place] if place is not None else None
        cause = self.causes.causes[place] if place is not None else None
        told = {place, outside}
        also = [Other(quote, count) for quote, count, of in self._others.values() if of is None or of not in told]
        seen = None if outside is None else (self.causes.causes[outside], self._shown[outside])
        return Verdict(
            sandbox_id=self.sandbox_id,
            named=dict(self._named),
            records=self._records,
            first_ns=first_ns,
            last_ns=last_ns,
            layer=cause.layer if cause else Layer.NONE,
            cause=cause,
            first=first,
            outside=seen,
            also=tuple(also),
            more=self._more,
            heard=frozenset(self._heard),
            machine_ran=self._machine_ran,
        )

    def _reason(self) -> tuple[int | None, int | None]:
        """Give the cause by precedence, and the one that the host saw of it where a guest's claim explains that one."""
        by_place = self.causes.causes
        host = next((place for place in sorted(self._shown) if not by_place[place].explains), None)
        if host is None:
            return None, None
        within = (place for place in sorted(self._shown) if by_place[host].id in by_place[place].explains)
        claim = next(within, None)
        return (host, None) if claim is None else (claim, host)

    def _is_copy(self, row: Mapping[str, Any]) -> bool:
        """Say whether a record was read before; a claim is no copy of a record of the host's (law L7)."""
        if row["copy_key"] is None:
            return False
        key = row["origin"] == Origin.HOST, row["copy_key"]
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > _COPIES:
            self._seen.popitem(last=False)
        return False

    def _note(self, row: Mapping[str, Any]) -> None:
        """Remember times, names and who spoke."""
        ns = row["timestamp"]
        if ns is not None:
            by_host = row["timestamp_basis"] in HOST_CLOCK
            first, last = self._times.get(by_host, (ns, ns))
            self._times[by_host] = min(first, ns), max(last, ns)
        for name in ("k8s_namespace", "k8s_pod", "k8s_pod_uid", "runtime_class"):
            if row[name] is not None:
                self._named[name] = row[name]
        component, body = row["component"], row["body"] or ""
        if row["origin"] == Origin.HOST:
            self._heard.add("cri" if component == "crio" or body.startswith(_CRI_SAYS) else component or "containerd")
            self._machine_ran = self._machine_ran or body.startswith(_STARTS)
        elif row["origin"] != Origin.GUEST:
            self._heard.add(UNDECLARED)
        elif component == "agent":
            # runtime-rs writes its own client's words where the agent's stand; only the agent's carry the agent's clock.
            self._heard |= {"agent"} if row["guest_timestamp"] is not None else set()
        elif component is not None:
            self._heard.add(component)

    def _statement(self, row: Mapping[str, Any]) -> Statement:
        attributes = dict(row["attributes"] or ())
        body = row["body"] or ""
        links = _links(body, attributes)
        ended = self._exit(row, body, attributes) if row["origin"] == Origin.HOST else None
        exit_code, container = ended or (None, row["container_id"])
        return Statement(
            seq=row["seq"],
            timestamp_ns=row["timestamp"] or 0,
            severity=row["severity_number"] or 0,
            origin=row["origin"] or str(Origin.UNKNOWN),
            component=row["component"],
            event_name=row["event_name"],
            body=body,
            links=links,
            container_id=container,
            exit_code=exit_code,
            asked=self._all_asked or container in self._asked,
        )

    def _exit(self, row: Mapping[str, Any], body: str, attributes: Mapping[str, str]) -> tuple[int, str] | None:
        """Read which container's first process ended, and how; not of an exec, and not where it may have been asked for."""
        if found := _EXIT.match(body):
            return int(found[2]), found[1]
        if found := _EXIT_RS.match(body):
            code, container = int(found[2]), found[1]
        elif body == _EXIT_GO and not (row["exec_id"] or attributes.get("exec") or attributes.get("exec-id")):
            said = attributes.get("exit-code", "")
            code, container = int(said) if said.isdecimal() and len(said) <= _DIGITS else 0, row["container_id"] or ""
        else:
            return None
        return None if code in _ASKED_CODES and "cri" not in self._heard else (code, container)

    def _hear_asking(self, statement: Statement) -> None:
        if statement.body.startswith(_ASKS_SANDBOX):
            self._all_asked = True
        elif statement.body.startswith(_ASKS_CONTAINER) and statement.container_id and len(self._asked) < _CONTAINERS:
            self._asked.add(statement.container_id)

    def _add_other(self, quote: Quote, body: str, place: int | None) -> None:
        key = (quote.component, _VARIES.sub("#", body[:200])[:80])
        if key in self._others:
            first, count, of = self._others[key]
            self._others[key] = (first, count + 1, of)
        elif len(self._others) < _OTHERS:
            self._others[key] = (quote, 1, place)
        else:
            self._more += 1


def _links(body: str, attributes: Mapping[str, str]) -> tuple[str, ...]:
    """Read the causes that a record states: in its error, or in its message where the error was read out of that."""
    error = next((attributes[name] for name in _ERRORS if attributes.get(name)), "")
    if error and error not in body:
        return read_chain(error)
    return read_chain(body) if "Caused by:" in body else ()


def _quote(statement: Statement) -> Quote:
    component = statement.component or "containerd"
    said = _said(statement)[:_LONGEST]
    return Quote(statement.seq, statement.timestamp_ns, statement.origin, component, said, statement.links)


def _said(statement: Statement) -> str:
    """Give the innermost text of a record, behind its message where that one says too little alone."""
    if statement.exit_code:
        return f"container {(statement.container_id or '?')[:_SHORT]} ended with exit code {statement.exit_code}"
    if not statement.links:
        return statement.body
    inner = innermost(statement.links)
    is_short = statement.severity < ERROR or len(inner.split()) <= _FEW
    return (
        f"{statement.body}: {inner}"
        if is_short and "\n" not in statement.body and len(statement.body) <= _MESSAGE
        else inner
    )


def _rows(rows: RecordRows) -> Iterator[Mapping[str, Any]]:
    columns = [_values(rows.column(name)) for name in COLUMNS]
    for values in zip(*columns, strict=True):
        yield dict(zip(COLUMNS, values, strict=True))


def _values(column: Any) -> list[Any]:
    return list((column.cast("int64") if str(column.type).startswith("timestamp") else column).to_pylist())
