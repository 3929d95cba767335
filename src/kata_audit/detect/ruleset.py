"""Rules, made ready once to judge many cuts."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from kata_audit.detect.correlation import MAX_BOUND
from kata_audit.detect.event import field_of
from kata_audit.detect.prefilter import Prefilter
from kata_audit.detect.rule import Absence, Correlation, CorrelationKind, Rule
from kata_audit.errors import Problem, RulesError

PLACE_FIELDS: Final = (
    *("node", "sandbox_id", "container_id", "k8s_namespace", "k8s_pod", "k8s_pod_uid", "k8s_container"),
    *("image", "runtime_class"),
)
"""What a finding's subject says, where its last record states it, beside the rule's `group_by`."""
DETAIL_FIELDS: Final = ("event_name", "component", "actor", "action", "outcome")
"""What a finding's detail says of its record, where it states it."""

_COUNTING: Final = (CorrelationKind.EVENT_COUNT, CorrelationKind.VALUE_COUNT)


class Ruleset:
    """Rules that judge together.

    Args:
        rules: Rules whose correlations and absences are over rules among them.
        origin: Name of the log whose records are judged: a record's name is `<origin>/<seq>`.
        lateness_ns: How much later than its time an event may come and still take its place in the order of events.

    Raises:
        RulesError: A rule is over one that is not there, over itself, or counts too far.
    """

    def __init__(self, rules: Sequence[Rule], *, origin: str, lateness_ns: int = 10_000_000_000) -> None:
        self.origin = origin
        self.lateness_ns = lateness_ns
        in_order = sorted(rules, key=lambda rule: rule.rule_id)
        self.rules: Mapping[str, Rule] = MappingProxyType({rule.rule_id: rule for rule in in_order})
        if problems := tuple(_problems(self.rules)):
            raise RulesError("These rules cannot judge together.", problems=problems, hint="Correct or remove them.")
        self.base = tuple(rule for rule in in_order if not isinstance(rule.when, Correlation | Absence))
        """Rules on records, in the order in which the prefilter numbers them."""
        self.prefilter = Prefilter([rule.when for rule in self.base if not isinstance(rule.when, Correlation | Absence)])
        self.readers = {
            rule_id: tuple(reader for reader in in_order if rule_id in bases_of(reader)) for rule_id in self.rules
        }
        """Of each rule, the correlations and absences over it."""
        self.company = frozenset(rule.rule_id for rule in self.base if self._is_company(rule))
        """Rules on records that are nothing but company to absences."""
        self.keys = {rule_id: self._key(rule_id) for rule_id in self.rules}
        """Of each rule, its name in a state: with its digest, and those of the rules that it is over."""
        self.fields = {rule_id: tuple(dict.fromkeys(self._fields(rule))) for rule_id, rule in self.rules.items()}
        """Of each rule, the fields whose values its events carry."""

    def _is_company(self, rule: Rule) -> bool:
        readers = [reader.when for reader in self.readers[rule.rule_id]]
        return rule.silent and all(isinstance(when, Absence) and when.trigger != rule.rule_id for when in readers)

    def _key(self, rule_id: str) -> str:
        rule = self.rules[rule_id]
        parts = "".join((rule.digest, *map(self._key, bases_of(rule))))
        return f"{rule_id}#{hashlib.sha256(parts.encode()).hexdigest()[:32]}"

    def _fields(self, rule: Rule) -> Iterator[str]:
        aliases = rule.when.aliases if isinstance(rule.when, Correlation | Absence) else {}
        yield from (*PLACE_FIELDS, *(field for field in rule.group_by if field not in aliases), *DETAIL_FIELDS)
        for reader in self.readers[rule.rule_id]:
            when = reader.when
            assert isinstance(when, Correlation | Absence)
            yield from (field_of(when, rule.rule_id, name) for name in when.group_by)
            if isinstance(when, Correlation) and when.value_field is not None:
                yield when.value_field
            yield from self._fields(reader)


def bases_of(rule: Rule) -> tuple[str, ...]:
    """Name the rules that a rule is over."""
    if isinstance(rule.when, Correlation):
        return rule.when.rules
    return (rule.when.trigger, *rule.when.unless) if isinstance(rule.when, Absence) else ()


def _problems(rules: Mapping[str, Rule]) -> Iterator[Problem]:
    for rule in rules.values():
        for base in bases_of(rule):
            if base not in rules:
                yield Problem(rule.place, f"{rule.rule_id} is over the rule {base}, which is not there.")
        if rule.rule_id in _under(rules, rule):
            yield Problem(rule.place, f"{rule.rule_id} is over itself.")
        if isinstance(rule.when, Correlation) and rule.when.kind in _COUNTING and rule.when.bound > MAX_BOUND:
            yield Problem(rule.place, f"{rule.rule_id} counts to {rule.when.bound}; {MAX_BOUND} is the most.")


def _under(rules: Mapping[str, Rule], rule: Rule) -> set[str]:
    """Name the rules that a rule is over, in any number of steps."""
    found: set[str] = set()
    coming = list(bases_of(rule))
    while coming:
        base = coming.pop()
        if base in rules and base not in found:
            found.add(base)
            coming += bases_of(rules[base])
    return found
