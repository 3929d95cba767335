"""The unit that systemd starts is one that systemd takes, and starts a command that there is."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kata_audit.cli.main import COMMANDS

UNIT = Path(__file__).parents[2] / "packaging" / "systemd" / "kata-audit.service"


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """Every setting is known, and the command in it is there."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not here; `make servers` installs it")
    command = re.search(r"^ExecStart=\S+/kata-audit (\S+) --store (\S+)$", UNIT.read_text(), re.MULTILINE)
    assert command is not None
    assert command[1] in COMMANDS
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={shutil.which('true')}", UNIT.read_text()))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
