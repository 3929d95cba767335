"""`kata-audit parse --to` in a pipe that a real Fluent Bit runs as its input, as the how-to has it."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.evidence import DATA
from tests.servers.shippers import FLUENT_BIT

from kata_audit.cli.parse import command

pytestmark = pytest.mark.servers_all(FLUENT_BIT.is_file())
CAPTURE = DATA / "captures" / "go-debug.journal.json.gz"
# The pipe stays open behind the capture, as one that follows a journal does.
CONFIG = """
[SERVICE]
    Flush 0.2
    Log_Level error
    Parsers_File parsers.conf
[INPUT]
    Name exec
    Tag kata
    Command (zcat {capture}; while test ! -e over; do sleep 0.1; done) | {python} -m kata_audit.cli.main parse --to ecs -
    Oneshot true
    Threaded true
    Buf_Size 2M
    Parser kata
[OUTPUT]
    Name file
    Match kata
    Path {folder}
    File out
    Format plain
"""
PARSERS = "[PARSER]\n    Name kata\n    Format json\n    Time_Key @timestamp\n    Time_Format %Y-%m-%dT%H:%M:%S.%LZ\n    Time_Keep On\n"


def document(line: str) -> dict[str, Any]:
    """Read a document, without what is of the run: when a record was read, and of which stream."""
    told: dict[str, Any] = json.loads(line)
    del told["event"]["created"], told["kata"]["cursor"], told["kata"]["receiver"]
    return told


def test_what_a_filter_answers_is_there_while_its_input_goes_on(tmp_path: Path) -> None:
    """Every document is in Fluent Bit's output, as `parse` prints it, before the pipe ends."""
    expected = [document(line) for line in CliRunner().invoke(command, ["--to", "ecs", str(CAPTURE)]).stdout.splitlines()]
    (tmp_path / "fb.conf").write_text(CONFIG.format(capture=CAPTURE, python=sys.executable, folder=tmp_path))
    (tmp_path / "parsers.conf").write_text(PARSERS)
    out, until = tmp_path / "out", time.monotonic() + 120
    with subprocess.Popen([FLUENT_BIT, "fb.conf"], cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        try:
            while not out.exists() or out.read_bytes().count(b"\n") < len(expected):
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
        finally:
            (tmp_path / "over").touch()
            process.kill()

    assert [document(line) for line in out.read_text().splitlines()] == expected
    assert len(expected) > 400
