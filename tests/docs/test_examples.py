"""What the pages tell a person to type works as written.

Blocks marked `sh` are run, page by page, in an empty folder; blocks marked `console` are shown only.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
SAMPLE = "src/kata_audit/samples/node.journal.export.zst"
BLOCK = re.compile(r"^```sh\n(?P<commands>.*?)^```", re.MULTILINE | re.DOTALL)
BEFORE = {"prove-one-record-to-a-stranger.md": f"kata-audit ingest {SAMPLE}"}
"""What a page takes for granted."""
LINE = 'time="2026-11-23T06:06:46.123456789Z" level=info msg="starting containerd" revision=abc version=v2.4.2\n'
PAGES = sorted([*(DOCS / "tutorials").glob("*.md"), *(DOCS / "how-to").glob("*.md")])


def commands_of(page: Path) -> str:
    """Join the blocks of a page that are to be run."""
    return "\n".join(match["commands"] for match in BLOCK.finditer(page.read_text()))


def run_commands(commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run commands as a person would, in a folder that holds the repository's sources and three small logs."""
    (folder / "src").symlink_to(REPOSITORY / "src")
    for name in ("node.log", "containerd.log", "console.log"):
        (folder / name).write_text(LINE)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "KATA_AUDIT_STORE": str(folder / "store"),
        "LC_ALL": "C.UTF-8",
    }
    shell = ["bash", "-euo", "pipefail", "-c", commands]
    return subprocess.run(
        shell, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("page", [page for page in PAGES if commands_of(page)], ids=lambda page: page.stem)
def test_the_commands_of_a_page_work(page: Path, tmp_path: Path) -> None:
    """Each command that a page tells a person to type ends with exit code 0."""
    done = run_commands(f"{BEFORE.get(page.name, ':')}\n{commands_of(page)}", tmp_path)

    assert done.returncode == 0, done.stderr


def shown_sessions(text: str) -> list[tuple[str, str]]:
    """Read the blocks that show commands with their output: each command, and what stands under it."""
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [
        (match["command"], match["output"])
        for block in blocks
        for match in re.finditer(r"^\$ (?P<command>.+)\n(?P<output>(?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    ]


def test_the_readme_shows_what_the_product_prints(tmp_path: Path) -> None:
    """The example of the README is real: the same commands print the same text."""
    shown = shown_sessions((REPOSITORY / "README.md").read_text())
    done = run_commands("\n".join(command for command, _ in shown), tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(output for _, output in shown)


def test_the_example_guard_fires(tmp_path: Path) -> None:
    """A command that fails fails its page, wherever in the page it stands."""
    assert run_commands("kata-audit no-such-command\ntrue\n", tmp_path).returncode != 0
