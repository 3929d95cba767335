"""The search language: what each form means, and what a mistake is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.errors import QueryError
from kata_audit.predicate.fields import ALIASES, FIELDS
from kata_audit.predicate.language import MAX_DEPTH, MAX_QUERY, parse_query
from kata_audit.predicate.sql import print_sql
from kata_audit.predicate.tree import (
    And,
    Compare,
    Everything,
    Match,
    Not,
    Op,
    Or,
    Predicate,
    Present,
    Syntax,
    Text,
    fields_of,
)

DAY = 1_795_478_400_000_000_000
"""2026-11-24T00:00:00Z."""
SECOND = 1_000_000_000
A, B, C = Text("a"), Text("b"), Text("c")


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        ("", Everything()),
        ("  \n", Everything()),
        ("*", Everything()),
        ("a", A),
        ("a b", And((A, B))),
        ("a AND b", And((A, B))),
        ("a OR b c", Or((A, And((B, C))))),
        ("(a OR b) c", And((Or((A, B)), C))),
        ("NOT a b", And((Not(A), B))),
        ("NOT (a b)", Not(And((A, B)))),
        ("a and b", And((A, Text("and"), B))),
        ('"a b \\"c\\" \\\\"', Text('a b "c" \\')),
        ('"AND"', Text("AND")),
        ("text:a", A),
        ("text:/x.y/", Or((Match("body", "x.y", Syntax.REGEX), Match("raw", "x.y", Syntax.REGEX)))),
        ("pod:api", Compare("k8s_pod", Op.EQ, "api")),
        ("k8s_pod=api", Compare("k8s_pod", Op.EQ, "api")),
        ("pod!=api", Compare("k8s_pod", Op.NE, "api")),
        ('pod:"api-*"', Compare("k8s_pod", Op.EQ, "api-*")),
        ("pod:api-*", Match("k8s_pod", "api-*", Syntax.WILDCARD)),
        ("pod!=api-*", And((Present("k8s_pod"), Not(Match("k8s_pod", "api-*", Syntax.WILDCARD))))),
        ("pod:*", Present("k8s_pod")),
        ("pod:/^a\\/b$/", Match("k8s_pod", "^a/b$", Syntax.REGEX)),
        ("image:/usr/local", Compare("image", Op.EQ, "/usr/local")),
        ("image:docker.io/library/x:1", Compare("image", Op.EQ, "docker.io/library/x:1")),
        ("attributes.a.b/c:v", Compare("attributes.a.b/c", Op.EQ, "v")),
        ('body:""', Compare("body", Op.EQ, "")),
        ("level:Error", Compare("severity_number", Op.EQ, 17)),
        ("severity>=warn", Compare("severity_number", Op.GE, 13)),
        ("severity_number>=13", Compare("severity_number", Op.GE, 13)),
        ("pid:-1", Compare("pid", Op.EQ, -1)),
        ("timestamp>2026-11-24", Compare("timestamp", Op.GT, DAY)),
        ("time<=2026-11-24T01:00:00+01:00", Compare("timestamp", Op.LE, DAY)),
        ("time:2026-11-24T00:00:00.000000001Z", Compare("timestamp", Op.EQ, DAY + 1)),
        (
            "time:2026-11-24",
            And((Compare("timestamp", Op.GE, DAY), Compare("timestamp", Op.LT, DAY + 86_400 * SECOND))),
        ),
        (
            "time:2026-12",
            And(
                (
                    Compare("timestamp", Op.GE, DAY + 7 * 86_400 * SECOND),
                    Compare("timestamp", Op.LT, DAY + 38 * 86_400 * SECOND),
                )
            ),
        ),
    ],
)
def test_a_query_means(query: str, tree: Predicate) -> None:
    """Each form of the language, as a tree."""
    assert parse_query(query) == tree


@pytest.mark.parametrize(
    ("query", "problems"),
    [
        (
            "sandbx:1 pid:x",
            ["column 1: There is no field `sandbx`; did you mean `sandbox`?", "column 10: `pid` holds a number"],
        ),
        ("zzzzz:1", ["column 1: There is no field `zzzzz`; put it in quotation marks"]),
        ("attributes:x", ["column 1: Name the key"]),
        ("level:loud", ["column 1: `severity_number` holds a number; write a whole number or one of trace"]),
        ("time:yesterday", ["column 1: `timestamp` holds a time; write it as"]),
        ("time:2026-02-30", ["column 1: `timestamp` holds a time, and there is no such"]),
        ("time:9999-12", ["column 1: `timestamp` holds a time, and there is no such"]),
        ("time:2026-01-01T00:00:00+99:00", ["column 1: `timestamp` holds a time, and there is no such"]),
        ("a (b", ["column 3: This parenthesis is never closed"]),
        ("a ) b )", ["column 3: This parenthesis closes none", "column 7: This parenthesis closes none"]),
        ("()", ["column 2: A condition should stand before this parenthesis"]),
        ("a OR", ["column 5: The query ends where"]),
        ("OR a", ["column 1: A condition should stand here, not OR"]),
        ("NOT", ["column 4: The query ends where"]),
        ('pod:"a', ["column 5: The quotation has no end"]),
        ("pod: x", ["column 1: The field has no value"]),
        ("pod:/(/", ["column 1: The regex is not one of RE2"]),
        (r"pod:/(a)\1/", ["column 1: The regex is not one of RE2"]),
        ("pod>a*", ["column 1: A pattern fits or it does not"]),
        ("ab*", ["column 1: A word is found anywhere"]),
        ("text>a", ["column 1: `text` is searched with `:` only"]),
        ("(" * 60 + "a" + ")" * 60, [f"column {MAX_DEPTH + 1}: The query nests deeper"]),
    ],
)
def test_a_mistake_is_told(query: str, problems: list[str]) -> None:
    """Every mistake has its column and says what to write instead."""
    with pytest.raises(QueryError) as caught:
        parse_query(query)

    told = [str(problem) for problem in caught.value.problems]
    assert all(any(said.startswith(start) for said in told) for start in problems)


def test_a_long_query_is_refused() -> None:
    """What a stranger can make us print is bounded."""
    with pytest.raises(QueryError):
        parse_query("a" * (MAX_QUERY + 1))


@given(st.text(st.sampled_from('abk:=<>!"/\\()*? .-\n\0ANDORT2026é'), max_size=40))
def test_any_text_is_a_tree_or_a_query_error(query: str) -> None:
    """Nothing else leaves; what is read names known fields only and prints."""
    try:
        tree = parse_query(query)
    except QueryError:
        return

    assert all(field in FIELDS or field.startswith("attributes.") for field in fields_of(tree))
    assert "?" not in print_sql(Everything()).text
    assert print_sql(tree).text.count("?") == len(print_sql(tree).parameters)


@given(st.text(min_size=1))
def test_a_quoted_text_is_itself(text: str) -> None:
    """Whatever a record says can be searched for, word for word."""
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    assert parse_query(quoted) == Text(text)
    assert parse_query(f"pod:{quoted}") == Compare("k8s_pod", Op.EQ, text)


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_an_alias_names_a_field(alias: str) -> None:
    """No friendly name hides a column, and each leads to one."""
    assert alias not in FIELDS
    assert ALIASES[alias] in FIELDS
