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
    """One kind: `rule_id` as `rules.off` takes it; `group_by` tells one alert of it from another.

    `looks_for`, `false_positives` and `cannot_see` say it to people.
    """

    rule_id: str
    title: str
    level: Level
    group_by: tuple[str, ...]
    looks_for: str
    false_positives: str
    cannot_see: str

    def digest(self, settings: BaselineSettings) -> str:
        """Give 64 hex digits of SHA-256 over all that decides what it finds: its version, and the settings."""
        return hashlib.sha256(f"kata-audit/baseline/1\n{self.rule_id}\n{settings!r}".encode()).hexdigest()


TEMPLATE: Final = Kind(
    "KA-B01",
    "A message that its component never wrote before",
    Level.LOW,
    ("component", "k8s_namespace", "runtime_class"),
    "an event, or the fixed words of a message without a name, that a component did not write before for pods of the "
    "namespace and runtime class",
    "The first error of its kind, and a new version of a component.",
    "What came while it was learned, and what is said in words that are known.",
)
COMMAND: Final = Kind(
    "KA-B02",
    "A command that was never run in its workload before",
    Level.MEDIUM,
    ("k8s_namespace", "k8s_pod"),
    "a command, numbers and ids left out, that was not run in a running container of the workload before",
    "Somebody debugs, and a probe that has changed.",
    "What a shell runs once it is there; where no API audit log is read, the agent's text alone tells of commands.",
)
IMAGE: Final = Kind(
    "KA-B03",
    "An image that its workload never ran before",
    Level.LOW,
    ("k8s_namespace", "image"),
    "an image that no container of the workload had before; it says whether its repository is new too",
    "Every rollout of a new version.",
    "Another image under a tag that is known.",
)
RATE: Final = Kind(
    "KA-B04",
    "An event came unusually often or seldom",
    Level.LOW,
    ("node", "component", "event_name"),
    "an hour in which a host's component wrote an event far more or less often than in the same hour of the past weeks",
    "A holiday, a drained node, a new workload.",
    "What stays below the difference that is configured, what grows slowly, and what guests write.",
)
SILENCE: Final = Kind(
    "KA-B05",
    "A source that spoke regularly is silent",
    Level.MEDIUM,
    ("node", "component"),
    "a component of a host that has not spoken for far longer than its longest gap of a day, while others did",
    "A component that was removed, a node without pods.",
    "A node that is silent as a whole, and a source that never spoke regularly.",
)
RETURN: Final = Kind(
    "KA-B06",
    "A silent source speaks again",
    Level.INFORMATIONAL,
    ("node", "component"),
    "the first record of a source whose silence was told",
    "None: it ends what KA-B05 began.",
    "A source that comes back under another name.",
)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {kind.rule_id: kind for kind in (TEMPLATE, COMMAND, IMAGE, RATE, SILENCE, RETURN)}
)
"""All kinds by their names."""
