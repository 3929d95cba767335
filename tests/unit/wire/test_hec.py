"""Events come out as they went in, however a body is cut; what is none is named by its number."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.wire.hec import (
    Code,
    EventDecoder,
    HecError,
    HecEvent,
    Reply,
    decode_ack_query,
    decode_acks,
    decode_events,
    decode_reply,
    encode_ack_query,
    encode_acks,
    encode_events,
    encode_reply,
)

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20) | st.just('\\"}{\\\\')
EVENTS = st.builds(
    HecEvent,
    TEXTS.filter(bool) | st.dictionaries(TEXTS, TEXTS | st.integers(-(2**53), 2**53) | st.lists(TEXTS)),
    st.none() | st.integers(-(10**18), 9 * 10**18).map(lambda ns: ns // 1000 * 1000),
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.dictionaries(TEXTS, TEXTS),
)


@given(st.lists(EVENTS, min_size=1, max_size=5), st.lists(st.integers(1, 40), max_size=40))
def test_a_body_is_read_however_it_is_cut(events: list[HecEvent], cuts: list[int]) -> None:
    """A piece may end anywhere: in a text, behind a backslash, in the middle of a character."""
    body, read, decoder = encode_events(events), [], EventDecoder()
    for cut in cuts:
        read += decoder.feed(body[:cut])
        body = body[cut:]
    read += decoder.feed(body)
    decoder.finish()

    assert [one._replace(time_ns=None) for one in read] == [one._replace(time_ns=None) for one in events]
    for one, other in zip(read, events, strict=True):
        assert (one.time_ns is None) == (other.time_ns is None)
        assert abs((one.time_ns or 0) - (other.time_ns or 0)) < 2_000


def test_a_time_keeps_its_nanoseconds_in_the_body() -> None:
    """Splunk reads decimals; no double stands between."""
    assert encode_events([HecEvent("x", 1_795_000_000_123_456_789)]) == b'{"time":1795000000.123456789,"event":"x"}\n'
    assert decode_events(b'{"time":"1795000000.123456789","event":"x"}')[0].time_ns == 1_795_000_000_123_456_789


@pytest.mark.parametrize(
    ("body", "code", "at"),
    [
        (b'{"event":1}{"no":1}', Code.EVENT_REQUIRED, 1),
        (b'{"event":1} {"event":""}', Code.EVENT_BLANK, 1),
        (b'{"event":1}}', Code.INVALID_DATA_FORMAT, 1),
        (b'{"event":1}{"event":', Code.INVALID_DATA_FORMAT, 1),
        (b'x{"event":1}', Code.INVALID_DATA_FORMAT, 0),
        (b'[{"event":1}]', Code.INVALID_DATA_FORMAT, 0),
        (b'{"event":1,"fields":[]}', Code.INDEXED_FIELDS, 0),
        (b'{"event":1,"host":7}', Code.INVALID_DATA_FORMAT, 0),
        (b'{"event":1,"time":"soon"}', Code.INVALID_DATA_FORMAT, 0),
        (b'{"event":1,"time":"nan"}', Code.INVALID_DATA_FORMAT, 0),
        (b'{"event":1,"time":[1]}', Code.INVALID_DATA_FORMAT, 0),
        (b'{"event":1,"time":"1' + b"0" * 99 + b'"}', Code.INVALID_DATA_FORMAT, 0),
        (b'{"event":"\xff"}', Code.INVALID_DATA_FORMAT, 0),
        (b'{"event":' * 3000, Code.INVALID_DATA_FORMAT, 0),
        (b" \n", Code.NO_DATA, 0),
    ],
)
def test_what_is_no_event_is_named(body: bytes, code: Code, at: int) -> None:
    """By its number and the protocol's code."""
    with pytest.raises(HecError) as caught:
        decode_events(body)

    assert (caught.value.code, caught.value.at) == (code, at)


def test_events_before_a_bad_one_are_not_lost() -> None:
    """They come with the error."""
    with pytest.raises(HecError) as caught:
        EventDecoder().feed(b'{"event":1}{"event":2}{"event":null}')

    assert [one.event for one in caught.value.events] == [1, 2]


def test_an_event_without_end_is_not_kept() -> None:
    """What is held has a limit."""
    decoder = EventDecoder(max_event_bytes=100)
    decoder.feed(b'{"event":"')
    with pytest.raises(HecError):
        decoder.feed(b"x" * 100)


@given(st.binary(max_size=60))
def test_no_bytes_do_more_than_be_refused(body: bytes) -> None:
    """Whatever comes is read or refused, and an answer that is none is None."""
    with suppress(HecError):
        assert decode_events(body)
    assert decode_reply(body) is None or body.lstrip().startswith(b"{")
    assert decode_acks(body) is None or body.lstrip().startswith(b"{")


def test_answers_are_read_as_they_were_spelled() -> None:
    """With and without what may be missing."""
    for reply in (Reply(0), Reply(0, ack_id=7), Reply(6, invalid_at=3), Reply(99)):
        assert decode_reply(encode_reply(reply)) == reply
    assert decode_reply(b'{"code":0,"ackId":"7","invalid-event-number":-1}') == Reply(0)
    assert decode_acks(encode_acks({1: True, 2: False})) == {1: True, 2: False}
    assert decode_acks(b'{"acks":{"one":true}}') is None
    assert decode_ack_query(encode_ack_query([1, 2])) == [1, 2]
    assert decode_ack_query(b'{"acks":[true]}') is None
