"""The command `kata-audit`: a table of commands, each loaded when it is asked for, and one place where errors end.

stdout is data, stderr is talk. Nothing heavy is imported here: `kata-audit --help` reads this file and Click.
"""

import errno
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
from click.shell_completion import shell_complete

from kata_audit import __version__
from kata_audit.cli.options import STORE_VARIABLE
from kata_audit.cli.terminal import say
from kata_audit.errors import KataAuditError

PROGRAM = "kata-audit"
COMPLETE_VARIABLE = "_KATA_AUDIT_COMPLETE"
INTERRUPTED, OUTSIDE, DEFECT = 130, 5, 70


class Listed(NamedTuple):
    """One line of the help: where the command is, and what it does, so that the help imports no command."""

    section: str
    short: str


COMMANDS = {
    "demo": Listed("Begin", "Show the product on a real capture."),
    "parse": Listed("Begin", "Print any Kata log as one record per frame."),
    "ingest": Listed("Begin", "Take files into the store."),
    "collect": Listed("Begin", "Follow journals and files into the store."),
    "search": Listed("Look", "Find records."),
    "timeline": Listed("Look", "Tell the story of one pod or sandbox."),
    "why": Listed("Look", "Say why a pod failed."),
    "status": Listed("Look", "Say what came in from where, and what is missing."),
    "rules": Listed("Detect", "Look after the detection rules."),
    "alerts": Listed("Detect", "See what was detected, and say what you made of it."),
    "export": Listed("Send", "Send records to other systems."),
    "integrate": Listed("Send", "Print configuration for a system that you already run."),
    "verify": Listed("Prove", "Verify a store or a proof bundle."),
    "prove": Listed("Prove", "Write a proof bundle of records."),
    "node": Listed("Care", "Check what this node is set up to log, and set it up."),
    "store": Listed("Care", "Look after the store."),
    "config": Listed("Care", "Look after the configuration."),
    "schema": Listed("Reference", "Print the columns of a record."),
    "completion": Listed("Reference", "Print the completion script of a shell."),
    "version": Listed("Reference", "Print the version."),
}


class CommandTable(click.Group):
    """A group whose commands are imported when they are invoked."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - Click gives it
        """Name the commands in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - Click gives it
        """Import a command's module and return its command."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"kata_audit.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - Click gives it
        """List the commands by section, from the table alone."""
        for section in dict.fromkeys(listed.section for listed in COMMANDS.values()):
            with formatter.section(section):
                formatter.write_dl([(name, listed.short) for name, listed in COMMANDS.items() if listed.section == section])


@click.command(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--store",
    envvar=STORE_VARIABLE,
    type=click.Path(path_type=Path),
    help=f"Directory of the store; else ${STORE_VARIABLE}.",
)
@click.option("--debug", is_flag=True, help="Print the traceback of a defect.")
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli(store: Path | None, *, debug: bool) -> None:
    """One audit trail from the scattered logs of Kata Containers.

    \b
    Example:
      kata-audit ingest node.json && kata-audit timeline default/web-1
    """  # noqa: D301 - Click wants the character itself, which keeps the lines


class Keyboard:
    """Remembers Ctrl-C: a library in C that is called just then may turn it into an error of another kind."""

    def __init__(self) -> None:
        self.pressed = False

    def listen(self) -> None:
        """Be told of Ctrl-C from now on; whoever started us in the background has turned it off, and it stays off."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._press)

    def _press(self, *_: object) -> None:
        self.pressed = True
        raise KeyboardInterrupt


_MEMORY_POOL = "ARROW_DEFAULT_MEMORY_POOL"
"""Arrow reads it when it is loaded. Its own allocators keep what one large cut needed, or take long to give it back; the C
library's gives it back when it is told to, after each cut."""


def main() -> None:
    """Run the command and exit; the entry point of the package."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        sys.exit(shell_complete(cli, {}, PROGRAM, COMPLETE_VARIABLE, instruction))
    os.environ.setdefault(_MEMORY_POOL, "system")
    keyboard = Keyboard()
    keyboard.listen()
    sys.exit(run(sys.argv[1:], keyboard))


def run(arguments: Sequence[str], keyboard: Keyboard | None = None) -> int:
    """Run one command line and return its exit code; every error of every command ends here.

    Returns:
        0 done, 1 the answer is no, 2 usage, 3 does not verify, 4 store or input missing, 5 the outside world, 70 ours,
        130 interrupted.
    """
    try:
        with cli.make_context(PROGRAM, list(arguments)) as context:
            cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _interrupted()
    except Exception as error:  # noqa: BLE001 - the last place: whatever comes is said
        if keyboard is not None and keyboard.pressed:
            return _interrupted()
        return _failed(error, debug="--debug" in arguments)
    return 0


def _interrupted() -> int:
    say(f"{PROGRAM}: interrupted; what was acknowledged is kept")
    return INTERRUPTED


def _failed(error: Exception, *, debug: bool) -> int:
    """Report an error by its kind; one that nobody foresaw is a defect, and is said to be one."""
    if isinstance(error, click.ClickException):
        error.show()
        return 2
    if isinstance(error, KataAuditError):
        say(f"{PROGRAM}: {error.diagnostics()}")
        return error.exit_code
    return _outside(error) if isinstance(error, OSError) else _defect(error, debug=debug)


def _outside(error: OSError) -> int:
    """Report what the machine refused; a reader that closed its pipe has what it wanted."""
    if error.errno == errno.EPIPE:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    hint = (
        "Make room for what is written, then run the same command again." if full else "Check this place and who may use it."
    )
    named = error.filename or "the output"
    say(f"{PROGRAM}: {error.strerror or 'The machine refused'}.\n  at: {named}\n  next: {hint}")
    return OUTSIDE


def _defect(defect: Exception, *, debug: bool) -> int:
    say(f"{PROGRAM}: this is a defect of ours: {type(defect).__name__}.")
    if debug:
        say("".join(traceback.format_exception(defect)).rstrip())
    else:
        say("  next: run it again as `kata-audit --debug …` and report what it prints.")
    return DEFECT


if __name__ == "__main__":
    main()
