"""Baselines: nothing is told before it is learned, what is usual is never told, and what is not says what was expected."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from tests.judged import SECOND, records

from kata_audit.detect.baseline import Baselines, Learned, compare, from_bytes
from kata_audit.detect.baseline_rows import DAY_NS
from kata_audit.detect.baseline_settings import BaselineSettings
from kata_audit.schema.finding import Finding, Level, Maturity

MONDAY = 1_793_577_600 * SECOND
"""2026-11-02, midnight."""
MINUTE = 60 * SECOND
Row = dict[str, Any]


def outline(text: str) -> str:
    """Keep words without digits."""
    return " ".join("*" if any(letter.isdigit() for letter in word) else word for word in text.split())


BASELINES = Baselines(BaselineSettings(), "log", outline)


def at(day: float, **row: Any) -> Row:
    """Make a record so many days after a Monday."""
    time = MONDAY + round(day * 86_400) * SECOND
    return {"timestamp": time, "observed_timestamp": time, "component": "containerd", "severity_number": 9, **row}


def compared(rows: Iterable[Row], *, cut: int = 500, baselines: Baselines = BASELINES) -> list[Finding]:
    """Compare records in order of time, in cuts of some size, the state through its bytes between them."""
    ordered = sorted(rows, key=lambda row: int(row["timestamp"]))
    found: list[Finding] = []
    learned = Learned()
    for first in range(0, len(ordered), cut):
        learned, findings = compare(baselines, learned, records(ordered[first : first + cut], first=first))
        learned, found = from_bytes(learned.to_bytes()), [*found, *findings]
    return found


def rules(found: Sequence[Finding]) -> list[str]:
    """Name the kinds of findings."""
    return [one.rule_id for one in found]


def daily(days: int, *, first: int = 0, **row: Any) -> list[Row]:
    """Make a record at noon of each day."""
    return [at(first + day + 0.5, **row) for day in range(days)]


SHOP: Row = {"k8s_namespace": "shop", "k8s_pod": "api-7c6d8f5b9c-x2k9z", "event_name": "container.started"}
EXEC: Row = {**SHOP, "event_name": "api.exec", "component": "kube-apiserver"}


def ran(command: str) -> Row:
    """State a command."""
    return {**EXEC, "attributes": {"process.command_args": command}}


def test_a_message_that_its_component_never_wrote_is_told_once() -> None:
    """With what was known, and since when; numbers make no other message."""
    usual = daily(8, body="shim of 17 ready")
    found = compared(
        [*usual, at(8.6, body="shim of 18 ready"), at(8.7, body="cannot open 3"), at(8.8, body="cannot open 4")]
    )

    (one,) = found
    assert (one.rule_id, one.level, one.maturity, one.claim) == ("KA-B01", Level.LOW, Maturity.EXPERIMENTAL, False)
    assert one.records == ("log/9",)
    assert one.subject == {"component": "containerd", "node": "lab/node"}
    assert one.detail["expected"] == "one of 1 known messages of component containerd"
    assert one.detail["seen"] == "the message: cannot open *"
    assert one.detail["days"] == "8 days from 2026-11-02 to 2026-11-09"


def test_nothing_is_told_while_it_is_learned() -> None:
    """Six days are not seven, nor are many records of one day."""
    assert compared([*daily(6, event_name="a"), at(6.6, event_name="b")]) == []
    assert compared([*(at(minute / 1440, event_name="a") for minute in range(900)), at(0.9, event_name="b")]) == []


def test_another_class_of_workload_learns_for_itself() -> None:
    """A namespace that is new is silent until it has learned."""
    usual = daily(9, event_name="a", k8s_namespace="shop", k8s_pod="api-0")

    assert compared([*usual, at(9.6, event_name="b", k8s_namespace="new", k8s_pod="api-0")]) == []
    assert rules(compared([*usual, at(9.6, event_name="b", k8s_namespace="shop", k8s_pod="api-0")])) == ["KA-B01"]


def test_debug_messages_and_a_workloads_own_are_not_learned() -> None:
    """Only what a component tells at info and above, or what has a name."""
    usual = daily(9, body="one")

    assert compared([*usual, at(9.6, body="two", severity_number=5), at(9.7, body="three", **{"class": "workload"})]) == []


def test_what_a_guest_says_is_a_claim_and_teaches_no_host() -> None:
    """A guest says a message all week; the host's first is new all the same."""
    guest: Row = {"component": "agent", "origin": "guest", "sandbox_id": "s1"}
    found = compared(
        [
            *daily(9, event_name="a", component="agent"),
            *daily(9, event_name="b", **guest),
            at(9.6, event_name="b", component="agent"),
            at(9.7, event_name="c", **guest),
        ]
    )

    assert [(one.rule_id, one.claim, one.detail["seen"]) for one in found] == [
        ("KA-B01", False, "the event b"),
        ("KA-B01", True, "the event c"),
    ]


def test_a_guest_that_makes_up_messages_is_bounded() -> None:
    """A few are told, the rest has no room, and that is told once; other sandboxes are heard on."""
    guest: Row = {"component": "agent", "origin": "guest", "sandbox_id": "s1"}
    flood = [at(9 + number / 86_400, body=f"word {'x' * number}", **guest) for number in range(1, 200)]
    found = compared([*daily(9, event_name="a", **guest), *flood, at(9.9, event_name="n", **{**guest, "sandbox_id": "s2"})])

    assert rules(found) == [*["KA-B01"] * 10, "KA-B01", "KA-B01", "KA-ENGINE-OVERFLOW", "KA-B01"]
    assert [one.count for one in found][9:12] == [10, 16, 32]
    assert found[-1].detail["seen"] == "the event n"


def test_a_rollout_is_nothing_new() -> None:
    """Pods of another ReplicaSet are the same workload; its commands and images stay known."""
    usual = [*daily(9, **ran('["ls"]')), *daily(9, **SHOP, image="registry/shop:1")]
    rolled = {"k8s_pod": "api-5d8b7c9f4-qwz4t"}

    found = compared(
        [*usual, at(9.6, **{**ran('["ls"]'), **rolled}), at(9.7, **{**SHOP, **rolled}, image="registry/shop:1")]
    )

    assert found == []


def test_a_new_command_is_told_with_its_workload() -> None:
    """Its form, for numbers vary; and a first command of a workload that never had any."""
    usual = [*daily(9, **SHOP), *daily(9, **ran('["cat", "/run/17"]'))]
    found = compared([*usual, at(9.6, **ran('["cat", "/run/4711"]')), at(9.7, **ran('["curl", "http://10.0.0.1"]'))])

    (one,) = found
    assert (one.rule_id, one.level) == ("KA-B02", Level.MEDIUM)
    assert one.subject["k8s_pod"] == "api-7c6d8f5b9c-x2k9z"
    assert one.detail["expected"] == "a command that was run in workload shop/api before"
    assert one.detail["seen"] == 'the command ["curl", "http://*.*.*.*"]'
    assert one.detail["days"] == "9 days from 2026-11-02 to 2026-11-10"


def test_the_first_command_of_a_workload_that_never_had_any_is_told() -> None:
    """It learned that none is usual."""
    (one,) = compared([*daily(9, **SHOP), *daily(9, **EXEC), at(9.6, **ran('["ls"]'))])

    assert (one.rule_id, one.detail["seen"]) == ("KA-B02", 'the command ["ls"]')


@pytest.mark.parametrize(
    ("image", "what"),
    [
        ("registry/shop:2", "the image registry/shop:2, another tag or digest of a known repository"),
        ("evil/miner:1", "the image evil/miner:1, of a repository that is new here"),
    ],
)
def test_a_new_image_is_told(image: str, what: str) -> None:
    """Another version too, and it says that it is one."""
    (one,) = compared([*daily(9, **SHOP, image="registry/shop:1"), at(9.6, **SHOP, image=image)])

    assert (one.rule_id, one.level, one.detail["seen"]) == ("KA-B03", Level.LOW, what)


def test_a_guest_states_no_image() -> None:
    """What counts is structural."""
    usual = [*daily(9, **SHOP, image="registry/shop:1"), *daily(9, **SHOP, origin="guest")]

    assert compared([*usual, at(9.6, **SHOP, origin="guest", image="evil/miner:1")]) == []


def hourly(weeks: Mapping[int, int], *, hours: int, event: str = "container.started") -> list[Row]:
    """Make many records at some hours of the week for some weeks, and one every four minutes of another event all the time."""
    rows = [at(minute / 360, event_name="tick") for minute in range(hours * 15)]
    for hour, count in weeks.items():
        rows += [at(hour / 24 + (number + 1) / (count + 2) / 24, event_name=event) for number in range(count)]
    return rows


NIGHTLY = {day * 24 + 2: 200 for day in range(29)}


def test_a_nightly_job_is_usual() -> None:
    """Two hundred records at two in the night, every night; also where it comes a little later once."""
    assert compared(hourly(NIGHTLY, hours=29 * 24)) == []
    assert compared(hourly({**NIGHTLY, 28 * 24 + 2: 40, 28 * 24 + 3: 160}, hours=29 * 24)) == []


def test_a_burst_is_told_with_the_days_it_was_compared_with() -> None:
    """The same two hundred at noon; what goes on the next hours is not told again."""
    found = compared(hourly({**NIGHTLY, 28 * 24 + 12: 200, 28 * 24 + 13: 200}, hours=29 * 24))

    (one,) = found
    assert (one.rule_id, one.level, one.claim) == ("KA-B04", Level.LOW, False)
    assert one.subject == {"node": "lab/node", "component": "containerd", "event_name": "container.started"}
    assert one.detail["expected"] == "fewer than 10 an hour: fewer than 10 to fewer than 10"
    assert one.detail["seen"] == "200 records from 2026-11-30 12:00 to 2026-11-30 13:00 UTC"
    assert one.detail["days"] == "the same hour of 2026-11-02, 2026-11-09, 2026-11-16, 2026-11-23"


def test_a_job_that_did_not_run_is_told() -> None:
    """An hour later, when it is clear that it did not run a little later."""
    (one,) = compared(hourly({hour: count for hour, count in NIGHTLY.items() if hour != 27 * 24 + 2}, hours=29 * 24))

    assert one.rule_id == "KA-B04"
    assert one.detail["expected"] == "200 records an hour: 200 records to 200 records"
    assert one.detail["seen"] == "fewer than 10 from 2026-11-29 02:00 to 2026-11-29 03:00 UTC"


def test_a_weekend_is_usual() -> None:
    """Busy hours on working days, none on the others."""
    office = {day * 24 + hour: 150 for day in range(35) for hour in range(8, 18) if day % 7 < 5}

    assert compared(hourly(office, hours=35 * 24)) == []


def test_hours_that_nobody_saw_teach_nothing() -> None:
    """The collector stood still for two weeks: two weeks are not three."""
    rows = [row for row in hourly(NIGHTLY, hours=29 * 24) if not 7 <= (row["timestamp"] - MONDAY) / DAY_NS < 21]
    burst = [row for row in hourly({28 * 24 + 12: 200}, hours=1) if row["event_name"] != "tick"]

    assert "KA-B04" not in rules(compared([*rows, *burst]))


def test_a_guest_makes_no_rate() -> None:
    """However much it writes."""
    flood = [at(28.5 + second / 86_400, event_name="tick", origin="guest") for second in range(3000)]

    assert "KA-B04" not in rules(compared([*hourly(NIGHTLY, hours=29 * 24), *flood]))


def speaking(component: str, *, hours: Iterable[int], minutes: int = 5) -> list[Row]:
    """Let a component speak every so many minutes of some hours."""
    return [
        at((hour * 60 + minute) / 1440, component=component, event_name="a")
        for hour in hours
        for minute in range(0, 60, minutes)
    ]


def test_a_source_that_falls_silent_is_told_once_and_once_more_when_it_is_back() -> None:
    """Others speak on; it says how long its gaps were."""
    hours = [*range(9 * 24), *range(9 * 24 + 6, 10 * 24)]
    found = compared([*speaking("crio", hours=hours), *speaking("kubelet", hours=range(10 * 24), minutes=2)])

    assert [(one.rule_id, one.level) for one in found] == [("KA-B05", Level.MEDIUM), ("KA-B06", Level.INFORMATIONAL)]
    assert found[0].subject == {"node": "lab/node", "component": "crio"}
    assert (
        found[0]
        .detail["expected"]
        .startswith("a record within 30 minutes in which others speak: its longest gap of a day is 5 minutes")
    )
    assert found[0].detail["seen"] == "none for 31 minutes in which others spoke, 31 minutes by the clock"
    assert found[0].detail["days"] == "8 days from 2026-11-02 to 2026-11-09"
    assert found[1].detail["seen"] == "a record after 6.1 hours in which others spoke, 6.1 hours by the clock"


def test_a_collector_that_stood_still_makes_nobody_silent() -> None:
    """Where nobody speaks, nobody is silent."""
    hours = [*range(9 * 24), *range(9 * 24 + 8, 10 * 24)]

    assert compared([*speaking("crio", hours=hours), *speaking("kubelet", hours=hours, minutes=2)]) == []


def test_a_source_that_sleeps_every_night_is_usual() -> None:
    """Its longest gap is known."""
    hours = [day * 24 + hour for day in range(12) for hour in range(6, 22)]

    assert compared([*speaking("crio", hours=hours), *speaking("kubelet", hours=range(12 * 24), minutes=2)]) == []


def test_a_guest_is_no_source() -> None:
    """Sandboxes come and go."""
    rows = [{**row, "origin": "guest"} for row in speaking("agent", hours=range(9 * 24))]

    assert compared([*rows, *speaking("kubelet", hours=range(10 * 24), minutes=2)]) == []


def test_what_is_off_is_not_told_and_learns_on() -> None:
    """Switched on again, it does not tell what it saw meanwhile."""
    rows = [*daily(9, event_name="a"), at(9.6, event_name="b"), at(9.7, event_name="b")]
    off = BASELINES._replace(off=("KA-B01",))
    learned, found = compare(off, Learned(), records(rows[:10]))

    assert (found, compare(BASELINES, learned, records(rows[10:], first=10))[1]) == ((), ())


def test_our_own_records_are_no_part_of_it() -> None:
    """Findings come with the cuts: they must not move what the next records are compared with."""
    rows = [*daily(9, event_name="a")]
    own = [at(60.0, event_name="detect.finding", component="kata-audit", receiver="kata-audit:finding")]
    learned, _ = compare(BASELINES, Learned(), records(rows))

    assert compare(BASELINES, learned, records(own, first=9)) == (learned, ())


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", Learned().to_bytes()[:-1], Learned().to_bytes()[1:]])
def test_what_is_no_baseline_is_refused(data: bytes) -> None:
    """Then everything is learned anew."""
    with pytest.raises(ValueError, match="baselines"):
        from_bytes(data)


def test_how_a_month_is_cut_finds_nothing_else() -> None:
    """Law L5, for what takes weeks to learn: a burst, a job that did not run, a silence and its end."""
    nightly = {hour: count // 5 for hour, count in NIGHTLY.items() if hour != 27 * 24 + 2}
    rows = [*hourly({**nightly, 28 * 24 + 12: 90}, hours=29 * 24), at(28.6, event_name="new")]
    hours = [*range(20 * 24), *range(20 * 24 + 9, 29 * 24)]
    rows += speaking("crio", hours=hours, minutes=20)
    found = [compared(rows, cut=cut) for cut in (61, 1009, len(rows))]

    assert rules(found[0]) == ["KA-B05", "KA-B06", "KA-B04", "KA-B04", "KA-B01"]
    assert found[0] == found[1] == found[2]
