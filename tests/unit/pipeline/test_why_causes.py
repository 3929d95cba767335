"""The table of causes: what it says is whole, mistakes in it are named together, and a sign holds of what it says."""

from typing import Any

import pytest

from kata_audit.errors import CatalogError
from kata_audit.parse.error_chain import read_chain
from kata_audit.pipeline.why_causes import Cause, Causes, Layer, Sign, Statement, load_causes
from kata_audit.wiring import causes

CAUSE = """
[[cause]]
id = "{id}"
layer = "host"
title = "Something"
any = [{sign}]
meaning = "It is so."
remedy = "Do this."
versions = "any"
source = "here"
{more}
"""


def table(*signs: str, more: str = "", noise: str = "noise = []\n") -> Causes:
    """Read a table whose causes are named a, b, c and so on."""
    text = "".join(CAUSE.format(id="abcdef"[at], sign=sign, more=more) for at, sign in enumerate(signs))
    return load_causes((noise + text).encode())


def statement(body: str = "", error: str = "", **values: Any) -> Statement:
    """Say something as containerd, at error."""
    base = Statement(1, 2, 17, "host", "containerd", None, body, read_chain(error), None, None, False)
    return base._replace(**values)


def mistakes(text: str) -> list[str]:
    """Name the mistakes of a table."""
    with pytest.raises(CatalogError) as caught:
        load_causes(text.encode())
    return [str(problem) for problem in caught.value.problems]


def test_every_cause_of_the_package_says_what_to_do() -> None:
    """Whoever meets a cause gets its layer, its meaning and a remedy; each layer but none has one."""
    known = causes().causes

    assert len(known) > 50
    assert {cause.layer for cause in known} == set(Layer) - {Layer.NONE}
    assert all(len(cause.remedy) > 10 and cause.remedy.endswith(".") and cause.meaning.endswith(".") for cause in known)


def shown_by(sign: Sign) -> Statement | None:
    """Make a record that shows a sign, where its texts are literal."""
    if any(test.how == "matches" for test in sign.tests):
        return None
    body = " ".join(test.texts[0] for test in sign.tests if test.of in {"body", "text"})
    links = tuple(f"{test.texts[0]} of three words" for test in sign.tests if test.of in {"link", "inner"})
    return statement(
        body or "RunPodSandbox for x",
        links=links,
        component=min(sign.components, default="containerd"),
        event_name=min(sign.events, default=None),
        exit_code=min(sign.exit_codes, default=1) if sign.exits else None,
    )


@pytest.mark.parametrize("cause", causes().causes, ids=lambda cause: cause.id)
def test_a_record_that_shows_a_cause_is_found_by_it_or_by_one_before_it(cause: Cause) -> None:
    """No shortcut hides what a sign says, and every sign with literal texts can hold."""
    all_causes = causes()
    place = all_causes.causes.index(cause)
    for made in map(shown_by, cause.signs):
        if made is not None:
            found = all_causes.find(made)

            assert cause.shows(made)
            assert found is not None
            assert found <= place


def test_all_mistakes_are_named_together() -> None:
    """Whoever writes a cause sees every mistake at once, each with its cause."""
    bad = CAUSE.format(
        id="a", sign='{ body_matches = "(" }, { lonk_has = "x" }, {}, { exit = [0] }, { component = ["x"] }', more=""
    )
    found = mistakes(
        bad + '[[cause]]\nid = "b"\nlayer = "moon"\nknown = 1\ncolour = "red"\nexplains = ["z"]\n' + "[extra]\n"
    )

    assert {line.partition(": ")[2] for line in found} >= {
        "`body_matches`: missing ), unterminated subpattern at position 0",
        "a sign has no `lonk_has`",
        "a sign is a table of conditions",
        '`exit` is "any" or a list of exit codes above 0',
        "`x` is no component",
        "`any` lists no sign",
        "`colour` is not known",
        "`known` is true or false",
        "`remedy` is missing",
    }
    assert any("`moon` is no layer" in line for line in found)
    assert "extra: is not known" in found


def test_a_cause_stands_once_and_explains_what_is_there() -> None:
    """A name means one cause, and an explanation points to another one."""
    twice = CAUSE.format(id="a", sign='{ body_starts = "x" }', more='explains = ["gone"]') * 2

    assert set(mistakes(twice)) == {"a: stands twice", "a: explains `gone`, which is none"}


@pytest.mark.parametrize("data", [b"[[cause", b"\x80 = 1"])
def test_what_is_no_toml_is_said(data: bytes) -> None:
    """A file that cannot be read is named, with the reason."""
    with pytest.raises(CatalogError) as caught:
        load_causes(data)

    assert str(caught.value.problems[0]).startswith("the table of causes: is no TOML")


def test_the_first_cause_of_the_table_wins() -> None:
    """Precedence is the order of the table."""
    both = table('{ body_contains = "fell" }', '{ body_starts = "it" }')

    assert both.find(statement("it fell")) == 0
    assert both.find(statement("it stood")) == 1
    assert both.find(statement("nothing")) is None


def test_noise_shows_nothing() -> None:
    """A record that is noise, or says nothing, is no cause, whatever it quotes."""
    quiet = table('{ link_contains = "fell" }', noise='noise = ["echo"]\n')

    assert quiet.find(statement("echo of it", "it fell down")) is None
    assert quiet.find(statement("", "it fell down")) is None
    assert quiet.find(statement("it", "it fell down")) == 0


def test_all_of_a_sign_must_hold_of_one_record() -> None:
    """A sign is a conjunction; the signs of a cause are alternatives."""
    one = table('{ body_starts = "a", link_starts = "b", component = ["kubelet"], unasked = true }, { exit = [7] }')

    assert one.find(statement("a", "b", component="kubelet")) == 0
    assert one.find(statement("a", "b", component="kubelet", asked=True)) is None
    assert one.find(statement("a", "b")) is None
    assert one.find(statement("a", "c", component="kubelet")) is None
    assert one.find(statement("x", exit_code=7)) == 0
    assert one.find(statement("x", exit_code=0)) is None


def test_a_guest_shows_only_what_explains() -> None:
    """A guest's line is no sign of a cause of the host (law L7), but it is of one that explains from within."""
    host = table('{ body_starts = "dead" }')
    within = table('{ body_starts = "seen" }', '{ body_starts = "dead" }', more='explains = ["a"]')

    assert host.find(statement("dead", origin="guest")) is None
    assert host.find(statement("dead", origin="unknown")) is None
    assert within.find(statement("dead", origin="guest")) == 1


def test_a_record_of_nobody_known_counts_as_containerds() -> None:
    """containerd's own file names no writer."""
    one = table('{ body_starts = "x", component = ["containerd"] }')

    assert one.find(statement("x", component=None)) == 0
    assert one.find(statement("x", component="kubelet")) is None
