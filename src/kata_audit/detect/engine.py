"""The live engine: the records of a cut, judged by rules, become findings.

Findings come in the order of the records, never of the cuts: judging the same records in other batches gives the same
findings, byte for byte (law L5).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.detect.clocks import record_times, stream_clocks
from kata_audit.detect.company import company_of, times_of
from kata_audit.detect.copies import Seen
from kata_audit.detect.event import Event, field_of, shorten
from kata_audit.detect.limits import Limit, Tally
from kata_audit.detect.ordering import MAX_LATE_NS
from kata_audit.detect.overflow import Overflows
from kata_audit.detect.rule import Rule
from kata_audit.detect.ruleset import DETAIL_FIELDS, PLACE_FIELDS, Ruleset
from kata_audit.detect.sources import Sources
from kata_audit.detect.state import State
from kata_audit.detect.stream import FOREVER, ORDER, Lost, Stream
from kata_audit.predicate.rows import Columns
from kata_audit.schema.finding import FINDING_KIND, Finding
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import OWN_RECEIVER, Origin

_OWN_FINDING: Final = f"{OWN_RECEIVER}:{FINDING_KIND}"
"""Findings are not judged, ours or those that another store sent here: a finding of a finding would have no end."""
_MARKS: Final = ("seq", "timestamp", "observed_timestamp", "origin", "node", "tenant")


def judge(ruleset: Ruleset, state: State, rows: pa.Table, watermark_ns: int = 0) -> tuple[State, tuple[Finding, ...]]:
    """Judge the records of a cut.

    Args:
        ruleset: The rules.
        state: What is remembered of the records before; `State()` at first.
        rows: The records, in order of `seq`, their identity filled in from facts that stand at or before each.
        watermark_ns: Time up to which the caller knows that no event is to come, in nanoseconds. With 0 the records alone
            tell: the watermark is `lateness_ns` behind the stream's clock. Findings are the same whatever the cuts while it
            does not go beyond that.

    Returns:
        What is to be remembered, and the findings in their order. The state given is left as it was.
    """
    judging = _Judging(ruleset, state)
    if rows.num_rows:
        judging.take(rows.combine_chunks().to_batches()[0])
    judging.advance(watermark_ns)
    return judging.result()


def flush(ruleset: Ruleset, state: State) -> tuple[State, tuple[Finding, ...]]:
    """Judge what still waits for its place in the order of events, at the end of all records.

    Returns:
        What is to be remembered, and the findings in their order.
    """
    judging = _Judging(ruleset, state)
    judging.advance(FOREVER)
    return judging.result()


class _Record(NamedTuple):
    """A matched record: its event, and what its copies share."""

    event: Event
    copy_key: int | None


class _Judging:
    """One cut being judged."""

    def __init__(self, ruleset: Ruleset, state: State) -> None:
        self._rules = ruleset
        self._state = state
        self._clock = state.clock_ns
        self._sources = Sources(ruleset.rules.values(), state.sources, ruleset.lateness_ns)
        self._stream = Stream(ruleset, state.stream, self._sources)
        self._overflows = Overflows(state.forgotten)
        self._limits: dict[str, Limit] = {}
        self._seen = Seen(state.copies)
        self._findings: list[Finding] = []

    def take(self, rows: RecordRows) -> None:
        """Judge records."""
        times = record_times(rows)
        clocks = stream_clocks(rows, times, self._clock)
        self._sources.note(rows, times, clocks)
        by_row: dict[int, list[Rule]] = {}
        for rule, those in self._matched(rows, clocks):
            for row in those.to_pylist():
                by_row.setdefault(row, []).append(rule)
        matched = pa.array(sorted(by_row), pa.int64())
        for row, record, clock in zip(
            matched.to_pylist(), self._records(rows, matched, by_row), clocks.take(matched).to_pylist(), strict=True
        ):
            self._clock = clock
            self._hear(self._stream.advance(clock - self._rules.lateness_ns))
            self._judge(by_row[row], record)
        self._clock = clocks[-1].as_py()

    def _matched(self, rows: RecordRows, clocks: Any) -> Iterator[tuple[Rule, Any]]:
        """Find the rows that rules hold for and that must be looked at one by one."""
        holding = self._rules.prefilter.holding(rows)
        own = pc.fill_null(pc.ends_with(rows.column("receiver"), _OWN_FINDING), False)
        some_own = pc.any(own).as_py()
        watermarks = pc.max_element_wise(pc.subtract(clocks, self._rules.lateness_ns), self._stream.watermark_ns)
        for number, those in holding:
            rule = self._rules.base[number]
            judged = those.filter(pc.invert(own.take(those))) if some_own else those
            if rule.rule_id not in self._rules.company or not self._keep_company(rule, rows, judged, watermarks):
                yield rule, judged

    def _keep_company(self, rule: Rule, rows: RecordRows, those: Any, watermarks: Any) -> bool:
        """Keep records as the company of absences, as far as there is room; say whether there was."""
        absences = [self._stream.missing[reader.rule_id] for reader in self._rules.readers[rule.rule_id]]
        fields = [field_of(one.when, rule.rule_id, name) for one in absences for name in one.when.group_by]
        kept = rows.select(_columns(("tenant", "timestamp", "observed_timestamp", *fields))).take(those)
        decided = watermarks.take(those)
        timely = pc.greater_equal(times_of(Columns(kept)), pc.subtract(decided, MAX_LATE_NS))
        columns, decided = Columns(kept.filter(timely)), decided.filter(timely)
        for missing in absences:
            company = company_of(columns, decided, rule.rule_id, missing.when)
            if not missing.has_room(company):
                return False
            missing.keep(company)
        self._stream.late += len(those) - len(decided) + (pc.sum(pc.less(times_of(columns), decided)).as_py() or 0)
        return True

    def _records(self, rows: RecordRows, matched: Any, by_row: Mapping[int, list[Rule]]) -> Iterator[_Record]:
        """Read what events need of the matched rows."""
        rules = {rule.rule_id for those in by_row.values() for rule in those}
        fields = dict.fromkeys(field for rule in sorted(rules) for field in self._rules.fields[rule])
        columns = Columns(rows.select(_columns((*_MARKS, "copy_key", *fields))).take(matched))
        marks = zip(*(columns.column(field).to_pylist() for field in _MARKS), strict=True)
        values = zip(*(_texts(columns.column(field)) for field in fields), strict=True)
        copy_keys = columns.column("copy_key").to_pylist()
        for mark, copy_key, stated in zip(marks, copy_keys, values, strict=True):
            told = {field: value for field, value in zip(fields, stated, strict=True) if value is not None}
            yield _Record(_event(mark, told), copy_key)

    def _judge(self, rules: list[Rule], record: _Record) -> None:
        """Judge one record by the rules that hold for it."""
        for rule in rules:
            event = record.event._replace(rule_id=rule.rule_id)
            speaks = rule.rule_id not in self._rules.company  # to an absence, a copy is the same company
            if speaks and record.copy_key is not None and self._seen.is_copy(event, record.copy_key):
                continue
            self._tell(rule, event, self._clock)
            if self._rules.readers[rule.rule_id]:
                self._hear(self._stream.add(event))

    def _tell(self, rule: Rule, event: Event, clock_ns: int) -> None:
        """Let a rule speak of an event, as often as it may."""
        if rule.silent:
            return
        key = self._rules.keys[rule.rule_id]
        limit = self._limits.get(key)
        if limit is None:
            limit = self._limits[key] = Limit(self._state.tallies.get(key, {}))
        tally = limit.count(event, rule.group_by, clock_ns)
        if tally is not None:
            self._findings.append(_finding(rule, event, tally, self._rules.origin))

    def advance(self, watermark_ns: int) -> None:
        """Go on to the time up to which events can be put in order."""
        self._hear(self._stream.advance(max(self._clock - self._rules.lateness_ns, watermark_ns)))

    def _hear(self, stream: Iterable[Event | Lost]) -> None:
        """Let rules over others speak of what they hold for, and the engine of what it forgot."""
        for one in stream:
            if isinstance(one, Event):
                self._tell(self._rules.rules[one.rule_id], one, one.at_ns)
                continue
            key = self._rules.keys.get(one.rule_id, one.rule_id)
            finding = self._overflows.count(key, one.rule_id, one.more, one.event, self._rules.origin)
            if finding is not None:
                self._findings.append(finding)

    def result(self) -> tuple[State, tuple[Finding, ...]]:
        """Give what is to be remembered, and the findings."""
        known = {*self._rules.keys.values(), ORDER}
        kept = {key: Limit(those) for key, those in self._state.tallies.items() if key in known}
        memory = self._stream.memory()
        # What rules over others count goes by the time of their events, which is behind the clock.
        clock = min(self._clock, memory.watermark_ns)
        tallies = {key: limit.tallies(clock) for key, limit in (kept | self._limits).items()}
        state = State(
            self._clock,
            memory,
            {key: those for key, those in tallies.items() if those},
            self._seen.copies,
            {key: one for key, one in self._overflows.forgotten.items() if key in known},
            self._sources.hours(memory.watermark_ns),
        )
        return state, tuple(self._findings)


def _texts(column: Any) -> list[str | None]:
    """Read a column as texts, long ones cut."""
    return [value if value is None else shorten(value if type(value) is str else str(value)) for value in column.to_pylist()]


def _columns(fields: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(field.partition(".")[0] if field.startswith("attributes.") else field for field in fields))


def _event(mark: tuple[Any, ...], values: Mapping[str, str]) -> Event:
    """Make the event of a record, for rules to put their name to."""
    seq, time, observed, origin, node, tenant = mark
    stated = time if time is not None else observed or 0
    return Event(
        "",
        at_ns=stated if observed is None else min(stated, observed),
        seq=seq,
        first_ns=stated,
        time_ns=stated,
        records=(seq,),
        claim=origin == Origin.GUEST,
        node=node,
        tenant=tenant,
        values=values,
        detail={field: values[field] for field in DETAIL_FIELDS if field in values},
    )


def _finding(rule: Rule, event: Event, tally: Tally, origin: str) -> Finding:
    fields = dict.fromkeys((*rule.group_by, *PLACE_FIELDS))
    return Finding(
        rule_id=rule.rule_id,
        rule_digest=rule.digest,
        title=rule.about.title,
        level=rule.level,
        maturity=rule.maturity,
        claim=tally.claim,
        node=event.node,
        tenant=event.tenant,
        first_ns=tally.first_ns,
        time_ns=event.time_ns,
        count=tally.total,
        records=tuple(f"{origin}/{seq}" for seq in tally.records),
        subject={field: event.values[field] for field in fields if field in event.values},
        detail=dict(event.detail),
        group_by=rule.group_by,
    )
