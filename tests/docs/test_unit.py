"""The units that systemd starts are ones that systemd takes, and start commands that there are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.docs.test_reference import all_commands

UNITS = sorted((Path(__file__).parents[2] / "packaging" / "systemd").glob("*.service"))


@pytest.mark.parametrize("unit_file", UNITS, ids=lambda path: path.stem)
def test_systemd_takes_the_unit(unit_file: Path, tmp_path: Path) -> None:
    """Every setting is known, and the command in it is there."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not here; `make servers` installs it")
    command = re.search(r"^ExecStart=\S+/kata-audit (.+) --store (\S+)$", unit_file.read_text(), re.MULTILINE)
    assert command is not None
    assert command[1] in [name for name, _ in all_commands()]
    unit = tmp_path / unit_file.name
    unit.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={shutil.which('true')}", unit_file.read_text()))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
