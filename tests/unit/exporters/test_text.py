"""What a notice quotes of a log is read by people, and acted on by nothing."""

import dataclasses
import html.parser

import pytest
from tests.notices import NOTICE

from kata_audit.exporters.text import body_of, instant, labels_of, plain, shown, title_of
from kata_audit.exporters.values import data_of, spell_notice
from kata_audit.schema.notice import MAX_LABEL, MAX_SUMMARY, MAX_TITLE, NoticeKind

HOSTILE = [
    "<!channel> <!here>",
    "<https://bad.example|press me>",
    "[press me](https://bad.example)",
    "![x](https://bad.example/pixel.png)",
    "@everyone @here @channel",
    "<b>bold</b><script>x()</script>",
    "&lt;b&gt;",
    "*bold* _italic_ ~gone~ `code` ```block```",
    "| a | table |",
    "one\r\nSubject: another\n\n.\r\n",
    "a\x1b]0;title\x07b",
    "right\u202eto left",
    "https://bad.example www.bad.example HTTPS://bad.example",
    "{0.__class__} {{7*7}} ${x} %s",
]
ACTIVE = set("<>&@[]`|*~\r\n\x1b\x07\u202e")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_medium_acts_on_it(text: str) -> None:
    """No character is left that HTML, Slack, Teams, Discord or Markdown act on, and no address to press."""
    safe = plain(text, 500)

    assert ACTIVE & set(safe) == set()
    assert "://" not in safe
    assert "www." not in safe
    assert " _" not in f" {safe}"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_whole_notice_keeps_its_lines(text: str) -> None:
    """What a log says adds no line, no header and no tag to a message."""
    quoted = dataclasses.replace(NOTICE, title=text, summary=text, labels={"k8s_pod": text}, evidence=(text,), alert_id=text)
    quiet = dataclasses.replace(NOTICE, labels={"k8s_pod": "x"}, evidence=("x",))
    tags: list[str] = []
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign] # noqa: ARG005
    parser.feed(f"{title_of(quoted)}\n{body_of(quoted)}")

    assert "\n" not in title_of(quoted)
    assert len(body_of(quoted).split("\n")) == len(body_of(quiet).split("\n"))
    assert tags == []


def test_plain_words_stay_as_they_are() -> None:
    """Names of pods, commands and requests are read as they were written."""
    for text in ("web-1 in default", "ExecProcessRequest was refused", "/usr/bin/kata_agent --x=1", "k8s_pod", "50 % of 3"):
        assert plain(text, 100) == text


def test_lengths_are_limited() -> None:
    """A log decides how long nothing is."""
    long = dataclasses.replace(
        NOTICE, title="t" * 9_999, summary="s" * 9_999, labels={"k8s_pod": "p" * 9_999}, evidence=("e" * 9_999,) * 99
    )
    data = data_of(long)

    assert (len(data["title"]), len(data["summary"]), len(data["evidence"])) == (MAX_TITLE, MAX_SUMMARY, 20)
    assert len(data["labels"]["k8s_pod"]) == len(data["evidence"][0]) == MAX_LABEL
    assert shown("abcdef", 4) == "abc…"
    assert len(body_of(long)) < 4_000


def test_only_the_known_labels_go_out() -> None:
    """Another label, or an empty one, is left where it is."""
    many = dataclasses.replace(NOTICE, labels={"node": "n", "cluster": "", "body": "raw"})

    assert labels_of(many) == {"node": "n"}


def test_a_notice_in_words() -> None:
    """What a person reads of it."""
    over = dataclasses.replace(NOTICE, kind=NoticeKind.RESOLVED, ends_ns=NOTICE.starts_ns + 61_000_000_000, claim=True)

    assert title_of(NOTICE) == "New: high KA-008 A policy refused a request"
    assert title_of(over) == "Over: high KA-008 A policy refused a request (claimed by a guest)"
    assert body_of(over).split("\n") == [
        "ExecProcessRequest was refused 3 times.",
        "cluster: prod",
        "node: worker-1",
        "count: 3, since 2026-11-18T11:06:40.000Z",
        "ended: 2026-11-18T11:07:41.000Z",
        "evidence: prod/17, prod/19",
        "runbook: https://runbooks.example/KA-008",
        "alert: 9f86d081884c7d65",
    ]
    assert instant(1_795_000_000_999_999_999) == "2026-11-18T11:06:40.999Z"


def test_a_notice_as_json() -> None:
    """One line, whatever is in it."""
    spelled = spell_notice(dataclasses.replace(NOTICE, summary="a\u2028b\nc"))

    assert spelled.isascii()
    assert b"\n" not in spelled
    assert spelled.startswith(b'{"type":"alert.fired","timestamp":"2026-11-18T11:06:40.500Z","data":{"dedup_key":"6ddc7cf9')
    assert rb'"summary":"a\\u2028b\\x0ac"' in spelled
