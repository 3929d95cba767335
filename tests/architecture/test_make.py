"""`make` says clearly what it lacks, and `.ci/run` lets no skipped test pass that has no owner."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ALLOWED = "SKIPPED [3] tests/property/test_x.py:9: the reference captures are absent; name their folder"
FORBIDDEN = "SKIPPED [1] tests/e2e/test_x.py:9: no server answers"


def script(path: Path, text: str) -> Path:
    """Write a program that stands in for another on the PATH."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def run_make(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make with an environment folder of its own, so that nothing real is set up."""
    command = ["make", "-s", f"VENV={tmp_path / 'venv'}", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def run_ci(tmp_path: Path, test_output: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `.ci/run` with a make that prints what a test run would print."""
    said = tmp_path / "said"
    said.write_text(f"{test_output}\n")
    script(tmp_path / "make", f'[ "$1" = test ] || {{ echo "made $*"; exit 0; }}\ncat "{said}"; exit {status}')
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [str(REPOSITORY / ".ci" / "run")]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is absent, so nobody can be told anything by it")
@pytest.mark.parametrize("target", ["demo", "test"])
def test_an_old_python_is_named(tmp_path: Path, target: str) -> None:
    """A person with an old interpreter learns which one is needed."""
    old = script(tmp_path / "python3.8", "exit 1")
    done = run_make(tmp_path, f"PYTHON={old}", target)

    assert done.returncode == 2
    assert "needs Python 3.11 or newer" in done.stderr
    assert str(old) in done.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="make is absent, so nobody can be told anything by it")
def test_no_python_is_said(tmp_path: Path) -> None:
    """A person without any learns how to name one."""
    done = run_make(tmp_path, "PYTHON=", "demo")

    assert done.returncode == 2
    assert "make PYTHON=" in done.stderr


def test_ci_passes_when_all_passes(tmp_path: Path) -> None:
    """The captures may be absent: that is the one skip with an owner."""
    done = run_ci(tmp_path, f"{ALLOWED}\n12 passed, 3 skipped")

    assert done.returncode == 0, done.stderr
    assert "made servers" in done.stdout
    assert "made fuzz FUZZ_SECONDS=30" in done.stdout


def test_ci_fails_for_a_skip_without_owner(tmp_path: Path) -> None:
    """A test whose server is missing fails the run, by name."""
    done = run_ci(tmp_path, f"{ALLOWED}\n{FORBIDDEN}\n12 passed, 4 skipped")

    assert done.returncode == 1
    assert FORBIDDEN in done.stderr
    assert ALLOWED not in done.stderr


def test_ci_fails_when_tests_fail(tmp_path: Path) -> None:
    """The status of the tests is not lost in the pipe that reads them."""
    assert run_ci(tmp_path, "1 failed", status=2).returncode != 0
