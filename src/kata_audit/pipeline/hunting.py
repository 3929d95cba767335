"""Hunting: the rules over history.

The store's engine finds the records that any condition of the rules fits; the same judge that sits behind the collector then
judges those alone, in the order in which they came. Identities are joined from all facts, so history may tell more than the
moment did.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import pyarrow as pa

from kata_audit.detect.blindness import CONDITIONS, missing
from kata_audit.detect.clocks import record_times
from kata_audit.detect.engine import judge
from kata_audit.detect.rule import Absence, Correlation, Need, Rule
from kata_audit.detect.ruleset import Ruleset
from kata_audit.detect.sources import Hours, Sources
from kata_audit.detect.state import State
from kata_audit.predicate.tree import Compare, Not, Op, Predicate, all_of, any_of, fields_of
from kata_audit.schema.finding import FINDING_EVENT, Finding
from kata_audit.schema.record import RECORD_SCHEMA
from kata_audit.store.reader import Order, Reader, Scope

_LATENESS_NS: Final = 1 << 62
"""History is complete: nothing waits for the clock, and everything for the end."""
_IN_ORDER: Final = Order("seq")


class Verdict(NamedTuple):
    """What became of one rule: `findings`, or the sources that it is `blind` without; neither means quiet."""

    rule: Rule
    findings: int
    blind: tuple[str, ...]

    @property
    def word(self) -> str:
        """`found`, `blind` or `quiet`."""
        return "found" if self.findings else "blind" if self.blind else "quiet"


def hunt(reader: Reader, scope: Scope, rules: Sequence[Rule], when: Predicate) -> Iterator[Finding]:
    """Judge the records of a store.

    Args:
        reader: The store.
        scope: What the asker may see.
        rules: Rules, with all parts that they rest on.
        when: Which records to judge: a time, a sandbox.

    Returns:
        What the rules find, as the records give it.

    Raises:
        StoreError: A segment cannot be read.
        UsageError: A rule cannot be asked of a store.
    """
    ruleset = Ruleset(rules, origin=reader.status().origin, lateness_ns=_LATENESS_NS)
    conditions = [rule.when for rule in rules if not isinstance(rule.when, Correlation | Absence)]
    where = all_of(any_of(*conditions), Not(Compare("event_name", Op.EQ, FINDING_EVENT)), when)
    state = State(sources=_heard(reader, scope, rules, when))
    for rows in reader.scan(scope, where, RECORD_SCHEMA.names, order=_IN_ORDER):
        state, findings = judge(ruleset, state, pa.Table.from_batches([rows]))
        yield from findings
    # What may have found its company behind the store's end is not held against anybody.
    yield from judge(ruleset, state, RECORD_SCHEMA.empty_table(), reader.status().last_ns or 0)[1]


def _heard(reader: Reader, scope: Scope, rules: Sequence[Rule], when: Predicate) -> Hours:
    """Find out when the sources spoke that absences need: most of their records are no rule's, and are not judged."""
    sources = Sources(rules, {}, _LATENESS_NS)
    conditions = [CONDITIONS[need] for need in sources.needs]
    asked = (name.partition(".")[0] for condition in conditions for name in fields_of(condition))
    columns = list(dict.fromkeys(("timestamp", "observed_timestamp", *asked)))
    for rows in reader.scan(scope, all_of(any_of(*conditions), when), columns, order=_IN_ORDER) if conditions else ():
        times = record_times(rows)
        sources.note(rows, times, times)
    return sources.hours(0)


def present(reader: Reader, scope: Scope, when: Predicate) -> frozenset[Need]:
    """Name the sources that are there, of what the asker may see.

    Raises:
        StoreError: A segment cannot be read.
    """
    return frozenset(
        need
        for need, condition in CONDITIONS.items()
        if any(True for _ in reader.scan(scope, all_of(condition, when), ["seq"], order=_IN_ORDER, limit=1))
    )


def verdicts(rules: Sequence[Rule], findings: Sequence[Finding], there: frozenset[Need]) -> list[Verdict]:
    """Say of every rule whether it found something, is blind, or is quiet."""
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding.rule_id] = counts.get(finding.rule_id, 0) + 1
    loud = sorted((rule for rule in rules if not rule.silent), key=lambda rule: rule.rule_id)
    return [Verdict(rule, counts.get(rule.rule_id, 0), tuple(missing(rule, there))) for rule in loud]
