"""`kata-audit config`."""

from pathlib import Path

import click

from kata_audit.cli.options import CONFIG_VARIABLE, default_config, example
from kata_audit.cli.output import write_lines


@click.group("config")
def command() -> None:
    """Look after the configuration."""


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path), required=False, envvar=CONFIG_VARIABLE)
@example("config check /etc/kata-audit/config.toml")
def check(file: Path | None) -> None:
    """Check a configuration file, and report every mistake at once.

    Without FILE it checks the one that `ingest` would read.
    """
    from kata_audit.config import load_config

    path = file or default_config()
    config = load_config(path)
    write_lines(
        [
            f"ok: {path}",
            f"    {len(config.file)} files, {len(config.alerts.destination)} destinations of alerts, tenant {config.tenant}",
        ]
    )
