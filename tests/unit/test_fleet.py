"""Two days of a small benign fleet, the whole way from lines to pages: few are called, and somebody would be."""

from dataclasses import replace
from functools import cache
from typing import Final

import pytest
from tests.alert_load import ALL_RULES, DEFAULT, PAGING, Month, fold, judge_node, shifts
from tests.findings import FINDING
from tests.fleet import RATES, STARTS_US, FleetNode

from kata_audit.config import RuleSettings
from kata_audit.schema.finding import Level, Maturity
from kata_audit.schema.notice import NoticeKind
from kata_audit.wiring import derivation, rules

DAYS: Final = 2
BUSY: Final = RATES._replace(
    pods=3, exits=1.0, brief=1.0, oom=1.0, crashloops=0.5, noimage=1.0, timeouts=1.0, mistaken=1.0, operated=1.0, restarts=1.0,
    pressure=1.0, asked=3.0, clock_steps=0.5, reboots=(0,), misspelt=0.0, suppressed=0.0, shells=0.0, graceless=0.0,
)  # fmt: skip
"""A month's accidents in two days, but those that rightly call somebody."""


@cache
def months() -> tuple[Month, ...]:
    """Judge two nodes, one of each shim."""
    return tuple(
        judge_node(FleetNode(number, days=DAYS, rates=BUSY), rules(RuleSettings()), derivation()) for number in (0, 8)
    )


def test_it_tells_lines_of_all_layers() -> None:
    told = {component for month in months() for component in month.records}
    assert {
        "runtime-go",
        "runtime-rs",
        "agent",
        "containerd",
        "kubelet",
        "kube-apiserver",
        "journald",
        "host-kernel",
    } <= told
    assert "unknown" not in told


def test_the_same_seed_tells_the_same() -> None:
    first, again = (list(FleetNode(0, days=1, rates=BUSY).told()) for _ in range(2))
    assert first == again
    assert first != list(FleetNode(0, days=1, rates=BUSY, seed=8).told())


def test_benign_life_calls_nobody() -> None:
    load = fold(months(), ALL_RULES, DAYS)
    assert load.alerts, "nothing was found at all"
    assert [(one.rule_id, one.title) for one in load.pages()] == []
    assert max(shifts(load.pages(), DAYS)) <= 2


def test_an_attack_in_it_calls_somebody() -> None:
    at = STARTS_US * 1000 + 10**12
    attack = replace(FINDING, first_ns=at, time_ns=at, level=Level.CRITICAL, maturity=Maturity.STABLE)
    load = fold([*months(), Month("other", (attack,), {})], DEFAULT, DAYS)
    assert [(one.kind, one.rule_id) for one in load.pages()] == [(NoticeKind.FIRED, attack.rule_id)]


@pytest.mark.parametrize(("level", "pages"), [(Level.HIGH, 1), (Level.MEDIUM, 0)])
def test_high_ones_are_pages_and_medium_ones_are_not(level: Level, pages: int) -> None:
    assert (level in PAGING) is bool(pages)
    found = replace(FINDING, time_ns=STARTS_US * 1000, level=level, maturity=Maturity.EXPERIMENTAL)
    assert len(fold([Month("one", (found,), {})], ALL_RULES, 1).pages()) == pages
    assert not fold([Month("one", (found,), {})], DEFAULT, 1).pages(), "it is the first week"
