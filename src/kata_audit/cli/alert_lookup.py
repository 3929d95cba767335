"""What commands of `alerts` share: the alerts of a store, and which one a person means."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from kata_audit.cli.options import configured
from kata_audit.cli.terminal import say
from kata_audit.errors import Problem, UsageError

if TYPE_CHECKING:
    from kata_audit.detect.alert_state import AlertState
    from kata_audit.schema.alert import Alert

_SHORTEST = 4
"""Characters of an id that a person must type."""


def folded(store: Path) -> "AlertState":
    """Give the alerts of a store as they are now."""
    from kata_audit.wiring import fold_alerts

    alerting = fold_alerts(store, configured().alerts)
    if alerting.unread:
        say(f"{alerting.unread:,} findings or acts cannot be read: another version wrote them")
    return alerting.alerts


def find_ids(names: Iterable[str], known: Iterable[str], what: str) -> list[str]:
    """Find what ids mean, each in full or by its first characters.

    Raises:
        UsageError: All that mean nothing, or several things.
    """
    listed, found, problems = sorted(known), [], []
    for name in names:
        fits = [name] if name in listed else [one for one in listed if len(name) >= _SHORTEST and one.startswith(name)]
        if len(fits) == 1:
            found += fits
        else:
            named = f"several have this id: {', '.join(fits[:5])}" if fits else f"there is no {what} of this id"
            problems.append(Problem(repr(name), named))
    if problems:
        hint = f"`kata-audit alerts {'silences' if what == 'silence' else 'list --all'}` shows them."
        raise UsageError(f"It is not clear which {what} is meant.", problems=problems, hint=hint)
    return found


def find_alert(state: "AlertState", name: str) -> "Alert":
    """Find the alert that a person means."""
    [alert_id] = find_ids([name], state.alerts, "alert")
    return state.alerts[alert_id]
