"""Templates match whole messages, take out what stands in the holes, and stay linear on any text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.parse.catalog.template import KINDS, parse_template

SID, CID = "a1" * 32, "b2" * 32


@pytest.mark.parametrize(
    ("template", "body", "holes"),
    [
        ("announce", "announce", {}),
        ("cid <container:maybe> eid <exec:maybe> received exit signal", f"cid {CID} eid  received exit signal", {"container": CID, "exec": ""}),
        ("ExecSync for <container:quoted> failed", f'ExecSync for "{CID}" failed', {"container": CID}),
        ("RunPodSandbox for <pod:some> failed, error", 'RunPodSandbox for name:"a failed, error" failed, error', {"pod": 'name:"a failed, error"'}),
        ("process command: <arguments:rest>", 'process command: ["sh", "-c", "a\\nb"]', {"arguments": '["sh", "-c", "a\\nb"]'}),
        ("get event <event:rest>", "get event ", {"event": ""}),
        ("kata <what:some> ends <code:number>: <rest:rest>", "kata a ends b ends 7: x\ny", {"what": "a ends b", "code": "7", "rest": "x\ny"}),
        ("monitor <path:path>, retry in <seconds:number> sec.", "monitor /run/vc, retry in 60 sec.", None),
        ("monitor <path:field>, retry in <seconds:number> sec.", "monitor /run/vc, retry in 60 sec.", {"path": "/run/vc", "seconds": "60"}),
        ("a <b:tick> c", "a 'x y' c", {"b": "x y"}),
        ("id <id:id>", f"id {SID}", {"id": SID}),
        ("id <id:id>", f"id {SID}0", None),
        ("<name:some>[<pid:number>]: segfault at <what:rest>", "my [x[133]: segfault at 0 ip", {"name": "my [x", "pid": "133", "what": "0 ip"}),
    ],
)  # fmt: skip
def test_a_template_takes_out_what_stands_in_its_holes(template: str, body: str, holes: dict[str, str] | None) -> None:
    assert parse_template(template).read(body) == holes


@pytest.mark.parametrize(
    ("template", "body"),
    [
        ("announce", "announce it"),
        ("ExecSync for <container:quoted> failed", f'ExecSync for "{CID}" failed, or not'),
        ("ExecSync for <container:quoted> failed", f'"ExecSync for "{CID}" failed'),
        ("ExecSync for <container:quoted> failed", 'ExecSync for "a" b" failed'),
        ("Synced KATA POD <sandbox:name>", "Synced KATA POD a b"),
        ("exits <code:number>", "exits 7\n"),
        ("process command: <arguments:rest>", " process command: x"),
    ],
)
def test_a_text_that_only_begins_or_ends_like_a_template_is_another_message(template: str, body: str) -> None:
    assert parse_template(template).read(body) is None


@pytest.mark.parametrize(
    ("written", "read"),
    [(r'"a \"b\" \x41"', 'a "b" A'), (r'"tab\there"', "tab\there"), (r'"\u{1b}[31m"', "\x1b[31m"), ('"plain"', "plain"), ('""', "")],
)  # fmt: skip
def test_quoted_holes_are_unquoted_as_go_and_rust_quote(written: str, read: str) -> None:
    assert parse_template("x <value:quoted>").read(f"x {written}") == {"value": read}


@pytest.mark.parametrize(
    ("template", "mistake"),
    [
        ("a <b:nothing>", "no kind of hole is called nothing"),
        ("a <b:word> <b:word>", "the hole b comes twice"),
        ("a <b:some> c <d:some>", "only one hole may be of kind some"),
    ],
)
def test_a_wrong_template_says_what_is_wrong(template: str, mistake: str) -> None:
    with pytest.raises(ValueError, match=mistake):
        parse_template(template)


def test_angle_brackets_that_are_no_hole_are_literal() -> None:
    assert parse_template("tag <<tag:name>> not <found>").read("tag <kataShared> not <found>") == {"tag": "kataShared"}


PIECES = st.lists(st.sampled_from(["a", " ", '"', "'", "\\", "[", "]", ",", ":", "/", "\n", "7", "0f", "-", "failed", "x", "é", "\x00"]), max_size=60)  # fmt: skip


@given(st.sampled_from(sorted(KINDS)), st.sampled_from(sorted(KINDS)), PIECES)
def test_reading_is_a_full_match_of_the_whole_text(first: str, second: str, pieces: list[str]) -> None:
    """The short cuts for the last hole and for whole texts give what the plain expression gives."""
    if first == second == "some":
        return
    body = "x " + "".join(pieces)
    match = re.fullmatch(rf"x (?P<one>{KINDS[first]}):(?P<two>{KINDS[second]})", body, re.DOTALL)
    read = parse_template(f"x <one:{first}>:<two:{second}>").read(body)

    assert (read is None) is (match is None)
    if read is not None and match is not None:
        assert set(read) == {"one", "two"}
        assert all(read[name] == match[name] for name in read if (first, second)[name == "two"] not in {"quoted", "tick"})


@given(st.text())
def test_no_text_breaks_a_template(body: str) -> None:
    read = parse_template("<a:quoted><b:rest>").read(body)

    assert read is None or body.startswith('"')
