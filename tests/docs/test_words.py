"""One word, one meaning: the docs and the source use no word that the glossary forbids."""

import io
import re
import tokenize
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
GLOSSARY = REPOSITORY / "docs" / "reference" / "glossary.md"
INSTEAD = {
    r"log (?:message|event)s?\b": "record",
    r"audit entr(?:y|ies)\b": "record",
    r"record entr(?:y|ies)\b": "record",
    r"hash[- ]chain": "log",
    r"bookmark": "cursor",
    r"log sinks?\b|data sinks?\b": "exporter",
    r"log sources?\b(?! in the Sigma)": "receiver",
    r"\bparser plug-?ins?\b": "dialect",
    r"finali[sz]e the (?:segment|batch|cut)": "seal",
    r"commit(?:ted)? the segment": "seal",
    r"\bnotar(?:y|ies)\b": "witness",
    r"\bmicro-?vms?\b": "sandbox",
    r"\bredact(?:ed|s)? (?:the )?secrets?\b": "mask",
    r"\bscrub(?:bed|bing|s)?\b": "mask",
    r"\bblack-?list|\bwhite-?list": "deny list, allow list",
    r"\btamper-?proof": "tamper-evident",
    r"\bun(?:hackable|breakable)": "what exactly holds",
    r"\bmilitary[- ]grade|\bblazing|\bseamless(?:ly)?\b|\bworld[- ]class": "a number",
    r"\b(?:TODO|FIXME|XXX|TBD)\b|\bto be implemented\b|\bcoming soon\b": "what exists",
}
"""Pattern of what not to say, and what to say instead. Only wordings that never have an honest use here."""
PATTERNS = {re.compile(pattern, re.IGNORECASE): word for pattern, word in INSTEAD.items()}


def prose_of_python(source: str) -> str:
    """Keep the comments and the strings that stand alone (docstrings) of a Python file, each on its line."""
    kept, alone = [], True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and alone):
            kept.append(token.string)
        if token.type != tokenize.COMMENT:
            alone = token.type in {tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT}
    return "\n".join(kept)


def prose_of_markdown(text: str) -> str:
    """Drop fenced blocks and inline code: they quote what programs write."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def misuses(prose: str) -> list[str]:
    """List forbidden wordings with the word to use."""
    return [f"{m.group()!r}: say {word}" for pattern, word in PATTERNS.items() for m in pattern.finditer(prose)]


def markdown_files() -> list[Path]:
    """List the pages; the glossary itself may quote what it forbids."""
    pages = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    return sorted(page for page in pages if page != GLOSSARY)


def python_files() -> list[Path]:
    """List the source files."""
    return sorted((REPOSITORY / "src").rglob("*.py"))


@pytest.mark.parametrize("path", markdown_files(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_page_keeps_the_vocabulary(path: Path) -> None:
    """A page calls each thing by its one name."""
    assert misuses(prose_of_markdown(path.read_text())) == []


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_source_file_keeps_the_vocabulary(path: Path) -> None:
    """Comments and docstrings call each thing by its one name."""
    assert misuses(prose_of_python(path.read_text())) == []


def test_the_word_guard_fires() -> None:
    """The guard reads prose, and leaves code and quotations alone."""
    assert misuses("Every log message is stored.") == ["'log message': say record"]
    assert misuses(prose_of_python('"""A bookmark."""\nx = "a bookmark"  # a notary\n')) == [
        "'bookmark': say cursor",
        "'notary': say witness",
    ]
    assert misuses(prose_of_markdown("It writes `log message`.\n```\nlog message\n```\n")) == []
