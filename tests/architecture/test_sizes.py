"""Functions and files stay small: a reader holds one in the head at a time."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TREES = ("src", "tests")
FUNCTION_P90, FUNCTION_MAX = 40, 80
FILE_P90, FILE_MAX = 400, 600


def python_files(tree: str) -> list[Path]:
    """List the Python files of one tree of the repository."""
    return sorted((REPOSITORY / tree).rglob("*.py"))


def function_sizes(source: str) -> dict[str, int]:
    """Measure every function of a file in lines, from `def` to its last line."""
    functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {f"{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}


def p90(sizes: list[int]) -> int:
    """Return the value that nine in ten do not exceed."""
    return sorted(sizes)[min(len(sizes) - 1, int(len(sizes) * 0.9))] if sizes else 0


def too_long(sizes: dict[str, int], limit: int) -> dict[str, int]:
    """Pick those over the limit."""
    return {name: size for name, size in sizes.items() if size > limit}


@pytest.mark.parametrize("tree", TREES)
def test_functions_are_small(tree: str) -> None:
    """No function is over 80 lines and nine in ten are at most 40."""
    sizes = {
        f"{path.relative_to(REPOSITORY)}:{name}": size
        for path in python_files(tree)
        for name, size in function_sizes(path.read_text()).items()
    }

    assert too_long(sizes, FUNCTION_MAX) == {}
    assert p90(list(sizes.values())) <= FUNCTION_P90


@pytest.mark.parametrize("tree", TREES)
def test_files_are_small(tree: str) -> None:
    """No file is over 600 lines and nine in ten are at most 400."""
    sizes = {str(path.relative_to(REPOSITORY)): path.read_text().count("\n") for path in python_files(tree)}

    assert too_long(sizes, FILE_MAX) == {}
    assert p90(list(sizes.values())) <= FILE_P90


def test_the_size_guard_fires() -> None:
    """A function one line too long is seen."""
    long_one = "def planted():\n" + "    pass\n" * FUNCTION_MAX

    assert too_long(function_sizes(long_one), FUNCTION_MAX) == {"1 planted": FUNCTION_MAX + 1}


def test_the_ninth_decile_is_the_ninth_of_ten() -> None:
    """The decile rises when more than one in ten is long."""
    assert p90([1] * 9 + [99]) == 99
    assert p90([1] * 19 + [99]) == 1
