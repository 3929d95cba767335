"""Pages hang together: links lead somewhere, sentences have their own line, decisions have one form."""

import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
ADRS = sorted(path for path in (DOCS / "adr").glob("[0-9]*.md") if not path.name.startswith("0000"))
ADR_SECTIONS = ("Context", "Options", "Decision", "Consequences", "Confirmed by")
README_LINES, CONTRIBUTING_LINES = 60, 110
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
TWO_SENTENCES = re.compile(r"[a-z0-9`)*\"]\. +[A-Z`]")


def pages() -> list[Path]:
    """List every page of the repository."""
    return sorted([*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md")])


def without_code(text: str) -> str:
    """Drop fenced blocks and comments; inline code becomes a single letter."""
    text = re.sub(r"^```.*?^```|<!--.*?-->", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]+`", "`x`", text)


def anchors(page: Path) -> set[str]:
    """List the anchors that a page's headings make."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: Path) -> list[str]:
    """List the internal links of a page that lead nowhere."""
    broken = []
    for match in LINK.finditer(without_code(page.read_text())):
        name, _, anchor = match["target"].partition("#")
        if "://" in name or name.startswith("mailto:"):
            continue
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(match["target"])
    return broken


def crowded_lines(text: str) -> list[str]:
    """List lines of prose that hold two sentences; tables and headings are no prose."""
    prose = (line for line in without_code(text).splitlines() if not line.lstrip().startswith(("|", "#")))
    return [line for line in prose if TWO_SENTENCES.search(re.sub(r"^\s*\d+\. |e\.g\. |i\.e\. ", "", line))]


@pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    """No internal link of a page is broken."""
    assert broken_links(page) == []


@pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_sentence_has_its_own_line(page: Path) -> None:
    """A change to one sentence is a change to one line."""
    assert crowded_lines(page.read_text()) == []


def test_every_page_is_reachable() -> None:
    """From the index one gets to every page of the docs."""
    seen, queue = set[Path](), [DOCS / "index.md"]
    while queue:
        page = queue.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        queue += [(page.parent / m["target"].partition("#")[0]).resolve() for m in LINK.finditer(page.read_text())]

    assert sorted(str(page.relative_to(DOCS)) for page in set(DOCS.rglob("*.md")) - seen) == []


@pytest.mark.parametrize("adr", ADRS, ids=lambda path: path.stem)
def test_a_decision_has_the_one_form(adr: Path) -> None:
    """A decision names its options with pros and cons, and the file that would fail if it were broken."""
    text = adr.read_text()
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)

    assert sections == list(ADR_SECTIONS)
    assert text.count("- Good:") >= 2
    assert text.count("- Bad:") >= 2
    named = re.findall(
        r"`((?:tests|src|docs)/[\w./-]+|\.importlinter|pyproject\.toml)`", text.partition("## Confirmed by")[2]
    )
    assert named != []
    assert [path for path in named if not (REPOSITORY / path).exists()] == []


def test_every_dependency_has_a_reason() -> None:
    """No package comes in without a sentence that says why."""
    page = (DOCS / "adr" / "0011-dependencies.md").read_text()
    data = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    asked = [*data["build-system"]["requires"], *data["project"]["dependencies"], *data["dependency-groups"]["dev"]]
    names = {re.split(r"[<>=; ]", spec)[0] for spec in asked}

    assert sorted(name for name in names if f"| `{name}` |" not in page) == []


def test_the_first_pages_fit_the_screen() -> None:
    """The README is one screen and CONTRIBUTING is two."""
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= README_LINES
    assert len((REPOSITORY / "CONTRIBUTING.md").read_text().splitlines()) <= CONTRIBUTING_LINES


def test_the_page_guards_fire(tmp_path: Path) -> None:
    """A broken link, a missing anchor and a crowded line are seen."""
    page = tmp_path / "page.md"
    page.write_text("# A title\nSee [one](gone.md), [two](#a-title), [three](#nowhere).\nTwo here. On a line.\n")

    assert broken_links(page) == ["gone.md", "#nowhere"]
    assert crowded_lines(page.read_text()) == ["Two here. On a line."]


@pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_page_begins_with_its_title(page: Path) -> None:
    """One line, no longer than a title is; a generated page says before it that it is one."""
    first = next(line for line in page.read_text().splitlines() if line and not line.startswith("<!--"))

    assert first.startswith("# ")
    assert len(first) <= 100
