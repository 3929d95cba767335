"""Loki's push API is spelled and read as Loki does it; what is wrong is refused, and sentences are read for what they are."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.wire.loki import Entry, Refusal, Why, decode_push, decode_refusal, encode_push

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ENTRIES = st.builds(
    Entry,
    st.dictionaries(TEXTS, TEXTS, max_size=3).map(lambda labels: tuple(sorted(labels.items()))),
    st.integers(0, 2**63 - 1),
    TEXTS,
    st.dictionaries(TEXTS, TEXTS, max_size=3),
)
OLD = b"entry for stream '{job=\"a\"}' has timestamp too old: 2026-11-01T10:00:00Z, oldest acceptable timestamp is: "


def test_a_stream_is_named_once() -> None:
    """Labels stand with the stream, metadata with the entry, times are texts."""
    one, two = (("job", "a"),), (("job", "b"),)
    body = encode_push([Entry(one, 5, "x", {"pod": "web"}), Entry(two, 6, "y", {}), Entry(one, 7, "z", {})])

    assert orjson.loads(body) == {
        "streams": [
            {"stream": {"job": "a"}, "values": [["5", "x", {"pod": "web"}], ["7", "z"]]},
            {"stream": {"job": "b"}, "values": [["6", "y"]]},
        ]
    }


@given(st.lists(ENTRIES, max_size=6))
def test_what_is_spelled_is_read_back(entries: list[Entry]) -> None:
    """All of it, each stream's entries in their order, whatever the texts hold."""
    order = list(dict.fromkeys(one.labels for one in entries))

    assert decode_push(encode_push(entries)) == [one for labels in order for one in entries if one.labels == labels]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"streams":1}',
        b'{"streams":[1]}',
        b'{"streams":[{"stream":{"a":1},"values":[]}]}',
        b'{"streams":[{"stream":{},"values":{}}]}',
        b'{"streams":[{"stream":{},"values":[["1"]]}]}',
        b'{"streams":[{"stream":{},"values":[[1,"x"]]}]}',
        b'{"streams":[{"stream":{},"values":[["-1","x"]]}]}',
        b'{"streams":[{"stream":{},"values":[["99999999999999999999","x"]]}]}',
        b'{"streams":[{"stream":{},"values":[["1","x",[]]]}]}',
        b'{"streams":[{"stream":{},"values":[["1","x",{"a":{}}]]}]}',
    ],
)
def test_what_is_no_push_is_refused(body: bytes) -> None:
    """Whatever is wrong with it, and in words of ours."""
    with pytest.raises(ValueError, match=r"push|stream|entry|time|metadata"):
        decode_push(body)


def test_limits_are_read_from_sentences() -> None:
    """The server's zone is its own; of several limits the one that refuses least holds."""
    answer = OLD + b"2026-11-18T14:00:00+02:00; " + OLD + b"2026-11-18T12:00:01Z; max entry size '256000' bytes exceeded for"

    assert decode_refusal(answer) == Refusal(frozenset({Why.TOO_OLD, Why.LINE_TOO_LONG}), 1_795_003_200 * 10**9, 256_000)


@pytest.mark.parametrize("time", [b"9999", b"2026-13-18T12:00:00Z", b"2026-11-18T12:00:00", b"2026-11-18T12:00:00Z+"])
def test_what_is_no_time_is_no_limit(time: bytes) -> None:
    """The reason stands, and nothing is refused by it."""
    assert decode_refusal(OLD + time) == Refusal(frozenset({Why.TOO_OLD}))
