"""The kinds of what baselines tell: their names, words and levels."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from kata_audit.detect.baseline_settings import BaselineSettings
from kata_audit.schema.finding import Level, Maturity

MATURITY: Final = Maturity.EXPERIMENTAL
"""What is unusual is seldom an attack: it never calls people in the first week of a place, and never above medium."""


class Kind(NamedTuple):
    """One kind: `rule_id` as `rules.off` takes it; `group_by` tells one alert of it from another."""

    rule_id: str
    title: str
    level: Level
    group_by: tuple[str, ...]

    def digest(self, settings: BaselineSettings) -> str:
        """Give 64 hex digits of SHA-256 over all that decides what it finds: its version, and the settings."""
        return hashlib.sha256(f"kata-audit/baseline/1\n{self.rule_id}\n{settings!r}".encode()).hexdigest()


TEMPLATE: Final = Kind(
    "KA-B01", "A message that its component never wrote before", Level.LOW, ("component", "k8s_namespace", "runtime_class")
)
COMMAND: Final = Kind(
    "KA-B02", "A command that was never run in its workload before", Level.MEDIUM, ("k8s_namespace", "k8s_pod")
)
IMAGE: Final = Kind("KA-B03", "An image that its workload never ran before", Level.LOW, ("k8s_namespace", "image"))
RATE: Final = Kind("KA-B04", "An event came unusually often or seldom", Level.LOW, ("node", "component", "event_name"))
SILENCE: Final = Kind("KA-B05", "A source that spoke regularly is silent", Level.MEDIUM, ("node", "component"))
RETURN: Final = Kind("KA-B06", "A silent source speaks again", Level.INFORMATIONAL, ("node", "component"))

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {kind.rule_id: kind for kind in (TEMPLATE, COMMAND, IMAGE, RATE, SILENCE, RETURN)}
)
"""All kinds by their names."""
