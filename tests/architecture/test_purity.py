"""Pure rooms read no clock, open no file, touch no environment and draw no random number.

The import contracts see whole distributions; this test sees the names.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "kata_audit"
PURE = ("schema", "tlog", "predicate", "wire", "parse", "detect")
"""Every room of the floor plan that is pure; one that does not exist yet has no files."""
FORBIDDEN_CALLS = {"open", "input", "print", "exec", "eval", "breakpoint", "__import__"}
FORBIDDEN_ATTRIBUTES = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "sleep"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("date", "today"),
    ("os", "environ"),
    ("os", "getenv"),
    ("os", "open"),
    ("os", "urandom"),
    ("pa", "memory_map"),
    ("pa", "OSFile"),
}
FORBIDDEN_IMPORTS = {
    "pyarrow.parquet",
    "pyarrow.fs",
    "pyarrow.dataset",
    "pyarrow.csv",
    "random",
    "secrets",
    "uuid",
    "urllib.request",
    "importlib.resources",
    "io.open",
    "kata_audit.clock",
}
STANDS_ALONE = "verify_bundle.py"
MAY_IMPORT = {"cryptography"}


def imported(node: ast.AST) -> Iterator[str]:
    """Yield every dotted name that an import statement may bind."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offences(tree: ast.AST) -> list[str]:
    """List what a pure room may not say, with its line."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            found.append(f"line {node.lineno}: {node.func.id}()")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if (owner, node.attr) in FORBIDDEN_ATTRIBUTES:
                found.append(f"line {node.lineno}: {owner}.{node.attr}")
        if isinstance(node, ast.Global):
            found.append(f"line {node.lineno}: global {', '.join(node.names)}")
        found += [f"import {name}" for name in imported(node) if name in FORBIDDEN_IMPORTS]
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [f"line {node.lineno}: time.{a.name}" for a in node.names if ("time", a.name) in FORBIDDEN_ATTRIBUTES]
    return found


def strangers(tree: ast.AST) -> list[str]:
    """List what the bundle verifier imports beside the standard library and `cryptography`."""
    allowed = set(sys.stdlib_module_names) | MAY_IMPORT
    return [name for node in ast.walk(tree) for name in imported(node) if name.partition(".")[0] not in allowed]


def pure_files() -> list[Path]:
    """List the files of all pure rooms."""
    return [path for room in PURE for path in sorted((PACKAGE / room).rglob("*.py"))]


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_pure_room_does_no_io(path: Path) -> None:
    """No file of a pure room names a clock, a file, the environment or chance."""
    assert offences(ast.parse(path.read_text())) == []


@pytest.mark.parametrize(
    "bad",
    [
        "import time\ntime.time()",
        "from time import time_ns",
        "open('x')",
        "from pyarrow import parquet",
        "import pyarrow.parquet as pq",
        "import datetime\ndatetime.datetime.now()",
        "import os\nos.environ['A']",
        "import secrets",
        "from kata_audit.clock import SystemClock",
        "def f():\n    global state\n    state = 1",
        "print('a record')",
    ],
)
def test_the_purity_guard_fires(bad: str) -> None:
    """The guard sees each thing it forbids."""
    assert offences(ast.parse(bad)) != []


def test_the_bundle_verifier_stands_alone() -> None:
    """A stranger can read and run the verifier with the standard library and `cryptography`."""
    path = PACKAGE / STANDS_ALONE

    assert strangers(ast.parse(path.read_text())) == []


@pytest.mark.parametrize("bad", ["import kata_audit", "from kata_audit.tlog import note", "import pyarrow as pa"])
def test_the_stands_alone_guard_fires(bad: str) -> None:
    """The guard sees ours and third parties alike."""
    assert strangers(ast.parse(bad)) != []
