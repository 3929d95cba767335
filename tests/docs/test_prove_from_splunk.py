"""The way from a line in Splunk to a stranger's verdict, by the commands of its page, with a collector that speaks the protocol."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.hec_double import HecDouble
from tests.loopback import Http
from tests.stores import captured_store

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "how-to" / "prove-a-line-found-in-splunk.md").read_text()
NAME = "kata-audit/lab/node/d291b340/417"
"""The name on the page; here it is another, since a log's origin is its own."""
Run = Callable[[str], "subprocess.CompletedProcess[str]"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


COMMANDS = [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command of the page in a folder of its own; what it says is printed."""
    monkeypatch.setenv("KATA_AUDIT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("KATA_AUDIT_CONFIG", str(tmp_path / "config.toml"))
    programs = {
        "kata-audit": [sys.executable, "-c", "import sys; from kata_audit.cli.main import run; sys.exit(run(sys.argv[1:]))"],
        "python": [sys.executable],
    }

    def command(text: str) -> "subprocess.CompletedProcess[str]":
        first, *others = shlex.split(text)
        paths = [str(REPOSITORY / one) if one.startswith("src/") else one for one in others]
        return subprocess.run([*programs[first], *paths], capture_output=True, text=True, cwd=tmp_path, check=False)

    return command


def test_the_page_is_the_way(tmp_path: Path, run: Run) -> None:
    """A record goes out, is found by its name, proved, and verified; one changed byte, and it is not."""
    captured_store(tmp_path / "store")
    (tmp_path / "token").write_text("t0ken\n")
    double = HecDouble()
    with Http().running() as server:
        server.reply = double.reply
        (settings,) = blocks("toml")
        settings = settings.replace("https://splunk.example.org:8088", f"http://127.0.0.1:{server.port}")
        settings = settings.replace("/etc/kata-audit/splunk.token", str(tmp_path / "token"))
        (tmp_path / "config.toml").write_text(f'{settings}allow = ["127.0.0.0/8"]\nplaintext = true\n')
        export, prove, verify, search = COMMANDS
        done = run(export)
        assert done.returncode == 0, done.stderr

    event = double.events[417]
    assert event.fields is not None
    name = event.fields["kata_name"]
    assert (name, event.event["id"]) == (str(event.event["id"]), name)
    done = run(prove.replace(NAME, name))
    assert done.returncode == 0, done.stderr
    done = run(verify)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(run(search).stdout)["body"] == event.event["description"]

    bundle = (tmp_path / "found.json").read_text()
    changed = re.sub(r'("raw": ?")(.)', lambda found: found[1] + ("B" if found[2] == "A" else "A"), bundle, count=1)
    assert changed != bundle
    (tmp_path / "found.json").write_text(changed)
    assert run(verify).returncode != 0


def test_a_name_of_another_log_is_refused(tmp_path: Path, run: Run) -> None:
    captured_store(tmp_path / "store")
    done = run(COMMANDS[1])
    assert done.returncode != 0
    assert not (tmp_path / "found.json").exists()
