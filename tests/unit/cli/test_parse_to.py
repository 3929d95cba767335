"""`kata-audit parse --to`: a filter in a pipeline."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kata_audit.cli.parse import command

CAPTURES = Path(__file__).parents[2] / "data" / "captures"
LINES = [f'time="2026-11-23T06:06:4{number}Z" level=info msg="x{number}\\u001b[31m"\n'.encode() for number in range(3)]
FILTER = [sys.executable, "-c", "from kata_audit.cli.main import main; main()", "parse", "--to", "ecs"]


def test_each_line_is_answered_before_the_next_one_comes() -> None:
    """A shipper that waits for each answer is served; the test would wait for ever otherwise."""
    with subprocess.Popen(FILTER, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        answers = []
        for line in LINES:
            process.stdin.write(line)
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline()))
        process.stdin.close()

        assert process.wait() == 0
    assert [one["message"][:2] for one in answers] == ["x0", "x1", "x2"]
    assert {one["log"]["level"] for one in answers} == {"info"}


def test_a_line_in_two_parts_is_one_document() -> None:
    """What a pipe holds may end anywhere."""
    with subprocess.Popen(FILTER, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for part in (LINES[0][:30], LINES[0][30:] + LINES[1][:9], LINES[1][9:]):
            process.stdin.write(part)
            process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait() == 0
    assert [one["message"][:2] for one in answers] == ["x0", "x1"]


@pytest.mark.parametrize("to", ["otel", "ecs", "ocsf", "cim"])
def test_every_set_prints_a_document_for_each_record(to: str) -> None:
    """As many lines as records, each an object of JSON, and nothing that a terminal would run."""
    capture = str(CAPTURES / "rs-info.journal.export.gz")
    plain, there = (CliRunner().invoke(command, [capture, *more]).output for more in ((), ("--to", to)))

    assert len(there.splitlines()) == len(plain.splitlines()) > 100
    assert all(isinstance(json.loads(line), dict) for line in there.splitlines())
    assert all(line.isprintable() for line in there.splitlines())


def test_columns_are_chosen(tmp_path: Path) -> None:
    """Only these go out, under the names of the set."""
    file = tmp_path / "a.log"
    file.write_bytes(LINES[0])
    output = CliRunner().invoke(command, ["--to", "cim", "--columns", "severity_text,origin", str(file)]).output

    assert json.loads(output) == {
        "vendor_product": "kata-audit",
        "severity": "informational",
        "kata.severity_text": "INFO",
        "kata.origin": "unknown",
    }
    assert "\\u001b" in CliRunner().invoke(command, ["--to", "cim", "--columns", "raw", str(file)]).output


@pytest.mark.parametrize("more", [["--stats"], ["-o", "csv"]])
def test_another_form_is_refused(more: list[str]) -> None:
    """There is one form of a document."""
    result = CliRunner().invoke(command, ["--to", "ecs", *more, "-"], input="")

    assert result.exit_code == 2
    assert "one JSON document per line" in result.output
