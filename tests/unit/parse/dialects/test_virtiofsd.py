"""virtiofsd's lines: the one in Rust, the one in C, and what the journal keeps of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import column, derive, evidence
from tests.mutations import word_mutations

from kata_audit.parse.dialects.base import Scan
from kata_audit.parse.dialects.virtiofsd import ABOUT, DIALECT
from kata_audit.schema.severity import ERROR, WARN
from kata_audit.schema.source import Transport

RUST, C = ABOUT.examples


def scan(*texts: str) -> Scan:
    return DIALECT.scan(texts, [False] * len(texts))


def test_the_one_in_rust_states_time_level_and_module() -> None:
    """Whole seconds of UTC."""
    read = scan(RUST)

    assert (read.columns["time"], read.columns["severity_number"]) == (["2026-11-23T06:17:31Z"], [WARN])
    assert read.columns["subsystem"] == ["virtiofsd::limits"]
    assert read.columns["body"] == [RUST.partition("] ")[2]]
    assert (read.columns["component"], read.malformed) == (["virtiofsd"], [])


def test_the_one_in_c_states_time_and_thread() -> None:
    """It states no level."""
    read = scan(C)

    assert (read.columns["time"], read.columns["severity_number"]) == (["2026-11-23T06:17:32.077057+00:00"], [None])
    assert read.columns["body"] == ["virtio_session_mount: Waiting for vhost-user socket connection..."]
    assert read.attributes == [{"thread.id": "12459"}]
    assert column(derive(evidence(f"{C}\n".encode(), Transport.HOST_FILE)), "timestamp") == [1_795_414_652_077_057_000]


def test_other_lines_at_its_position_are_text() -> None:
    """Usage errors are errors."""
    read = scan("fuse: unknown option(s): `-o bogus=1'", "error: unexpected argument '--bogus' found", "")

    assert (read.columns["severity_number"], read.malformed) == ([None, ERROR, None], [])


def test_the_journals_text_keeps_the_journals_level() -> None:
    """With `--syslog` the identifier tells whose it is, the priority how grave."""
    entry = {
        "__REALTIME_TIMESTAMP": "1795414651000000", "_TRANSPORT": "syslog", "SYSLOG_IDENTIFIER": "virtiofsd", "PRIORITY": "3",
        "_PID": "77", "MESSAGE": "Waiting for daemon failed: HandleRequest(InvalidMessage)",
    }  # fmt: skip
    records = derive(evidence(json.dumps(entry).encode() + b"\n", Transport.JOURNAL_JSON))

    assert (column(records, "dialect"), column(records, "parse_status")) == (["journal/virtiofsd"], ["parsed"])
    assert (column(records, "severity_text"), column(records, "pid")) == (["ERROR"], [77])
    assert (column(records, "component"), column(records, "body")) == (["virtiofsd"], [entry["MESSAGE"]])


def test_a_guest_that_prints_such_a_line_is_no_virtiofsd() -> None:
    """On a console the name is a claim."""
    records = derive(evidence(f"{RUST}\n".encode(), Transport.CONSOLE))

    assert (column(records, "origin"), column(records, "component")) == (["guest"], ["other"])


@pytest.mark.parametrize("text", [RUST, C])
def test_changed_lines_are_read_right_or_marked(text: str) -> None:
    """A line is read with its own time and text, or is marked, or is text."""
    for kind, changed in word_mutations(text, seed=29):
        read = scan(changed)
        [body], [time] = read.columns["body"], read.columns["time"]

        if time is None:
            assert body == changed, kind
        else:
            assert changed.startswith(f"[{time[:10]}"), kind
            assert changed.endswith(body), kind


@pytest.mark.parametrize("torn", [RUST[:20], RUST[:35], C[:30], C[:40]])
def test_a_torn_head_is_marked(torn: str) -> None:
    """It keeps its text and states nothing."""
    read = scan(torn)

    assert (read.malformed, read.columns["body"], read.columns["time"]) == ([0], [torn], [None])


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    """Hostile text stays text."""
    assert len(scan(text, f"[2026-11-23T06:17:31Z WARN  {text}").columns["body"]) == 2
