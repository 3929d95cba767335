"""JSON over HTTP: what is no record is a line all the same."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.wire.ndjson import MAX_DEPTH, Sent, decode_records, is_deep

RECORDS = st.lists(st.dictionaries(st.text(max_size=5), st.integers(-(2**53), 2**53) | st.text(max_size=5), max_size=3))


@given(records=RECORDS, array=st.booleans())
def test_lines_and_arrays_say_the_same(*, records: list[dict[str, object]], array: bool) -> None:
    lines = [json.dumps(one) for one in records]
    body = f"[{','.join(lines)}]" if array else "\r\n".join(lines)
    assert [dict(one.values) for one in decode_records(body.encode())] == records


@given(st.binary())
def test_no_byte_but_blanks_and_line_ends_is_lost(body: bytes) -> None:
    sent = decode_records(body)
    if not body.lstrip(b", \t\r\n").startswith(b"["):
        assert b"".join(one.line for one in sent).translate(None, b" \t\r\n") == body.translate(None, b" \t\r\n")


@pytest.mark.parametrize("text", ["1", '"a"', "null", "{", '{"a":', "[1]", '[{"a":1},2]', "[[]]", "{'a':1}", "\ufeff{}"])
def test_what_is_no_object_is_a_line_without_fields(text: str) -> None:
    assert decode_records(text.encode()) == [Sent({}, text.encode())]


def test_what_is_too_deep_is_a_line_without_fields() -> None:
    for depth, fields in ((MAX_DEPTH, 1), (MAX_DEPTH + 1, 0), (100_000, 0)):
        line = b'{"a":' * depth + b"1" + b"}" * depth
        [sent] = decode_records(line)
        assert (len(sent.values), sent.line) == (fields, line)


def test_how_deep_a_value_is() -> None:
    assert not is_deep(1, 0)
    assert not is_deep({"a": 1}, 1)
    assert is_deep({"a": [1]}, 1)
    assert not is_deep({"a": [1]}, 2)
