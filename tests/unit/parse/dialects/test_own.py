"""What we say ourselves is the host's by the receiver's name alone; the same words elsewhere are nobody's."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import attributes, column, derive, evidence, row
from tests.mutations import json_mutations

from kata_audit.clock import ManualClock
from kata_audit.parse.dialects.own import ABOUT, DIALECT
from kata_audit.pipeline.own import OwnRecords
from kata_audit.schema.own import spell
from kata_audit.schema.source import OWN_RECEIVER, Transport, dialect_of, origin_of

LOSS = ABOUT.examples[0]


def test_what_we_say_is_a_record_with_its_event() -> None:
    own = OwnRecords("collect", node="lab/worker", tenant="default", clock=ManualClock(1_795_500_000_000_000_001))
    own.say("collect.lost", "ERROR", "Gone.", action="lose-records", object="journald?system", source="journald?system")
    own.say("node.applied", "INFO", "Done.", action="update", object="x.toml", outcome="success", actor="root")
    records = derive(own.rows())

    said = ("origin", "component", "event_name", "severity_number", "class", "action", "object", "outcome", "actor")
    assert row(records, *said) == (
        *("host", "kata-audit", "collect.lost", 17, "security", "lose-records", "journald?system", "unknown", "unknown"),
    )
    assert row(records, *said, at=1)[5:] == ("update", "x.toml", "success", "root")
    assert column(records, "timestamp_basis") == ["host", "host"]
    assert attributes(records) == {"source": "journald?system"}
    assert len(set(column(records, "cursor"))) == 2
    assert own.rows().num_rows == own.waiting == 0


@pytest.mark.parametrize("transport", [Transport.HOST_FILE, Transport.CONSOLE, Transport.CRI, Transport.BARE])
def test_the_same_words_elsewhere_are_not_ours(transport: Transport) -> None:
    """L7: no position but the receiver's name makes a text ours."""
    prefix = "2026-11-23T06:11:31Z stdout F " if transport is Transport.CRI else ""
    records = derive(evidence(f"{prefix}{LOSS}\n".encode(), transport))

    assert row(records, "component", "event_name", "class") != ("kata-audit", "collect.lost", "security")
    assert row(records, "event_name", "action") == (None, None)


def test_the_receivers_name_decides() -> None:
    assert (origin_of(f"{OWN_RECEIVER}:collect"), dialect_of(f"{OWN_RECEIVER}:collect")) == ("host", OWN_RECEIVER)
    assert (origin_of(f"{OWN_RECEIVER}x:collect"), dialect_of(f"{OWN_RECEIVER}x:collect")) == ("unknown", None)


def test_changed_records_are_read_right_or_marked() -> None:
    """A new key is none of ours and changes nothing; a torn record is its text."""
    whole = DIALECT.scan([LOSS], [False])
    for kind, text in json_mutations(LOSS, seed=7):
        read = DIALECT.scan([text], [False])

        if kind == "torn":
            assert (read.malformed, read.columns["body"], read.columns["event_name"]) == ([0], [text], [None])
        else:
            assert (read.malformed, read.columns) == ([], whole.columns), kind


@given(
    st.dictionaries(st.text(max_size=9), st.text(max_size=9) | st.integers() | st.none(), max_size=5), st.text(max_size=9)
)
def test_no_data_breaks_it(data: dict[str, object], text: str) -> None:
    """Whatever stands there, a guest's is text, and ours is a row."""
    lines = [json.dumps(data), text, json.dumps({**json.loads(LOSS), "attributes": data})]

    assert len(DIALECT.scan(lines, [False] * 3).columns["body"]) == 3
    assert DIALECT.scan([LOSS], [True]).columns["event_name"] == [None]


@given(st.text(max_size=20), st.text(max_size=20))
def test_what_is_spelled_is_read(message: str, value: str) -> None:
    raw = spell("collect.started", "INFO", message, time_ns=1_795_500_000_000_000_000, attributes={"note": value})
    scan = DIALECT.scan([raw.decode().removesuffix("\n")], [False])

    assert raw.count(b"\n") == 1
    assert (scan.columns["body"], scan.attributes) == ([message], [{"note": value}])
