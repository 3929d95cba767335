"""Fields that a rule may name, and the words that some of them hold."""

import difflib
from typing import Final

from kata_audit.predicate.fields import ALIASES, ATTRIBUTE, FIELDS
from kata_audit.predicate.values import BadValueError
from kata_audit.schema.event import ActorSource, Outcome
from kata_audit.schema.record import Component, ParseStatus, RetentionClass
from kata_audit.schema.source import Origin

VOCABULARIES: Final[dict[str, tuple[str, ...]]] = {
    "component": tuple(map(str, Component)),
    "origin": tuple(map(str, Origin)),
    "parse_status": tuple(map(str, ParseStatus)),
    "class": tuple(map(str, RetentionClass)),
    "severity_text": ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"),
    "timestamp_basis": ("host", "journal", "guest", "observed"),
    "outcome": tuple(map(str, Outcome)),
    "actor_source": tuple(map(str, ActorSource)),
}
"""Fields that hold one of a few words of ours: a value is that word as we write it, and no other can be asked for."""

SMALL: Final = frozenset({"event_name", "action"})
"""Fields whose words of ours are always in small letters: a value is put into them, and compared exactly."""


def checked_field(field: str) -> str:
    """Give a field's name back if there is such a field.

    Raises:
        BadValueError: There is none.
    """
    if field in FIELDS or (field.startswith(ATTRIBUTE) and field != ATTRIBUTE):
        return field
    if field in ALIASES:
        raise BadValueError(f"There is no field `{field}`; rules name columns, and this one is `{ALIASES[field]}`.")
    shown = field if len(field) <= 60 else field[:60] + "…"
    near = difflib.get_close_matches(field.lower(), FIELDS, n=1)
    advice = f"did you mean `{near[0]}`?" if near else "what a record states beyond its columns is `attributes.<key>`."
    raise BadValueError(f"There is no field `{shown}`; {advice}")
