"""Alerts: a fold over findings and acts, in the order of their records.

Nothing else decides how an alert stands, so whoever folds the same records has the same alerts, however they were dealt out.
Time passes in the fold as records were said, and up to `now_ns` at the end: escalations and ends of silences, storms and
groups happen between records, in their order. `docs/explanation/alerts.md` tells it in prose.
"""

import heapq
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeAlias

from kata_audit.detect.alert_books import (
    ALERT_WAITS,
    GROUP_ENDS,
    GROUP_WAITS,
    SILENCE_ENDS,
    STORM_ENDS,
    Books,
    key_of,
)
from kata_audit.detect.alert_growth import begin, begin_again, fingerprint_of, grow, is_worse
from kata_audit.detect.alert_notices import alert_notice, group_notice, storm_notice
from kata_audit.detect.alert_policy import (
    DAY_NS,
    ESCALATIONS,
    HOUR_NS,
    INHIBITED_BY,
    MINUTE_NS,
    RANK,
    UPDATE_NS,
    AlertSettings,
)
from kata_audit.detect.alert_state import AlertState, Group, Silence
from kata_audit.schema.act import ANY, Act, ActKind, Verdict
from kata_audit.schema.alert import Alert, Muted
from kata_audit.schema.finding import Finding, Level, Maturity
from kata_audit.schema.notice import Notice, NoticeKind


class SaidFinding(NamedTuple):
    """A finding with the number of its record, and when that was said."""

    seq: int
    said_ns: int
    finding: Finding


class SaidAct(NamedTuple):
    """An act with the number of its record, and when that was said."""

    seq: int
    said_ns: int
    act: Act


Said: TypeAlias = SaidFinding | SaidAct
MOST_SILENCES: Final = 1000
"""Ended silences that are remembered."""


def raise_alerts(
    state: AlertState,
    findings: Sequence[SaidFinding],
    acts: Sequence[SaidAct],
    now_ns: int,
    settings: AlertSettings = AlertSettings(),  # noqa: B008 -- immutable
) -> tuple[AlertState, tuple[Notice, ...]]:
    """Fold findings and acts into alerts.

    Args:
        state: What the last call gave; `AlertState()` at the start.
        findings: In order of `seq`; what the state knows already counts once.
        acts: Likewise.
        now_ns: Up to when time has passed. No record that comes later may have been said earlier than this, or it counts as
            said at this time.
        settings: The same in every call.

    Returns:
        The state now, and what people are to be told, in order.
    """
    fold = _Fold(state, settings)
    records: list[Said] = [*findings, *acts]
    for said in sorted(records, key=lambda one: one.seq):
        fold.take(said)
    fold.pass_time(now_ns)
    return fold.state(), tuple(fold.notices)


def forget_closed(state: AlertState, settings: AlertSettings = AlertSettings()) -> AlertState:  # noqa: B008 -- immutable
    """Let go of closed alerts that no finding can open again: a later one would be another alert anyway."""
    oldest = state.now_ns - int(settings.reopen_hours * HOUR_NS)
    kept = {member for group in state.groups.values() for member in group.members}
    alerts = {
        name: alert
        for name, alert in state.alerts.items()
        if name in kept or alert.round.closed_ns is None or alert.round.closed_ns >= oldest
    }
    return state if len(alerts) == len(state.alerts) else replace(state, alerts=alerts)


class _Fold(Books):
    """The work of one call."""

    def take(self, said: Said) -> None:
        """Take one record in; one that is in already is passed over."""
        if said.seq <= self._last_seq:
            return
        self.pass_time(said.said_ns)
        self._last_seq = said.seq
        if self._began_ns is None:
            self._began_ns = self._now_ns
        if isinstance(said, SaidFinding):
            self._find(said)
        else:
            self._act(said.act)

    def pass_time(self, to_ns: int) -> None:
        """Let what time alone decides happen, in its order."""
        while self._timers and self._timers[0][0] <= to_ns:
            due, kind, name = heapq.heappop(self._timers)
            self._now_ns = max(self._now_ns, due)
            self._ring(due, kind, name)
        self._now_ns = max(self._now_ns, to_ns)

    # Findings

    def _find(self, said: SaidFinding) -> None:
        finding = said.finding
        known = self._newest.get(fingerprint_of(finding))
        alert = None if known is None else self._alerts[known]
        if alert is not None and finding.finding_id in alert.finding_ids:
            return
        reopen_ns = int(self._settings.reopen_hours * HOUR_NS)
        if alert is not None and (alert.round.closed_ns is None or self._now_ns - alert.round.closed_ns <= reopen_ns):
            grown = grow(alert, finding, said.seq, self._now_ns)
            if alert.is_closed:
                self._open_again(grown)
            else:
                self._goes_on(alert, grown)
        else:
            self._tell(NoticeKind.FIRED, begin(finding, said.seq, self._now_ns))

    def _open_again(self, alert: Alert) -> None:
        """Open an alert that was closed; it is of its old group no more."""
        group_id = alert.group_id
        self._put(begin_again(alert, self._now_ns))
        self._close_group(group_id)
        self._tell(NoticeKind.REOPENED, self._alerts[alert.alert_id])

    def _goes_on(self, before: Alert, alert: Alert) -> None:
        """Tell of an alert that was open, where people do not know of it as it is now."""
        if is_worse(alert, before):  # what somebody acknowledged was less than this
            unknown = replace(alert.round, acked_ns=None, acked_by="")
            alert = replace(alert, rounds=(*alert.rounds[:-1], unknown))
        elif alert.round.acked_ns is not None:
            self._put(alert)
            return
        if alert.round.told_ns is None or is_worse(alert, before):
            self._tell(NoticeKind.FIRED if len(alert.rounds) == 1 else NoticeKind.REOPENED, alert)
        elif alert.group_id or self._now_ns - (alert.told_ns or 0) < int(self._settings.repeat_hours * HOUR_NS):
            self._put(replace(alert, **_muted(self._mute(alert))))
        else:
            self._tell(NoticeKind.REPEATED, alert)

    # Telling

    def _tell(self, kind: NoticeKind, alert: Alert) -> None:
        """Tell people of an open alert, unless something speaks against it."""
        mute = self._mute(alert)
        was_capped = mute is None and alert.muted is Muted.CAPPED
        alert = self._put(alert if was_capped else replace(alert, **_muted(mute)))
        if mute is None and alert.level is not Level.INFORMATIONAL:
            if kind is NoticeKind.REPEATED or not (self._join_group(alert) or not self._has_room(alert)):
                self._say(kind, alert)
            self._inhibit(self._alerts[alert.alert_id])

    def _say(self, kind: NoticeKind, alert: Alert) -> None:
        if alert.muted is Muted.CAPPED:
            alert = replace(alert, muted=None, muted_by="")
        waits = alert.round.acked_ns is None and alert.muted is None
        escalate = self._settings.escalate_ns(alert.level) if waits else None
        if kind is NoticeKind.ESCALATED:
            is_last = alert.escalations + 1 >= ESCALATIONS
            alert = replace(alert, escalations=alert.escalations + 1)
            escalate = None if is_last else escalate
        elif kind is NoticeKind.REPEATED:
            escalate = None if alert.escalate_ns is None else alert.escalate_ns - self._now_ns
        alert = self._put(
            replace(
                alert,
                told_ns=self._now_ns,
                told=alert.told + 1,
                escalate_ns=None if escalate is None else self._now_ns + escalate,
                rounds=(*alert.rounds[:-1], replace(alert.round, told_ns=alert.round.told_ns or self._now_ns)),
            )
        )
        self._recent.setdefault(key_of(alert)[:3], []).append(alert.alert_id)
        self.notices.append(alert_notice(kind, alert, self._now_ns, self._settings.runbook_url))

    # What speaks against telling

    def _mute(self, alert: Alert) -> tuple[Muted, str] | None:
        """Say what keeps an alert from calling people, and which silence or alert that is."""
        for silence in sorted(self._silences.values(), key=lambda one: one.silence_id):
            if silence.ended_ns is None and is_silenced(alert, silence):
                return Muted.SILENCED, silence.silence_id
        shadow_ns = int(self._settings.shadow_days * DAY_NS)
        if alert.maturity is not Maturity.STABLE and self._now_ns - (self._began_ns or 0) < shadow_ns:
            return Muted.SHADOW, ""
        worse = self._inhibitor(alert)
        return None if worse is None else (Muted.INHIBITED, worse)

    def _inhibitor(self, alert: Alert) -> str | None:
        return next((one.alert_id for one in self._neighbours(alert) if self._inhibits(one, alert)), None)

    def _inhibits(self, worse: Alert, alert: Alert) -> bool:
        return (
            (worse.level in INHIBITED_BY[alert.level] or _is_seen_too(worse, alert))
            and worse.round.told_ns is not None
            and worse.muted is None
            and (alert.claim or not worse.claim)
            and self._now_ns - worse.said_ns <= int(self._settings.inhibit_minutes * MINUTE_NS)
        )

    def _inhibit(self, worse: Alert) -> None:
        """Let an alert that people know of keep the lower ones of its sandbox quiet."""
        for alert in self._neighbours(worse):
            if alert.muted is None and self._inhibits(worse, alert):
                self._put(replace(alert, muted=Muted.INHIBITED, muted_by=worse.alert_id, escalate_ns=None))

    def _unmute(self, alert: Alert, *, tells: bool) -> None:
        """Look again at an alert whose silence, or whose worse neighbour, is gone."""
        mute = self._mute(alert)
        if mute is not None:
            self._put(replace(alert, **_muted(mute)))
            return
        alert = self._put(replace(alert, muted=None, muted_by=""))
        is_new = alert.round.told_ns is None
        if alert.round.acked_ns is not None or not tells:
            return
        if is_new or alert.said_ns > (alert.told_ns or 0):
            kind = NoticeKind.REPEATED if not is_new else NoticeKind.FIRED if len(alert.rounds) == 1 else NoticeKind.REOPENED
            self._tell(kind, alert)
        if self._alerts[alert.alert_id].escalate_ns is None and not alert.group_id and not is_new:
            wait = self._settings.escalate_ns(alert.level)
            if wait is not None and alert.escalations < ESCALATIONS:
                self._put(replace(self._alerts[alert.alert_id], escalate_ns=self._now_ns + wait))

    # Groups

    def _join_group(self, alert: Alert) -> bool:
        """Tell of an alert with others of its rule, where there are enough of them; say whether that was done."""
        key = key_of(alert)
        for group in sorted(self._groups.values(), key=lambda one: one.group_id):
            if group.is_growing and (group.tenant, group.cluster, group.rule_id, group.claim) == key:
                self._grow_group(group, [alert])
                return True
        together = [*self._told_lately(key, alert), alert]
        nodes = {one.node for one in together}
        if len(nodes) < self._settings.group_nodes and len(together) < self._settings.group_alerts:
            return False
        if not self._has_room(alert):
            return True
        group = Group(
            group_id=f"group-{alert.alert_id}-{self._now_ns}",
            rule_id=alert.rule_id,
            title=alert.title,
            level=alert.level,
            claim=alert.claim,
            tenant=alert.tenant,
            cluster=alert.cluster,
            opened_ns=self._now_ns,
            last_ns=self._now_ns,
            members=(),
            nodes=(),
            first_ns=min(one.round.opened_ns for one in together),
        )
        self._grow_group(group, together)
        return True

    def _grow_group(self, group: Group, alerts: Sequence[Alert]) -> None:
        """Put alerts into a group; people are told at once of a new group, and now and then of one that grows."""
        for alert in alerts:
            first_told = alert.round.told_ns or self._now_ns
            rounds = (*alert.rounds[:-1], replace(alert.round, told_ns=first_told))
            told = alert.told_ns or self._now_ns
            part = replace(alert, muted=None, muted_by="", escalate_ns=None)
            self._put(replace(part, group_id=group.group_id, told_ns=told, rounds=rounds))
        group = replace(
            group,
            members=tuple(dict.fromkeys([*group.members, *(one.alert_id for one in alerts)])),
            nodes=tuple(sorted({*group.nodes, *(one.node for one in alerts)})),
            last_ns=self._now_ns,
        )
        if group.told_ns is None:
            self._say_group(NoticeKind.FIRED, group)
        elif self._now_ns - group.told_ns >= UPDATE_NS:
            self._say_group(NoticeKind.REPEATED, group)
        else:
            self._put_group(group)

    def _say_group(self, kind: NoticeKind, group: Group) -> None:
        wait = self._settings.escalate_ns(group.level)
        if kind is NoticeKind.FIRED and wait is not None and not group.acked:
            group = replace(group, escalate_ns=self._now_ns + wait)
        elif kind is NoticeKind.ESCALATED:
            is_last = wait is None or group.escalations + 1 >= ESCALATIONS
            due = None if is_last or wait is None else self._now_ns + wait
            group = replace(group, escalations=group.escalations + 1, escalate_ns=due)
        group = replace(group, told_ns=self._now_ns, told_members=len(group.members))
        evidence = tuple(name for member in group.members for name in self._alerts[member].evidence[:1])
        self.notices.append(group_notice(kind, group, evidence, self._now_ns, self._settings.runbook_url))
        self._put_group(group)

    # Time

    def _ring(self, due: int, kind: int, name: str) -> None:
        """Do what is due; what was put off or taken back meanwhile is not."""
        if kind == SILENCE_ENDS:
            silence = self._silences[name]
            if silence.ended_ns is None and silence.until_ns == due:
                self._end_silence(silence, "")
        elif kind == STORM_ENDS:
            storm = self._storms.get(name)
            if storm is not None and storm.since_ns + HOUR_NS == due:
                del self._storms[name]
                if storm.capped:
                    self.notices.append(storm_notice(storm, self._now_ns, is_over=True))
        elif kind == ALERT_WAITS:
            alert = self._alerts[name]
            if alert.escalate_ns == due:
                self._say(NoticeKind.ESCALATED, alert)
        else:
            self._ring_group(due, kind, name)

    def _ring_group(self, due: int, kind: int, name: str) -> None:
        group = self._groups.get(name)
        if group is None:
            return
        if kind == GROUP_WAITS and group.escalate_ns == due:
            self._say_group(NoticeKind.ESCALATED, group)
        elif kind == GROUP_ENDS and group.is_growing and self._group_end(group) == due:
            group = self._put_group(replace(group, is_growing=False))
            if len(group.members) > group.told_members:
                self._say_group(NoticeKind.REPEATED, group)

    # Acts

    def _act(self, act: Act) -> None:
        """Do an act; one that names nothing that there is, or nothing that it can be done to, is counted."""
        if act.kind is ActKind.SILENCE:
            self._silence(act)
        elif act.kind is ActKind.UNSILENCE:
            silence = self._silences.get(act.target)
            if silence is None or silence.ended_ns is not None:
                self._ignored += 1
            else:
                self._end_silence(silence, act.who)
        else:
            group = self._groups.get(act.target)
            names = group.members if group is not None else (act.target,)
            done = [self._act_on(act, self._alerts[name]) for name in names if name in self._alerts]
            if not any(done):
                self._ignored += 1

    def _act_on(self, act: Act, alert: Alert) -> bool:
        if act.kind is ActKind.CLOSE:
            self._close(act, alert)
            return True
        if act.kind is ActKind.REOPEN:
            if alert.is_closed:
                self._open_again(alert)
                return True
        elif not alert.is_closed and act.kind is ActKind.ESCALATE:
            self._say(NoticeKind.ESCALATED, alert)
            return True
        elif not alert.is_closed and alert.round.acked_ns is None:
            acked = replace(alert.round, acked_ns=self._now_ns, acked_by=act.who)
            self._put(replace(alert, rounds=(*alert.rounds[:-1], acked), escalate_ns=None))
            self._quiet_group(alert.group_id)
            return True
        return False

    def _quiet_group(self, group_id: str) -> None:
        """Somebody looks at one of a group: it is escalated no more."""
        group = self._groups.get(group_id)
        if group is not None:
            self._put_group(replace(group, acked=True, escalate_ns=None))

    def _close(self, act: Act, alert: Alert) -> None:
        was_closed = alert.is_closed
        closed = replace(alert.round, verdict=act.verdict, reason=act.reason, closed_by=act.who)
        if not was_closed:
            closed = replace(closed, closed_ns=self._now_ns)
        rounds = (*alert.rounds[:-1], closed)
        alert = self._put(replace(alert, rounds=rounds, escalate_ns=None, muted=None, muted_by="", escalations=0))
        if was_closed:
            return
        if alert.round.told_ns is not None and (alert.told or not alert.group_id):  # told alone before it was of a group
            self.notices.append(alert_notice(NoticeKind.RESOLVED, alert, self._now_ns, self._settings.runbook_url))
        self._close_group(alert.group_id)
        for other in self._neighbours(alert):
            if other.muted is Muted.INHIBITED and other.muted_by == alert.alert_id:
                self._unmute(other, tells=act.verdict is not Verdict.TRUE_POSITIVE)

    def _close_group(self, group_id: str) -> None:
        """End a group with its last open alert."""
        group = self._groups.get(group_id)
        if group is not None and not any(self._is_open_in(name, group_id) for name in group.members):
            self._say_group(NoticeKind.RESOLVED, replace(group, escalate_ns=None, is_growing=False))
            del self._groups[group_id]

    def _is_open_in(self, name: str, group_id: str) -> bool:
        alert = self._alerts[name]
        return not alert.is_closed and alert.group_id == group_id

    def _silence(self, act: Act) -> None:
        assert act.until_ns is not None
        silence = Silence(act.act_id, act.who, act.reason, self._now_ns, act.until_ns, dict(act.matches or {}))
        if silence.until_ns <= self._now_ns or silence.silence_id in self._silences:
            self._ignored += 1
            return
        self._silences[silence.silence_id] = silence
        self._at(silence.until_ns, SILENCE_ENDS, silence.silence_id)
        for alert in sorted(self._alerts.values(), key=lambda one: one.alert_id):
            if not alert.is_closed and is_silenced(alert, silence):
                self._put(replace(alert, **_muted((Muted.SILENCED, silence.silence_id))))

    def _end_silence(self, silence: Silence, by: str) -> None:
        """End a silence: what it kept quiet is told now."""
        self._silences[silence.silence_id] = replace(silence, ended_ns=self._now_ns, ended_by=by)
        ended = sorted((one.ended_ns, one.silence_id) for one in self._silences.values() if one.ended_ns is not None)
        for _, name in ended[:-MOST_SILENCES]:
            del self._silences[name]
        for alert in sorted(self._alerts.values(), key=lambda one: one.alert_id):
            if not alert.is_closed and alert.muted_by == silence.silence_id:
                self._unmute(alert, tells=True)


def _is_seen_too(seen: Alert, claim: Alert) -> bool:
    """Say whether a host saw what a guest claims: the same rule in the same sandbox, and no less bad."""
    return claim.claim and not seen.claim and seen.rule_id == claim.rule_id and RANK[seen.level] >= RANK[claim.level]


def is_silenced(alert: Alert, silence: Silence) -> bool:
    """Say whether a silence asks for an alert. A critical one is asked for by its rule or its own id, not by its place."""
    if alert.level is Level.CRITICAL and not silence.matches.keys() & {"rule_id", "alert_id"}:
        return False
    stated = {
        **alert.subject,
        "alert_id": alert.alert_id,
        "rule_id": alert.rule_id,
        "level": str(alert.level),
        "tenant": alert.tenant,
        "cluster": alert.cluster,
        "node": alert.node,
    }
    return all(_fits(stated.get(field, ""), asked) for field, asked in silence.matches.items())


def _fits(value: str, asked: str) -> bool:
    return value.startswith(asked.removesuffix(ANY)) if asked.endswith(ANY) else value == asked


def _muted(mute: tuple[Muted, str] | None) -> dict[str, Any]:
    """Spell what keeps an alert quiet as parts of it; a quiet one is not escalated."""
    return {"muted": None, "muted_by": ""} if mute is None else {"muted": mute[0], "muted_by": mute[1], "escalate_ns": None}
