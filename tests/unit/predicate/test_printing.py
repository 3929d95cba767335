"""SPL, queries of Elasticsearch, and Lucene's regexes say what the tree says, or are not printed at all."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.predicate.lucene_regex import lucene_regexes
from kata_audit.predicate.printing import CannotPrintError
from kata_audit.predicate.querydsl import print_query
from kata_audit.predicate.spl import pcre, print_where, quote_spl
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
)

POD = Compare("k8s_pod", Op.EQ, "web")


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (POD, "'k8s_pod'==\"web\""),
        (Not(POD), "(isnull('k8s_pod') OR 'k8s_pod'!=\"web\")"),
        (Not(Compare("k8s_pod", Op.NE, "web")), "(isnull('k8s_pod') OR NOT 'k8s_pod'!=\"web\")"),
        (Compare("pid", Op.GE, 7), "'pid'>=7"),
        (Not(Present("actor")), "isnull('actor')"),
        (Not(OneOf("pid", frozenset({7, 8}))), "(isnull('pid') OR NOT in('pid', \"7\", \"8\"))"),
        (Match("k8s_pod", r"^a\.b$", Syntax.REGEX), r"""match('k8s_pod', "^a\\.b\\z")"""),
        (SameAs("actor", "object", Relation.EQUALS, cased=False), "lower('actor')==lower('object')"),
        (Not(Or((POD, Present("actor")))), "((isnull('k8s_pod') OR 'k8s_pod'!=\"web\") AND isnull('actor'))"),
        (NOTHING, "false()"),
        (Everything(), "true()"),
    ],
)
def test_a_condition_is_printed_for_splunk(where: Predicate, text: str) -> None:
    assert print_where(where, lambda field: field) == text


@pytest.mark.parametrize(
    "where",
    [
        Text("x"),
        Not(Text("x")),
        InNetwork("actor", "10.0.0.0/8"),
        Compare("k8s_pod", Op.LT, "a"),
        Compare("k8s_pod", Op.EQ, "a\nb"),
    ],
)
def test_what_cannot_be_said_is_not_said(where: Predicate) -> None:
    with pytest.raises(CannotPrintError):
        print_where(where, lambda field: field)
    if not isinstance(where, Compare) or where.op is not Op.EQ:
        with pytest.raises(CannotPrintError):
            print_query(where, lambda field: field)


def test_a_name_cannot_end_its_quotes() -> None:
    with pytest.raises(CannotPrintError):
        print_where(Present("attributes.a'b"), lambda field: field)


@pytest.mark.parametrize(
    ("regex", "text"),
    [("a$", r"a\z"), (r"a\$", r"a\$"), ("[$]", "[$]"), ("[]$]$", r"[]$]\z"), ("[^]$]", "[^]$]"), (r"[\]$]$", r"[\]$]\z")],
)
def test_an_end_is_the_end(regex: str, text: str) -> None:
    assert pcre(regex) == text


def test_backslashes_stand_twice() -> None:
    assert quote_spl('\\d"') == '"\\\\d\\""'


@pytest.mark.parametrize(
    ("where", "query"),
    [
        (Not(POD), {"bool": {"must_not": [{"term": {"k8s_pod": {"value": "web"}}}]}}),
        (NOTHING, {"match_none": {}}),
        (Compare("pid", Op.GE, 7), {"range": {"pid": {"gte": 7}}}),
        (Present("attributes.a.b"), {"wildcard": {"attributes.a.b": {"value": "*"}}}),
        (
            Match("k8s_pod", r"a\*b?", Syntax.WILDCARD, cased=False),
            {"wildcard": {"k8s_pod": {"value": r"a\*b?", "case_insensitive": True}}},
        ),
        (
            And((POD, Present("actor"))),
            {"bool": {"filter": [{"term": {"k8s_pod": {"value": "web"}}}, {"exists": {"field": "actor"}}]}},
        ),
    ],
)
def test_a_condition_is_printed_as_a_query(where: Predicate, query: object) -> None:
    assert print_query(where, lambda field: field) == query


@pytest.mark.parametrize(
    "pattern",
    [
        "(a",
        "a)",
        "[[:alpha:]]",
        r"\pL",
        r"a{1,400}",
        "(?m)^a",
        "(^a)*",
        "a^b$c",
        r"(?<n>a)",
        r"\bx*\b",
        "x" * 1100,
        r"(?:^|a)(?:^|b)" * 10,
    ],
)
def test_a_regex_that_is_not_read_is_refused(pattern: str) -> None:
    with pytest.raises(CannotPrintError):
        lucene_regexes(pattern)


def whole(regex: str, text: str) -> bool:
    """Say whether a regex of Lucene without intersections fits, by RE2: both read what is left alike."""
    return re2.fullmatch(f"(?s:{regex})", text) is not None


PATTERNS = [
    "abc",
    "^a",
    "b$",
    "^a.b$",
    "(?:^|[ab])c",
    "a(?:c|$)",
    "(?i)aB",
    r"a\.b",
    "[^a]b",
    r"\d+a?",
    "(?s)a.b",
    "a{2,3}$",
    r"a[\s\]]",
    r"^\x61\x{62}$",
]


@given(st.text(alphabet="abc1. \n]", max_size=6), st.sampled_from(PATTERNS))
def test_a_regex_fits_the_same_texts(text: str, pattern: str) -> None:
    """Anchors and flags written out."""
    assert any(whole(one, text) for one in lucene_regexes(pattern)) == (re2.search(pattern, text) is not None)


@given(st.text(alphabet="ab_ .", max_size=6), st.sampled_from([r"\bab", r"ab\b", r"\ba\b", r"^a\b", r"\b_$", r"a\b\.b"]))
def test_a_word_border_is_written_out(text: str, pattern: str) -> None:
    """Where it stands beside one character that is known, without intersections."""
    made = lucene_regexes(pattern)
    assert not any("&" in one for one in made)
    assert any(whole(one, text) for one in made) == (re2.search(pattern, text) is not None)
