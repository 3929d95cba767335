"""Rehearsal: a rule before its samples, whole and with each of its conditions changed."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import pyarrow as pa

from kata_audit.detect.engine import flush, judge
from kata_audit.detect.mutation import Mutant, mutants, with_parts
from kata_audit.detect.rule import Rule
from kata_audit.detect.ruleset import Ruleset
from kata_audit.detect.state import State
from kata_audit.parse.link import link
from kata_audit.pipeline.derive import Derive
from kata_audit.pipeline.samples import Outcome, Sample, records_of_sample
from kata_audit.schema.finding import Finding
from kata_audit.schema.record import RecordRows
from kata_audit.store.identity import fill
from kata_audit.store.known import KnownFacts

_ORIGIN: Final = "sample"
_WAIT_NS: Final = 1 << 62
"""A sample is complete: what it holds is put in order at its end."""


class Rehearsal(NamedTuple):
    """What a rule did: one outcome for each sample, and the mutants that no sample told from the rule."""

    rule: Rule
    outcomes: tuple[Outcome, ...]
    mutants: int
    survivors: tuple[Mutant, ...]

    @property
    def failures(self) -> list[Outcome]:
        """Samples with which the rule did not do what was expected."""
        return [one for one in self.outcomes if not one.is_expected]


def rehearse(rule: Rule, every: Sequence[Rule], samples: Sequence[Sample], derive: Derive, *, mutate: bool) -> Rehearsal:
    """Try a rule on its samples.

    Args:
        rule: The rule.
        every: All rules, among them the parts that it rests on.
        samples: The rule's samples.
        derive: Makes records of evidence.
        mutate: Whether its conditions are changed too, one at a time.
    """
    rules = with_parts(rule, every)
    records = [_joined(records_of_sample(sample, derive)) for sample in samples]
    outcomes = tuple(
        Outcome(sample, matched) for sample, matched in zip(samples, _matched(rule.rule_id, rules, records), strict=True)
    )
    tried = list(mutants(rules)) if mutate else []
    expected = [one.matched for one in outcomes]
    survivors = tuple(one for one in tried if _matched(rule.rule_id, one.rules, records) == expected)
    return Rehearsal(rule, outcomes, len(tried), survivors)


def _joined(records: RecordRows) -> RecordRows:
    """Fill identities as a collector does before it judges."""
    known = KnownFacts()
    known.learn(link(records))
    return fill(records, known, as_stated=True)


def try_out(rules: Sequence[Rule], samples: Sequence[Sample], derive: Derive) -> list[tuple[Finding, ...]]:
    """Give what some rules find in each of some samples.

    Args:
        rules: The rules, with all parts that they rest on.
        samples: Any samples.
        derive: Makes records of evidence.
    """
    return _found(rules, [_joined(records_of_sample(sample, derive)) for sample in samples])


def _matched(rule_id: str, rules: Sequence[Rule], samples: Sequence[RecordRows]) -> list[bool]:
    """Say for each sample whether a rule finds something in it."""
    return [any(finding.rule_id == rule_id for finding in findings) for findings in _found(rules, samples)]


def _found(rules: Sequence[Rule], samples: Sequence[RecordRows]) -> list[tuple[Finding, ...]]:
    ruleset = Ruleset(rules, origin=_ORIGIN, lateness_ns=_WAIT_NS)
    found = []
    for records in samples:
        state, findings = judge(ruleset, State(), pa.Table.from_batches([records]))
        found.append((*findings, *flush(ruleset, state)[1]))
    return found
