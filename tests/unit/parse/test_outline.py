"""The outline of a message shows its writer's words and nothing that may be content."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.parse.outline import outline


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("State() End", "State() End"),
        ("looking for backing file", "looking for backing file"),
        ('Annotation com.example/note "x y" not enabled', "Annotation * not enabled"),
        ("cannot open /etc/shadow: errno 13", "cannot open * errno *"),
        ("connecting to shim " + "a1" * 32, "connecting to shim *"),
        ("receive createcontainer, spec Spec { args: secret words }", "receive createcontainer, spec Spec *"),
        ("password='hunter two' user=alice it's fine", "* it's fine"),
        ('torn "quote of secret words', "torn *"),
        ("pod\u202eweb \x1b[31mred", "*"),
        ("7 of 9", "* of *"),
        ("", "*"),
    ],
)
def test_words_stay_and_content_goes(text: str, said: str) -> None:
    """Numbers, ids, paths, names with dots, quoted text, dumps and control characters become `*`."""
    assert outline(text) == said


@given(st.text(max_size=500))
def test_nothing_but_words_comes_out(text: str) -> None:
    """Whatever the message, its outline is short, printable, and has no digits."""
    said = outline(text)

    assert re.fullmatch(r"[A-Za-z ,:;.!?'()*-]+", said)
    assert len(said.split()) <= 16
