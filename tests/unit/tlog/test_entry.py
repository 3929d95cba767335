"""An entry has one spelling: every other is refused, and what has none is not spelled."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.errors import VerificationError
from kata_audit.tlog.entry import decode_entry, encode_entry

KEYS = st.text(st.characters(codec="ascii"), max_size=8)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**64) + 1, 2**64 - 1) | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def nested(depth: int) -> Any:
    """A list in a list, so deep."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_an_entry_survives_a_round_trip(content: dict[str, Any]) -> None:
    """What was spelled is read again, and spelled again to the same bytes."""
    entry = {**content, "t": "cut"}
    data = encode_entry(entry)

    assert decode_entry(data) == entry
    assert encode_entry(decode_entry(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'"t"',
        b'{"t":1}',
        b'{"t":"a"} ',
        b' {"t":"a"}',
        b'{"t":"a"}\n',
        b'{"t": "a"}',
        b'{"t":"a","a":1}',
        b'{"a":1,"a":1,"t":"a"}',
        b'{"t":"a","t":"a"}',
        b'{"a":1.0,"t":"a"}',
        b'{"a":1e3,"t":"a"}',
        b'{"a":-0,"t":"a"}',
        b'{"a":01,"t":"a"}',
        b'{"a":NaN,"t":"a"}',
        b'{"a":Infinity,"t":"a"}',
        b'{"a":null,"t":"a"}',
        b'{"a":18446744073709551616,"t":"a"}',
        b'{"a":' + b"9" * 5000 + b',"t":"a"}',
        b'{"t":"\\u0041"}',
        b'{"t":"\\/"}',
        b'{"t":"\\ud800"}',
        b'{"t":"\xed\xa0\x80"}',
        b'{"t":"\xff"}',
        b'{"t":"a\nb"}',
        '{"é":1,"t":"a"}'.encode(),
        b'\xef\xbb\xbf{"t":"a"}',
        '{"t":"a"}'.encode("utf-16"),
        '{"t":"a"}'.encode("utf-32-le"),
        json.dumps({"a": nested(17), "t": "a"}, separators=(",", ":")).encode(),
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b',"t":"a"}',
        b'{"t":"' + b"a" * 65_535 + b'"}',
    ],
    ids=lambda data: repr(data[:24]),
)
def test_another_spelling_is_refused(data: bytes) -> None:
    """Bytes that are not the canonical spelling of an entry are no entry."""
    with pytest.raises(VerificationError):
        decode_entry(data)


@pytest.mark.parametrize(
    "value", [1.0, None, 2**64, -(2**64), "\ud800", b"bytes", (1,), {"é": 1}, {1: 1}, nested(17), "a" * 65_536], ids=repr
)
def test_what_has_no_spelling_is_not_spelled(value: Any) -> None:
    """A value outside the format is refused when it is written, not when it is read."""
    with pytest.raises(VerificationError):
        encode_entry({"t": "cut", "a": value})


def test_the_limits_themselves_are_spelled() -> None:
    """The largest of everything is still an entry."""
    entry = {"t": "cut", "a": nested(15), "b": 2**64 - 1, "c": "x" * 65_400, "d": "\x00\x1f\x7f\u2028\u00e9"}

    assert decode_entry(encode_entry(entry)) == entry
