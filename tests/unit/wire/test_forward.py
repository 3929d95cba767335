"""Entries come out as they went in; a handshake succeeds only between two that know the key."""

from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.wire.forward import (
    Entry,
    ForwardError,
    Hello,
    Message,
    check_ping,
    check_pong,
    decode_ack,
    decode_hello,
    decode_message,
    encode_ack,
    encode_hello,
    encode_message,
    encode_ping,
    encode_pong,
)

HELLO = Hello(b"nonce", b"")
ENTRIES = st.lists(
    st.builds(Entry, st.integers(0, 2**32 * 10**9 - 1), st.dictionaries(st.text(max_size=9), st.text(max_size=9)))
)


@given(ENTRIES, st.booleans())
def test_entries_come_out_as_they_went_in(entries: list[Entry], is_zipped: bool) -> None:  # noqa: FBT001 - given by hypothesis
    """Packed and not, to the nanosecond."""
    told = msgpack.unpackb(encode_message("kata", entries, "c1", is_zipped=is_zipped))

    assert told[2]["size"] == len(entries)
    assert decode_message(told) == Message("kata", entries, "c1")


def test_a_time_is_an_event_time() -> None:
    """Extension type 0: seconds and nanoseconds, 32 bits each, big-endian."""
    told = msgpack.unpackb(encode_message("kata", [Entry(1_000_000_002, {})], "c", is_zipped=False))

    assert told[1] == b"\x92\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02\x80"


@given(st.binary(max_size=40), st.booleans())
def test_no_bytes_do_more_than_be_refused(data: bytes, is_zipped: bool) -> None:  # noqa: FBT001 - given by hypothesis
    """Whatever stands where entries should."""
    with suppress(ForwardError):
        assert decode_message(["kata", data, {"compressed": "gzip"} if is_zipped else {}]).tag == "kata"


@pytest.mark.parametrize(
    "told", [7, [], ["kata"], ["kata", b"\x92\x01"], ["kata", b"\xc1"], ["kata", b"", 3], ["kata", b"\x01"]]
)
def test_what_is_no_message_is_refused(told: object) -> None:
    """Of another form, cut off, or with something else in it."""
    with pytest.raises(ForwardError):
        decode_message(told)


def test_an_acknowledgement_repeats_the_chunk() -> None:
    """And nothing else is one."""
    assert decode_ack(msgpack.unpackb(encode_ack("c1"))) == "c1"
    assert [decode_ack(told) for told in ({}, {"ack": 1}, "c1", None)] == [None] * 4


def test_only_two_that_know_the_key_agree() -> None:
    """Each proves it to the other; neither says it."""
    hello = decode_hello(msgpack.unpackb(encode_hello(HELLO)))
    ping = encode_ping(hello, "node", b"salt", "key")
    salt = check_ping(msgpack.unpackb(ping), HELLO, "key")

    assert (hello, salt) == (HELLO, b"salt")
    assert b"key" not in ping
    assert check_pong(msgpack.unpackb(encode_pong(HELLO, "server", salt, "key")), HELLO, b"salt", "key")
    assert check_ping(msgpack.unpackb(ping), HELLO, "other") is None
    assert not check_pong(msgpack.unpackb(encode_pong(HELLO, "server", None, "key")), HELLO, b"salt", "key")
    assert not check_pong(msgpack.unpackb(encode_pong(HELLO, "server", salt, "other")), HELLO, b"salt", "key")
    with pytest.raises(ForwardError):
        check_pong(["PONG"], HELLO, b"salt", "key")
    with pytest.raises(ForwardError):
        decode_hello(["HELO", {"nonce": 7}])
