"""The three lists of pins agree, and every pin carries hashes."""

import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LISTS = ("runtime", "build", "dev")


def blocks(name: str) -> dict[str, str]:
    """Read one list: package name to its whole block."""
    text = (REPOSITORY / "requirements" / f"{name}.txt").read_text()
    return {block.partition("==")[0]: block for block in re.split(r"^(?=[a-z])", text, flags=re.MULTILINE) if block.strip()}


def project() -> dict[str, list[str]]:
    """Read the names that pyproject.toml asks for, by list."""
    data = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    asked = {
        "runtime": data["project"]["dependencies"],
        "build": data["build-system"]["requires"],
        "dev": [*data["dependency-groups"]["dev"], *data["project"]["dependencies"]],
    }
    return {name: [re.split(r"[<>=; ]", spec)[0] for spec in specs] for name, specs in asked.items()}


@pytest.mark.parametrize("name", LISTS)
def test_every_pin_is_exact_and_hashed(name: str) -> None:
    """Nothing is installed whose bytes were not named."""
    bad = [package for package, block in blocks(name).items() if "--hash=sha256:" not in block or "==" not in block]

    assert bad == []


@pytest.mark.parametrize("name", LISTS)
def test_what_the_project_asks_for_is_pinned(name: str) -> None:
    """Each package of pyproject.toml is in its list."""
    assert set(project()[name]) - set(blocks(name)) == set()


@pytest.mark.parametrize("name", ["runtime", "build"])
def test_the_small_lists_are_parts_of_the_large_one(name: str) -> None:
    """`make demo` and `make test` run the same versions."""
    dev = blocks("dev")

    assert {package: block for package, block in blocks(name).items() if dev.get(package) != block} == {}
