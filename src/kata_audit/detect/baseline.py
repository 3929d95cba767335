"""Baselines: what is unusual at a place, judged by what was usual there before.

No condition on one record can say any of it: a message, command or image that is new, a rate, a silence. Everything is
learned from the records themselves, in the order in which they came, and told only once it was learned for long enough. Each
finding says what was expected, from which days, and what was seen. Judging the same records again, in any cuts, gives the
same findings, byte for byte (law L5).
"""

import json
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.detect import baseline_rates as rates
from kata_audit.detect import baseline_shelf as shelf
from kata_audit.detect import baseline_silence as silence
from kata_audit.detect.baseline_novelty import Novelty
from kata_audit.detect.baseline_rates import Rated
from kata_audit.detect.baseline_rows import values_at
from kata_audit.detect.baseline_rules import KINDS, MATURITY, RATE, RETURN, SILENCE, Kind
from kata_audit.detect.baseline_settings import BaselineSettings
from kata_audit.detect.baseline_shelf import Shelved
from kata_audit.detect.baseline_silence import Listened
from kata_audit.detect.clocks import host_times, record_times, stream_clocks
from kata_audit.detect.event import Event
from kata_audit.detect.limits import Limit, Tallies, Tally
from kata_audit.detect.overflow import Forgotten, Overflows
from kata_audit.detect.ruleset import DETAIL_FIELDS, PLACE_FIELDS
from kata_audit.detect.state import read_tallies, tallies_value
from kata_audit.schema.finding import Finding
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import OWN_RECEIVER, Origin

VERSION: Final = 1


class Baselines(NamedTuple):
    """What baselines go by.

    `origin` is the log's name, `off` names kinds that are not told of, though they learn on. `outline` gives the fixed words
    of a message.
    """

    settings: BaselineSettings
    origin: str
    outline: Callable[[str], str]
    off: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned; `digest` is of the settings that it was learned by."""

    clock_ns: int = 0
    messages: Shelved = field(default_factory=Shelved)
    workloads: Shelved = field(default_factory=Shelved)
    rates: Rated = field(default_factory=Rated)
    sources: Listened = field(default_factory=Listened)
    tallies: Mapping[str, Tallies] = field(default_factory=dict)
    forgotten: Mapping[str, Forgotten] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Spell it: the same for the same, as long as the library that compresses is the same."""
        value = (
            VERSION,
            self.clock_ns,
            shelf.to_value(self.messages),
            shelf.to_value(self.workloads),
            rates.to_value(self.rates),
            silence.to_value(self.sources),
            {kind: tallies_value(those) for kind, those in self.tallies.items()},
            self.forgotten,
        )
        return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1)


def from_bytes(data: bytes) -> Learned:
    """Read back what was learned.

    Raises:
        ValueError: The bytes are not what this version spells.
    """
    try:
        version, *parts = json.loads(zlib.decompress(data))
        if version == VERSION:
            return _learned(*parts)
    except (zlib.error, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError("These bytes are no baselines.") from error
    raise ValueError("These bytes are baselines of another version.")


def _learned(*parts: Any) -> Learned:
    clock, messages, workloads, rated, sources, tallies, forgotten = parts
    return Learned(
        int(clock),
        shelf.from_value(messages),
        shelf.from_value(workloads),
        rates.from_value(rated),
        silence.from_value(sources),
        {str(kind): read_tallies(those) for kind, those in tallies.items()},
        {str(key): Forgotten(int(total), int(told)) for key, (total, told) in forgotten.items()},
    )


def compare(baselines: Baselines, learned: Learned, rows: pa.Table) -> tuple[Learned, tuple[Finding, ...]]:
    """Compare the records of a cut with what was learned before, and learn from them.

    Args:
        baselines: What to go by.
        learned: What was learned of the records before; `Learned()` at first. It is left as it was.
        rows: The records, in order of `seq`, their identity filled in from facts that stand at or before each.

    Returns:
        What was learned, and the findings in their order.
    """
    own = pc.fill_null(pc.match_substring(rows.column("receiver"), f"{OWN_RECEIVER}:"), False)
    others = rows.filter(pc.invert(own)).combine_chunks() if rows.num_rows else rows
    if not others.num_rows:
        return learned, ()
    return _Comparing(baselines, learned, others.to_batches()[0]).compare()


class _Candidate(NamedTuple):
    """What may become a finding, known at row `at`; without `detail`, `kind` had no room to remember something."""

    at: int
    kind: Kind
    event: Event
    detail: Mapping[str, str] | None


class _Comparing:
    """The records of one cut while they are compared."""

    def __init__(self, baselines: Baselines, learned: Learned, rows: RecordRows) -> None:
        self._baselines, self._learned, self._rows = baselines, learned, rows
        times = record_times(rows)
        self._host_times = host_times(rows, times)
        self._clocks = stream_clocks(rows, times, learned.clock_ns)

    def compare(self) -> tuple[Learned, tuple[Finding, ...]]:
        """Compare, learn, and give both."""
        settings, learned, rows = self._baselines.settings, self._learned, self._rows
        novelty = Novelty(learned.messages, learned.workloads, settings, self._baselines.outline)
        found = [_Candidate(at, kind, self._event(at), detail) for at, kind, detail in novelty.take(rows, self._clocks)]
        rated, unusual = rates.count(learned.rates, rows, self._host_times, self._clocks, settings)
        for at, key, name, seq, time_ns, detail in unusual:
            if name is None:
                found.append(_Candidate(at, RATE, self._event(at), None))
            else:
                subject = {"node": key[1], "component": name[0], "event_name": name[1]}
                found.append(_Candidate(at, RATE, self._event_of(at, key, subject, seq, time_ns), detail))
        sources, quiet = silence.listen(learned.sources, rows, self._clocks, settings)
        for at, key, source, back, words in quiet:
            kind = RETURN if back else SILENCE
            if source is None:
                found.append(_Candidate(at, kind, self._event(at), None))
            else:
                subject = {"node": key[1], "component": key[3]}
                found.append(_Candidate(at, kind, self._event_of(at, key, subject, source.seq, source.time_ns), words))
        findings, tallies, forgotten = self._told(found)
        messages, workloads = novelty.shelved()
        clock = self._clocks[-1].as_py()
        return Learned(clock, messages, workloads, rated, sources, tallies, forgotten), findings

    def _told(self, found: list[_Candidate]) -> tuple[tuple[Finding, ...], Mapping[str, Tallies], Mapping[str, Forgotten]]:
        """Tell what was found in the order in which it became known, as often as it may be told."""
        overflows = Overflows(self._learned.forgotten)
        limits = {kind: Limit(those) for kind, those in self._learned.tallies.items()}
        findings: list[Finding] = []
        for _, kind, event, detail in sorted(
            found, key=lambda one: (one.at, one.kind.rule_id, one.event.records, one.detail is None)
        ):
            if kind.rule_id in self._baselines.off:
                continue
            if detail is None:
                told = overflows.count(kind.rule_id, kind.rule_id, 1, event, self._baselines.origin)
                findings += [told] if told is not None else []
                continue
            tally = limits.setdefault(kind.rule_id, Limit({})).count(event, kind.group_by, event.at_ns)
            if tally is not None:
                findings.append(self._finding(kind, event, tally, detail))
        clock = self._clocks[-1].as_py()
        tallies = {kind: limit.tallies(clock) for kind, limit in limits.items()}
        return tuple(findings), {kind: those for kind, those in tallies.items() if those}, overflows.forgotten

    def _event(self, at: int) -> Event:
        """Make the event of a row."""
        values = values_at(self._rows, at, (*PLACE_FIELDS, *DETAIL_FIELDS))
        claim = self._rows.column("origin")[at].as_py() == Origin.GUEST
        return self._made(at, values, (), 0, claim=claim)

    def _event_of(self, at: int, key: tuple[str, ...], subject: Mapping[str, str], seq: int, time_ns: int) -> Event:
        """Make the event of what is known at a row and is about a record before it."""
        stated = {name: value for name, value in subject.items() if value}
        event = self._made(at, stated, (seq,), time_ns, claim=False)
        return event._replace(tenant=key[0], node=key[1])

    def _made(self, at: int, values: Mapping[str, str], before: tuple[int, ...], first_ns: int, *, claim: bool) -> Event:
        row = self._rows.slice(at, 1)
        seq, clock = int(row.column("seq")[0].as_py()), self._clocks[at].as_py()
        return Event(
            "",
            at_ns=clock,
            seq=seq,
            first_ns=first_ns or clock,
            time_ns=clock,
            records=tuple(sorted({seq, *before})),
            claim=claim,
            node=row.column("node")[0].as_py() or "",
            tenant=row.column("tenant")[0].as_py() or "",
            values=values,
            detail={},
        )

    def _finding(self, kind: Kind, event: Event, tally: Tally, detail: Mapping[str, str]) -> Finding:
        fields = dict.fromkeys((*kind.group_by, *PLACE_FIELDS))
        return Finding(
            rule_id=kind.rule_id,
            rule_digest=kind.digest(self._baselines.settings),
            title=kind.title,
            level=kind.level,
            maturity=MATURITY,
            claim=tally.claim,
            node=event.node,
            tenant=event.tenant,
            first_ns=tally.first_ns,
            time_ns=event.time_ns,
            count=tally.total,
            records=tuple(f"{self._baselines.origin}/{seq}" for seq in tally.records),
            subject={name: event.values[name] for name in fields if name in event.values},
            detail={**{name: event.values[name] for name in DETAIL_FIELDS if name in event.values}, **detail},
            group_by=kind.group_by,
        )


__all__ = ["KINDS", "Baselines", "Learned", "compare", "from_bytes"]
