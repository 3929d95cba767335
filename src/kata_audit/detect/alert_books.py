"""The books of the fold: its state opened up for the length of one call, with what is looked up often.

All of it but the state is worked out from the state again at each call, so that no cut of the stream shows in it.
"""

import heapq
from dataclasses import replace
from typing import Final, TypeAlias

from kata_audit.detect.alert_notices import storm_notice
from kata_audit.detect.alert_policy import HOUR_NS, MINUTE_NS, AlertSettings, lane_of
from kata_audit.detect.alert_state import AlertState, Group, Storm
from kata_audit.schema.alert import Alert, Muted
from kata_audit.schema.notice import Notice

Key: TypeAlias = tuple[str, str, str, bool]
"""Tenant, cluster, rule, and whether they are claims: who may be told of as one."""
SILENCE_ENDS: Final = 0
STORM_ENDS: Final = 1
GROUP_ENDS: Final = 2
ALERT_WAITS: Final = 3
GROUP_WAITS: Final = 4
"""What time decides, in the order in which it happens at one moment."""


def key_of(alert: Alert) -> Key:
    """Say with which others an alert may be told of as one."""
    return alert.tenant, alert.cluster, alert.rule_id, alert.claim


class Books:
    """The state of the fold, opened up.

    Args:
        state: What the last call gave.
        settings: Of alerts.

    Attributes:
        notices: What people are to be told, in order.
    """

    def __init__(self, state: AlertState, settings: AlertSettings) -> None:
        self.notices: list[Notice] = []
        self._settings = settings
        self._began_ns, self._now_ns = state.began_ns, state.now_ns
        self._last_seq, self._ignored = state.last_seq, state.ignored
        self._alerts = dict(state.alerts)
        self._silences = dict(state.silences)
        self._groups = dict(state.groups)
        self._storms = dict(state.storms)
        self._newest: dict[str, str] = {}
        self._of_sandbox: dict[tuple[str, str], set[str]] = {}
        self._recent: dict[tuple[str, str, str], list[str]] = {}
        self._timers: list[tuple[int, int, str]] = []
        for alert in sorted(state.alerts.values(), key=lambda one: (one.rounds[0].opened_ns, one.alert_id)):
            self._know(alert)
            if not alert.is_closed and alert.round.told_ns is not None:
                self._recent.setdefault(key_of(alert)[:3], []).append(alert.alert_id)
        for silence in state.silences.values():
            self._at(silence.until_ns if silence.ended_ns is None else None, SILENCE_ENDS, silence.silence_id)
        for storm in state.storms.values():
            self._at(storm.since_ns + HOUR_NS, STORM_ENDS, storm.key)
        for group in state.groups.values():
            self._watch(group)

    def state(self) -> AlertState:
        """Give what is known now."""
        return AlertState(
            began_ns=self._began_ns,
            now_ns=self._now_ns,
            last_seq=self._last_seq,
            ignored=self._ignored,
            alerts=self._alerts,
            silences=self._silences,
            groups=self._groups,
            storms=self._storms,
        )

    # What is looked up often

    def _know(self, alert: Alert) -> None:
        self._newest[alert.fingerprint] = alert.alert_id
        sandbox = alert.subject.get("sandbox_id")
        if sandbox:
            self._of_sandbox.setdefault((alert.tenant, sandbox), set()).add(alert.alert_id)
        self._at(alert.escalate_ns, ALERT_WAITS, alert.alert_id)

    def _put(self, alert: Alert) -> Alert:
        before = self._alerts.get(alert.alert_id)
        self._alerts[alert.alert_id] = alert
        if before is None or before.subject.get("sandbox_id") != alert.subject.get("sandbox_id"):
            self._know(alert)
        elif before.escalate_ns != alert.escalate_ns:
            self._at(alert.escalate_ns, ALERT_WAITS, alert.alert_id)
        return alert

    def _put_group(self, group: Group) -> Group:
        self._groups[group.group_id] = group
        self._watch(group)
        return group

    def _watch(self, group: Group) -> None:
        if group.is_growing:
            self._at(self._group_end(group), GROUP_ENDS, group.group_id)
        self._at(group.escalate_ns, GROUP_WAITS, group.group_id)

    def _at(self, due_ns: int | None, kind: int, name: str) -> None:
        if due_ns is not None:
            heapq.heappush(self._timers, (due_ns, kind, name))

    def _group_end(self, group: Group) -> int:
        return group.last_ns + int(self._settings.group_minutes * MINUTE_NS)

    def _neighbours(self, alert: Alert) -> list[Alert]:
        """Give the open alerts of an alert's sandbox, without itself."""
        names = self._of_sandbox.get((alert.tenant, alert.subject.get("sandbox_id", "")), set())
        found = (self._alerts[name] for name in sorted(names) if name != alert.alert_id)
        return [one for one in found if not one.is_closed]

    def _told_lately(self, key: Key, alert: Alert) -> list[Alert]:
        """Give the open alerts that people were told of one by one within the last minutes, and that are of one kind."""
        since = self._now_ns - int(self._settings.group_minutes * MINUTE_NS)
        found = {name: self._alerts[name] for name in self._recent.get(key[:3], [])}
        found = {name: one for name, one in found.items() if not one.is_closed and (one.round.told_ns or 0) >= since}
        self._recent[key[:3]] = list(found)
        others = [
            one for one in found.values() if not one.group_id and key_of(one) == key and one.alert_id != alert.alert_id
        ]
        return sorted(others, key=lambda one: (one.round.told_ns or 0, one.alert_id))

    # Storms

    def _has_room(self, alert: Alert) -> bool:
        """Take room of the hour for one more alert of a rule and a lane; where there is none it is counted, once."""
        lane = lane_of(alert.level, claim=alert.claim)
        whose = (f"rule:{alert.rule_id}:{'claims' if alert.claim else 'seen'}", alert.rule_id), (f"lane:{lane}", "")
        storms = [self._storm(key, rule_id, alert) for key, rule_id in whose]
        for storm, limit in zip(storms, (self._settings.storm_rule, self._settings.storm_all), strict=True):
            if storm.told >= limit:
                if alert.muted_by != storm.storm_id:
                    self._storms[storm.key] = counted = replace(storm, capped=storm.capped + 1)
                    if counted.capped == 1:
                        self.notices.append(storm_notice(counted, self._now_ns, is_over=False))
                self._put(replace(alert, muted=Muted.CAPPED, muted_by=storm.storm_id))
                return False
        for storm in storms:
            self._storms[storm.key] = replace(storm, told=storm.told + 1)
        return True

    def _storm(self, key: str, rule_id: str, alert: Alert) -> Storm:
        if key not in self._storms:
            self._storms[key] = Storm(key, rule_id, alert.level, alert.claim, self._now_ns)
            self._at(self._now_ns + HOUR_NS, STORM_ENDS, key)
        return self._storms[key]
