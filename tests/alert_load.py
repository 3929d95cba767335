"""How much a fleet asks of people: what rules find in its lines, and whom alerts call."""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import pyarrow as pa

from kata_audit.detect.alert_policy import AlertSettings
from kata_audit.detect.alert_state import AlertState
from kata_audit.detect.alerts import SaidAct, SaidFinding, forget_closed, raise_alerts
from kata_audit.detect.engine import flush, judge
from kata_audit.detect.rule import Rule
from kata_audit.detect.ruleset import Ruleset
from kata_audit.detect.state import State
from kata_audit.parse.link import link
from kata_audit.parse.mask import Open, mask_onward
from kata_audit.parse.split import Held, finish, split
from kata_audit.pipeline.derive import Derive
from kata_audit.schema.act import Act, ActKind, Verdict
from kata_audit.schema.finding import Finding, Level
from kata_audit.schema.notice import Notice, NoticeKind
from kata_audit.schema.record import EVIDENCE_SCHEMA, EvidenceRows, RecordRows
from kata_audit.schema.source import Chunk, Source, Transport
from kata_audit.store.identity import fill
from kata_audit.store.known import KnownFacts
from tests.findings import ACT
from tests.fleet import STARTS_US, FleetNode, Told

MINUTE_NS: Final = 60 * 1_000_000_000
SHIFT_NS: Final = 8 * 60 * MINUTE_NS
_LATENESS_NS: Final = 10_000_000_000
_UNDERWAY_NS: Final = 500_000_000
_STEP_NS: Final = 5 * MINUTE_NS
ACK_NS: Final = 10 * MINUTE_NS
"""How long people need to say that they look at a page."""
CLOSE_NS: Final = 4 * 60 * MINUTE_NS
"""How long until they know that nothing is the matter, and say so."""
PAGING: Final = (Level.HIGH, Level.CRITICAL)
"""Levels that wake people; medium is a ticket, the rest a digest."""
CALLS: Final = (NoticeKind.FIRED, NoticeKind.REPEATED, NoticeKind.ESCALATED, NoticeKind.REOPENED, NoticeKind.STORM)
DEFAULT: Final = AlertSettings()
ALL_RULES: Final = replace(DEFAULT, shadow_days=0.0)
_NEVER: Final = 1_000_000_000
NOTHING_HELD_BACK: Final = replace(
    ALL_RULES, group_nodes=_NEVER, group_alerts=_NEVER, inhibit_minutes=0.0, storm_rule=_NEVER, storm_all=_NEVER
)
"""Neither grouping nor inhibition nor a cap on storms."""
_TRANSPORTS: Final = {
    "journal": (Transport.JOURNAL_JSON, None),
    "cri": (Transport.HOST_FILE, None),
    "audit": (Transport.HOST_FILE, None),
}


class Month(NamedTuple):
    """What was found on one node: the findings in order, and how many records of each component there were."""

    node: str
    findings: tuple[Finding, ...]
    records: Mapping[str, int]


def judge_node(node: FleetNode, rules: Sequence[Rule], derive: Derive) -> Month:
    """Take a node's lines the whole way from bytes to findings, a day a cut, as a collector of that node would."""
    ruleset = Ruleset(rules, origin=f"log-{node.name}", lateness_ns=_LATENESS_NS)
    state, known, first = State(), KnownFacts(), 0
    offsets: Counter[str] = Counter()
    found: list[Finding] = []
    records: Counter[str] = Counter()
    for told in node.told():
        evidence = [rows for one in told for rows in _evidence(node.name, one, offsets[one.source])]
        offsets.update({one.source: len(one.data) for one in told})
        if not evidence:
            continue
        table = _as_they_came(evidence, [moment for one in told for moment in one.moments])
        numbers = pa.array(range(first, first + len(table)), pa.uint64())
        rows = derive(table.set_column(0, EVIDENCE_SCHEMA.field(0), numbers).combine_chunks().to_batches()[0])
        first += len(table)
        records.update(_components(rows))
        known.learn(link(rows))
        known.settle()
        state, findings = judge(ruleset, state, pa.Table.from_batches([fill(rows, known, as_stated=True)]))
        found += findings
    return Month(node.name, (*found, *flush(ruleset, state)[1]), records)


def _evidence(node: str, told: Told, offset: int) -> list[EvidenceRows]:
    transport, dialect = _TRANSPORTS[told.source]
    source = Source(told.source, f"fleet/{node}", "default", transport, dialect)
    chunk = Chunk(source, f"{told.source}?1-2-aa", offset, told.data, 0)
    held, rows = split(Held(offset=offset), chunk)
    waiting, ready = mask_onward(Open(), rows, None, in_line=held.group is not None)
    rest = mask_onward(waiting, finish(held, chunk), None, in_line=False, ended=True)[1]
    return [one for one in (ready, rest) if one.num_rows]


def _as_they_came(evidence: Sequence[EvidenceRows], moments: Sequence[int]) -> pa.Table:
    """Put rows of several sources into the order in which a collector gets them, half a second after each was written."""
    table = pa.Table.from_batches(evidence, EVIDENCE_SCHEMA)
    received = pa.array([moment * 1000 + _UNDERWAY_NS for moment in moments], pa.int64())
    at = table.schema.get_field_index("observed_timestamp")
    field = table.schema.field(at)
    return table.set_column(at, field, received.cast(field.type)).sort_by("observed_timestamp")


def _components(rows: RecordRows) -> dict[str, int]:
    return {one["values"] or "unknown": one["counts"] for one in rows.column("component").value_counts().to_pylist()}


class Load(NamedTuple):
    """What people were asked: every notice that calls somebody, and how many alerts there were by rule and level."""

    notices: tuple[Notice, ...]
    alerts: Mapping[tuple[str, Level], int]

    def pages(self, from_ns: int = 0, to_ns: int = 1 << 62) -> list[Notice]:
        """Give the notices that wake somebody, within a time."""
        return [one for one in self.notices if one.level in PAGING and from_ns <= one.time_ns < to_ns]

    def tickets(self) -> list[Notice]:
        """Give the notices of medium level."""
        return [one for one in self.notices if one.level is Level.MEDIUM]


def fold(months: Sequence[Month], settings: AlertSettings, days: int) -> Load:
    """Fold the findings of a fleet into alerts, with people who acknowledge and close what calls them.

    A finding is said when the live engine says it: the lateness behind its last record. Time goes in steps of five minutes.
    """
    findings = sorted((one for month in months for one in month.findings), key=lambda one: (one.time_ns, one.finding_id))
    coming = iter([(one.time_ns + _LATENESS_NS, one) for one in findings])
    acts: list[tuple[int, int, Act]] = []
    alerts: dict[str, tuple[str, Level]] = {}
    notices: list[Notice] = []
    state, seq = AlertState(), 0
    waiting = next(coming, None)
    for now in range(STARTS_US * 1000, STARTS_US * 1000 + (days + 1) * 86_400 * 1_000_000_000, _STEP_NS):
        said: list[tuple[int, Finding | Act]] = []
        while waiting is not None and waiting[0] <= now:
            said.append(waiting)
            waiting = next(coming, None)
        while acts and acts[0][0] <= now:
            at, _, act = heapq.heappop(acts)
            said.append((at, act))
        of_findings, of_acts = [], []
        for at, one in sorted(said, key=lambda pair: pair[0]):
            seq += 1
            if isinstance(one, Finding):
                of_findings.append(SaidFinding(seq, at, one))
            else:
                of_acts.append(SaidAct(seq, at, one))
        state, told = raise_alerts(state, of_findings, of_acts, now, settings)
        alerts |= {name: (alert.rule_id, alert.level) for name, alert in state.alerts.items() if name not in alerts}
        state = forget_closed(state, settings)
        called = [one for one in told if one.kind in CALLS]
        notices += called
        for number, act in enumerate(_answers(called, state)):
            heapq.heappush(acts, (act.time_ns, seq * 1000 + number, act))
    return Load(tuple(notices), Counter(alerts.values()))


def _answers(called: Sequence[Notice], state: AlertState) -> Iterator[Act]:
    """Let people look at what called them, and close it when they know what it was."""
    for notice in called:
        group = state.groups.get(notice.alert_id)
        for alert_id in group.members if group else [notice.alert_id]:
            if alert_id not in state.alerts:
                continue
            for kind, after, verdict in ((ActKind.ACK, ACK_NS, None), (ActKind.CLOSE, CLOSE_NS, Verdict.BENIGN)):
                at = notice.time_ns + after
                act_id = f"{notice.dedup_key[:16]}{alert_id[:15]}{'a' if kind is ActKind.ACK else 'c'}"
                yield replace(ACT, act_id=act_id, kind=kind, time_ns=at, target=alert_id, verdict=verdict)


def shifts(pages: Sequence[Notice], days: int) -> list[int]:
    """Count pages in each shift of eight hours, the quiet ones too; smallest first."""
    counted = Counter((one.time_ns - STARTS_US * 1000) // SHIFT_NS for one in pages)
    return sorted(counted.get(number, 0) for number in range(days * 3))
