"""Alerts are a fold: however findings and acts are dealt out, and whoever folds them, the same alerts and the same notices."""

import dataclasses
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.alert_streams import MINUTE, Stream, deal, finding_of
from tests.findings import START_NS

from kata_audit.detect.alert_policy import AlertSettings
from kata_audit.detect.alert_statistics import rule_statistics
from kata_audit.schema.act import ActKind, Verdict
from kata_audit.schema.alert import Status
from kata_audit.schema.finding import Level, Maturity

POLICY = AlertSettings(shadow_days=0.2, reopen_hours=3, storm_rule=6, storm_all=9, group_alerts=4)
"""Everything happens within hours, so that short streams see all of it."""


def live(seed: int, length: int) -> Stream:
    """Say so many findings and acts, one after the other, at times that often coincide."""
    chance, stream, at = random.Random(seed), Stream(POLICY), 0.0
    for _ in range(length):
        at += chance.choice([0, 0, 0.5, 5, 15, 60, 300])
        alerts, groups = sorted(stream.state.alerts), sorted(stream.state.groups)
        if not alerts or chance.random() < 0.65:
            stream.find(
                at,
                rule_id=f"KA-00{chance.randrange(3)}",
                sandbox=str(chance.randrange(4)),
                node=f"worker-{chance.randrange(4)}",
                level=chance.choice(list(Level)),
                maturity=chance.choice(list(Maturity)),
                claim=chance.random() < 0.3,
                time_ns=START_NS + chance.randrange(1000),
                group_by=chance.choice([("sandbox_id",), ("k8s_pod",), ()]),
                count=chance.randrange(1, 4),
            )
        elif chance.random() < 0.3:
            asked = {
                "rule_id": f"KA-00{chance.choice('012*')}",
                "node": "lab/worker-*",
                "sandbox_id": str(chance.randrange(4)),
            }
            name = chance.choice(sorted(asked))
            stream.silence(at, at + chance.choice([0.5, 30, 600]), **{name: asked[name]})
        elif stream.state.silences and chance.random() < 0.3:
            stream.act(ActKind.UNSILENCE, at, chance.choice(sorted(stream.state.silences)))
        else:
            kind = chance.choice([ActKind.ACK, ActKind.CLOSE, ActKind.CLOSE, ActKind.REOPEN, ActKind.ESCALATE])
            verdict = chance.choice(list(Verdict)) if kind is ActKind.CLOSE else None
            stream.act(kind, at, chance.choice([*alerts, *groups, "nothing"]), verdict=verdict)
    stream.wait(at + chance.choice([0, 30, 10_000]))
    return stream


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 1 << 32), st.integers(1, 120), st.lists(st.integers(0, 120), max_size=6))
def test_any_dealing_gives_the_same_alerts(seed: int, length: int, cuts: list[int]) -> None:
    """One by one, all at once, or in any parts, with the state written down in between: equal bytes, equal notices."""
    stream = live(seed, length)
    end_ns = stream.state.now_ns

    for parts in ([], [cut for cut in cuts if cut < length]):
        state, told = deal(stream.said, parts, end_ns, POLICY)
        assert state.to_bytes() == stream.state.to_bytes()
        assert list(told) == stream.notices


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1 << 32), st.integers(1, 60))
def test_nothing_is_lost(seed: int, length: int) -> None:
    """Whatever keeps an alert quiet, each finding is of one alert, and each alert stands in the list and in the numbers."""
    stream = live(seed, length)
    found = [one for one in map(finding_of, stream.said) if one is not None]
    alerts = stream.state.alerts.values()
    listed = Counter(one.rule_id for one in alerts)
    statistics = rule_statistics(alerts)

    assert sum(len(one.findings) for one in alerts) == len(found)
    assert {one.rule_id for one in found} == set(listed)
    assert {one.rule_id: one.alerts for one in statistics} == listed
    assert {one.alert_id for one in stream.notices if one.kind in {"fired", "reopened"}} <= {
        *(one.alert_id for one in alerts),
        *(one.group_id for one in alerts),
        *(one.alert_id for one in stream.notices if one.alert_id.startswith("group-")),
    }
    for alert in alerts:
        assert alert.claim is all(one.claim for one in found if one.finding_id in alert.finding_ids)
        assert (alert.status is Status.CLOSED) is (alert.round.verdict is not None)
        assert alert.escalate_ns is None or alert.status is Status.OPEN


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1 << 32))
def test_an_hour_never_tells_more_than_its_room(seed: int) -> None:
    """Of one rule, claims and what hosts saw apart, no more is told first in an hour than the storm cap allows."""
    chance, stream = random.Random(seed), Stream(dataclasses.replace(POLICY, group_nodes=10**6, group_alerts=10**6))
    at = 0.0
    for number in range(120):
        at += chance.random()
        stream.find(at, sandbox=str(number), claim=chance.random() < 0.5)
    for claim in (False, True):
        times = [one.time_ns for one in stream.notices if one.kind == "fired" and one.claim is claim]
        first = times[0]
        assert sum(first <= one < first + 60 * MINUTE for one in times) <= POLICY.storm_rule
    assert any(one.kind == "storm" for one in stream.notices)
