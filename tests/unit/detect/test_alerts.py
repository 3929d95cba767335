"""Alerts that people can live with: each thing that makes or keeps one quiet, one at a time."""

import dataclasses

import pytest
from tests.alert_streams import MINUTE, Stream
from tests.findings import START_NS
from tests.mutations import json_mutations

from kata_audit.detect.alert_policy import INHIBITED_BY, AlertSettings
from kata_audit.detect.alert_state import AlertState, read_alert_state
from kata_audit.detect.alerts import SaidFinding, raise_alerts
from kata_audit.schema.act import ActKind, Verdict
from kata_audit.schema.alert import ALERT_FIELDS, Muted, Status, alert_fields
from kata_audit.schema.finding import Level, Maturity

CLOSE = {"verdict": Verdict.BENIGN}
DAY = 24 * 60


def test_findings_of_one_thing_are_one_alert() -> None:
    """Rule and group values tell alerts apart; repeats are counted and not told."""
    stream = Stream()
    first = stream.find(0, first_ns=5, time_ns=7)
    stream.find(1, time_ns=3, first_ns=3)
    other = stream.find(2, sandbox="6b")
    third = stream.find(3, rule_id="KA-009")

    alert = stream.alert(first)
    assert len({first.alert_id, other.alert_id, third.alert_id}) == 3
    assert (alert.count, alert.first_ns, alert.last_ns) == (2, 3, 7)
    assert (alert.said_ns, alert.evidence, alert.findings) == (START_NS + MINUTE, ("log/0", "log/1"), (0, 1))
    assert stream.told() == [("fired", one.alert_id) for one in (first, other, third)]


def test_only_the_columns_of_the_rule_tell_alerts_apart() -> None:
    """A pod that becomes known later, or another node, is no other alert; another cluster or tenant is."""
    stream = Stream()
    alert = stream.find(0, subject={"sandbox_id": "5a"})
    again = stream.find(1, subject={"sandbox_id": "5a", "k8s_pod": "web-1"}, node="worker-2")

    assert again.alert_id == alert.alert_id
    assert (again.subject["k8s_pod"], again.labels) == ("web-1", alert.labels)
    assert stream.find(2, node="../other/worker-1", subject={"sandbox_id": "5a"}).alert_id != alert.alert_id
    assert stream.find(3, tenant="other", subject={"sandbox_id": "5a"}).alert_id != alert.alert_id
    assert stream.find(4, subject={}, group_by=()).alert_id != stream.find(5, subject={}, group_by=(), node="b").alert_id


def test_a_count_goes_on_from_the_last() -> None:
    """A rule tells the first ten, then the 16th: the alert counts what happened, not what was told."""
    stream = Stream()
    for number in (1, 2, 3, 16):
        alert = stream.find(number, count=number)
    assert alert.count == 16
    assert stream.find(100, count=1).count == 17
    assert stream.find(101, count=1, node="worker-2").count == 18


def test_a_finding_that_is_known_is_not_counted() -> None:
    """Not when its record is read twice, and not when a crash made two records of it."""
    stream = Stream()
    alert = stream.find(0)
    [said] = stream.said
    assert isinstance(said, SaidFinding)
    assert raise_alerts(stream.state, [said], [], START_NS) == (stream.state, ())
    state, _ = raise_alerts(stream.state, [said._replace(seq=1)], [], START_NS)
    assert (state.last_seq, state.alerts) == (1, {alert.alert_id: alert})


def test_an_alert_opens_again() -> None:
    """Within a day it is the same one; later it is another, whose id is its own."""
    stream = Stream()
    alert = stream.find(0)
    stream.act(ActKind.CLOSE, 1, alert.alert_id, **CLOSE)
    assert stream.alert(alert).status is Status.CLOSED
    again = stream.find(60)

    assert (again.alert_id, again.status, again.count) == (alert.alert_id, "open", 2)
    assert [one.verdict for one in again.rounds] == [Verdict.BENIGN, None]
    assert stream.kinds() == ["fired", "resolved", "reopened"]
    stream.act(ActKind.CLOSE, 61, alert.alert_id, **CLOSE)
    other = stream.find(61 + DAY + 1)
    assert (other.alert_id != alert.alert_id, other.fingerprint, other.count) == (True, alert.fingerprint, 1)
    assert stream.find(62 + DAY + 1).alert_id == other.alert_id
    assert stream.kinds() == ["resolved", "fired"]


def test_a_person_opens_an_alert_again_and_corrects_a_verdict() -> None:
    stream = Stream()
    alert = stream.find(0)
    stream.act(ActKind.CLOSE, 1, alert.alert_id, **CLOSE)
    stream.act(ActKind.CLOSE, 2, alert.alert_id, verdict=Verdict.TRUE_POSITIVE, on_behalf="alice")
    assert [(one.verdict, one.closed_by, one.closed_ns) for one in stream.alert(alert).rounds] == [
        ("true-positive", "alice", START_NS + MINUTE)
    ]
    stream.act(ActKind.REOPEN, 3, alert.alert_id)
    assert stream.alert(alert).status is Status.OPEN
    assert stream.kinds() == ["fired", "resolved", "reopened"]


def test_an_act_on_nothing_is_counted() -> None:
    stream = Stream()
    alert = stream.find(0)
    stream.act(ActKind.ACK, 1, "no such alert")
    stream.act(ActKind.UNSILENCE, 2, "no such silence")
    stream.act(ActKind.REOPEN, 3, alert.alert_id)
    stream.act(ActKind.CLOSE, 4, alert.alert_id, **CLOSE)
    stream.act(ActKind.ACK, 5, alert.alert_id)
    stream.act(ActKind.ESCALATE, 6, alert.alert_id)
    assert stream.state.ignored == 5
    assert stream.kinds() == ["fired", "resolved"]


@pytest.mark.parametrize(
    ("level", "first", "second"),
    [(Level.CRITICAL, 15, 30), (Level.HIGH, 60, 120), (Level.MEDIUM, DAY, 2 * DAY), (Level.LOW, 5 * DAY, 10 * DAY)],
)
def test_what_nobody_acknowledges_is_escalated(level: Level, first: int, second: int) -> None:
    """By its level: once more after as long again, and three times in all."""
    stream = Stream()
    alert = stream.find(0, level=level)
    stream.wait(first - 0.1)
    assert stream.kinds() == ["fired"]
    stream.wait(first)
    assert [(one.kind, one.time_ns) for one in stream.notices] == [("escalated", START_NS + first * MINUTE)]
    stream.wait(second)
    stream.wait(100 * DAY)
    assert stream.told() == [("escalated", alert.alert_id)] * 3


def test_what_somebody_looks_at_is_not_escalated() -> None:
    """Nor told again, unless it becomes worse than what was acknowledged."""
    stream = Stream()
    alert = stream.find(0, claim=True)
    stream.act(ActKind.ACK, 10, alert.alert_id, on_behalf="alice")
    stream.find(20, claim=True)
    stream.wait(DAY)
    assert stream.alert(alert).status is Status.ACKNOWLEDGED
    assert (stream.alert(alert).round.acked_by, stream.alert(alert).round.acked_ns) == ("alice", START_NS + 10 * MINUTE)
    assert stream.kinds() == ["fired"]
    assert stream.find(DAY + 1, claim=False).claim is False
    assert (stream.alert(alert).status, stream.kinds()) == ("open", ["fired"])
    assert stream.find(DAY + 2, claim=True).claim is False
    assert stream.find(DAY + 3, level=Level.CRITICAL).level is Level.CRITICAL
    assert stream.find(DAY + 4, level=Level.LOW).level is Level.CRITICAL
    assert stream.kinds() == ["fired"]


def test_a_person_calls_the_next_people() -> None:
    stream = Stream()
    alert = stream.find(0, level=Level.LOW)
    stream.act(ActKind.ACK, 1, alert.alert_id)
    stream.act(ActKind.ESCALATE, 2, alert.alert_id)
    stream.wait(100 * DAY)
    assert stream.kinds() == ["fired", "escalated"]


def test_an_alert_that_goes_on_is_told_again() -> None:
    stream = Stream()
    for hour in range(9):
        stream.find(60 * hour, level=Level.LOW)
    assert stream.kinds() == ["fired", "repeated", "repeated"]


def test_nobody_is_told_of_what_only_informs() -> None:
    stream = Stream()
    alert = stream.find(0, level=Level.INFORMATIONAL)
    stream.wait(100 * DAY)
    stream.act(ActKind.CLOSE, 101 * DAY, alert.alert_id, **CLOSE)
    assert stream.kinds() == []


def test_in_the_first_week_only_stable_rules_call_people() -> None:
    stream = Stream()
    stable = stream.find(0, sandbox="0")
    shadow = stream.find(1, maturity=Maturity.EXPERIMENTAL)
    assert (shadow.status, shadow.muted) == ("shadow", Muted.SHADOW)
    stream.find(7 * DAY - 1, maturity=Maturity.EXPERIMENTAL)
    stream.act(ActKind.ACK, 7 * DAY - 1, stable.alert_id)
    stream.told()
    assert stream.find(7 * DAY, maturity=Maturity.EXPERIMENTAL).status is Status.OPEN
    assert stream.told() == [("fired", shadow.alert_id)]
    assert stream.find(8 * DAY, maturity=Maturity.TEST, sandbox="1").status is Status.OPEN
    never = Stream(AlertSettings(shadow_days=0))
    assert never.find(0, maturity=Maturity.EXPERIMENTAL).status is Status.OPEN


# Inhibition


@pytest.mark.parametrize("level", list(Level))
def test_a_worse_alert_keeps_lower_ones_of_its_sandbox_quiet(level: Level) -> None:
    """As the table says; another sandbox is told of."""
    for worse in Level:
        stream = Stream()
        above = stream.find(0, rule_id="KA-001", level=worse)
        stream.told()
        alert = stream.find(1, level=level)
        expected = Status.INHIBITED if worse in INHIBITED_BY[level] else Status.OPEN
        assert (alert.status, alert.muted_by) == (expected, above.alert_id if expected is Status.INHIBITED else "")
        assert (stream.kinds() == ["fired"]) is (expected is Status.OPEN and level is not Level.INFORMATIONAL)
        assert stream.find(2, sandbox="6b", level=level).status is Status.OPEN


def test_inhibition_ends_with_its_cause() -> None:
    """An hour after its last finding, or when it is closed; what was the incident's own is not told then."""
    for verdict, kinds in ((Verdict.FALSE_POSITIVE, ["resolved", "fired"]), (Verdict.TRUE_POSITIVE, ["resolved"])):
        stream = Stream()
        above = stream.find(0, rule_id="KA-001", level=Level.CRITICAL)
        below = stream.find(1)
        stream.told()
        stream.act(ActKind.CLOSE, 2, above.alert_id, verdict=verdict)
        assert stream.alert(below).status is Status.OPEN
        assert stream.kinds() == kinds
    stream = Stream()
    stream.find(0, rule_id="KA-001", level=Level.CRITICAL)
    below = stream.find(1)
    stream.told()
    assert stream.find(60).status is Status.INHIBITED
    assert stream.find(61).status is Status.OPEN
    assert ("fired", below.alert_id) in stream.told()


def test_a_lower_alert_that_was_told_is_no_longer_escalated() -> None:
    stream = Stream()
    below = stream.find(0)
    above = stream.find(1, rule_id="KA-001", level=Level.CRITICAL)
    assert stream.alert(below).status is Status.INHIBITED
    stream.act(ActKind.ACK, 2, above.alert_id)
    stream.told()
    stream.wait(DAY)
    assert stream.told() == []
    stream.act(ActKind.CLOSE, DAY + 1, above.alert_id, **CLOSE)
    stream.wait(DAY + 61)
    assert stream.told() == [("resolved", above.alert_id), ("escalated", below.alert_id)]


def test_a_claim_hides_nothing_that_a_host_saw() -> None:
    """L7: what a guest writes about itself keeps claims quiet, and nothing else."""
    stream = Stream()
    stream.find(0, rule_id="KA-001", level=Level.CRITICAL, claim=True)
    assert stream.find(1, claim=True).status is Status.INHIBITED
    assert stream.find(2, rule_id="KA-002").status is Status.OPEN


def test_people_are_not_called_twice_for_what_two_layers_tell() -> None:
    """A claim is quiet where a host saw the same in the same sandbox, whichever comes first; never the other way round."""
    for claim_first in (True, False):
        stream = Stream()
        alerts = {
            claim: stream.find(
                at, claim=claim, group_by=("container_id",), subject={"sandbox_id": "5a", "container_id": str(claim)}
            )
            for at, claim in enumerate((claim_first, not claim_first))
        }
        assert stream.alert(alerts[True]).status is Status.INHIBITED
        assert stream.alert(alerts[False]).status is Status.OPEN
        assert stream.kinds() == ["fired"] * (2 if claim_first else 1)
    assert (
        stream.find(
            3, claim=True, level=Level.CRITICAL, group_by=("image",), subject={"sandbox_id": "5a", "image": "x"}
        ).muted
        is None
    )


def test_what_people_do_not_know_of_hides_nothing() -> None:
    stream = Stream()
    stream.find(0, rule_id="KA-001", level=Level.CRITICAL, maturity=Maturity.TEST)
    assert stream.find(1).status is Status.OPEN
    stream.silence(2, 60, rule_id="KA-003")
    stream.find(3, rule_id="KA-003", level=Level.CRITICAL)
    assert stream.find(4, rule_id="KA-002").status is Status.OPEN


# Silences


def test_a_silence_keeps_people_from_being_told_until_it_ends() -> None:
    """What came meanwhile is told then; what did not come is not."""
    stream = Stream()
    told, quiet = stream.find(0, sandbox="0"), stream.find(0, sandbox="1")
    stream.act(ActKind.ACK, 0, told.alert_id)
    stream.act(ActKind.ACK, 0, quiet.alert_id)
    again = stream.find(0, sandbox="2")
    stream.told()
    silence = stream.silence(1, 100, rule_id="KA-008")
    new = stream.find(2)
    stream.find(3, sandbox="2")
    assert [stream.alert(one).status for one in (new, again, told)] == ["silenced", "silenced", "acknowledged"]
    stream.wait(99.9)
    assert stream.told() == []
    stream.wait(100)
    assert sorted(stream.told()) == sorted([("fired", new.alert_id), ("repeated", again.alert_id)])
    assert stream.alert(new).status is Status.OPEN
    assert stream.state.silences[silence.act_id].ended_ns == START_NS + 100 * MINUTE
    stream.wait(159)
    assert stream.told() == []
    stream.wait(160)
    assert sorted(stream.told()) == sorted([("escalated", new.alert_id), ("escalated", again.alert_id)])


def test_a_silence_is_ended_by_hand() -> None:
    stream = Stream()
    silence = stream.silence(0, 100, rule_id="KA-008")
    alert = stream.find(1)
    stream.act(ActKind.UNSILENCE, 2, silence.act_id, on_behalf="alice")
    assert stream.told() == [("fired", alert.alert_id)]
    assert stream.state.silences[silence.act_id].ended_by == "alice"
    stream.act(ActKind.UNSILENCE, 3, silence.act_id)
    assert stream.state.ignored == 1
    stream.wait(200)
    assert stream.state.silences[silence.act_id].ended_ns == START_NS + 2 * MINUTE


def test_two_silences_both_have_to_end() -> None:
    stream = Stream()
    stream.silence(0, 100, rule_id="KA-008")
    stream.silence(0, 200, node="lab/worker-*")
    alert = stream.find(1)
    stream.wait(100)
    assert stream.alert(alert).status is Status.SILENCED
    stream.wait(200)
    assert (stream.alert(alert).status, stream.kinds()) == ("open", ["fired"])


@pytest.mark.parametrize(
    ("matches", "fits"),
    [
        ({"rule_id": "KA-008"}, True),
        ({"rule_id": "KA-00*"}, True),
        ({"rule_id": "KA-009"}, False),
        ({"rule_id": "KA-008", "k8s_pod": "pod-6b"}, False),
        ({"k8s_pod": "pod-*", "cluster": "lab", "level": "high"}, True),
        ({"k8s_namespace": "shop"}, False),
        ({"node": "lab/worker-1"}, True),
        ({"node": "worker-1"}, False),
    ],
)
def test_what_a_silence_asks(matches: dict[str, str], fits: bool) -> None:  # noqa: FBT001
    stream = Stream()
    stream.silence(0, 100, **matches)
    assert (stream.find(1).status is Status.SILENCED) is fits


def test_a_critical_alert_is_silenced_by_name_alone() -> None:
    """Nobody silences a whole node and with it the worst that may happen there."""
    stream = Stream()
    stream.silence(0, 100, node="lab/worker-1")
    assert stream.find(1, level=Level.CRITICAL).status is Status.OPEN
    stream.silence(2, 100, node="lab/worker-1", rule_id="KA-009")
    assert stream.find(3, level=Level.CRITICAL, rule_id="KA-009").status is Status.SILENCED


# Storms


def test_a_storm_is_counted_and_told_as_one() -> None:
    """Of one rule twenty an hour; at its begin and at its end people are told of the rest, under one name."""
    stream = Stream(AlertSettings(group_nodes=1000, group_alerts=1000))
    alerts = [stream.find(number / 10, sandbox=str(number)) for number in range(30)]
    told = stream.told()
    assert [kind for kind, _ in told] == ["fired"] * 20 + ["storm"]
    assert [one.muted for one in alerts[19:21]] == [None, Muted.CAPPED]
    assert alerts[29].status is Status.OPEN
    assert stream.find(5, sandbox="x", rule_id="KA-009").muted is None
    assert stream.find(6, sandbox="claim", claim=True).muted is None
    stream.notices.clear()
    stream.wait(59.9)
    assert stream.notices == []
    stream.wait(60)
    storm = [one for one in stream.notices if one.kind == "storm"]
    assert [(one.count, one.alert_id, one.ends_ns) for one in storm] == [(10, told[-1][1], START_NS + 60 * MINUTE)]
    assert "10 were only counted" in storm[0].summary
    assert stream.find(61, sandbox="29").muted is None


def test_an_alert_is_counted_once_in_a_storm() -> None:
    """However often it goes on; and it is told when there is room again."""
    stream = Stream(AlertSettings(group_nodes=1000, group_alerts=1000, storm_rule=1))
    stream.find(0, sandbox="0")
    capped = stream.find(1, sandbox="1")
    stream.find(2, sandbox="1")
    stream.find(3, sandbox="1")
    assert [one.capped for one in stream.state.storms.values()] == [1, 0]
    assert stream.kinds() == ["fired", "storm"]
    stream.find(60, sandbox="1")
    assert ("fired", capped.alert_id) in stream.told()
    assert stream.alert(capped).escalate_ns == START_NS + 120 * MINUTE


def test_what_guests_make_up_takes_no_room() -> None:
    """Claims of all rules share one lane; what a host saw, and the worst of it, have their own."""
    stream = Stream(AlertSettings(group_nodes=1000, group_alerts=1000, storm_all=5))
    for number in range(9):
        stream.find(0, rule_id=f"KA-{number}", sandbox=str(number), claim=True)
        stream.find(0, rule_id=f"KA-{number}", sandbox=f"h{number}")
    assert {one.rule_id for one in stream.notices if one.kind == "storm"} == {"storm-claim", "storm-high"}
    assert stream.kinds().count("fired") == 10
    assert stream.find(1, rule_id="KA-100", sandbox="c", level=Level.CRITICAL).muted is None
    assert stream.find(1, rule_id="KA-100", sandbox="d", level=Level.LOW).muted is None


# Groups


def test_one_cause_on_many_nodes_is_told_as_one() -> None:
    """The third node within ten minutes makes a group: its notice lists all, and later ones are told in updates."""
    stream = Stream()
    alerts = [stream.find(number, sandbox=str(number), node=f"worker-{number}") for number in range(6)]
    told = stream.told()
    group = stream.state.groups[told[-1][1]]
    assert [kind for kind, _ in told] == ["fired", "fired", "fired"]
    assert group.members == tuple(one.alert_id for one in alerts)
    assert group.nodes == tuple(f"lab/worker-{number}" for number in range(6))
    assert {stream.alert(one).group_id for one in alerts} == {group.group_id}
    late = stream.find(8, sandbox="late", node="worker-late")
    [update] = stream.notices
    assert (update.kind, update.count, update.alert_id) == ("repeated", 7, group.group_id)
    assert "on 7 nodes" in update.summary
    assert "lab/worker-late" in update.summary
    assert stream.find(8.5, sandbox="later", node="worker-later").group_id == group.group_id
    stream.told()
    stream.wait(18.5)
    assert stream.told() == [("repeated", group.group_id)]
    assert stream.find(19, sandbox="apart", node="worker-x").group_id == ""
    assert stream.alert(late).status is Status.OPEN


def test_one_cause_in_many_sandboxes_is_told_as_one() -> None:
    stream = Stream()
    for number in range(9):
        stream.find(number / 10, sandbox=str(number))
    assert stream.kinds() == ["fired"] * 5
    assert len(stream.state.groups) == 1


def test_a_group_is_acknowledged_escalated_and_closed_as_one() -> None:
    stream = Stream()
    alerts = [stream.find(0, sandbox=str(number), node=f"worker-{number}") for number in range(3)]
    [name] = stream.state.groups
    stream.told()
    stream.wait(60)
    assert stream.told() == [("escalated", name)]
    stream.act(ActKind.ACK, 61, alerts[0].alert_id)
    stream.wait(DAY)
    assert stream.told() == []
    stream.act(ActKind.ACK, DAY, name)
    assert {stream.alert(one).status for one in alerts} == {Status.ACKNOWLEDGED}
    stream.act(ActKind.CLOSE, DAY + 1, alerts[0].alert_id, **CLOSE)
    assert stream.told() == [("resolved", alerts[0].alert_id)]  # it was told alone, before there was a group
    stream.act(ActKind.CLOSE, DAY + 2, name, **CLOSE)
    assert stream.told() == [("resolved", alerts[1].alert_id), ("resolved", name)]
    assert stream.state.groups == {}


def test_what_a_storm_counted_is_told_with_its_group() -> None:
    stream = Stream(AlertSettings(storm_rule=3))
    for at in (0, 15, 30):
        stream.find(at, sandbox=str(at), node=f"worker-{at}")
    assert stream.find(45, sandbox="45", node="worker-45").muted is Muted.CAPPED
    stream.find(61, sandbox="61", node="worker-61")
    stream.find(62, sandbox="62", node="worker-62")
    alert = stream.find(63, sandbox="45", node="worker-45")
    assert (alert.muted, alert.muted_by, alert.escalate_ns) == (None, "", None)
    assert stream.state.groups[alert.group_id].members[-1] == alert.alert_id


def test_a_claim_joins_no_group_of_what_hosts_saw() -> None:
    stream = Stream()
    for number in range(2):
        stream.find(0, sandbox=str(number), node=f"worker-{number}")
    assert stream.find(0, sandbox="c", node="worker-c", claim=True).group_id == ""
    assert stream.find(0, sandbox="d", node="worker-d").group_id != ""


# What is told


def test_a_notice_holds_no_line_of_a_log() -> None:
    """Hostile names are shown, cut, and no more than the labels that receivers group by."""
    stream = Stream(AlertSettings(runbook_url="https://runbooks.example/{rule_id}"))
    subject = {"sandbox_id": "5a", "k8s_pod": "\x1b]0;x\x07" + "y" * 5000, "attributes.command": "rm -rf"}
    alert = stream.find(0, subject=subject, claim=True, detail={"line": "secret"})
    [notice] = stream.notices
    text = f"{notice.title} {notice.summary} {notice.labels}"

    assert text.isprintable()
    assert len(notice.summary) <= 1000
    assert "rm -rf" not in text
    assert "secret" not in text
    assert "Claim" in notice.summary
    assert (notice.runbook_url, notice.claim) == ("https://runbooks.example/KA-008", True)
    assert (notice.labels["cluster"], notice.labels["sandbox_id"]) == ("lab", "5a")
    assert alert_fields(alert).keys() == set(ALERT_FIELDS)
    assert tuple(alert_fields(alert)) == ALERT_FIELDS


def test_a_state_of_another_form_is_none() -> None:
    stream = Stream()
    stream.find(0)
    stream.silence(1, 2, rule_id="KA-008")
    data = stream.state.to_bytes()

    assert read_alert_state(data) == stream.state
    for broken in (b"", b"{}", b"[]", data[:-1], data.replace(b'"v":1', b'"v":2'), data.replace(b'"level"', b'"lvl"')):
        assert read_alert_state(broken) is None
    for seed in range(20):
        for _, text in json_mutations(data.decode(), seed=seed):
            read_alert_state(text.encode("utf-8", "surrogatepass"))
    assert dataclasses.replace(stream.state, last_seq=7).to_bytes() != data
    assert AlertState().to_bytes() == AlertState().to_bytes()
