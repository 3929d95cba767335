"""Options that several commands share, and the defaults behind them."""

import difflib
import inspect
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kata_audit.cli.times import Time
from kata_audit.errors import InputMissingError

if TYPE_CHECKING:
    from kata_audit.config import Config

STORE_VARIABLE = "KATA_AUDIT_STORE"
"""Environment variable that names the store."""
CONFIG_VARIABLE = "KATA_AUDIT_CONFIG"
"""Environment variable that names the configuration file."""
_SYSTEM_STORE = Path("/var/lib/kata-audit")


def default_store() -> Path:
    """Return the store of whoever asks: the system's for root, else one in the user's data directory."""
    if os.geteuid() == 0:
        return _SYSTEM_STORE
    return default_data()


def default_data() -> Path:
    """Return the user's data directory."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "kata-audit"


def default_config() -> Path:
    """Return where the configuration of whoever asks is looked for."""
    if os.geteuid() == 0:
        return Path("/etc/kata-audit/config.toml")
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "kata-audit" / "config.toml"


def configured() -> "Config":
    """Read the configuration: the file that `$KATA_AUDIT_CONFIG` names, else the one at its usual place, else none.

    Raises:
        InputMissingError: The named file cannot be read.
        ConfigError: It has mistakes.
    """
    from kata_audit.config import Config, load_config

    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return load_config(Path(named))
    return load_config(default_config()) if default_config().is_file() else Config()


def _chosen_store(context: click.Context, _: click.Parameter, value: Path | None) -> Path:
    """Take the command's own `--store`, else the one before the command or `$KATA_AUDIT_STORE`, else the configured one."""
    if context.resilient_parsing:
        return Path()
    return value or context.find_root().params.get("store") or configured().store or default_store()


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


def columns_option(function: Any) -> Any:
    """Add `--columns`; its value is the names in order, or None."""
    return click.option("--columns", callback=_known_columns, metavar="A,B,…", help="Only these columns, in this order.")(
        function
    )


def _known_columns(_context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Read names of columns, and name every one that does not exist."""
    if value is None:
        return None
    from kata_audit.schema.record import RECORD_SCHEMA

    names = tuple(name.strip() for name in value.split(",") if name.strip())
    unknown = [name for name in names if name not in RECORD_SCHEMA.names]
    if unknown or not names:
        near = difflib.get_close_matches(unknown[0], RECORD_SCHEMA.names, n=1) if unknown else []
        hint = f"; did you mean `{near[0]}`?" if near else "; `kata-audit schema` lists them."
        raise click.BadParameter(
            f"no column {', '.join(f'`{name}`' for name in unknown) or 'is named'}{hint}", param=parameter
        )
    return names


def missing_inputs(paths: Iterable[str]) -> None:
    """See that every input is there and is no directory, before anything is done.

    Raises:
        InputMissingError: Names all that are not.
    """
    listed = list(paths)
    absent = [path for path in listed if not Path(path).exists()]
    folders = [path for path in listed if Path(path).is_dir()]
    if absent:
        raise InputMissingError("An input does not exist.", where=", ".join(absent), hint="Check the name; `-` reads stdin.")
    if folders:
        raise InputMissingError(
            "An input is a directory, not a file.", where=", ".join(folders), hint="Name the files in it."
        )
