"""Unquoting as the producers quote."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kata_audit.parse.texts import clean, journal_text, unquote_go, unquote_rust, written


@given(st.text())
def test_go_quotes_round_trip(text: str) -> None:
    assert clean(unquote_go(json.dumps(text))) == clean(text)


def test_go_escapes_that_json_has_not() -> None:
    assert unquote_go(r'"\x41\a\v\U0001F600 \xff\'"') == "A\a\v\U0001f600 \\xff'"


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_rust_quotes_round_trip(text: str) -> None:
    quoted = "".join(
        f"\\u{{{ord(char):x}}}" if not char.isprintable() else char
        for char in text.replace("\\", "\\\\").replace('"', '\\"')
    )

    assert unquote_rust(quoted) == text


def test_journal_values() -> None:
    assert journal_text([104, 105, 255]) == "hi\\xff"
    assert journal_text(["a", "b"]) == "a\nb"
    assert journal_text(None) is None
    assert journal_text([300, -1]) == "300\n-1"


def test_what_is_nested_too_deep_is_left_out() -> None:
    """Any depth that a loader takes is no failure, as deep as the stack may be already."""
    deep: Any = 1
    for _ in range(5_000):
        deep = {"a": deep}

    assert (written(deep), journal_text(deep), journal_text(["a", deep])) == ("", "", "a\n")
    assert (written(7), written([1, "a"])) == ("7", "[1, 'a']")
