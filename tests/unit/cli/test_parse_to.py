"""`kata-audit parse --to`: a filter in a pipeline."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kata_audit.cli.parse import command
from kata_audit.schema.own import spell_time
from kata_audit.wire.otlp import decode_logs

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


@pytest.mark.parametrize("to", ["otel", "ecs", "ocsf", "cim", "otlp-json"])
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


def test_a_line_of_otlp_holds_all_that_the_document_does(tmp_path: Path) -> None:
    """Each line is a whole request; times, severity and text are the log record's own, and all else its attributes."""
    file = tmp_path / "a.log"
    file.write_bytes(LINES[0])
    document, line = (CliRunner().invoke(command, ["--to", to, str(file)]).output for to in ("otel", "otlp-json"))
    told = json.loads(document)
    ((resource, (log,)),) = decode_logs(line.encode())

    assert (log.body, log.severity_text, log.severity_number) == (told.pop("body"), told.pop("severity_text"), 9)
    assert spell_time(log.time_ns or 0) == told.pop("timestamp")
    assert spell_time(log.observed_ns or 0)[:10] == told.pop("observed_timestamp")[:10]
    assert {**resource, **log.attributes, "severity_number": 9} == told
    assert "\\u001b" in line


@pytest.mark.parametrize("to", ["ecs", "otlp-json"])
def test_a_reader_that_leaves_ends_it_in_peace(to: str) -> None:
    """Whoever closes the pipe has what he wanted; there is no error, and it does not read on."""
    with subprocess.Popen(
        [*FILTER[:-1], to], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(LINES[0])
        process.stdin.flush()
        assert process.stdout.readline()
        process.stdout.close()
        process.stdin.write(LINES[1])
        process.stdin.flush()

        assert process.wait() == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize("more", [["--stats"], ["-o", "csv"]])
def test_another_form_is_refused(more: list[str]) -> None:
    """There is one form of a document."""
    result = CliRunner().invoke(command, ["--to", "ecs", *more, "-"], input="")

    assert result.exit_code == 2
    assert "one JSON document per line" in result.output
