"""The verifier as a stranger runs it: one file, five exit codes, nothing hostile on the terminal."""

import base64
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.tlog.bundles import SIGNER, seal

from kata_audit import verify_bundle

SEALED = seal()
BUNDLE = SEALED.bundle([(0, 3), (1, 0)])


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "record.kata-proof.json"
    path.write_bytes(BUNDLE)
    return path


def alone(folder: Path, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a copy of the file, isolated from our package, in an empty folder."""
    script = shutil.copy(verify_bundle.__file__, folder / "verify_bundle.py")
    command = [sys.executable, "-I", str(script), *arguments]
    return subprocess.run(command, cwd=folder, input=data, capture_output=True, check=False)


def test_a_stranger_verifies_with_one_file(bundle: Path) -> None:
    """A copy of the file alone prints every step and the records, and says whose word the key is."""
    own = alone(bundle.parent, bundle.name)
    given = alone(bundle.parent, bundle.name, "--vkey", SIGNER.vkey)

    assert (own.returncode, own.stderr, given.returncode) == (0, b"", 0)
    assert re.findall(rb"^(\d)  ok", own.stdout, re.MULTILINE) == [b"1", b"2", b"3", b"4", b"5", b"6"]
    assert b"The key was taken from the bundle itself" in own.stdout
    assert b"The key was taken" not in given.stdout
    assert b"raw       line 03\\x0a" in own.stdout


def test_json_is_one_object(bundle: Path) -> None:
    """Programs read the verdict from standard output, also from a pipe."""
    done = alone(bundle.parent, "-", "--json", data=BUNDLE)
    verdict = json.loads(done.stdout)

    assert (verdict["verified"], verdict["is_key_given"], verdict["vkey"]) == (True, False, SIGNER.vkey)
    assert [base64.b64decode(record["raw"]) for record in verdict["records"]] == [b"line 03\n", b"line 06\n"]


def test_the_exit_code_says_what_happened(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 verified, 2 usage, 3 does not verify, 4 cannot be read."""
    bad = bundle.with_name("bad.kata-proof.json")
    bad.write_bytes(BUNDLE.replace(b"lab/node-a", b"lab/node-b", 1))

    assert verify_bundle.main([str(bundle)]) == 0
    assert verify_bundle.main([str(bundle), "--vkey", "x"]) == 2
    assert verify_bundle.main([str(bad), "--json"]) == 3
    assert verify_bundle.main([str(bundle.parent / "absent")]) == 4
    assert verify_bundle.main([str(bundle.parent)]) == 4
    with pytest.raises(SystemExit) as usage:
        verify_bundle.main([])
    assert usage.value.code == 2
    talk = capsys.readouterr()
    assert "DOES NOT VERIFY: step 6, each record's leaf is under its batch's root: record 3" in talk.err
    assert json.loads(talk.out.splitlines()[-1]) == {
        "message": "record 3 does not lead to the root of its batch",
        "step": 6,
        "verified": False,
    }


def test_text_of_records_is_never_sent_to_the_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Escapes, line ends, directions and backslashes of a record come out as hexadecimal digits, and long ones shortened."""
    vectors = json.loads((Path(__file__).parents[1] / "vectors" / "leaf.json").read_text())
    path = tmp_path / "hostile.kata-proof.json"
    path.write_text(vectors["M_bundle"])

    assert verify_bundle.main([str(path)]) == 0
    out = capsys.readouterr().out
    assert re.fullmatch(r"[\x20-\x7e\n]*", out)
    assert r"raw       \x1b[31m\xff\x0d\x0a" in out
    assert verify_bundle.show("a\\\u202e\x9b\x7f".encode()) == r"a\x5c\xe2\x80\xae\xc2\x9b\x7f"
