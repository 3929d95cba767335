"""A finding's record: the same bytes for the same finding, and the same finding back, through the real dialect."""

import dataclasses
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import attributes, column, derive, evidence, row
from tests.findings import FINDING, own_rows

from kata_audit.parse.link import LINK_COLUMNS, link
from kata_audit.schema.finding import FINDING_KIND, Finding, Level, Maturity, from_attributes, to_line
from kata_audit.schema.record import IDENTITY_COLUMNS
from kata_audit.schema.source import Transport

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=","), min_size=1, max_size=20)
_TIME = st.integers(-(10**18), 9 * 10**18)
FINDINGS = st.builds(
    Finding,
    rule_id=_TEXT,
    rule_digest=_TEXT,
    title=_TEXT,
    level=st.sampled_from(Level),
    maturity=st.sampled_from(Maturity),
    claim=st.booleans(),
    node=st.just("lab/node"),
    tenant=st.just("default"),
    first_ns=_TIME,
    time_ns=_TIME,
    count=st.integers(0, 1 << 63),
    records=st.lists(_NAME, max_size=4).map(tuple),
    subject=st.dictionaries(st.sampled_from(IDENTITY_COLUMNS) | _NAME, _TEXT, max_size=4),
    detail=st.dictionaries(_NAME, _TEXT, max_size=3),
    group_by=st.lists(_NAME, max_size=3).map(tuple),
)


@given(FINDINGS)
def test_a_finding_comes_back_from_its_record(finding: Finding) -> None:
    """Spelled, spooled as a record of ours, read by the dialect: the same finding, whose line is the same bytes."""
    records = derive(own_rows(FINDING_KIND, [to_line(finding)]))
    [read] = [
        from_attributes(dict(said), node=node, tenant=tenant)
        for said, node, tenant in zip(*(column(records, name) for name in ("attributes", "node", "tenant")), strict=True)
    ]

    assert read == finding
    assert to_line(read) == to_line(finding)
    assert row(records, "event_name", "origin", "component", "class", "body") == (
        *("detect.finding", "host", "kata-audit", "security", finding.title + (" (claim)" if finding.claim else "")),
    )


def test_a_finding_names_whom_it_is_about() -> None:
    """Search by pod finds the finding: what it is about fills the identity columns."""
    subject = {"sandbox_id": "ab" * 32, "k8s_pod": "web-1", "k8s_namespace": "shop", "event_name": "policy.denied"}
    records = derive(own_rows(FINDING_KIND, [to_line(dataclasses.replace(FINDING, subject=subject))]))

    assert row(records, "sandbox_id", "k8s_pod", "k8s_namespace", "container_id", "identity_basis") == (
        *("ab" * 32, "web-1", "shop", None, "finding"),
    )
    assert row(records, "event_name", "severity_number") == ("detect.finding", 17)


def test_a_finding_states_no_fact() -> None:
    """L7: what a finding repeats may come from a record that states nothing for others."""
    subject = {"sandbox_id": "ab" * 32, "k8s_pod": "web-1", "container_id": "cd" * 32}
    records = derive(own_rows(FINDING_KIND, [to_line(dataclasses.replace(FINDING, subject=subject))]))

    assert link(records.select(list(LINK_COLUMNS)).set_column(0, "seq", pa.array([0], pa.uint64()))).num_rows == 0


@pytest.mark.parametrize("transport", [Transport.HOST_FILE, Transport.CONSOLE, Transport.BARE])
def test_the_same_line_elsewhere_is_no_finding(transport: Transport) -> None:
    """L7: whoever writes our words into another place says nothing of any pod."""
    line = to_line(dataclasses.replace(FINDING, subject={"k8s_pod": "web-1"}))

    assert row(derive(evidence(line, transport)), "event_name", "k8s_pod") == (None, None)


@pytest.mark.parametrize("name", sorted(attributes(derive(own_rows(FINDING_KIND, [to_line(FINDING)])))))
def test_a_part_that_is_missing_or_changed_is_seen(name: str) -> None:
    said = json.loads(to_line(FINDING))["attributes"]
    lacking = {key: value for key, value in said.items() if key != name}
    needed = not name.startswith(("finding.subject.", "finding.detail."))

    assert from_attributes(said, node="lab/node", tenant="default") == FINDING
    assert (from_attributes(lacking, node="lab/node", tenant="default") is None) is needed
    if name in {"finding.id", "finding.rule_digest", "finding.count", "finding.records", "finding.level", "finding.claim"}:
        assert from_attributes({**said, name: said[name] + "0"}, node="lab/node", tenant="default") is None


def test_numbers_have_one_spelling() -> None:
    said = json.loads(to_line(FINDING))["attributes"]

    for spelled in ("+5", " 5", "05", "5.0", "1_0", "\u0665", "9" * 30):
        assert from_attributes({**said, "finding.time_ns": spelled}, node="n", tenant="t") is None
