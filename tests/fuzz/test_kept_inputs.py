"""What fuzzing kept is replayed: every input that once reached new code, or once broke a promise."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzz.run import KEPT
from tests.fuzz.targets import TARGETS, check_text_between_marks, check_tiling, evidence_of, export_pieces

from kata_audit.schema.source import Transport

RUN = Path(__file__).with_name("run.py")


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs_break_no_promise(name: str) -> None:
    """Every kept input of a target, and the empty one, is answered or refused."""
    kept = sorted((KEPT / name).iterdir())
    assert kept
    for data in (b"", *(path.read_bytes() for path in kept)):
        TARGETS[name](data)


def test_no_input_is_kept_for_nobody() -> None:
    assert {path.name for path in KEPT.iterdir() if path.is_dir()} == set(TARGETS)


def test_the_tiling_oracle_fires() -> None:
    """A frame too few, a frame too many and a cursor that is off are seen."""
    rows = evidence_of(b"a\nb\n", Transport.BARE, [])

    for data, told in ((b"a\n", rows), (b"a\nb\n", rows.slice(1)), (b"b\n", rows.slice(1))):
        with pytest.raises(AssertionError):
            check_tiling(told, data)


def test_the_oracle_of_marks_fires() -> None:
    """Text that is lost or changed beside a mark is seen."""
    check_text_between_marks(b"a secret b", b"a *masked:env:0123456789abcdef* b")
    for after in (b"a *masked:env* c", b"x*masked:env* b", b"a *masked:ENV* b", b"a *masked:env* x *masked:env* b"):
        with pytest.raises(AssertionError):
            check_text_between_marks(b"a secret b", after)


def test_the_oracle_of_blocks_fires() -> None:
    """A length that does not fit its value moves what stands behind it."""
    block = b"A=1\nMESSAGE\n\x03\0\0\0\0\0\0\0abc\nB=2\n\n"

    assert export_pieces(block) == [b"A=1\n", b"MESSAGE\n", b"abc", b"B=2\n", b"\n"]
    assert export_pieces(block.replace(b"\x03", b"\x02")) != export_pieces(block)
    assert export_pieces(endless := block.replace(b"\x03", b"\xff")) == [b"A=1\n", endless[4:]]


def test_the_runner_fuzzes_in_a_process_of_its_own() -> None:
    """Atheris is there and takes the kept inputs as its first ones."""
    pytest.importorskip("atheris", reason="atheris is not installed for this Python")
    done = subprocess.run([sys.executable, RUN, "tile", "--seconds", "1"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert "tile" in done.stdout


def test_the_runner_keeps_what_breaks_a_promise(tmp_path: Path) -> None:
    """One target finds something: its input is written, the other's run is not hurt, and the answer is no."""
    pytest.importorskip("atheris", reason="atheris is not installed for this Python")
    script = (
        "import sys; from pathlib import Path; from tests.fuzz.run import fuzz_all\n"
        "found = Path(sys.argv[1])\n"
        "targets = {'tile': lambda data: None, 'entry': lambda data: 1 // (not data)}\n"
        "print(fuzz_all(targets, seconds=1, findings=found, keep=False, workers=2))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, cwd=RUN.parents[2], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    told = {line.split()[0]: line for line in done.stdout.splitlines() if " runs " in line}
    assert told["tile"].endswith("ok")
    assert told["entry"].endswith("FOUND SOMETHING")
    assert "ZeroDivisionError" in done.stdout
    assert done.stdout.endswith("False\n")
    [kept] = tmp_path.iterdir()
    assert kept.name.startswith("entry-crash-")
    assert kept.read_bytes()
