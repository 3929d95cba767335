"""Every public module, class and function says what it is for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "kata_audit"
FORBIDDEN_ROOMS = {"utils", "util", "helpers", "common", "core", "manager", "misc"}
TREELIKE = ast.Module | ast.ClassDef


def public_members(owner: TREELIKE, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Yield public classes and functions with their dotted names, those of public classes too."""
    for node in owner.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield f"{prefix}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public_members(node, f"{prefix}{node.name}.")


def undocumented(source: str) -> list[str]:
    """List the public names of a file that have no docstring; `<module>` stands for the file."""
    tree = ast.parse(source)
    missing = [] if ast.get_docstring(tree) else ["<module>"]
    for name, node in public_members(tree):
        assert isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if not ast.get_docstring(node):
            missing.append(name)
    return missing


def logic_in_init(source: str) -> list[str]:
    """List statements of an `__init__.py` that are no docstring, import or plain assignment."""
    allowed = ast.Expr | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign
    return [f"line {node.lineno}" for node in ast.parse(source).body if not isinstance(node, allowed)]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_public_names_are_documented(path: Path) -> None:
    """A stranger learns from the file itself what each public thing is for."""
    assert undocumented(path.read_text()) == []


def test_a_room_has_a_name_that_says_what_it_holds() -> None:
    """No module is called after the absence of an idea."""
    stems = {path.stem for path in PACKAGE.rglob("*.py")} | {path.name for path in PACKAGE.rglob("*") if path.is_dir()}

    assert stems & FORBIDDEN_ROOMS == set()


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_an_init_holds_no_logic(path: Path) -> None:
    """Opening a package costs a docstring and its re-exports."""
    assert logic_in_init(path.read_text()) == []


def test_the_docstring_guard_fires() -> None:
    """The guard sees a silent module, class, method and function, and leaves private ones alone."""
    silent = "class Planted:\n    def method(self): ...\n    def _private(self): ...\ndef planted(): ...\n"

    assert undocumented(silent) == ["<module>", "Planted", "Planted.method", "planted"]
    assert logic_in_init("'''Fine.'''\nfrom a import b\nif b:\n    c = 1\n") == ["line 3"]
