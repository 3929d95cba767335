"""Bulk requests are lines, and answers are read as what they are or not at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.wire.bulk import Item, decode_answer, decode_error, encode_bulk


def test_a_request_is_two_lines_for_each_document() -> None:
    lines = encode_bulk("logs", [("log/1", {"message": "a\nb"}), ("log/2", {})]).decode()

    assert lines.endswith("\n")
    assert [json.loads(line) for line in lines.splitlines()] == [
        {"create": {"_index": "logs", "_id": "log/1"}},
        {"message": "a\nb"},
        {"create": {"_index": "logs", "_id": "log/2"}},
        {},
    ]


def test_an_answer_speaks_of_each_document() -> None:
    body = b'{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":400,"error":{"type":"Bad Type"}}}]}'
    assert decode_answer(body, 2) == [Item(201, None), Item(400, None)]
    assert decode_answer(body, 3) is None


@given(
    st.binary()
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda one: st.lists(one) | st.dictionaries(st.sampled_from(["items", "error", "type", "status", "create"]), one),
    ).map(lambda one: json.dumps(one).encode())
)
def test_any_bytes_are_an_answer_or_none(body: bytes) -> None:
    found = decode_answer(body, 1)
    assert found is None or len(found) == 1
    error = decode_error(body)
    assert error is None or error.isascii()


@pytest.mark.parametrize(("kind", "word"), [("a_b", "a_b"), ("<b>", None), ("x" * 65, None), ("A", None)])
def test_a_word_of_a_server_is_one_or_nothing(kind: str, word: str | None) -> None:
    assert decode_error(json.dumps({"error": {"type": kind}}).encode()) == word
