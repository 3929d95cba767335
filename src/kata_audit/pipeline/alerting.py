"""Alerting: records of ours, in order, through the fold of `detect/alerts.py`, and what it knows as a text to keep."""

from collections.abc import Sequence

from kata_audit.detect.alert_policy import AlertSettings
from kata_audit.detect.alert_records import read_said
from kata_audit.detect.alert_state import AlertState, read_alert_state
from kata_audit.detect.alerts import forget_closed, raise_alerts
from kata_audit.schema.notice import Notice
from kata_audit.schema.record import RecordRows


class Alerting:
    """Folds one store's findings and acts.

    Args:
        settings: Of alerts.
        forgets: Whether closed alerts that nothing can open again are let go, for who keeps the state for long.

    Attributes:
        alerts: What the fold knows.
        unread: Records of ours that said nothing which could be read.
    """

    def __init__(self, settings: AlertSettings, *, forgets: bool = False) -> None:
        self._settings, self._forgets = settings, forgets
        self.alerts = AlertState()
        self.unread = 0

    def resume(self, state: str) -> None:
        """Go on from a state; an empty one is the beginning, and so is one that cannot be read."""
        self.alerts = read_alert_state(state.encode()) or AlertState()

    def fold(self, rows: RecordRows | None, now_ns: int) -> Sequence[Notice]:
        """Take in records, in order, each at the time it was said, and then the time; give what is to be told."""
        said = None if rows is None else read_said(rows)
        self.unread += 0 if said is None else said.unread
        findings, acts = ([], []) if said is None else (said.findings, said.acts)
        self.alerts, notices = raise_alerts(self.alerts, findings, acts, now_ns, self._settings)
        if self._forgets:
            self.alerts = forget_closed(self.alerts, self._settings)
        return notices

    def state(self) -> str:
        """Give the state to go on from."""
        return self.alerts.to_bytes().decode("ascii")

    def is_muted(self, alert_id: str) -> bool:
        """Say whether an alert calls nobody just now: it is silenced, say. What is no alert of the fold is not."""
        alert = self.alerts.alerts.get(alert_id)
        return alert is not None and alert.muted is not None
