"""`kata-audit completion`."""

import click
from click.shell_completion import get_completion_class

from kata_audit.cli.options import example
from kata_audit.cli.output import write_lines


@click.command("completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@example(
    'completion bash > "$HOME/.local/share/bash-completion/completions/kata-audit"',
    'completion zsh > "${fpath[1]}/_kata-audit"',
)
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    Store it where the shell looks for such scripts.
    """
    root = context.find_root()
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(root.command, {}, "kata-audit", "_KATA_AUDIT_COMPLETE")
    write_lines([script.source_template % script.source_vars()])
