"""Baselines are cut-independent (L5) and bounded, whatever comes."""

import random
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.judged import SECOND, records

from kata_audit.detect import baseline_rates, baseline_shelf, baseline_silence
from kata_audit.detect.baseline import Baselines, Learned, compare, from_bytes
from kata_audit.detect.baseline_settings import BaselineSettings
from kata_audit.schema.finding import Finding

START = 1_793_577_600 * SECOND
QUICK = BaselineSettings(learn_days=2, keep_days=20, rate_weeks=1, rate_score=1.0, rate_difference=5, silence_minutes=5.0)
BASELINES = Baselines(QUICK, "log", str.lower)
ROW = st.fixed_dictionaries(
    {
        "event_name": st.sampled_from(["a", "b", None]),
        "body": st.sampled_from(["one", "two", "three 3", None]),
        "severity_number": st.sampled_from([5, 9, None]),
        "component": st.sampled_from(["containerd", "kubelet", "agent", None]),
        "origin": st.sampled_from(["host", "host", "guest"]),
        "sandbox_id": st.sampled_from(["s1", "s2", None]),
        "k8s_namespace": st.sampled_from(["n1", "n2", None]),
        "k8s_pod": st.sampled_from(["web-0", "api-1", "job", None]),
        "image": st.sampled_from(["i:1", "i:2", "j:1", None]),
        "node": st.sampled_from(["lab/a", "lab/b"]),
        "tenant": st.sampled_from(["red", "blue"]),
        "receiver": st.sampled_from(["journald:journal-export", "file:host-file", "kata-audit:finding"]),
        "timestamp_basis": st.sampled_from(["host", "journal", "guest", "observed"]),
        "class": st.sampled_from(["audit", "workload"]),
    }
)
EXEC = st.sampled_from(["ls", "cat 1", "cat 2", "sh"]).map(
    lambda command: {"event_name": "exec.process", "attributes": {"process.command_args": command}}
)
STEPS = st.sampled_from([0, 1, 60, 400, 3600, 40_000, 86_400, 7 * 86_400])
BLOCK = st.tuples(ROW, st.one_of(st.just({}), EXEC), STEPS, st.sampled_from([1, 1, 1, 30]))


def made(blocks: list[tuple[dict[str, Any], dict[str, Any], int, int]]) -> list[dict[str, Any]]:
    """Make records that come one after another, some many times; the last of a block with a step before it."""
    rows, now = [], START
    for row, more, step, times in blocks:
        now += step * SECOND
        for _ in range(times):
            now += SECOND
            rows.append({**row, **more, "timestamp": now, "observed_timestamp": now})
    return rows


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(blocks=st.lists(BLOCK, max_size=40), seed=st.integers(0, 1000), small=st.booleans())
def test_cuts_do_not_matter(blocks: list[Any], seed: int, *, small: bool) -> None:
    """Law L5: the same records in other cuts, the state through its bytes between them, give the same findings."""
    rows, draw = made(blocks), random.Random(seed)
    most = 2 if small else 1000
    with (
        patch.multiple(baseline_shelf, MAX_PLACES=most, MAX_THINGS=most, MAX_ALL=2 * most, MAX_OF_GUEST=most),
        patch.multiple(baseline_rates, MAX_STREAMS=most, MAX_SERIES=most, MAX_CELLS=most),
        patch.object(baseline_silence, "MAX_SOURCES", most),
    ):
        once, whole = compare(BASELINES, Learned(), records(rows))
        found: list[Finding] = []
        learned, at = Learned(), 0
        while at < len(rows):
            step = draw.randint(0, 25)
            learned, some = compare(BASELINES, learned, records(rows[at : at + step], first=at))
            found += some
            learned = from_bytes(learned.to_bytes())
            at += step

    assert tuple(found) == whole
    assert learned == once
    assert from_bytes(once.to_bytes()).to_bytes() == once.to_bytes()


@pytest.mark.parametrize(("origin", "many"), [("host", 200_000), ("guest", 1_000_000)])
def test_a_million_different_messages_are_bounded(origin: str, many: int) -> None:
    """Of a host and of a guest: what has no room is not remembered, and that is told."""
    learned, found, size = Learned(), set(), 100_000
    columns = {"component": "agent", "origin": origin, "sandbox_id": "s1", "severity_number": 9}
    some = records([columns] * 10_000)
    for part in range(many // size):
        rows = _with_events(some, part * size, size)
        learned, findings = compare(Baselines(BaselineSettings(), "log", str), learned, rows)
        found |= {finding.rule_id for finding in findings}

    assert len(learned.to_bytes()) < 20_000
    assert found == {"KA-ENGINE-OVERFLOW"}


def _with_events(some: Any, first: int, size: int) -> Any:
    """Repeat records, each with an event of its own."""
    rows = pa.concat_tables([some] * (size // some.num_rows))
    names = pa.array([f"event {number}" for number in range(first, first + size)]).dictionary_encode()
    seqs = pa.array(range(first, first + size), pa.uint64())
    rows = rows.set_column(rows.schema.get_field_index("event_name"), rows.schema.field("event_name"), names)
    return rows.set_column(0, rows.schema.field("seq"), seqs)
