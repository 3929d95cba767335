"""The rule, read: what every engine, page and command knows of it.

`sigma/` reads files into these; `engine.py` and `correlation.py` judge records by them. A rule's file is one Sigma document,
or several that belong together; `docs/reference/rule-format.md` describes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from kata_audit.predicate.tree import Op, Predicate
from kata_audit.schema.finding import Level, Maturity


class Need(StrEnum):
    """A source that a rule needs: where a sandbox has none of it, the rule is blind there, and says so."""

    CRI = "cri"
    """The log of containerd, CRI-O or the kubelet."""
    RUNTIME_GO = "runtime-go"
    RUNTIME_RS = "runtime-rs"
    RUNTIME_GO_DEBUG = "runtime-go-debug"
    """The Go shim's own lines at debug level."""
    AGENT = "agent"
    """The agent's lines, by any transport: a guest's text."""
    CONSOLE = "console"
    """A guest's raw console: kernel, init, panics."""
    JOURNALD = "journald"
    """What journald says of itself."""
    HOST_KERNEL = "host-kernel"
    AUDITD = "auditd"
    API = "api"
    """The API server's audit log."""
    TOOLS = "tools"
    """The logs of kata-monitor, kata-ctl, kata-deploy and the trace forwarder, and kata-runtime's."""
    PIPELINE = "pipeline"
    """What kata-audit itself sees: its own records, and silence."""


class CorrelationKind(StrEnum):
    """What a correlation counts, in Sigma's words."""

    EVENT_COUNT = "event_count"
    VALUE_COUNT = "value_count"
    VALUE_SUM = "value_sum"
    TEMPORAL = "temporal"
    TEMPORAL_ORDERED = "temporal_ordered"


@dataclass(frozen=True, slots=True)
class Correlation:
    """Several events in a sliding window `(t - window, t]` that share the values of `group_by`.

    `rules` are ids of the base rules, in order. `aliases` gives for a name in `group_by` the field that each base rule reads
    for it. `op` and `bound` hold the count, the number of distinct values of `value_field`, or their sum; a temporal
    correlation needs every base rule. It fires at the event that makes it true, then is silent for that group until its
    window has emptied of the events that it fired on.
    """

    kind: CorrelationKind
    rules: tuple[str, ...]
    group_by: tuple[str, ...]
    window_ns: int
    op: Op = Op.GE
    bound: int = 1
    value_field: str | None = None
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Absence:
    """An event without the company it should have.

    It fires at each event of `trigger` for which no event of `unless` with the same values of `group_by` lies in
    `[t - before, t + after]`; once the stream is past `t + after`.
    """

    trigger: str
    unless: tuple[str, ...]
    group_by: tuple[str, ...]
    before_ns: int
    after_ns: int
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


Condition: TypeAlias = Predicate | Correlation | Absence


@dataclass(frozen=True, slots=True)
class About:
    """What a rule's page says to people."""

    title: str
    description: str
    tags: tuple[str, ...]
    """`attack.t1611` and the like, lower case."""
    false_positives: tuple[str, ...]
    respond: tuple[str, ...]
    """What to do when it fires, step by step."""
    controls: tuple[str, ...]
    """Compliance ids: `pci-dss-4.0.1:10.2.1.2`, `nist-800-53:AU-12`, …"""
    evasions: tuple[str, ...]
    """What it does not catch, and what else sees that."""
    references: tuple[str, ...]
    lists: tuple[str, ...] = ()
    """Lists of the configuration that its selections ask for, filled or empty; without those of rules that it counts."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    `rule_id` is `KA-<number>`, or for a part that only other rules use, `ka_<number>_<what>`; such a part is `silent` and
    makes no finding of its own. `digest` is 64 hex digits of SHA-256 over all that decides what it finds: its file's
    bytes, its id, and where it has them the lists that the configuration fills, filters, and the rules it counts. `needs`
    asks for one source of each group. `group_by` are the columns that tell one alert of the rule from another.
    """

    rule_id: str
    digest: str
    level: Level
    maturity: Maturity
    when: Condition
    needs: tuple[frozenset[Need], ...]
    group_by: tuple[str, ...]
    silent: bool
    about: About
    place: str
    """File and line, for messages."""
