"""Streams of findings and acts for tests of the fold: told in short, dealt out in any way."""

import dataclasses
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from kata_audit.detect.alert_policy import AlertSettings
from kata_audit.detect.alert_state import AlertState, read_alert_state
from kata_audit.detect.alerts import Said, SaidAct, SaidFinding, raise_alerts
from kata_audit.schema.act import Act, ActKind
from kata_audit.schema.alert import Alert
from kata_audit.schema.finding import Finding
from kata_audit.schema.notice import Notice
from tests.findings import ACT, FINDING, START_NS

MINUTE = 60 * 1_000_000_000
SETTINGS = AlertSettings()


class Stream:
    """A fold that is told of one thing after the other, at times in minutes since its start.

    Args:
        settings: Of the fold.
    """

    def __init__(self, settings: AlertSettings = SETTINGS) -> None:
        self.settings = settings
        self.state = AlertState()
        self.said: list[Said] = []
        self.notices: list[Notice] = []

    def find(self, at: float = 0, **change: Any) -> Alert:
        """Say a finding; `sandbox` and `node` are short for where it is. Gives the alert that it is of."""
        number = len(self.said)
        sandbox, node = change.pop("sandbox", "5a"), change.pop("node", "worker-1")
        subject = change.pop("subject", {"sandbox_id": sandbox, "k8s_pod": f"pod-{sandbox}"})
        finding = dataclasses.replace(
            FINDING,
            **{"node": f"lab/{node}", "subject": subject, "records": (f"log/{number}",), "count": 1, **change},
        )
        self._fold(SaidFinding(number, _at(at), finding))
        return next(one for one in self.state.alerts.values() if number in one.findings)

    def act(self, kind: ActKind, at: float, target: str = "", **change: Any) -> Act:
        """Say an act."""
        number = len(self.said)
        act = dataclasses.replace(ACT, act_id=f"{number:032x}", kind=kind, time_ns=_at(at), target=target, **change)
        self._fold(SaidAct(number, _at(at), act))
        return act

    def silence(self, at: float, until: float, **matches: str) -> Act:
        """Silence what matches until a minute."""
        return self.act(ActKind.SILENCE, at, matches=matches, until_ns=_at(until))

    def wait(self, until: float) -> None:
        """Let time pass."""
        self._fold(None, _at(until))

    def alert(self, alert: Alert) -> Alert:
        """Give an alert as it is now."""
        return self.state.alerts[alert.alert_id]

    def told(self) -> list[tuple[str, str]]:
        """Give the kinds and alerts of the notices since the last call."""
        notices, self.notices = self.notices, []
        return [(str(one.kind), one.alert_id) for one in notices]

    def kinds(self) -> list[str]:
        """Give the kinds of the notices since the last call."""
        return [kind for kind, _ in self.told()]

    def _fold(self, said: Said | None, now_ns: int = 0) -> None:
        findings = [said] if isinstance(said, SaidFinding) else []
        acts = [said] if isinstance(said, SaidAct) else []
        self.said += [said] if said else []
        now = now_ns if said is None else said.said_ns
        self.state, notices = raise_alerts(self.state, findings, acts, now, self.settings)
        self.notices += notices


def _at(minutes: float) -> int:
    return START_NS + int(minutes * MINUTE)


def deal(
    said: Sequence[Said], cuts: Iterable[int], end_ns: int, settings: AlertSettings
) -> tuple[AlertState, tuple[Notice, ...]]:
    """Fold a stream in parts that end at some of its places, each with a state that was written down and read again."""
    state, told = AlertState(), tuple[Notice, ...]()
    bounds = sorted({0, len(said), *cuts})
    for first, last in pairwise(bounds):
        part = said[first:last]
        read = read_alert_state(state.to_bytes())
        assert read == state
        now = end_ns if last == len(said) else part[-1].said_ns
        findings = [one for one in part if isinstance(one, SaidFinding)]
        acts = [one for one in part if isinstance(one, SaidAct)]
        state, notices = raise_alerts(read, findings, acts, now, settings)
        told += notices
    return state, told


def finding_of(said: Said) -> Finding | None:
    """Give what was found; None of an act."""
    return said.finding if isinstance(said, SaidFinding) else None
