"""The prefilter finds the rows that the conditions alone find, whatever the rows, the conditions and the scanner."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import re2
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kata_audit.detect import asking, prefilter, profiles
from kata_audit.detect import scan as scan_room
from kata_audit.detect.attributes import Attributes
from kata_audit.detect.literals import Literal, branches_of, literals_of
from kata_audit.detect.prefilter import Prefilter
from kata_audit.detect.profiles import profiles_of
from kata_audit.detect.regex_literals import literals_of_regex
from kata_audit.detect.scan import Scanner, rows_of_needles, scan_ahocorasick, scan_hyperscan
from kata_audit.predicate.rows import evaluate
from kata_audit.predicate.tree import And, Compare, Everything, Match, Not, OneOf, Op, Or, Predicate, Present, Syntax, Text
from kata_audit.schema.record import RECORD_SCHEMA

PIECES = st.sampled_from(
    [
        "exec",
        "EXEC",
        "xec",
        "nsenter",
        "NSenter",
        "-ex",
        "policy denied",
        "K\u212a",
        "kks",
        "\u017fss",
        "é",
        "\n",
        " ",
        "a*b",
    ]
)
BODIES = st.lists(PIECES, max_size=4).map("".join)
RAWS = BODIES.map(str.encode) | st.builds(
    lambda text, byte: text.encode() + byte + b"nsenter", BODIES, st.binary(max_size=2)
)
WORDS = st.sampled_from(["a", "b", "agent", "guest", "Host"])
REGEXES = [
    *[
        "exec",
        "(?i)kks",
        "(?i:exec|nsenter) ?x?",
        "^exec.*nsenter$",
        "ex+ec",
        "nse(nter)?",
        "(?:policy denied|exec){1,3}",
        "[x]ec",
    ],
    *[
        r"\bexec\b",
        "exec|",
        "(exec|.*)",
        "po?licy",
        r"a\*b",
        "[[:alpha:]]xec",
        "(?P<n>nsenter)-ex",
        "x{0}exec",
        "(?i)\u017fss",
    ],
    *[r"\Qexec\E", r"[^\]]exec", "exec(?s:.)nsenter", "e{2}xec", "(?i-s)exec", "nse*nter+", "(((nsenter)))*exec"],
]

FIELDS = ("body", "raw", "event_name", "origin", "subsystem", "k8s_pod", "attributes.k")
TEXTS = BODIES | WORDS
LEAVES: st.SearchStrategy[Predicate] = st.one_of(
    st.just(Everything()),
    st.builds(Text, PIECES),
    st.builds(Compare, st.sampled_from(FIELDS), st.sampled_from(list(Op)), TEXTS),
    st.builds(OneOf, st.sampled_from(FIELDS), st.frozensets(TEXTS, max_size=3)),
    st.builds(Present, st.sampled_from(FIELDS)),
    st.builds(
        Match,
        st.sampled_from(FIELDS),
        st.lists(PIECES | st.sampled_from("*?\\"), max_size=3).map("".join),
        st.just(Syntax.WILDCARD),
        st.booleans(),
    ),
    st.builds(Match, st.sampled_from(FIELDS), st.sampled_from(REGEXES), st.just(Syntax.REGEX)),
)


def _joined(parts: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
    several = st.lists(parts, max_size=3).map(tuple)
    return st.one_of(st.builds(And, several), st.builds(Or, several), st.builds(Not, parts))


CONDITIONS: st.SearchStrategy[Predicate] = st.recursive(LEAVES, _joined, max_leaves=5)
ROW = st.fixed_dictionaries(
    {
        "body": st.none() | BODIES,
        "raw": RAWS,
        "event_name": st.none() | WORDS,
        "origin": st.none() | WORDS,
        "subsystem": st.none() | WORDS,
        "k8s_pod": st.none() | WORDS,
        "attributes": st.dictionaries(st.just("k"), TEXTS, max_size=1).map(lambda found: list(found.items())),
    }
)


def table(rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """Make records of what they state."""
    columns = []
    for field in RECORD_SCHEMA:
        values = [row.get(field.name) for row in rows]
        if pa.types.is_dictionary(field.type):
            columns.append(pa.array(values, pa.string()).dictionary_encode().cast(field.type))
        else:
            columns.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=RECORD_SCHEMA)


TABLES = st.lists(ROW, max_size=12).map(table)
SCANNERS = st.sampled_from([scan_ahocorasick, scan_hyperscan])


def alone(conditions: Sequence[Predicate], rows: pa.RecordBatch) -> list[tuple[int, list[int]]]:
    """Ask every condition of every row."""
    found = [(number, pc.indices_nonzero(evaluate(where, rows)).to_pylist()) for number, where in enumerate(conditions)]
    return [(number, held) for number, held in found if held]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=TABLES,
    more=TABLES,
    conditions=st.lists(CONDITIONS, min_size=1, max_size=6),
    few=st.sampled_from([0, 256]),
    words=st.sampled_from([0, 2, 1024]),
    scan=SCANNERS,
)
def test_thinning_loses_nothing(
    *,
    rows: pa.RecordBatch,
    more: pa.RecordBatch,
    conditions: list[Predicate],
    few: int,
    words: int,
    scan: Callable[[Sequence[bytes]], Scanner],
) -> None:
    """The prefilter's law; the second table meets what was remembered of the first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefilter, "FEW_ROWS", few)
        patch.setattr(asking, "FEW_ROWS", few)
        patch.setattr(asking, "MANY_WORDS", few)
        patch.setattr(asking, "_DISTINCT", 0.6 if few else 2)
        patch.setattr(profiles, "MAX_WORDS", words)
        ready = Prefilter(conditions, scan=scan)
        for one in (rows, more, rows):
            assert [(number, held.to_pylist()) for number, held in ready.holding(one)] == alone(conditions, one)


@settings(max_examples=300, deadline=None)
@given(pattern=st.sampled_from(REGEXES), data=st.data())
@example(pattern="(?i)kks", data=None)
def test_a_literal_of_a_regex_stands_in_all_it_fits(pattern: str, data: Any) -> None:
    """Whatever fits a pattern holds one of its literals, when A to Z are folded."""
    text = "kK\u017f" if data is None else data.draw(BODIES)
    literals = literals_of_regex(pattern)
    if literals is not None and re2.search(pattern, text):
        folded = text.encode().lower()
        assert any(literal.encode().lower() in folded for literal in literals)


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        ("^exec (of|in) x", {"exec "}),
        ("a(?:policy|seccomp)b", {"policy", "seccomp"}),
        ("ab+cd?e", {"bc"}),
        ("(exec)?", None),
        ("exec|.*", None),
        (r"\x41bcdef", None),
        ("(?i)mask", {"ma"}),
        (r"a\.\*c", {"a.*c"}),
        ("a[", None),
        ("abc)", None),
    ],
)
def test_a_regex_is_read_not_guessed(pattern: str, literals: set[str] | None) -> None:
    """Optional parts give nothing, unknown ones give up, and the longest of what must stand is taken."""
    found = literals_of_regex(pattern)
    assert found == (None if literals is None else frozenset(literals)), re.escape(pattern)


def test_raw_is_looked_up_by_ascii_only() -> None:
    """A byte above 127 of a record that is not UTF-8 reads as U+FFFD, which stands in no byte of it."""
    assert literals_of(Match("raw", "*abc\ufffdlonger*", Syntax.WILDCARD)) == frozenset({Literal("raw", b"longer")})


@pytest.mark.parametrize("scan", [scan_ahocorasick, scan_hyperscan])
def test_a_needle_across_two_rows_stands_in_neither(scan: Callable[[Sequence[bytes]], Scanner]) -> None:
    """Texts are joined for the pass, and a hit belongs to one row or to none."""
    needles = [b"abc", b"bcd"]
    texts = pa.array(["xx", "zab", "cd", None, "", "aBCd", "abcabc"], pa.large_string()).slice(1)

    found = rows_of_needles(scan(needles), needles, texts)

    assert {needle: rows.to_pylist() for needle, rows in found.items()} == {0: [4, 5], 1: [4]}


def test_texts_full_of_needles_are_scanned_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place is an object while its row is sought, so a piece is small; a needle across two pieces stands in neither."""
    monkeypatch.setattr(scan_room, "PIECE", 10)
    needles = [b"abc"]
    texts = ["xabc", "abcabc", "", "a" * 24 + "bc", None, "ab", "c" * 7, "ab", "cabc" * 4, "abc"]
    scan, scanned = scan_ahocorasick(needles), []

    def noting(text: bytes) -> list[tuple[int, int]]:
        scanned.append(text)
        return scan(text)

    found = rows_of_needles(noting, needles, pa.array(["abc", *texts], pa.large_string()).slice(1))

    assert {needle: rows.to_pylist() for needle, rows in found.items()} == {0: [0, 1, 3, 8, 9]}
    assert b"".join(scanned).decode() == "".join(text or "" for text in texts)
    assert sorted(map(len, scanned))[-2:] == [16, 26]
    assert max(len(one) for one in scanned if one.decode() not in texts) <= 10


def test_attributes_are_found_by_key() -> None:
    """As a lookup in the map finds them: in a slice, behind rows that state nothing, the first where one stands twice."""
    stated = [[("k", "1")], None, [], [("x", "1"), ("k", "2")], [("k", "1"), ("k", "2")], [("K", "1")], [("k", None)]]
    whole = pa.array(stated, RECORD_SCHEMA.field("attributes").type)
    for column in (whole, whole.slice(1, 4), whole.slice(2, 1)):
        found, rows = Attributes(column, ("none", "k", "x")), pa.array(range(len(column)), pa.int64())
        for key in ("k", "x", "none"):
            assert found.of_rows(key, rows).to_pylist() == pc.map_lookup(column, pa.scalar(key), "first").to_pylist()

    assert Attributes(whole, ("k",)).of_rows("k", pa.array([4, 6, 1], pa.int64())).to_pylist() == ["1", None, None]
    assert Attributes(whole, ("k",)).stating("k").to_pylist() == [0, 3, 4, 4, 6]
    with pytest.raises(KeyError):  # nothing is kept of a key that nobody asks for
        Attributes(whole, ("k",)).count("x")


def test_branches_are_few_and_alike_in_what_they_ask() -> None:
    """Words of one field stay together; what would make too many branches stays whole."""
    body = [Match("body", f"*{word}*", Syntax.WILDCARD) for word in ("exec", "nsenter")]
    event = Compare("event_name", Op.EQ, "exec")

    assert branches_of(And((event, Or((*body, Present("k8s_pod")))))) == (
        And((event, Or(tuple(body)))),
        And((event, Present("k8s_pod"))),
    )
    wide = Or(tuple(Present(f"attributes.k{number}") for number in range(20)))
    assert branches_of(And((event, wide))) == (And((event, wide)),)


def test_profiles_leave_out_what_a_guest_can_widen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand made-up words take their column out of the profiles, and the others stay."""
    monkeypatch.setattr(profiles, "MAX_PROFILES", 8)
    rows = table([{"event_name": "exec", "origin": "guest", "subsystem": f"s{number}"} for number in range(50)])

    found = profiles_of(rows, ("origin", "event_name", "subsystem"))

    assert found.words.schema.names == ["event_name", "origin"]
    assert found.rows([0]).to_pylist() == list(range(50))
