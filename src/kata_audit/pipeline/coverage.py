"""Coverage of a source: how much of it was understood and named, what was not, and what it says it lost.

Rows in, numbers out. Memory is bounded whatever the rows hold: of too many different messages the rarest are let go, and the
counts of those that stay are then at least as high as told.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow.compute as pc

from kata_audit.parse.losses import COUNT, is_workload
from kata_audit.parse.outline import outline
from kata_audit.schema.event import Action
from kata_audit.schema.record import ParseStatus, RecordRows
from kata_audit.schema.source import Origin

COLUMNS = ("parse_status", "event_name", "origin", "component", "mask_count")
"""What is counted of every record; of those without a name, or that say a loss, more is read."""
_MAX_OUTLINES = 4096
_KEPT_OUTLINES = 1024
_MAX_SOURCES = 1024
_MAX_COPIES = 65_536
_TOLD = 10
_OTHERS = "(other sources)"
_CONTENT = "(text of nobody known: not shown)"


class Part(NamedTuple):
    """Records of one component and origin: all, those a dialect understood, and those that have a name."""

    component: str
    origin: str
    records: int
    parsed: int
    named: int


class Unnamed(NamedTuple):
    """A message that the catalogue does not know: who writes it, its outline, and how often at least."""

    component: str
    message: str
    records: int


class Lost(NamedTuple):
    """What one source says it lost: `records` that were counted, in `statements`; `uncounted` of them give no number.

    `claim` is a guest's word, or nobody's that is known.
    """

    source: str
    event: str
    claim: bool
    records: int
    statements: int
    uncounted: int


@dataclass(slots=True)
class Coverage:
    """The coverage of one source; add its records in any batches."""

    statuses: Counter[str] = field(default_factory=Counter)
    masked: int = 0
    _parts: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    _outlines: Counter[tuple[str, str]] = field(default_factory=Counter)
    _losses: dict[tuple[str, str, bool], Counter[str]] = field(default_factory=dict)
    _copies: set[int] = field(default_factory=set)

    def add(self, rows: RecordRows) -> None:
        """Count a batch of records with all their derived columns."""
        statuses, events, origins, components = (rows.column(name).to_pylist() for name in COLUMNS[:4])
        self.statuses.update(statuses)
        self.masked += pc.sum(rows.column("mask_count")).as_py() or 0
        keys = Counter(zip(components, origins, statuses, (event is not None for event in events), strict=True))
        for (component, origin, status, named), count in keys.items():
            part = self._parts.setdefault((component or "-", origin), Counter())
            part["records"] += count
            part["parsed"] += count if status in {ParseStatus.PARSED, ParseStatus.FRAGMENT} else 0
            part["named"] += count if named else 0
        self._add_unnamed(rows.filter(pc.and_(pc.is_null(rows["event_name"]), pc.is_valid(rows["body"]))))
        self._add_losses(rows.filter(pc.fill_null(pc.equal(rows["action"], str(Action.LOSE_RECORDS)), False)))

    def _add_unnamed(self, rows: RecordRows) -> None:
        bodies = Counter(zip(*(rows.column(name).to_pylist() for name in ("component", "origin", "body")), strict=True))
        for (component, origin, body), count in bodies.items():
            text = _CONTENT if is_workload(component, origin) else outline(body)
            self._outlines[component or "-", text] += count
            if len(self._outlines) > _MAX_OUTLINES:
                self._outlines = Counter(dict(self._outlines.most_common(_KEPT_OUTLINES)))

    def _add_losses(self, rows: RecordRows) -> None:
        names = ("object", "component", "event_name", "origin", "copy_key", "attributes")
        for source, component, event, origin, copy, attributes in zip(
            *(rows.column(name).to_pylist() for name in names), strict=True
        ):
            if copy in self._copies:
                continue
            if copy is not None and len(self._copies) < _MAX_COPIES:
                self._copies.add(copy)
            key = (source or component or "-", event or str(Action.LOSE_RECORDS), origin != Origin.HOST)
            if key not in self._losses and len(self._losses) >= _MAX_SOURCES:
                key = (_OTHERS, *key[1:])
            lost = self._losses.setdefault(key, Counter())
            count = dict(attributes or ()).get(COUNT)
            lost["statements"] += 1
            lost["records"] += int(count) if count else 0
            lost["uncounted"] += count is None

    @property
    def records(self) -> int:
        """How many records there are."""
        return self.statuses.total()

    @property
    def parsed(self) -> int:
        """How many records a dialect understood, pieces of longer lines among them."""
        return self.statuses[ParseStatus.PARSED] + self.statuses[ParseStatus.FRAGMENT]

    @property
    def named(self) -> int:
        """How many records are of a known event."""
        return sum(part["named"] for part in self._parts.values())

    def parts(self) -> Iterator[Part]:
        """Give the numbers of each component, most records first."""
        for (component, origin), part in sorted(self._parts.items(), key=lambda item: (-item[1]["records"], item[0])):
            yield Part(component, origin, part["records"], part["parsed"], part["named"])

    def unnamed(self) -> list[Unnamed]:
        """Give the most frequent messages that have no name, at most ten."""
        ranked = sorted(self._outlines.items(), key=lambda item: (-item[1], item[0]))
        return [Unnamed(component, text, count) for (component, text), count in ranked[:_TOLD]]

    def losses(self) -> list[Lost]:
        """Give what each source says it lost, the host's word first, most first."""
        found = [
            Lost(source, event, claim, lost["records"], lost["statements"], lost["uncounted"])
            for (source, event, claim), lost in self._losses.items()
        ]
        return sorted(found, key=lambda one: (one.claim, -one.records, -one.statements, one.source, one.event))

    def to_object(self) -> dict[str, Any]:
        """Give everything as one object, for machines."""
        return {
            "named": self.named,
            "components": [part._asdict() for part in self.parts()],
            "unnamed": [one._asdict() for one in self.unnamed()],
            "losses": [one._asdict() for one in self.losses()],
        }
