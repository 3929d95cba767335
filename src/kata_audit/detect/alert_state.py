"""What the fold over findings and acts knows: alerts, silences, groups and storms, as a value with canonical bytes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final

from kata_audit.schema.act import Verdict
from kata_audit.schema.alert import Alert, Muted, Round
from kata_audit.schema.finding import Level, Maturity

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence: whose it is, why, from when to when, and what it asks of an alert. It is called by its act's id."""

    silence_id: str
    owner: str
    reason: str
    since_ns: int
    until_ns: int
    matches: Mapping[str, str]
    ended_ns: int | None = None
    ended_by: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """One cause at many places: alerts of one rule that opened within minutes, told as one.

    `members` are ids of alerts, `nodes` where they are. `told_members` is how many there were when people were told last.
    """

    group_id: str
    rule_id: str
    title: str
    level: Level
    claim: bool
    tenant: str
    cluster: str
    opened_ns: int
    last_ns: int
    members: tuple[str, ...]
    nodes: tuple[str, ...]
    first_ns: int
    told_ns: int | None = None
    told_members: int = 0
    acked: bool = False
    escalate_ns: int | None = None
    escalations: int = 0
    is_growing: bool = True


@dataclass(frozen=True, slots=True)
class Storm:
    """An hour's room of a rule or a lane: how much of it is taken, and how many alerts found none."""

    key: str
    rule_id: str
    level: Level
    claim: bool
    since_ns: int
    told: int = 0
    capped: int = 0

    @property
    def storm_id(self) -> str:
        """What its notices are about."""
        return f"storm-{self.key.replace(':', '-')}-{self.since_ns}"


@dataclass(frozen=True, slots=True)
class AlertState:
    """What the fold knows.

    `began_ns` is when the first finding or act was said; `now_ns` how far time has passed; `last_seq` the newest record that
    is in it; `ignored` how many acts meant nothing that there is.
    """

    began_ns: int | None = None
    now_ns: int = 0
    last_seq: int = -1
    ignored: int = 0
    alerts: Mapping[str, Alert] = field(default_factory=dict)
    silences: Mapping[str, Silence] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    storms: Mapping[str, Storm] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Spell the state: equal states give the same bytes."""
        return json.dumps(_spell(self) | {"v": _VERSION}, sort_keys=True, separators=(",", ":")).encode("ascii")


def read_alert_state(data: bytes) -> AlertState | None:
    """Read what `AlertState.to_bytes` spelled; None for anything else, another version too: fold from the start then."""
    try:
        values = json.loads(data)
        if not isinstance(values, dict) or values.pop("v", None) != _VERSION:
            return None
        for name, kind in _TABLES.items():
            values[name] = {key: _read(kind, value) for key, value in values[name].items()}
        return AlertState(**values)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _spell(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, tuple):
        return [_spell(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _spell(one) for key, one in value.items()}
    return {part.name: _spell(getattr(value, part.name)) for part in fields(value)} if hasattr(value, "__slots__") else value


_TABLES: Final[Mapping[str, type[Any]]] = {"alerts": Alert, "silences": Silence, "groups": Group, "storms": Storm}
_WORDS: Final[Mapping[str, type[StrEnum]]] = {"level": Level, "maturity": Maturity, "muted": Muted, "verdict": Verdict}


def _read(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """Read one thing: words and lists become what they were."""
    return kind(**{name: _part(name, value) for name, value in values.items()})


def _part(name: str, value: Any) -> Any:
    if name == "rounds":
        return tuple(_read(Round, one) for one in value)
    if name in _WORDS and value is not None:
        return _WORDS[name](value)
    return tuple(value) if isinstance(value, list) else value
