"""`kata-audit version`."""

import platform

import click

from kata_audit import __version__
from kata_audit.cli.options import example
from kata_audit.cli.output import json_line, output_option, write_lines


@click.command("version")
@output_option(formats=("text", "json"))
@example("version", "version -o json")
def command(form: str) -> None:
    """Print the version.

    With `-o json` also those of Python and of the machine.
    """
    facts = {"kata_audit": __version__, "python": platform.python_version(), "machine": platform.machine()}
    write_lines([json_line(facts) if form == "json" else f"kata-audit {__version__}"])
