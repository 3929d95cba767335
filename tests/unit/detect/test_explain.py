"""Conditions in plain words."""

import pytest

from kata_audit.detect.explain import NEEDS, code, explain, span
from kata_audit.detect.rule import Absence, Correlation, CorrelationKind, Need
from kata_audit.predicate.tree import (
    NOTHING,
    And,
    Compare,
    Everything,
    InNetwork,
    InTime,
    Match,
    Not,
    Number,
    OneOf,
    Op,
    Or,
    Predicate,
    Present,
    Relation,
    SameAs,
    Syntax,
    Text,
    TimePart,
)

MINUTE = 60_000_000_000


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (Everything(), "every record"),
        (And(()), "every record"),
        (NOTHING, "no record"),
        (Text("x"), "`body` or `raw` contains `x`"),
        (Compare("pid", Op.GE, 5), "`pid` is at least `5`"),
        (OneOf("pid", frozenset({5, 3})), "`pid` is one of `3`, `5`"),
        (Present("pid"), "`pid` is stated"),
        (Not(Present("pid")), "`pid` is not stated"),
        (Not(Compare("pid", Op.EQ, 5)), "it does not hold that `pid` is `5`"),
        (Number("body", Op.LT, 5.5), "`body` is a number that is below `5.5`"),
        (InNetwork("body", "10.0.0.0/8"), "`body` is an address in `10.0.0.0/8`"),
        (InTime("timestamp", TimePart.HOUR, 3), "the hour of `timestamp`, in UTC, is `3`"),
        (SameAs("body", "image", Relation.CONTAINS, cased=False), "`body` contains what stands in `image`"),
        (SameAs("body", "image", Relation.EQUALS), "`body` is the same as `image` (case counts)"),
        (Match("body", "x.*", Syntax.REGEX), "in `body` the regex `x.*` is found"),
        (Match("body", r"a\*b", Syntax.WILDCARD, cased=False), "`body` is `a*b`"),
        (Match("body", r"*a\*b*", Syntax.WILDCARD), "`body` contains `a*b` (case counts)"),
        (Match("body", "a*", Syntax.WILDCARD, cased=False), "`body` begins with `a`"),
        (Match("body", "*a", Syntax.WILDCARD, cased=False), "`body` ends with `a`"),
        (Match("body", "*a?b*", Syntax.WILDCARD, cased=False), "`body` fits the pattern `*a?b*`"),
    ],
)
def test_a_leaf_in_words(where: Predicate, words: str) -> None:
    """Each leaf is one line."""
    assert explain(where) == [f"- {words}"]


def test_a_tree_is_a_list_of_lists() -> None:
    """What must hold together stands side by side, alternatives below a line that says so."""
    leaf = Present("pid")
    where = And((leaf, Or((leaf, And((leaf, leaf)))), Not(Or((leaf, leaf))), Not(And((leaf, leaf)))))

    assert explain(where) == [
        "- `pid` is stated",
        "- one of these holds:",
        "  - `pid` is stated",
        "  - all of these hold:",
        "    - `pid` is stated",
        "    - `pid` is stated",
        "- none of these holds:",
        "  - `pid` is stated",
        "  - `pid` is stated",
        "- not all of these hold:",
        "  - `pid` is stated",
        "  - `pid` is stated",
    ]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (CorrelationKind.EVENT_COUNT, "at least 3 events of `a`, `b`"),
        (CorrelationKind.VALUE_COUNT, "events of `a`, `b` with at least 3 different values of `body`"),
        (CorrelationKind.VALUE_SUM, "events of `a`, `b` whose `body` come to at least 3 together"),
        (CorrelationKind.TEMPORAL, "an event of each of `a`, `b`, in any order"),
        (CorrelationKind.TEMPORAL_ORDERED, "an event of each of `a`, `b`, in this order"),
    ],
)
def test_a_correlation_in_words(kind: CorrelationKind, words: str) -> None:
    """The window, what must be equal, and what is counted."""
    aliases = {"where": {"a": "sandbox_id", "b": "container_id"}}
    when = Correlation(kind, ("a", "b"), ("where",), 10 * MINUTE, Op.GE, 3, "body", aliases)

    assert explain(when) == [
        f"- within 10 minutes, with the same `where`: {words}",
        "  - `where` is `sandbox_id` of `a`, `container_id` of `b`",
    ]


def test_an_absence_in_words() -> None:
    """The event, its company, and how far around it is looked."""
    assert explain(Absence("a", ("b", "c"), (), MINUTE, 2000 * MINUTE // 1000)) == [
        "- an event of `a` without one of `b` or `c`, up to 1 minute before or 2 minutes after"
    ]


def test_small_things() -> None:
    """Spans take their largest whole unit, code outlasts its backticks, and each source has words."""
    assert [span(count * 1_000_000_000) for count in (1, 90, 3600, 172_800)] == [
        "1 second",
        "90 seconds",
        "1 hour",
        "2 days",
    ]
    assert [code(text) for text in ("a", "a`b", "`", " ")] == ["`a`", "``a`b``", "`` ` ``", "`   `"]
    assert set(Need) == NEEDS.keys()
