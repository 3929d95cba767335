"""The inputs that `parse` and `ingest` read: files as named, each with what was declared of it."""

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from kata_audit.cli.options import configured, missing_inputs
from kata_audit.errors import UsageError
from kata_audit.schema.source import Transport

if TYPE_CHECKING:
    from kata_audit.receivers.file import Place

STDIN = "-"


class Inputs(NamedTuple):
    """Named files and what was declared of all of them."""

    paths: tuple[str, ...]
    transport: Transport | None
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
        places = [(str(one.path), Place(node, one.tenant or tenant, one.transport or self.transport)) for one in listed]
        places += [(path, Place(node, tenant, self.transport)) for path in self.paths]
        if not places and sys.stdin.isatty():
            raise UsageError("No input was named.", hint="Name files, or `-` to read stdin.")
        missing_inputs(path for path, _ in places if path != STDIN)
        return places or [(STDIN, Place(node, tenant, self.transport))]


def input_options(function: Any) -> Any:
    """Add FILE… and the options that declare them; the function gets `files`, `transport`, `node` and `tenant`."""
    for decorate in (
        click.option("--tenant", help="Whose records they are."),
        click.option("--node", help="<cluster>/<node name> of the machine whose logs these are."),
        click.option(
            "--transport",
            type=click.Choice([str(transport) for transport in Transport]),
            help="Envelope of the files, which decides who wrote them; left out, journal and CRI files say it themselves.",
        ),
        click.argument("files", nargs=-1, metavar="[FILE|-]…"),
    ):
        function = decorate(function)
    return function


def inputs_of(files: tuple[str, ...], transport: str | None, node: str | None, tenant: str | None) -> Inputs:
    """Read what `input_options` gave."""
    return Inputs(files, Transport(transport) if transport else None, node, tenant)
