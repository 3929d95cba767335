"""Rules, made ready once to judge many cuts."""

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from kata_audit.detect.prefilter import Prefilter
from kata_audit.detect.rule import Absence, Correlation, Rule

PLACE_FIELDS: Final = (
    *("node", "sandbox_id", "container_id", "k8s_namespace", "k8s_pod", "k8s_pod_uid", "k8s_container"),
    *("image", "runtime_class"),
)
"""What a finding's subject says, where its last record states it, beside the rule's `group_by`."""
DETAIL_FIELDS: Final = ("event_name", "component", "actor", "action", "outcome")
"""What a finding's detail says of its record, where it states it."""


class Ruleset:
    """Rules that judge together.

    Args:
        rules: Rules whose correlations and absences are over rules among them.
        origin: Name of the log whose records are judged: a record's name is `<origin>/<seq>`.
        lateness_ns: How much later than its time an event may come and still take its place in the order of events.
    """

    def __init__(self, rules: Sequence[Rule], *, origin: str, lateness_ns: int = 10_000_000_000) -> None:
        self.origin = origin
        self.lateness_ns = lateness_ns
        rules = sorted(rules, key=lambda rule: rule.rule_id)
        self.rules: Mapping[str, Rule] = MappingProxyType({rule.rule_id: rule for rule in rules})
        self.base = tuple(rule for rule in rules if not isinstance(rule.when, Correlation | Absence))
        """Rules on records, in the order in which the prefilter numbers them."""
        self.prefilter = Prefilter([rule.when for rule in self.base if not isinstance(rule.when, Correlation | Absence)])
        self.readers = _readers(rules)
        """Of each rule, the correlations and absences over it."""
        self.keys = {rule_id: self._key(rule_id) for rule_id in self.rules}
        """Of each rule, its name in a state: with its digest, and those of the rules that it is over."""
        self.fields = {rule.rule_id: _fields(rule, self.readers[rule.rule_id]) for rule in rules}
        """Of each rule, the fields whose values its events carry."""

    def _key(self, rule_id: str) -> str:
        digests, names = [], [rule_id]
        while names:
            rule = self.rules[names.pop()]
            digests.append(rule.digest)
            names += bases_of(rule)
        return f"{rule_id}#{hashlib.sha256(''.join(digests).encode()).hexdigest()[:32]}"


def bases_of(rule: Rule) -> tuple[str, ...]:
    """Name the rules that a rule is over."""
    if isinstance(rule.when, Correlation):
        return rule.when.rules
    return (rule.when.trigger, *rule.when.unless) if isinstance(rule.when, Absence) else ()


def _readers(rules: Sequence[Rule]) -> dict[str, tuple[Rule, ...]]:
    found: dict[str, list[Rule]] = {rule.rule_id: [] for rule in rules}
    for rule in rules:
        for base in dict.fromkeys(bases_of(rule)):
            found[base].append(rule)
    return {rule_id: tuple(those) for rule_id, those in found.items()}


def _fields(rule: Rule, readers: Sequence[Rule]) -> tuple[str, ...]:
    asked = [*PLACE_FIELDS, *rule.group_by, *DETAIL_FIELDS]
    for reader in (rule, *readers):
        when = reader.when
        if isinstance(when, Correlation | Absence):
            asked += [field_of(when, rule.rule_id, name) for name in when.group_by]
            if isinstance(when, Correlation) and when.value_field is not None:
                asked.append(when.value_field)
    return tuple(dict.fromkeys(asked))


def field_of(when: Correlation | Absence, rule_id: str, name: str) -> str:
    """Give the field that one rule's events are read by, for a name of `group_by`."""
    return when.aliases.get(name, {}).get(rule_id, name)
