"""QMP messages: events with the host's clock, errors with what they say, and everything else as it stands."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import column, derive, evidence
from tests.mutations import json_mutations

from kata_audit.parse.dialects.base import Scan
from kata_audit.parse.dialects.qmp import ABOUT, DIALECT
from kata_audit.schema.severity import ERROR
from kata_audit.schema.source import Transport

PANIC, FAILED, RETURN = ABOUT.examples
GREETING = (
    '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian 1:7.2+dfsg-7+deb12u18+b3"},'
    ' "capabilities": ["oob"]}}'
)


def scan(*texts: str) -> Scan:
    return DIALECT.scan(texts, [False] * len(texts))


def test_an_event_is_its_name_at_its_time() -> None:
    """Seconds and microseconds of the host, and the data's members."""
    read = scan(PANIC)

    assert (read.columns["body"], read.columns["time"]) == (["GUEST_PANICKED"], ["2026-11-23T06:22:10.944161Z"])
    assert read.attributes == [{"qmp.kind": "event", "qmp.action": "poweroff"}]


def test_an_error_is_what_it_says() -> None:
    """Its description is the message, its class an attribute."""
    read = scan(FAILED)

    assert (read.columns["body"], read.columns["severity_number"]) == (["Device 'nosuch' not found"], [ERROR])
    assert read.attributes == [{"qmp.kind": "error", "qmp.id": "q11", "qmp.class": "DeviceNotFound"}]


def test_returns_and_greetings_stay_as_they_are() -> None:
    """They have no message; what they hold are attributes."""
    read = scan(RETURN, GREETING, '{"return": {}, "id": "q1"}', '{"return": "text"}', '{"execute": "quit"}')

    assert read.columns["body"] == [RETURN, GREETING, '{"return": {}, "id": "q1"}', '{"return": "text"}', "quit"]
    assert read.columns["time"] == [None] * 5
    assert read.attributes[0] == {
        "qmp.kind": "return", "qmp.id": "q5", "qmp.status": "paused", "qmp.singlestep": "false", "qmp.running": "false",
    }  # fmt: skip
    assert read.attributes[1]["qmp.kind"] == "greeting"


def test_a_clock_that_says_nothing_is_no_time() -> None:
    """QEMU writes -1 without a clock; a year that is none, or text, is none either."""
    for stamp in ({"seconds": -1, "microseconds": -1}, {"seconds": 10**18, "microseconds": 0}, {"seconds": "1"}, 7, None):
        assert scan(json.dumps({"timestamp": stamp, "event": "STOP"})).columns["time"] == [None]


def test_a_file_of_it_is_recognised_and_a_guests_is_a_claim() -> None:
    """Every kind begins as nothing else does."""
    lines = f"{GREETING}\n{RETURN}\n{PANIC}\n{FAILED}\n".encode()
    host, guest = (derive(evidence(lines, transport)) for transport in (Transport.HOST_FILE, Transport.CONSOLE))

    assert column(host, "dialect") == ["qmp"] * 4
    assert column(host, "component") == ["qemu"] * 4
    assert column(guest, "component") == ["other"] * 4


@pytest.mark.parametrize("text", [PANIC, FAILED])
def test_changed_messages_are_read_right_or_marked(text: str) -> None:
    """Whole ones say the same; torn ones are malformed and keep their text."""
    whole = scan(text)
    for kind, changed in json_mutations(text, seed=3):
        read = scan(changed)

        if kind == "torn":
            assert (read.malformed, read.columns["body"], read.columns["time"]) == ([0], [changed.strip()], [None])
        else:
            assert (read.malformed, read.columns) == ([], whole.columns), kind


@given(
    st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.dictionaries(st.text(max_size=5), inner))
)
def test_no_data_breaks_it(data: object) -> None:
    """Whatever an event holds, it is one."""
    read = scan(json.dumps({"event": "STOP", "data": data}), json.dumps({"error": data}), json.dumps({"return": data}))

    assert read.columns["body"][0] == "STOP"


def test_a_message_that_says_a_thing_twice_is_malformed() -> None:
    """Two readers could read it differently."""
    assert scan('{"event": "STOP", "event": "RESUME"}').malformed == [0]


def test_numbers_beyond_64_bits_and_deep_data_are_read() -> None:
    """The slow loader takes any number, and data may nest as deep as a loader goes."""
    deep = '{"event": "STOP", "data": {"a": ' + "[" * 900 + "]" * 900 + "}}"
    read = scan('{"event": "STOP", "data": {"a": 9223372036854775808000, "b": -9223372036854775809}}', deep)

    assert read.columns["body"] == ["STOP", "STOP"]
    assert read.attributes[0] == {"qmp.kind": "event", "qmp.a": "9223372036854775808000", "qmp.b": "-9223372036854775809"}
