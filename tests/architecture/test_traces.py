"""What is tracked says nothing of the machine it was made on."""

import re
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
THIS = Path(__file__).resolve()
NOT_OURS = {".git", ".venv"}
HOMES = re.compile(r"(?<![\w.])/(?:home|Users)/[A-Za-z][\w-]*/")
PACKAGE_HOSTS = re.compile(
    r"--(?:extra-)?index-url|--find-links|--trusted-host|files\.pythonhosted\.org"
    r"|https?://[\w.:@-]*(?:pypi|artifactory|nexus|devpi|simple/)[\w./-]*",
    re.IGNORECASE,
)
EVERYBODYS = {Path(name) for name in ("/", "/tmp", "/root", "/home", "/srv", "/opt", "/var", "/usr", "/mnt")}
"""Folders that machines have in common: their names give nothing away."""
CAPTURES = ("tests/data/", "src/kata_audit/samples/")
"""Recorded bytes may hold paths of the machine that ran the workload; everything else is ours to word."""


def tracked_files() -> list[Path]:
    """List what git tracks, or every file beside the environment where there is no git."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return [REPOSITORY / name for name in done.stdout.split("\0") if name]
    return [path for path in REPOSITORY.rglob("*") if path.is_file() and not NOT_OURS & set(path.parts)]


def text_of(path: Path) -> str:
    """Read a file as text; bytes of a capture that are no text do not matter here."""
    return path.read_bytes().decode("utf-8", errors="replace") if path.is_file() else ""


def place_of(clone: Path) -> re.Pattern[str]:
    """Make the pattern of the folder in which a clone lies, and of its neighbours unless everybody has that folder."""
    folder = clone if clone.parent in EVERYBODYS else clone.parent
    return re.compile(rf"(?<![\w./-]){re.escape(str(folder))}/")


def traces(text: str, clone: Path) -> list[str]:
    """List home folders, the clone's own place and package hosts in a text."""
    return [match.group() for pattern in (HOMES, PACKAGE_HOSTS, place_of(clone)) for match in pattern.finditer(text)]


def test_no_tracked_file_names_a_build_machine() -> None:
    """No absolute path of a build machine and no package host stands in a tracked file."""
    found = {}
    for path in tracked_files():
        name = str(path.relative_to(REPOSITORY))
        if path != THIS and not name.startswith(CAPTURES) and (hits := traces(text_of(path), REPOSITORY)):
            found[name] = hits[:3]

    assert found == {}


def test_the_trace_guard_fires() -> None:
    """The guard sees paths and hosts, and leaves the paths of the product alone."""
    clone = Path("/build/area/clone")

    assert traces("see /build/area/clone/src and /build/area/other/x", clone) == ["/build/area/"] * 2
    assert traces("cd /home/someone/clone", clone) == ["/home/someone/"]
    assert traces("pip --index-url https://mirror.example/simple/x", clone) != []
    assert traces("/var/lib/kata-audit, /run/vc and /root are the node's; docs/build/area/ is relative", clone) == []
