"""The page of the search language says what the language does."""

import re
from pathlib import Path

import pytest

from kata_audit.errors import QueryError
from kata_audit.predicate.language import MAX_DEPTH, MAX_QUERY, parse_query

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "reference" / "search-language.md").read_text()


@pytest.mark.parametrize("query", re.findall(r"^```query\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL))
def test_an_example_is_a_query(query: str) -> None:
    """Every example can be typed."""
    parse_query(query)


def test_the_mistakes_shown_are_what_is_told() -> None:
    """The page's answer is the program's."""
    shown = re.search(r"^\$ kata-audit search '(.*)'\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert shown is not None

    with pytest.raises(QueryError) as caught:
        parse_query(shown[1])
    assert caught.value.diagnostics() + "\n" == shown[2]


def test_the_limits_are_the_code_s() -> None:
    """Numbers on the page are those that hold."""
    assert f"at most {MAX_QUERY:,} characters and nests at most {MAX_DEPTH} deep" in PAGE
