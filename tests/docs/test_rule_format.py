"""The page of the rule format says what the reader of rules does."""

import re
from pathlib import Path

from sigma.modifiers import modifier_mapping

from kata_audit.detect.explain import NEEDS
from kata_audit.detect.rule import CorrelationKind
from kata_audit.detect.sigma import check, detection, documents, lists, values
from kata_audit.detect.sigma.logsources import SERVICES
from kata_audit.detect.sigma.reader import read_rules
from kata_audit.schema.finding import Level, Maturity

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "rule-format.md").read_text()


def rows(head: str) -> dict[str, str]:
    """Read a table of the page by its first head: first cells to second ones."""
    table = re.search(rf"^\| {head} \|.*\n\| --- .*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table is not None
    cells = [line.strip("|\n ").split(" | ") for line in table[1].splitlines()]
    return {row[0]: row[1] for row in cells}


def names(head: str) -> set[str]:
    """Give every word in backticks of a table's first column."""
    return {name for cell in rows(head) for name in re.findall(r"`([^`]+)`", cell)}


def test_the_examples_are_rules() -> None:
    """Every example on the page is read, and together they are whole."""
    examples = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

    assert len(examples) >= 4
    assert {rule.rule_id for rule in read_rules([("page.yml", "---\n".join(examples).encode())])} >= {
        "shell_in_container",
        "shells_again_and_again",
        "shell_without_exec",
    }


def test_the_tables_are_the_code_s() -> None:
    """Modifiers, services, correlations, lists, needs and frameworks: none is missing, none is too much."""
    assert names("Modifier") == modifier_mapping.keys()
    assert names("Service") == SERVICES.keys()
    assert names("Type") == set(CorrelationKind)
    assert rows("List") == {f"`{name}`": about for name, about in lists.LISTS.items()}
    assert rows("Need") == {f"`{need}`": about for need, about in NEEDS.items()}
    assert ", ".join(f"`{name}`" for name in check.CONTROLS) in PAGE
    assert all(f"`{word}`" in PAGE for word in (*Level, *Maturity))


def test_the_limits_are_the_code_s() -> None:
    """Numbers on the page are those that hold."""
    assert rows("What") == {
        "Bytes of a file": f"{documents.MAX_BYTES:,}",
        "Documents of a file": f"{documents.MAX_DOCUMENTS:,}",
        "Depth of values": f"{documents.MAX_DEPTH:,}",
        "Characters of a condition, and its nested parentheses": f"{detection.MAX_CONDITION:,} and {detection.MAX_NESTING:,}",
        "Values of one field": f"{detection.MAX_VALUES:,}",
        "Values that one value becomes by lists": f"{lists.MAX_EXPANSIONS:,}",
        "Characters of a regex": f"{values.MAX_REGEX:,}",
    }
