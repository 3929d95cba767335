"""Changes of a node as records of ours: one before anything is written, and one of each file that was changed.

A record of a beginning without one of an end tells that the command died in between; what it left is whole in either case.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from kata_audit.node.apply import Act
from kata_audit.schema.event import Action, Outcome
from kata_audit.schema.own import spell

KIND: Final = "node"
"""It ends the receiver of such records: `kata-audit:node`."""
BEGUN: Final = "node.change_begun"
CHANGED: Final = "node.changed"
FAILED: Final = "node.change_failed"
_UNDONE: Final = frozenset(("unchanged", "kept"))


class Change(NamedTuple):
    """A change of a node that somebody asked for.

    `what` is `apply` or `revert`; `profile` is empty for a revert; `person` is who asked, `account` who ran the command.
    """

    what: str
    root: str
    profile: str
    account: str
    person: str


def _attributes(change: Change, target: str, outcome: Outcome) -> Mapping[str, str]:
    return {
        "node.act": change.what,
        "node.root": change.root,
        "node.profile": change.profile,
        "node.account": change.account,
        "action": str(Action.UPDATE),
        "object": target,
        "outcome": str(outcome),
        "actor": change.person or change.account,
    }


def spell_begin(change: Change, time_ns: int) -> bytes:
    """Spell the record that a change begins."""
    attributes = _attributes(change, change.root, Outcome.UNKNOWN)
    return spell(BEGUN, "INFO", "A change of this node's settings has begun.", time_ns=time_ns, attributes=attributes)


def spell_done(change: Change, acts: Sequence[Act], time_ns: int) -> list[bytes]:
    """Spell a record of each file that was changed; what stayed as it was makes none."""
    return [
        spell(
            CHANGED,
            "INFO",
            f"A file of this node's settings was {act.done}.",
            time_ns=time_ns + at,
            attributes={
                **_attributes(change, f"/{_clean(act.path)}", Outcome.SUCCESS),
                "node.handler": _clean(act.handler),
                "node.done": act.done,
            },
        )
        for at, act in enumerate(one for one in acts if one.done not in _UNDONE)
    ]


def spell_failure(change: Change, why: str, time_ns: int) -> bytes:
    """Spell the record that a change broke off; what was written before it stays."""
    attributes = {**_attributes(change, change.root, Outcome.FAILURE), "error.message": _clean(why)}
    message = "A change of this node's settings broke off."
    return spell(FAILED, "ERROR", message, time_ns=time_ns, attributes=attributes)


def _clean(text: str) -> str:
    """Spell bytes of a name that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
