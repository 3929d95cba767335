"""Every grammar has a page that shows what it really does, and no text on it can be more than text."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from kata_audit.parse.dialects.registry import DIALECTS
from kata_audit.schema.source import Transport

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = REPOSITORY / "docs" / "reference" / "dialects"
GENERATOR: dict[str, Any] = runpy.run_path(str(REPOSITORY / "docs" / "generate" / "dialects.py"))


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_dialect_has_a_page_with_all_that_it_says_of_itself(name: str) -> None:
    """Who writes it, each example and each hole stand on its page, and the index leads there."""
    page, about = (PAGES / f"{name}.md").read_text(), DIALECTS[name].about

    assert f"({name}.md)" in (PAGES / "index.md").read_text()
    assert about.examples
    assert about.holes
    for text in (about.producer, about.versions, about.source, *about.holes):
        assert " ".join(text.split()) in " ".join(page.split())
    assert all(GENERATOR["block"](example) in page for example in about.examples)


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_dialect_reads_its_own_examples(name: str) -> None:
    """What a page shows as the grammar's is read by it, whole, where a host wrote it."""
    dialect = DIALECTS[name]
    declared = None if dialect.signature is not None else name
    rows = GENERATOR["records"](dialect.about.examples, Transport.HOST_FILE, dialect=declared)

    assert {path.split("/")[0] for path in rows.column("dialect").to_pylist()} == {name}
    assert set(rows.column("parse_status").to_pylist()) == {"parsed"}


@pytest.mark.parametrize("envelope", GENERATOR["ENVELOPES"], ids=lambda one: one.name)
def test_an_envelope_reads_its_own_examples(envelope: Any) -> None:
    """An envelope's example is taken apart, and nothing of it is malformed."""
    rows = GENERATOR["records"](envelope.about.examples, envelope.transport, stream=envelope.stream, end=envelope.end)

    assert f"({envelope.name}.md)" in (PAGES / "index.md").read_text()
    assert set(rows.column("parse_status").to_pylist()) <= {"parsed", "envelope"}
    assert None not in rows.column("dialect").to_pylist()


def test_hostile_text_stays_text() -> None:
    """Neither a cell nor a block can be left by what stands in it, and nothing in them moves a terminal."""
    hostile = "a|b `` c\n| d | ``` \x1b[2J <script> \u202e"
    cell, block = GENERATOR["code"](hostile), GENERATOR["block"](hostile)

    assert cell == "````a\\|b `` c\\x0a\\| d \\| ``` \\x1b[2J <script> \\u202e````"
    assert block.split("\n") == ["````text", "a|b `` c", "| d | ``` \\x1b[2J <script> \\u202e", "````"]
