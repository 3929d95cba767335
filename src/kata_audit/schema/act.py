"""The act: what a person did about alerts, and the words in which it is recorded.

An act enters the store as a record of ours (receiver `kata-audit:act`). Alerts are a fold over findings and acts, so an act
that was recorded once counts for ever, and nobody changes an alert in any other way.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from kata_audit.schema.own import read_integer, read_prefixed, spell, spell_time

ACT_EVENT = "alert.act"
"""`event_name` of an act's record."""
ACT_KIND = "act"
"""An act's receiver is `kata-audit:act`."""
LONGEST_SILENCE_NS = 90 * 86_400 * 1_000_000_000
"""A silence ends: it lasts no longer than this."""
SILENCE_FIELDS = (
    *("alert_id", "rule_id", "level", "tenant", "cluster", "node"),
    *("sandbox_id", "container_id", "k8s_namespace", "k8s_pod", "k8s_container", "image", "runtime_class"),
)
"""What a silence may ask of an alert."""
ANY = "*"
"""The end of a value of a silence that stands for any rest."""


class ActKind(StrEnum):
    """What was done."""

    ACK = "ack"
    """Somebody looks at it: it is no longer escalated."""
    CLOSE = "close"
    """It is judged; a later finding opens it again. Closing a closed alert changes its verdict."""
    REOPEN = "reopen"
    """It was closed by mistake."""
    ESCALATE = "escalate"
    """Call the next people now."""
    SILENCE = "silence"
    """Tell nobody of alerts that match, until the silence ends; they are counted all the same."""
    UNSILENCE = "unsilence"
    """End a silence now."""


class Verdict(StrEnum):
    """What a closed alert was."""

    TRUE_POSITIVE = "true-positive"
    FALSE_POSITIVE = "false-positive"
    """The rule was wrong."""
    BENIGN = "benign"
    """The rule was right, and nothing is the matter."""
    DUPLICATE = "duplicate"
    """Another alert tells the same."""


@dataclass(frozen=True, slots=True)
class Act:
    """One act.

    `act_id` is 32 hex digits, drawn where the act was done; a silence is called by it. `user` is the account that ran the
    command, `on_behalf` the person that it named, empty for none. `target` is the alert, and for `unsilence` the silence;
    `silence` has none. `matches` are what a silence asks of an alert: field and value, where a value that ends in `*` is a
    beginning; all must hold. `until_ns` is when a silence ends. Times are nanoseconds since the Unix epoch.
    """

    act_id: str
    kind: ActKind
    time_ns: int
    user: str
    reason: str
    target: str = ""
    on_behalf: str = ""
    verdict: Verdict | None = None
    matches: Mapping[str, str] | None = None
    until_ns: int | None = None

    @property
    def who(self) -> str:
        """Whose act it is: the person that was named, else the account."""
        return self.on_behalf or self.user


def mistakes_of(act: Act) -> Iterator[tuple[str, str]]:
    """Say what keeps an act from being one: which part, and why. None of it is a reason that a log could give."""
    if not act.reason.strip():
        yield "reason", "is missing; say why, for whoever looks at this later"
    if act.kind is ActKind.SILENCE:
        yield from _mistakes_of_silence(act)
    elif not act.target:
        yield "target", "is missing; name the alert" if act.kind is not ActKind.UNSILENCE else "is missing; name the silence"
    if (act.kind is ActKind.CLOSE) != (act.verdict is not None):
        yield "verdict", "is missing; say what it was" if act.verdict is None else "is for closing alone"
    if act.kind is not ActKind.SILENCE and (act.matches is not None or act.until_ns is not None):
        yield "matches", "and an end are for silences alone"


def _mistakes_of_silence(act: Act) -> Iterator[tuple[str, str]]:
    if act.until_ns is None:
        yield "end", "is missing; a silence ends"
    elif act.until_ns <= act.time_ns:
        yield "end", "is past already"
    elif act.until_ns - act.time_ns > LONGEST_SILENCE_NS:
        yield "end", f"is too late; a silence lasts {LONGEST_SILENCE_NS // (86_400 * 1_000_000_000)} days at most"
    if not act.matches:
        yield "match", "is missing; name what is to be silent"
    for field, value in (act.matches or {}).items():
        if field not in SILENCE_FIELDS:
            yield f"match {field}", f"is nothing that an alert has; known here: {', '.join(SILENCE_FIELDS)}"
        if not value.removesuffix(ANY) or ANY in value.removesuffix(ANY):
            yield f"match {field}", "needs a value, and `*` may only stand at its end"


_MATCH = "act.match."
_SAID = {
    ActKind.ACK: "Alert {0} was acknowledged.",
    ActKind.CLOSE: "Alert {0} was closed as {1}.",
    ActKind.REOPEN: "Alert {0} was opened again.",
    ActKind.ESCALATE: "Alert {0} was escalated.",
    ActKind.SILENCE: "Alerts were silenced until {2}.",
    ActKind.UNSILENCE: "Silence {0} was ended.",
}


def to_line(act: Act) -> bytes:
    """Spell an act as the record of ours that is spooled: the same act gives the same bytes.

    Args:
        act: Its texts hold no lone surrogates.
    """
    until = "" if act.until_ns is None else spell_time(act.until_ns)
    attributes = {
        "act.id": act.act_id,
        "act.kind": str(act.kind),
        "act.time_ns": str(act.time_ns),
        "act.user": act.user,
        "act.as": act.on_behalf,
        "act.reason": act.reason,
        "act.target": act.target,
        "act.verdict": str(act.verdict or ""),
        "act.until_ns": "" if act.until_ns is None else str(act.until_ns),
        **{f"{_MATCH}{field}": value for field, value in sorted((act.matches or {}).items())},
        "action": "update",
        "object": f"alert/{act.target}" if act.target else "alerts",
        "outcome": "success",
        "actor": act.who,
    }
    message = _SAID[act.kind].format(act.target, act.verdict, until)
    return spell(ACT_EVENT, "INFO", message, time_ns=act.time_ns, attributes=attributes)


def from_attributes(attributes: Mapping[str, str]) -> Act | None:
    """Read an act back from the attributes of a record of receiver `kata-audit:act`.

    Returns:
        The act; None where a part is missing or not in its form, or where it is none that may be done.
    """
    matches = read_prefixed(attributes, _MATCH)
    try:
        act = Act(
            act_id=attributes["act.id"],
            kind=ActKind(attributes["act.kind"]),
            time_ns=read_integer(attributes["act.time_ns"]),
            user=attributes["act.user"],
            reason=attributes["act.reason"],
            target=attributes["act.target"],
            on_behalf=attributes["act.as"],
            verdict=Verdict(attributes["act.verdict"]) if attributes["act.verdict"] else None,
            matches=matches or None,
            until_ns=read_integer(attributes["act.until_ns"]) if attributes["act.until_ns"] else None,
        )
    except (KeyError, ValueError):
        return None
    return None if any(mistakes_of(act)) else act
