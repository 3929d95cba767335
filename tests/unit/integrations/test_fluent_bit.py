"""What is added to an existing Fluent Bit: what it lacks, once, and nothing of it is changed."""

import subprocess
from pathlib import Path

import pytest

from kata_audit.cli.main import run
from kata_audit.integrations.fluent_bit import add_kata
from kata_audit.wiring import integration_packs

VALUES = integration_packs()["fluent-bit"].values
SERVICE = "[SERVICE]\n    Flush 5\n"
JOURNAL = "[INPUT]\n    Name systemd\n    Tag  host.*\n"
OUTPUT = "[OUTPUT]\n    Name es\n    Match {}\n"
INCLUDED = [
    "kata-journal.conf",
    "kata-inputs.conf",
    "kata-transport.conf",
    "kata-mask.conf",
    "kata-filters.conf",
    "kata-output.conf",
]


def added(text: str) -> list[str]:
    """Give the lines that were added; all others must be there as they were, in their order."""
    lines, left = add_kata(text, VALUES).text.splitlines(), text.splitlines()
    new = []
    for line in lines:
        if left and line == left[0]:
            left.pop(0)
        else:
            new.append(line)
    assert left == []
    return [line.strip() for line in new if line.strip() and not line.startswith("#")]


def test_a_file_gets_what_it_lacks() -> None:
    assert added(SERVICE) == ["Parsers_File kata-parsers.conf", *(f"@INCLUDE {name}" for name in INCLUDED)]
    assert added("")[0] == "[SERVICE]"


@pytest.mark.parametrize("text", ["", SERVICE, SERVICE + JOURNAL, JOURNAL + OUTPUT.format("*"), "# mine\n\n[service]\n"])
def test_the_second_time_nothing_is_missing(text: str) -> None:
    once = add_kata(text, VALUES).text
    again = add_kata(once, VALUES)
    assert again.text == once
    assert "Nothing is missing." in again.notes


def test_what_is_there_is_not_added() -> None:
    """Wherever it lies, and however its key is spelled."""
    text = "[Service]\n  PARSERS_FILE /etc/fluent-bit/kata-parsers.conf\n@include /etc/fluent-bit/kata-filters.conf\n"
    assert added(text) == [f"@INCLUDE {name}" for name in INCLUDED if name != "kata-filters.conf"]


def test_our_parsers_stand_behind_theirs_and_as_theirs() -> None:
    text = "[SERVICE]\n\tParsers_File\tparsers.conf\n\tFlush\t1\n"
    assert add_kata(text, VALUES).text.splitlines()[2] == "\tParsers_File\tkata-parsers.conf"


@pytest.mark.parametrize(("match", "keep"), [("*", "false"), ("nginx", "true"), ("host.*", "true"), ("kata.*", "true")])
def test_a_journal_that_is_read_already_is_not_read_twice(match: str, keep: str) -> None:
    """Its records go on under their tag as before, but where an output takes both tags."""
    new = added(SERVICE + JOURNAL + OUTPUT.format(match))
    assert "@INCLUDE kata-journal.conf" not in new
    assert "Match  host.*" in new
    (rule,) = (line for line in new if "$SYSLOG_IDENTIFIER" in line)
    assert rule.startswith("Rule   $SYSLOG_IDENTIFIER ^(kata|kata-runtime|")
    assert rule.endswith(f" kata.journal {keep}")


@pytest.mark.parametrize("entry", ["Systemd_Filter _SYSTEMD_UNIT=docker.service", "Strip_Underscores On", "Lowercase true"])
def test_a_journal_that_is_read_otherwise_is_left(entry: str) -> None:
    """It may lack Kata's entries, or names its fields otherwise; a note says that lines may come twice."""
    text = f"{JOURNAL}    {entry}\n"
    found = add_kata(text, VALUES)
    assert "@INCLUDE kata-journal.conf" in added(text)
    assert any(note.startswith("Line 1 reads the journal too") for note in found.notes)


def test_outputs_that_take_kata_s_records_are_named() -> None:
    notes = add_kata(OUTPUT.format("*") + "[OUTPUT]\n    Match_Regex ^ka\n[OUTPUT]\n    Match_Regex (\n", VALUES).notes
    assert [note for note in notes if "an output" in note] == [
        "Line 1, an output, takes Kata's records too.",
        "Line 4, an output, takes Kata's records too.",
    ]


def test_the_diff_is_one_that_patch_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "fluent-bit.conf"
    path.write_text(SERVICE + JOURNAL)
    assert run(["integrate", "fluent-bit", "--diff", str(path)]) == 0
    told = capsys.readouterr()
    subprocess.run(["patch", "-s", "-p0", str(path)], input=told.out, text=True, check=True)
    assert path.read_text() == add_kata(SERVICE + JOURNAL, VALUES).text
    assert "Left as they are: 1 of INPUT, 0 of FILTER, 0 of OUTPUT." in told.err
    assert run(["integrate", "fluent-bit", "--diff", str(path)]) == 0
    assert capsys.readouterr().out == ""


def test_what_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text("pipeline:\n  inputs: []\n")
    (tmp_path / "b.conf").write_bytes(b"\xff")
    assert run(["integrate", "fluent-bit", "--diff", f"{tmp_path}/a.yaml"]) == 2
    assert "YAML" in capsys.readouterr().err
    assert run(["integrate", "fluent-bit", "--diff", f"{tmp_path}/b.conf"]) == 2
    assert run(["integrate", "fluent-bit", "--diff", f"{tmp_path}/c.conf"]) == 4
    assert run(["integrate", "vector", "--diff", f"{tmp_path}/b.conf"]) == 2
