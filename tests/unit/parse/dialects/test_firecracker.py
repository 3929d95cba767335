"""Firecracker's log with any of its settings, its banner, its last words and its metrics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import column, derive, evidence
from tests.mutations import word_mutations

from kata_audit.parse.dialects.base import Scan
from kata_audit.parse.dialects.firecracker import ABOUT, DIALECT
from kata_audit.schema.severity import ERROR, FATAL, INFO, WARN
from kata_audit.schema.source import Transport

REQUEST, VCPU, BANNER = ABOUT.examples
TIME = "2026-01-01T10:00:00.123456789"
ZONE = {"time.zone": "assumed UTC"}
METRICS = (
    '{"utc_timestamp_ms":1541591155180,"api_server":{"process_startup_time_us":0,"sync_response_fails":2},'
    '"seccomp":{"num_faults":1}}'
)


def scan(*texts: str) -> Scan:
    return DIALECT.scan(texts, [False] * len(texts))


@pytest.mark.parametrize(
    ("head", "severity", "attributes"),
    [
        ("kata:fc_api:INFO:src/a.rs:74", INFO, ("kata", "fc_api", "src/a.rs", "74")),
        ("kata:fc_vcpu 0:WARN", WARN, ("kata", "fc_vcpu 0", None, None)),
        ("kata:main", None, ("kata", "main", None, None)),
        ("kata", None, ("kata", None, None, None)),
        ("kata:ERROR:vmm/src/lib.rs:1173", ERROR, ("kata", None, "vmm/src/lib.rs", "1173")),
        ("kata:ERROR", ERROR, ("kata", None, None, None)),
        ("kata:main:src/a.rs:7", None, ("kata", "main", "src/a.rs", "7")),
    ],
)
def test_a_head_states_what_the_settings_let_it(head: str, severity: int | None, attributes: tuple[str | None, ...]) -> None:
    """Thread, level and place may each be missing; what is there goes to its own place."""
    read = scan(f"{TIME} [{head}] a text")
    names = ("firecracker.instance.id", "thread.name", "code.file.path", "code.line.number")
    stated = {name: value for name, value in zip(names, attributes, strict=True) if value is not None}

    assert (read.columns["severity_number"], read.columns["body"]) == ([severity], ["a text"])
    assert (read.attributes, read.malformed) == ([{**stated, **ZONE}], [])
    assert (read.columns["assumed_time"], read.columns["time"]) == ([f"{TIME}Z"], [None])


def test_a_time_without_zone_counts_only_where_nothing_else_tells() -> None:
    """In a file it is taken as UTC; relayed by a shim the shim's own time stays."""
    relayed = (
        'time="2026-01-01T12:00:00.5+02:00" level=debug msg="read firecracker fifo" contents="'
        + REQUEST.replace("\\", "\\\\").replace('"', '\\"')
        + '" fifoName=logs.fifo name=containerd-shim-v2 pid=7 sandbox=ab source=virtcontainers subsystem=firecracker\n'
    )
    bare = derive(evidence(f"{REQUEST}\n".encode(), Transport.HOST_FILE))
    records = derive(evidence(relayed.encode(), Transport.HOST_FILE))

    assert column(bare, "timestamp") == [1_767_261_600_123_456_789]
    assert column(records, "timestamp") == [1_767_261_600_500_000_000]
    assert (column(records, "component"), column(records, "severity_text")) == (["firecracker"], ["INFO"])
    assert (column(records, "sandbox_id"), column(records, "origin")) == (["ab"], ["host"])
    assert column(records, "body") == column(bare, "body")
    assert dict(column(records, "attributes")[0])["relay.severity_number"] == "5"


def test_metrics_state_their_time_and_what_they_counted() -> None:
    """Counters that are zero say nothing."""
    read = scan(METRICS)

    assert read.columns["time"] == ["2018-11-07T11:45:55.180Z"]
    assert read.attributes == [{"api_server.sync_response_fails": "2", "seccomp.num_faults": "1"}]
    assert scan(METRICS[:60]).malformed == [0]
    assert scan('{"utc_timestamp_ms":1e300,"a":1}').columns["time"] == [None]


def test_other_lines_at_its_position_are_text() -> None:
    """A banner, a panic, a usage error."""
    read = scan(BANNER, "thread 'main' panicked at src/main.rs:1:2:", "error: the argument is missing", "")

    assert read.columns["severity_number"] == [None, FATAL, ERROR, None]
    assert read.columns["body"][0] == BANNER
    assert read.malformed == []


def test_a_guest_that_prints_such_a_line_is_no_firecracker() -> None:
    """Its time is the guest's claim, its name nobody's."""
    records = derive(evidence(f"{REQUEST}\n".encode(), Transport.CONSOLE))

    assert (column(records, "origin"), column(records, "component")) == (["guest"], ["other"])
    assert column(records, "guest_timestamp") == [1_767_261_600_123_456_789]


@pytest.mark.parametrize("text", [REQUEST, VCPU])
def test_changed_lines_are_read_right_or_marked(text: str) -> None:
    """A line is read with parts that stand in it, or keeps its whole text."""
    for kind, changed in word_mutations(text, seed=17):
        read = scan(changed)
        [body], [stated], [time] = read.columns["body"], read.attributes, read.columns["assumed_time"]

        if time is None:
            assert (body, stated) == (changed, {}), kind
        else:
            assert changed.startswith(f"{time[:-1]} [{stated['firecracker.instance.id']}"), kind
            assert changed.endswith(body), kind


@pytest.mark.parametrize("torn", [REQUEST[:25], REQUEST[:45], REQUEST[11:]])
def test_torn_ends_and_beginnings_are_marked(torn: str) -> None:
    """A head that is cut, and the tail of an overwritten line, claim the grammar and break it."""
    assert scan(torn).malformed == [0]


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    """Hostile text stays text."""
    assert len(scan(text, f"{TIME} [{text}] {text}", f'{{"utc_timestamp_ms":{text}').columns["body"]) == 3
