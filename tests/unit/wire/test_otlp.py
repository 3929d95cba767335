"""Log records come out as they went in; what is no request is refused."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.wire.otlp import MAX_DEPTH, Group, Log, OtlpError, decode_logs, decode_reply, encode_logs, encode_reply

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
)
VALUES = st.recursive(PLAIN, lambda one: st.lists(one, max_size=3) | st.dictionaries(TEXTS, one, max_size=3), max_leaves=8)
TIMES = st.none() | st.integers(1, 2**64 - 1)
LOGS = st.builds(
    Log,
    st.dictionaries(TEXTS, VALUES, max_size=4),
    TIMES,
    TIMES,
    st.none() | st.integers(1, 24),
    st.none() | TEXTS.filter(bool),
    TEXTS,
    st.none() | TEXTS.filter(bool),
)


@given(st.lists(st.builds(Group, st.dictionaries(TEXTS, TEXTS, max_size=2), st.lists(LOGS, max_size=3)), max_size=3))
def test_what_is_spelled_is_read(groups: list[Group]) -> None:
    """No value, type or nanosecond is lost."""
    assert decode_logs(encode_logs(groups)) == groups


def test_a_request_has_the_form_of_the_specification() -> None:
    """Numbers of 64 bits are texts, and each value names its type."""
    log = Log({"n": 7, "b": True}, 5, 6, 9, "INFO", "hello", "exec.start")

    told = orjson.loads(encode_logs([Group({"service.name": "agent"}, [log])]))

    assert told["resourceLogs"][0]["resource"] == {
        "attributes": [{"key": "service.name", "value": {"stringValue": "agent"}}]
    }
    assert told["resourceLogs"][0]["scopeLogs"][0]["logRecords"] == [
        {
            "timeUnixNano": "5",
            "observedTimeUnixNano": "6",
            "severityNumber": 9,
            "severityText": "INFO",
            "eventName": "exec.start",
            "body": {"stringValue": "hello"},
            "attributes": [{"key": "n", "value": {"intValue": "7"}}, {"key": "b", "value": {"boolValue": True}}],
        }
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"resourceLogs": 1}',
        b'{"resourceLogs": [1]}',
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "-1"}]}]}]}',
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "' + b"9" * 5000 + b'"}]}]}]}',
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"eventName": 1}]}]}]}',
        b'{"resourceLogs": [{"resource": {"attributes": [{"key": "a", "value": {"boolValue": "x"}}]}}]}',
        b'{"resourceLogs": [{"resource": {"attributes": [{"key": 1}]}}]}',
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    """Each is said to be none, and raises nothing else."""
    with pytest.raises(OtlpError):
        decode_logs(body)


def test_values_that_lie_too_deep_are_refused() -> None:
    """Nobody makes us recurse without end."""
    value: list[object] = []
    for _ in range(MAX_DEPTH + 1):
        value = [value]

    with pytest.raises(OtlpError):
        decode_logs(encode_logs([Group({"a": value}, [])]))


@pytest.mark.parametrize("rejected", [0, 1, 2000])
def test_an_answer_says_how_many_were_refused(rejected: int) -> None:
    """Spelled and read it is the same number."""
    assert decode_reply(encode_reply(rejected)) == rejected


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"partialSuccess": 1}', b'{"partialSuccess": {"rejectedLogRecords": "x"}}']
)
def test_what_is_no_answer_is_none(body: bytes) -> None:
    """A page of a proxy confirms nothing."""
    assert decode_reply(body) is None
