"""LogQL says what the tree says, or is not printed at all."""

import pytest

from kata_audit.predicate.logql import print_logql, quote_go
from kata_audit.predicate.printing import CannotPrintError
from kata_audit.predicate.tree import (
    NOTHING,
    And,
    Compare,
    Everything,
    InNetwork,
    Match,
    Not,
    OneOf,
    Op,
    Or,
    Predicate,
    Present,
    Relation,
    SameAs,
    Syntax,
    Text,
    push_nots,
)

POD, UID = Compare("k8s_pod", Op.EQ, "web"), Compare("pid", Op.GE, 7)
PRINTED: list[tuple[Predicate, str]] = [
    (POD, "k8s_pod=`web`"),
    (Not(POD), "k8s_pod!=`web`"),
    (Compare("k8s_pod", Op.NE, "web"), "(k8s_pod!=`web` and k8s_pod!=``)"),
    (Not(Compare("k8s_pod", Op.NE, "web")), "(k8s_pod=`web` or k8s_pod=``)"),
    (UID, "pid >= 7"),
    (Not(UID), "(pid < 7 or pid=``)"),
    (Compare("pid", Op.EQ, 7), "pid == 7"),
    (Not(Present("actor")), "actor=``"),
    (OneOf("k8s_pod", frozenset({"a.b", "c"})), r"k8s_pod=~`\A(?:a\.b|c)`"),
    (Not(OneOf("k8s_pod", frozenset({"a", "c"}))), r"k8s_pod!~`\A(?:a|c)`"),
    (Match("k8s_pod", "We*", Syntax.WILDCARD), r"k8s_pod=~`\A(?s:We)(?s:.*)`"),
    (Match("k8s_pod", "*", Syntax.WILDCARD), "k8s_pod!=``"),
    (Match("k8s_pod", "^a?$", Syntax.REGEX), r"(k8s_pod=~`\A(?s:.*)(?-s:^a?$)(?s:.*)` and k8s_pod!=``)"),
    (Not(Match("k8s_pod", "^a?$", Syntax.REGEX)), r"(k8s_pod!~`\A(?s:.*)(?-s:^a?$)(?s:.*)` or k8s_pod=``)"),
    (Not(And((POD, Not(UID)))), "(k8s_pod!=`web` or pid >= 7)"),
    (Not(Or((POD, UID))), "(k8s_pod!=`web` and (pid < 7 or pid=``))"),
]


@pytest.mark.parametrize(("where", "text"), PRINTED)
def test_a_condition_is_printed(where: Predicate, text: str) -> None:
    assert print_logql(where, lambda field: field) == text


@pytest.mark.parametrize(
    "where",
    [
        Everything(),
        NOTHING,
        Text("x"),
        Compare("k8s_pod", Op.EQ, ""),
        Compare("k8s_pod", Op.LT, "a"),
        Compare("timestamp", Op.EQ, 5),
        InNetwork("actor", "10.0.0.0/8"),
        SameAs("actor", "object", Relation.EQUALS),
    ],
)
def test_what_logql_cannot_say_is_not_said(where: Predicate) -> None:
    with pytest.raises(CannotPrintError):
        print_logql(where, lambda field: field)


def test_a_text_cannot_end_its_quotes() -> None:
    assert quote_go('a`"\\\n\0é😀') == '"a`\\"\\\\\\n\\u0000\\u00e9\\U0001f600"'


def test_nots_stand_above_leaves() -> None:
    """Whatever is denied, and however often."""
    assert push_nots(Not(Not(POD))) == POD
    assert push_nots(Not(Or((POD, And((UID, Not(POD))))))) == And((Not(POD), Or((Not(UID), POD))))
