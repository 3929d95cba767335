"""Losses that sources declare themselves: what was dropped before anybody could collect it, by whom, and how many.

The one place that knows such messages. A loss becomes an audit event of its record: `action` is `lose-records`, `object` the
source that lost, `log.records.lost` how many, where it says so. On host records it becomes a fact of the source; what a
guest says it lost stays a claim (law L7), and a container's output is no source of logs.

Source: slog-async 2 (`Async::push_dropped`); systemd `src/journal` (`journald-rate-limit.c`, `journald-kmsg.c`); Kata
`virtcontainers/sandbox.go` (the console reader ends for ever); containerd `core/runtime/v2` ("copy shim log"); Kubernetes
`apiserver/pkg/audit/metrics.go`; Linux `kernel/printk`, `lib/ratelimit.c`, `kernel/audit.c`; rsyslog `imjournal`.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from kata_audit.parse.draft import Draft
from kata_audit.schema.event import UNKNOWN_ACTOR, Action, ActorSource, Confidence, Outcome
from kata_audit.schema.record import Component, RetentionClass
from kata_audit.schema.source import Origin

COUNT = "log.records.lost"
"""Attribute that holds how many records were lost."""


class _Kind(NamedTuple):
    """One kind of loss: its event, what its message is like, who writes it, and what to call the source that lost.

    `start` is what all such messages begin with, as far as it is fixed. `source` may name `{unit}` (from the message),
    `{sandbox}` and `{component}`.
    """

    event: str
    pattern: re.Pattern[str]
    start: str
    components: tuple[Component, ...]
    source: str


_COUNT = r"(?P<count>\d{1,18})"
_KERNELS = (Component.HOST_KERNEL, Component.GUEST_KERNEL)
_FIXED = re.compile(r"[A-Za-z: -]*(?![*+?{|])")


def _fixed(pattern: str) -> str:
    """Give the literal characters that an expression begins with."""
    found = _FIXED.match(pattern)
    return found[0] if found is not None and "|" not in pattern else ""


_KINDS = tuple(
    _Kind(event, re.compile(pattern), _fixed(pattern), components, source)
    for event, pattern, components, source in (
        (
            "loghealth.records_dropped",
            r"slog-async: logger dropped messages",
            (Component.RUNTIME_RS, Component.AGENT, Component.KATA_CTL, Component.TRACE_FORWARDER),
            "{component} {sandbox}",
        ),
        (
            "loghealth.journal_suppressed",
            rf"Suppressed {_COUNT} messages from (?P<unit>.{{1,999}}?)\.?$",
            (Component.JOURNALD,),
            "{unit}",
        ),
        ("loghealth.kernel_missed", rf"Missed {_COUNT} kernel messages", (Component.JOURNALD,), "kernel"),
        ("loghealth.forwarding_missed", rf"Forwarding to syslog missed {_COUNT} messages", (Component.JOURNALD,), "syslog"),
        ("loghealth.console_lost", r"Failed to read guest console logs", (Component.RUNTIME_GO,), "console {sandbox}"),
        ("loghealth.shim_log_copy_ended", r"copy shim log$", (Component.CONTAINERD,), "shim log"),
        (
            "loghealth.audit_events_dropped",
            rf"Error in audit plugin '[^']{{1,64}}' affecting {_COUNT} audit events",
            (Component.KUBE_APISERVER,),
            "kube-apiserver audit",
        ),
        ("loghealth.kernel_dropped", rf"(?:\*\* )?{_COUNT} printk messages dropped", _KERNELS, "{component} {sandbox}"),
        ("loghealth.kernel_suppressed", rf"[\w.]{{1,64}}: {_COUNT} callbacks suppressed", _KERNELS, "{component} {sandbox}"),
        ("loghealth.audit_lost", r"(?:audit: )?audit_lost=\d", _KERNELS, "{component} {sandbox} audit"),
        (
            "loghealth.journal_reader_limited",
            rf"imjournal: {_COUNT} messages lost due to rate-limiting",
            (Component.OTHER,),
            "rsyslog",
        ),
    )
)
EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "loghealth.forwarding_missed": "journald could not hand records on to syslog; the journal itself has them.",
        "loghealth.audit_events_dropped": "The API server could not write or send audit events, and has dropped them.",
        "loghealth.journal_reader_limited": "rsyslog read the journal too fast for its own limit, and has dropped records.",
        "loghealth.line_cut": "journald cut a long line, and its rest was not found.",
    }
)
"""What the losses are that no entry of the catalogue tells of."""
LOSSES = tuple(f"^(?:{kind.pattern.pattern})" for kind in _KINDS)
"""What messages that declare a loss are like, as RE2, for those who have nothing but the message."""
_KINDS_OF: dict[Component | None, tuple[_Kind, ...]] = {
    component: tuple(kind for kind in _KINDS if component in kind.components) for component in Component
}
_KINDS_OF[None] = _KINDS_OF[Component.CONTAINERD]
"""A host's file whose program nothing tells may be containerd's, whose own records name nobody."""
_STARTS_OF = {component: tuple(kind.start for kind in kinds) for component, kinds in _KINDS_OF.items()}
"""What a loss that a component declares begins with: nearly no message does."""
_STARTS = (
    "slog-async: ", "Suppressed ", "Missed ", "Forwarding to ", "Failed to read guest", "copy shim log", "Error in audit",
    "** ", "audit", "imjournal: ",
)  # fmt: skip
_MIDDLES = (" printk messages dropped", " callbacks suppressed")
_MAX_TEXT = 2048
_ENDED = "use of closed network connection"
"""A console reader whose console went with its machine has lost nothing."""
_CUT = "journal.line_break"
_NOBODY = (Component.OTHER, None)
_NONE: Mapping[str, str] = {}


def _kind_of(body: str, attributes: Mapping[str, str]) -> tuple[_Kind, re.Match[str]] | None:
    if not body.startswith(_STARTS) and not any(words in body[:_MAX_TEXT] for words in _MIDDLES):
        return None
    for kind in _KINDS:
        match = kind.pattern.match(body, 0, _MAX_TEXT)
        if match is not None:
            return None if _is_harmless(kind, attributes) else (kind, match)
    return None


def _is_harmless(kind: _Kind, attributes: Mapping[str, str]) -> bool:
    return kind.event == "loghealth.console_lost" and _ENDED in attributes.get("error", "")


def count_lost(body: str, attributes: Iterable[tuple[str, str]]) -> int | None:
    """Read how many records a record says were lost.

    Args:
        body: Its message.
        attributes: Its attributes.

    Returns:
        How many; 0 where it says a loss and no number; None where it says none.
    """
    stated = dict(attributes)
    found = _kind_of(body, stated)
    if found is None:
        return 0 if _CUT in stated else None
    return int(_count(found[1], stated) or 0)


def is_workload(component: str | None, origin: str | None) -> bool:
    """Tell text that may be a container's own output, which is no source of logs: of nobody known, and not the host's."""
    return component in _NOBODY and origin != Origin.HOST


def _count(match: re.Match[str], attributes: Mapping[str, str]) -> str | None:
    stated = match.groupdict().get("count") or next((v for k, v in attributes.items() if k.lower() == "count"), None)
    return stated if stated and stated.isascii() and stated.isdecimal() and len(stated) <= 18 else None


def state_losses(draft: Draft) -> None:
    """Make the records of a named draft that declare a loss say so in their columns.

    Args:
        draft: All columns are filled; `action`, `object`, `event_name` and the count's attribute are written.
    """
    bodies = draft.columns.get("body", [None] * draft.count)
    components, origins = draft.column("component"), draft.column("origin")
    for row, (body, component, attributes) in enumerate(zip(bodies, components, draft.attributes, strict=True)):
        if attributes is not None and _CUT in attributes and origins[row] == Origin.HOST:
            _state(draft, row, "loghealth.line_cut", f"lines of {component or Component.OTHER}", None)
        if body is None or not body.startswith(_STARTS_OF.get(component, ())):
            continue
        if is_workload(component, origins[row]):
            continue
        for kind in _KINDS_OF.get(component, ()):
            match = kind.pattern.match(body, 0, _MAX_TEXT) if body.startswith(kind.start) else None
            if match is not None and not _is_harmless(kind, attributes or _NONE):
                source = _source(draft, row, kind, match)
                _state(draft, row, kind.event, source, _count(match, attributes or _NONE))
                break


def _source(draft: Draft, row: int, kind: _Kind, match: re.Match[str]) -> str:
    unit = match.groupdict().get("unit") or ""
    sandbox = draft.column("sandbox_id")[row] or ""
    return " ".join(kind.source.format(unit=unit, sandbox=sandbox, component=draft.column("component")[row]).split())


def _state(draft: Draft, row: int, event: str, source: str, count: str | None) -> None:
    """Write one loss into the draft; an event that the catalogue named, and its class, stay."""
    values: dict[str, Any] = {
        "action": Action.LOSE_RECORDS,
        "object": source,
        "outcome": Outcome.UNKNOWN,
        "actor": UNKNOWN_ACTOR,
        "actor_source": ActorSource.NONE,
        "actor_confidence": Confidence.NONE,
    }
    for name, value in values.items():
        draft.column(name)[row] = value
    for name, value in (("event_name", event), ("stated_class", RetentionClass.SECURITY)):
        column = draft.column(name)
        column[row] = column[row] or value
    if count is not None:
        draft.attributes[row] = {**(draft.attributes[row] or {}), COUNT: count}
