"""The matcher: which entry a message is, and what follows for its record.

Messages are looked up by component: the whole text in a table first, then the few templates whose literal beginning the text
has. It runs on every record, so nothing is tried that a look at the first characters rules out.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from kata_audit.parse.catalog.entry import Entry
from kata_audit.parse.catalog.facts import seek, take
from kata_audit.parse.catalog.template import Template
from kata_audit.parse.draft import Draft
from kata_audit.schema.event import UNKNOWN_ACTOR, ActorSource, Confidence, Outcome
from kata_audit.schema.record import Component
from kata_audit.schema.source import Origin

_BUCKET: Final = 4
"""Characters of a template's literal beginning that choose its bucket."""

_NO_HOLES: Final[dict[str, str]] = {}
_PROGRAMS: Final[Mapping[str, tuple[Component, ...]]] = MappingProxyType(
    {
        "logrus": (Component.CONTAINERD, Component.RUNTIME_GO, Component.CRIO),
        "logrus-json": (Component.CONTAINERD, Component.CRIO),
        "klog": (Component.KUBELET, Component.CONTAINERD, Component.CRIO),
    }
)
"""Who writes a dialect in files that name no program, likeliest first."""
_Found = tuple[Entry, dict[str, str]]
_Filed = tuple[str, str, Template, Entry]
"""A template behind its `prefix` and `inner`, which nearly always tell that a message is another one."""


class _Component(NamedTuple):
    """The templates of one component: whole texts, by first characters, and those that begin with a hole."""

    exact: dict[str, list[Entry]]
    buckets: dict[str, list[_Filed]]
    open: list[_Filed]


class Catalog:
    """The entries, ready to match.

    Args:
        entries: As `load_entries` gives them. Of several that fit a message the one with most literal text counts, then the
            first.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self._components: dict[str, _Component] = {}
        for entry in entries:
            for component in entry.components:
                held = self._components.setdefault(str(component), _Component({}, {}, []))
                for template in entry.templates:
                    _file(held, template, entry)
        for held in self._components.values():
            for bucket in held.buckets.values():
                bucket.sort(key=_lightness)
            held.open.sort(key=_lightness)

    def find(self, component: str, body: str, look_up: Callable[[str], str | None]) -> _Found | None:
        """Find the entry of a message.

        Args:
            component: Who wrote it.
            body: The message.
            look_up: Gives an attribute, or a column as `column:<name>`.

        Returns:
            The entry and what stands in its template's holes.
        """
        held = self._components.get(component)
        if held is None:
            return None
        exact = held.exact.get(body)
        if exact is not None:
            for entry in exact:
                if not entry.when or _holds(entry, _NO_HOLES, look_up):
                    return entry, _NO_HOLES
        for templates in (held.buckets.get(body[:_BUCKET], ()), held.open):
            for prefix, inner, template, entry in templates:
                if not body.startswith(prefix) or inner not in body:
                    continue
                holes = template.read(body)
                if holes is not None and (not entry.when or _holds(entry, holes, look_up)):
                    return entry, holes
        return None

    def find_unstated(
        self, dialect: str, body: str, look_up: Callable[[str], str | None]
    ) -> tuple[_Found | None, Component | None]:
        """Find the entry of a message of the host whose program nothing tells, as in a log file of containerd.

        Args:
            dialect: The path of the dialects that read it; the last decides which programs it may be of.
            body: The message.
            look_up: As for `find`.

        Returns:
            The entry, and the program where only one knows such a message.
        """
        programs = _PROGRAMS.get(dialect.rpartition("/")[2], ())
        found = [(program, one) for program in programs if (one := self.find(program, body, look_up)) is not None]
        if not found:
            return None, None
        return found[0][1], found[0][0] if len(found) == 1 else None


def _lightness(filed: _Filed) -> int:
    return -filed[2].weight


def _file(held: _Component, template: Template, entry: Entry) -> None:
    filed = (template.prefix, template.inner, template, entry)
    if not template.holes:
        held.exact.setdefault(template.text, []).append(entry)
    elif len(template.prefix) >= _BUCKET:
        held.buckets.setdefault(template.prefix[:_BUCKET], []).append(filed)
    else:
        held.open.append(filed)


def _holds(entry: Entry, holes: Mapping[str, str], look_up: Callable[[str], str | None]) -> bool:
    def known(name: str) -> str | None:
        return holes.get(name) or look_up(name)

    return all(condition.holds(lambda source: seek(source, known)) for condition in entry.when)


def name(draft: Draft, catalog: Catalog) -> None:
    """Name the records of a filled draft and fill what their entries say of them.

    Columns that a dialect has filled stay: a record that carries its own event is named by its dialect.
    """
    components, bodies = draft.column("component"), draft.columns.get("body")
    events = draft.column("event_name")
    classes = draft.column("stated_class")
    record = _Record(draft)
    find, look_up = catalog.find, record.look_up
    origins = draft.column("origin")
    texts = bodies if bodies is not None else [None] * draft.count
    for row, (component, body) in enumerate(zip(components, texts, strict=True)):
        if events[row] is not None:
            continue
        record.row = row
        if component is not None:
            found = find(component, body or "", look_up)
        elif origins[row] != Origin.GUEST:
            found, components[row] = catalog.find_unstated(draft.path[row], body or "", look_up)
        else:
            continue
        if found is None:
            continue
        entry, holes = found
        events[row] = entry.event
        classes[row] = entry.retention
        if entry.facts or entry.action or entry.fold:
            _fill(record, entry, holes)


class _Record:
    """One record of a draft, by names."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.row = 0

    def look_up(self, name: str) -> str | None:
        """Give an attribute, or a column as `column:<name>`."""
        if name.startswith("column:"):
            column = self.draft.columns.get(name[7:])
            return None if column is None or column[self.row] is None else str(column[self.row])
        attributes = self.draft.attributes[self.row]
        return attributes.get(name) if attributes else None


def _fill(record: _Record, entry: Entry, holes: Mapping[str, str]) -> None:
    """Write the facts of one record, and who did what to what."""
    draft, row, look_up = record.draft, record.row, record.look_up

    def known(name: str) -> str | None:
        return holes.get(name) or look_up(name)

    facts = {fact: value for fact, source in entry.facts.items() if (value := take(source, known)) is not None}
    if facts:
        draft.attributes[row] = {**(draft.attributes[row] or {}), **facts}
    if entry.fold is not None:
        draft.column("fold_key")[row] = _key(entry.fold, lambda name: facts.get(name) or known(name))
    if entry.action is None:
        return
    draft.column("action")[row] = entry.action
    draft.column("outcome")[row] = entry.outcome or Outcome.UNKNOWN
    draft.column("actor")[row] = UNKNOWN_ACTOR
    draft.column("actor_source")[row] = ActorSource.NONE
    draft.column("actor_confidence")[row] = Confidence.NONE
    if entry.object is not None:
        literal = entry.object.startswith("'")
        draft.column("object")[row] = entry.object[1:-1] if literal else facts.get(entry.object) or take(entry.object, known)


def _key(fold: str, known: Callable[[str], str | None]) -> int | None:
    """Hash what records of one event share; None where a part of it is not stated."""
    parts: list[Any] = []
    for word in fold.split():
        value = known(word[1:-1]) if word.startswith("{") else word
        if value is None:
            return None
        parts.append(value)
    digest = blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
