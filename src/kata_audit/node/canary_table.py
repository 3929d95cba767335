"""The table of the canary: how a record of each layer is told, what records show, and what a layer's silence means.

The table is `canary.toml`; this file reads it. Whoever adds a layer or a runtime adds lines there, and no condition here.
"""

import re
import tomllib
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from kata_audit.node.check import Status


class Row(NamedTuple):
    """What is looked at of one record; `channel` is the way it came: stream, syslog, native, console or pod-log.

    `relay` is the component of the host that relayed a guest's text; `has_guest_clock` whether the text carries a time of
    the guest's; `carries_marker` whether the exec's marker stands in it.
    """

    origin: str
    component: str | None
    channel: str
    relay: str | None
    body: str
    event: str | None
    severity: int | None
    has_guest_clock: bool
    carries_marker: bool


class Sign(NamedTuple):
    """A fact, and of which records of the host it is read: all that is not None must hold."""

    fact: str
    components: frozenset[str]
    events: frozenset[str] | None
    text: re.Pattern[str] | None
    most_severe: int | None

    def holds(self, row: Row) -> bool:
        """Say whether a record of the host shows the fact."""
        return (
            row.component in self.components
            and (self.events is None or row.event in self.events)
            and (self.most_severe is None or (row.severity is not None and row.severity <= self.most_severe))
            and (self.text is None or self.text.search(row.body) is not None)
        )


class Rule(NamedTuple):
    """What silence means where facts hold: the answer, why, and the next step."""

    when: tuple[str, ...]
    status: Status
    said: str
    next: str | None


class Layer(NamedTuple):
    """A layer: for which sandboxes it is asked, how its records are told, and what its silence means.

    Args:
        id: Its name on the command line.
        title: Its name for people.
        needs: Facts that must hold for it to be asked.
        origin: Who writes its records; None for anybody.
        components: Programs that write them.
        channels: Ways they come by; None for any.
        without_component: How texts of the host begin that name no program and are this layer's.
        relayed_by: Programs whose relayed text of a guest is this layer's, whatever it says.
        guest_clock: Its records carry the guest's clock: what else stands in their place is the shim's own.
        marker: Its records carry the marker of the canary's exec.
        passed: What a pass does and does not prove.
        rules: Read in order; the last holds always.
    """

    id: str
    title: str
    needs: tuple[str, ...]
    origin: str | None
    components: frozenset[str]
    channels: frozenset[str] | None
    without_component: re.Pattern[str] | None
    relayed_by: frozenset[str]
    guest_clock: bool
    marker: bool
    passed: str | None
    rules: tuple[Rule, ...]

    def holds(self, row: Row) -> bool:
        """Say whether a record is one of this layer's."""
        if self.marker:
            return row.carries_marker and row.channel != "pod-log"
        if row.origin != self.origin or (self.channels is not None and row.channel not in self.channels):
            return False
        if row.relay in self.relayed_by:
            return True
        if row.component is None:
            return self.without_component is not None and self.without_component.match(row.body) is not None
        return row.component in self.components and (row.has_guest_clock or not self.guest_clock)


class Table(NamedTuple):
    """Everything the canary knows."""

    layers: tuple[Layer, ...]
    signs: tuple[Sign, ...]


def load_table(data: bytes) -> Table:
    """Read the table of the package.

    Args:
        data: Text of `canary.toml`.
    """
    read = tomllib.loads(data.decode())
    return Table(tuple(_layer(one) for one in read["layer"]), tuple(_sign(one) for one in read["sign"]))


def answer(layer: Layer, facts: Collection[str]) -> Rule:
    """Give the first rule of a layer whose facts all hold."""
    return next(rule for rule in layer.rules if all_hold(rule.when, facts))


def all_hold(wanted: Collection[str], facts: Collection[str]) -> bool:
    """Say whether all facts hold; one that begins with `!` must not."""
    return all((name[1:] not in facts) if name.startswith("!") else (name in facts) for name in wanted)


def _sign(one: Mapping[str, Any]) -> Sign:
    events = one.get("events")
    return Sign(
        one["fact"],
        frozenset(one["components"]),
        None if events is None else frozenset(events),
        _pattern(one.get("text")),
        one.get("most_severe"),
    )


def _layer(one: Mapping[str, Any]) -> Layer:
    channels = one.get("channels")
    return Layer(
        id=one["id"],
        title=one["title"],
        needs=tuple(one.get("needs", ())),
        origin=one.get("origin"),
        components=frozenset(one.get("components", ())),
        channels=None if channels is None else frozenset(channels),
        without_component=_pattern(one.get("without_component")),
        relayed_by=frozenset(one.get("relayed_by", ())),
        guest_clock=one.get("guest_clock", False),
        marker=one.get("marker", False),
        passed=one.get("passed"),
        rules=tuple(
            Rule(tuple(rule["when"]), Status(rule["status"]), rule["said"], rule.get("next")) for rule in one["rule"]
        ),
    )


def _pattern(text: str | None) -> re.Pattern[str] | None:
    return None if text is None else re.compile(text)
