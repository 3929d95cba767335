"""An entry of the catalogue, and how the files that hold them are read.

Files are TOML, one for a component or for several that share messages; `docs/reference/events` is made of them.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from kata_audit.errors import CatalogError, Problem
from kata_audit.parse.catalog.facts import check_source
from kata_audit.parse.catalog.template import Template, parse_template
from kata_audit.schema.event import Action, Outcome
from kata_audit.schema.record import Component, RetentionClass

CLASSES: Final = (
    "vm", "container", "exec", "mount", "device", "network", "policy", "config", "api", "attestation", "resource", "crash",
    "agent", "hypervisor", "kernel", "loghealth",
)  # fmt: skip
"""What an event may be of: the first word of its name."""
_KEYS: Final = frozenset(
    {
        "id", "event", "template", "templates", "level", "class", "action", "object", "outcome", "facts", "when", "fold",
        "versions", "benign", "meaning", "component", "components", "seen",
    }
)  # fmt: skip
_CONDITIONS: Final = frozenset({"contains", "starts", "equals", "present", "absent", "same", "differs"})
_RETAINED: Final = ("audit", "security", "operational", "debug")


class Condition(NamedTuple):
    """What an attribute or a hole must be for an entry to hold.

    Args:
        attribute: What is looked at: a source, as of a fact.
        test: contains, starts, equals, present or absent; same or differs, from another attribute.
        texts: Any of these fits; empty for present and absent; the other attribute's name for same and differs.
    """

    attribute: str
    test: str
    texts: tuple[str, ...]

    def holds(self, look_up: Callable[[str], str | None]) -> bool:
        """Say whether it holds of a record."""
        value = look_up(self.attribute)
        if self.test in {"same", "differs"}:
            return (value == look_up(self.texts[0])) is (self.test == "same")
        if self.test == "absent":
            return not value
        if not value:
            return False
        if self.test == "contains":
            return any(text in value for text in self.texts)
        if self.test == "starts":
            return value.startswith(self.texts)
        return self.test == "present" or value in self.texts


class Entry(NamedTuple):
    """What is known of a message.

    Args:
        id: Its number, for good.
        components: Who writes it.
        event: Name of the event, `<class>.<what>`.
        templates: Texts that mean it.
        level: The level that it is written at, as its producer calls it.
        retention: Which class a record of it is kept in.
        action: What was done, for audit events.
        object: To what: a fact's, hole's, attribute's or column's name, or literal text in quotes.
        outcome: How it went, for audit events.
        facts: What becomes an attribute: name of the attribute, and where it is from.
        when: What must hold besides the text.
        fold: What records of one event share: words, and names of facts in braces.
        versions: Which releases write it.
        benign: Why it tells of nothing bad by itself, where a person would think so.
        meaning: One sentence.
        seen: Whether a capture of a real run holds it.
    """

    id: str
    components: tuple[Component, ...]
    event: str
    templates: tuple[Template, ...]
    level: str
    retention: RetentionClass
    action: Action | None
    object: str | None
    outcome: Outcome | None
    facts: Mapping[str, str]
    when: tuple[Condition, ...]
    fold: str | None
    versions: str
    benign: str | None
    meaning: str
    seen: bool


def load_entries(files: Mapping[str, bytes]) -> tuple[Entry, ...]:
    """Read the files of the catalogue.

    Args:
        files: Their texts by name.

    Returns:
        Entries in the order of the files' names, and of each file.

    Raises:
        CatalogError: Names every mistake with its file and entry.
    """
    entries: list[Entry] = []
    problems: list[Problem] = []
    for name in sorted(files):
        try:
            stated = tomllib.loads(files[name].decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            problems.append(Problem(name, f"is no TOML: {error}"))
            continue
        for number, one in enumerate(stated.get("event", []), start=1):
            mistakes: list[str] = []
            entry = _entry({**_shared(stated), **one}, mistakes.append)
            problems += [Problem(f"{name}, event {number} ({one.get('id', 'no id')})", mistake) for mistake in mistakes]
            if entry is not None:
                entries.append(entry)
    problems += _doubles(entries)
    if problems:
        raise CatalogError("The catalogue has mistakes.", problems=problems)
    return tuple(entries)


def _shared(stated: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in stated.items() if key != "event"}


def _entry(stated: Mapping[str, Any], mistake: Callable[[str], object]) -> Entry | None:
    """Read one entry; tell every mistake in it."""
    for key in sorted(stated.keys() - _KEYS):
        mistake(f"`{key}` is not known")
    texts = stated.get("templates", [stated["template"]] if "template" in stated else [])
    templates = tuple(template for text in texts if (template := _template(text, mistake)) is not None)
    named = stated.get("components", [stated.get("component")])
    components = tuple(found for text in named if (found := _word(Component, text, mistake)) is not None)
    event, retention = str(stated.get("event", "")), stated.get("class")
    if event.partition(".")[0] not in CLASSES or "." not in event:
        mistake(f"`{event}` is no name of an event: `<class>.<what>`")
    if retention not in _RETAINED:
        mistake(f"`{retention}` is no class: {', '.join(_RETAINED)}")
    for key in ("id", "level", "meaning"):
        if not isinstance(stated.get(key), str) or not stated[key]:
            mistake(f"`{key}` is missing")
    if not texts:
        mistake("`template` is missing")
    for source in stated.get("facts", {}).values():
        _check(source, mistake)
    action = _word(Action, stated["action"], mistake) if "action" in stated else None
    outcome = _word(Outcome, stated["outcome"], mistake) if "outcome" in stated else None
    when = tuple(condition for one in stated.get("when", []) if (condition := _condition(one, mistake)) is not None)
    if retention not in _RETAINED or not templates or not components:
        return None
    return Entry(
        id=str(stated.get("id", "")),
        components=components,
        event=event,
        templates=templates,
        level=str(stated.get("level", "")),
        retention=RetentionClass(retention),
        action=action,
        object=stated.get("object"),
        outcome=outcome,
        facts=dict(stated.get("facts", {})),
        when=when,
        fold=stated.get("fold"),
        versions=str(stated.get("versions", "")),
        benign=stated.get("benign"),
        meaning=str(stated.get("meaning", "")),
        seen=stated.get("seen") is not False,
    )


def _template(text: Any, mistake: Callable[[str], object]) -> Template | None:
    try:
        return parse_template(str(text))
    except ValueError as error:
        mistake(f"template `{text}`: {error}")
        return None


def _word(kind: Any, text: Any, mistake: Callable[[str], object]) -> Any:
    try:
        return kind(text)
    except ValueError:
        mistake(f"`{text}` is none of {', '.join(kind)}")
        return None


def _check(source: Any, mistake: Callable[[str], object]) -> None:
    wrong = check_source(str(source))
    if wrong is not None:
        mistake(f"`{source}`: {wrong}")


def _condition(stated: Mapping[str, Any], mistake: Callable[[str], object]) -> Condition | None:
    tests = stated.keys() - {"attribute"}
    if len(tests) != 1 or not tests <= _CONDITIONS or "attribute" not in stated:
        mistake("a condition names an `attribute` and one test")
        return None
    _check(stated["attribute"], mistake)
    test = next(iter(tests))
    value = stated[test]
    texts = () if test in {"present", "absent"} else tuple(value) if isinstance(value, list) else (str(value),)
    return Condition(stated["attribute"], test, texts)


def _doubles(entries: Sequence[Entry]) -> list[Problem]:
    """Name ids that come twice."""
    seen: set[str] = set()
    problems = []
    for entry in entries:
        if entry.id in seen:
            problems.append(Problem(entry.id, "stands twice"))
        seen.add(entry.id)
    return problems
