"""`kata-audit rules`."""

from pathlib import Path

import click

from kata_audit.cli.options import configured, example, missing_inputs
from kata_audit.cli.output import write_lines


@click.group("rules")
def command() -> None:
    """Look after the detection rules."""


@command.command("check")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@example("rules check", "rules check my-rules/*.yml")
def check(files: tuple[Path, ...]) -> None:
    """Check rule files, and report every mistake at once.

    Without FILES it checks the rules of the package and those of the configured folder. Rules in FILES may use rules of the
    package.
    """
    from kata_audit import wiring

    missing_inputs(map(str, files))
    checked = wiring.check_rules(files, configured().rules)
    write_lines([f"ok: {checked.rules} rules in {checked.files} files"])
