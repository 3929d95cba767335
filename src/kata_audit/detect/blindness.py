"""Blindness: a rule whose source is not there says so, and is never called quiet.

What counts as a source being there is that some record of it is. A source that is there for one sandbox and not for another
is asked for by sandbox.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from kata_audit.detect.rule import Need, Rule
from kata_audit.detect.sigma.logsources import SERVICES
from kata_audit.predicate.tree import Compare, Match, OneOf, Op, Predicate, Syntax, all_of, any_of
from kata_audit.schema.record import Component
from kata_audit.schema.source import OWN_RECEIVER, Origin

_DEBUG = 5
"""OpenTelemetry's number of DEBUG; lower ones are TRACE."""
CONDITIONS: Mapping[Need, Predicate] = MappingProxyType(
    {
        **{need: SERVICES[need] for need in Need if need in SERVICES},
        Need.RUNTIME_GO_DEBUG: all_of(SERVICES["runtime-go"], Compare("severity_number", Op.LE, _DEBUG)),
        Need.CONSOLE: any_of(
            all_of(
                OneOf("component", frozenset({str(Component.GUEST_KERNEL), str(Component.GUEST_SYSTEMD)})),
                Compare("origin", Op.EQ, str(Origin.GUEST)),
            ),
            Match("receiver", "*:console*", Syntax.WILDCARD),
        ),
        Need.PIPELINE: Match("receiver", f"{OWN_RECEIVER}:*", Syntax.WILDCARD),
    }
)
"""Which records show that a source is there."""


def missing(rule: Rule, present: Collection[Need]) -> list[str]:
    """Name what a rule lacks: of each group that it needs one of and that is not there, its members joined by ` or `.

    Args:
        rule: The rule.
        present: The sources that are there.

    Returns:
        An empty list where the rule can see; it is blind otherwise.
    """
    return [" or ".join(sorted(group)) for group in rule.needs if not group.intersection(present)]
