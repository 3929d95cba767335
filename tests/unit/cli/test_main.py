"""The command as a process: exit codes, errors, closed pipes, and what its help does not load."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from kata_audit.cli import main
from kata_audit.errors import KataAuditError, StoreLockedError, VerificationError

HEAVY = ("pyarrow", "duckdb", "cryptography", "orjson", "sqlite3")


def kata_audit(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "kata_audit.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("arguments", [[], ["--help"]], ids=["import", "help"])
def test_the_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """Help comes at once, because no engine is loaded for it."""
    code = f"import sys; from kata_audit.cli import main; main.run({arguments!r}) if {bool(arguments)} else None; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()

    assert "click" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_the_table_says_what_the_commands_say() -> None:
    """The help is written from the table: both know the same commands and call them the same."""
    context = click.Context(main.cli)
    for name, listed in main.COMMANDS.items():
        command = main.cli.get_command(context, name)

        assert command is not None
        assert command.name == name
        assert (command.help or "").partition("\n")[0] == listed.short


def leaves(group: click.Group, context: click.Context) -> list[click.Command]:
    """List every command that does something."""
    found = [group.get_command(context, name) for name in group.list_commands(context)]
    return [leaf for one in found if one for leaf in (leaves(one, context) if isinstance(one, click.Group) else [one])]


def test_every_help_has_an_example() -> None:
    """A person learns from the help itself what to type."""
    context = click.Context(main.cli)
    commands = leaves(main.cli, context)

    assert len(commands) >= len(main.COMMANDS)
    assert [one.name for one in commands if "Example:\n  kata-audit " not in (one.help or "")] == []


class Planted(click.Command):
    """A command that fails as it is told."""

    def __init__(self, error: BaseException) -> None:
        super().__init__("planted")
        self.error = error

    def invoke(self, _context: click.Context) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (KataAuditError("Wrong.", where="here", hint="do this"), 70, "Wrong.\n  at: here\n  next: do this"),
        (VerificationError("Altered."), 3, "Altered."),
        (StoreLockedError("Locked."), 4, "Locked."),
        (click.exceptions.Exit(1), 1, ""),
        (click.UsageError("No."), 2, "No."),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("secret"), 70, "a defect of ours: ZeroDivisionError"),
        (PermissionError(13, "Permission denied", "/x"), 5, "Permission denied"),
        (VerificationError("\x1b[31mred"), 3, "\\x1b[31mred"),
    ],
)
def test_an_error_becomes_its_exit_code(
    error: BaseException, code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each family has one code; the person is told on stderr and stdout stays data."""
    monkeypatch.setattr(main.CommandTable, "get_command", lambda *_: Planted(error))

    assert main.run(["planted"]) == code
    said = capsys.readouterr()
    assert says in said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    assert "secret" not in said.err


def test_a_defect_shows_its_traceback_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--debug` is for us."""
    monkeypatch.setattr(main.CommandTable, "get_command", lambda *_: Planted(ZeroDivisionError("why\x1b[0m")))

    assert main.run(["--debug", "planted"]) == 70
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "why\\x1b[0m" in said


@pytest.mark.parametrize("arguments", [["bogus"], ["schema", "-o", "xml"], ["version", "--nope"], ["completion", "cmd"]])
def test_a_wrong_command_line_is_usage(arguments: list[str]) -> None:
    """What cannot be asked is exit code 2, with words on stderr."""
    done = kata_audit(*arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage:" in done.stderr


def test_a_closed_pipe_is_no_error() -> None:
    """`kata-audit … | head -1` ends in silence."""
    command = f"{sys.executable} -m kata_audit.cli.main schema -o jsonl"
    many = " ".join(f"{command};" for _ in range(3))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; ({many}) | head -c 10"], capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    assert done.stdout.startswith('{"column":')


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(shell: str) -> None:
    """The script calls us back, and we answer with the commands."""
    script = kata_audit("completion", shell)
    assert script.returncode == 0
    assert "_KATA_AUDIT_COMPLETE" in script.stdout

    answer = kata_audit(_KATA_AUDIT_COMPLETE="bash_complete", COMP_WORDS="kata-audit ti", COMP_CWORD="1")
    assert "timeline" in answer.stdout


def test_the_schema_is_printed_with_its_words() -> None:
    """Every column comes with what it means."""
    done = kata_audit("schema", "-o", "jsonl")
    rows = [json.loads(line) for line in done.stdout.splitlines()]

    assert rows[0]["column"] == "seq"
    assert all(row["meaning"] for row in rows)


def test_the_configuration_is_checked_at_once(tmp_path: Path) -> None:
    """Three mistakes are three lines, each with its place; a good file is exit code 0, none is 4."""
    path = tmp_path / "config.toml"
    path.write_text('stor = "/x"\n[batch]\nmax_records = 0\n[[file]]\npath = "a"\ntransport = "cry"\n')
    done = kata_audit("config", "check", str(path))

    assert done.returncode == 2
    for place, word in (("1:1", "`store`"), ("3:1", "whole number"), ("6:1", "`cri`")):
        assert any(f"{path}:{place}: " in line and word in line for line in done.stderr.splitlines())
    path.write_text("")
    assert kata_audit("config", "check", str(path)).returncode == 0
    assert kata_audit("config", "check", str(tmp_path)).returncode == 4
    assert kata_audit("config", "check", str(tmp_path / "none")).returncode == 4
