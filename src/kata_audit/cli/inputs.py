"""The inputs that `parse` and `ingest` read: files as named, each with what was declared of it."""

import glob
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from kata_audit.cli.options import configured, missing_inputs
from kata_audit.errors import UsageError
from kata_audit.schema.source import OWN_DIALECT, Transport

if TYPE_CHECKING:
    from kata_audit.receivers.file import Place

STDIN = "-"


class Inputs(NamedTuple):
    """Named files and what was declared of all of them."""

    paths: tuple[str, ...]
    transport: Transport | None
    dialect: str | None
    node: str | None
    tenant: str | None

    def places(self, *, from_configuration: bool = False) -> "list[tuple[str, Place]]":
        """Give each input with whose it is: as declared, else as configured, else this machine's.

        Args:
            from_configuration: Take the configured files where none was named.

        Raises:
            UsageError: Nothing was named and stdin is a terminal.
            InputMissingError: An input does not exist or is a directory.
        """
        from kata_audit.receivers.file import Place
        from kata_audit.wiring import default_node

        config = configured()
        node, tenant = self.node or config.node or default_node(), self.tenant or config.tenant
        listed = config.file if from_configuration and not self.paths else ()
        places = [
            (path, Place(node, one.tenant or tenant, one.transport or self.transport, self.dialect))
            for one in listed
            for path in _expanded(str(one.path))
        ]
        places += [(path, Place(node, tenant, self.transport, self.dialect)) for path in self.paths]
        if not places and sys.stdin.isatty():
            raise UsageError("No input was named.", hint="Name files, or `-` to read stdin.")
        missing_inputs(path for path, _ in places if path != STDIN)
        return places or [(STDIN, Place(node, tenant, self.transport, self.dialect))]


def input_options(function: Any) -> Any:
    """Add FILE… and the options that declare them; the function gets them together as `inputs`, an `Inputs`."""

    @wraps(function)
    def with_inputs(
        *,
        files: tuple[str, ...],
        transport: str | None,
        dialect: str | None,
        node: str | None,
        tenant: str | None,
        **rest: Any,
    ) -> Any:
        inputs = Inputs(files, Transport(transport) if transport else None, dialect, node, tenant)
        return function(inputs=inputs, **rest)

    for decorate in (
        click.option("--tenant", help="Whose records they are."),
        click.option("--node", help="<cluster>/<node name> of the machine whose logs these are."),
        click.option(
            "--as",
            "dialect",
            callback=_known_dialect,
            metavar="DIALECT",
            help="Grammar of every line, where the lines do not tell it themselves: a dialect of the reference.",
        ),
        click.option(
            "--transport",
            type=click.Choice([str(transport) for transport in Transport]),
            help="Envelope of the files, which decides who wrote them; left out, journal and CRI files say it themselves.",
        ),
        click.argument("files", nargs=-1, metavar="[FILE|-]…"),
    ):
        with_inputs = decorate(with_inputs)
    return with_inputs


def _expanded(pattern: str) -> list[str]:
    """Give the files of a pattern; a name that is none stands for itself, there or not."""
    return sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207 - of an absolute pattern


def _known_dialect(_context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Check the name of a dialect against those that are."""
    if value is None:
        return None
    from kata_audit.parse.dialects.registry import DIALECTS

    names = sorted(DIALECTS.keys() - {OWN_DIALECT})
    if value not in names:
        raise click.BadParameter(f"no dialect `{value}`; there are {', '.join(names)}.", param=parameter)
    return value
