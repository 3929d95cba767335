"""Options that several commands share, and the defaults behind them."""

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kata_audit.cli.times import Time
from kata_audit.errors import InputMissingError

STORE_VARIABLE = "KATA_AUDIT_STORE"
"""Environment variable that names the store."""
CONFIG_VARIABLE = "KATA_AUDIT_CONFIG"
"""Environment variable that names the configuration file."""
_SYSTEM_STORE = Path("/var/lib/kata-audit")


def default_store() -> Path:
    """Return the store of whoever asks: the system's for root, else one in the user's data directory."""
    if os.geteuid() == 0:
        return _SYSTEM_STORE
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "kata-audit"


def default_config() -> Path:
    """Return where the configuration of whoever asks is looked for."""
    if os.geteuid() == 0:
        return Path("/etc/kata-audit/config.toml")
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "kata-audit" / "config.toml"


def _chosen_store(context: click.Context, _: click.Parameter, value: Path | None) -> Path:
    """Take the command's own `--store`, else the one before the command or `$KATA_AUDIT_STORE`, else the default."""
    before = context.find_root().params.get("store")
    return value or (Path(before) if before else default_store())


def store_option(function: Any) -> Any:
    """Add `--store` to a command."""
    return click.option(
        "--store",
        type=click.Path(path_type=Path),
        callback=_chosen_store,
        help=f"Directory of the store; else ${STORE_VARIABLE}, else the default of this user.",
    )(function)


def time_options(function: Any) -> Any:
    """Add `--since` and `--until`; their values are nanoseconds since the epoch."""
    until = click.option("--until", type=Time(), help="Only records before this time.")
    since = click.option("--since", type=Time(), help="Only records from this time on, as journalctl takes it (UTC).")
    return since(until(function))


def namespace_option(function: Any) -> Any:
    """Add `--namespace`, which limits what may be seen at all."""
    return click.option(
        "--namespace",
        "namespaces",
        multiple=True,
        metavar="NS",
        help="See only records of this Kubernetes namespace; may be repeated.",
    )(function)


def example(*lines: str) -> Callable[[Any], Any]:
    """Give a command examples at the end of its help, as they are typed."""

    def decorate(function: Any) -> Any:
        typed = "\n".join(f"  kata-audit {line}" for line in lines)
        function.__doc__ = f"{inspect.getdoc(function)}\n\n\b\nExample:\n{typed}\n"
        return function

    return decorate


def require_file(path: Path) -> Path:
    """Return a path that names a readable thing which is no directory.

    Raises:
        InputMissingError: It does not exist, or is a directory.
    """
    if path.is_dir():
        raise InputMissingError("A directory was named where a file is read.", where=str(path), hint="Name the files in it.")
    if not path.exists():
        raise InputMissingError("The file does not exist.", where=str(path))
    return path
