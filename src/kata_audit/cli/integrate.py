"""`kata-audit integrate`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kata_audit.cli.options import configured, example
from kata_audit.cli.output import write_lines
from kata_audit.cli.terminal import say, table, terminal_width
from kata_audit.errors import InputMissingError, Problem, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kata_audit.integrations.pack import Pack, Value


@click.command("integrate")
@click.argument("target", required=False)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="What a value is at this place; a list's parts stand with commas.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the files into this folder; else they are printed.")
@click.option(
    "--diff",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Print what to add to your own configuration, for `patch` (fluent-bit, classic format).",
)
@example(
    "integrate",
    "integrate prometheus --out ./rules",
    "integrate alertmanager --set on_call_url=https://pager.example/k",
    "integrate fluent-bit --diff /etc/fluent-bit/fluent-bit.conf",
)
def command(*, target: str | None, settings: tuple[str, ...], out: Path | None, diff: Path | None) -> None:
    """Print configuration for a system that you already run.

    Without TARGET the systems are listed, each with what checks its files and what it was really run with. The files of
    this node that a shipper reads are those of the configuration, `[[file]]`, and the usual ones. Nothing is installed and
    no service is touched.
    """
    from kata_audit.wiring import integration_packs

    packs = integration_packs()
    if target is None:
        rows = ([one.name, one.title, one.tried] for one in packs.values())
        write_lines(table(("target", "what it is", "run with"), rows, width=terminal_width() if sys.stdout.isatty() else 0))
        return
    if target not in packs:
        raise UsageError(f"There is nothing for `{target}`.", hint=f"There is: {', '.join(sorted(packs))}.")
    values = _values(packs[target], settings)
    if diff is not None:
        _print_diff(packs[target], values, diff)
        return
    files = _filled(packs[target], values)
    if out is None:
        for text in files.values():
            write_lines(text.splitlines())
    else:
        _write(out, files)
    say(f"check it: {packs[target].check}")


def _values(pack: "Pack", settings: tuple[str, ...]) -> "dict[str, Value]":
    """Take what the configuration says of this node, and what was set over it."""
    from kata_audit.integrations.places import places_of

    values = places_of(((one.path, one.transport) for one in configured().file), pack.values)
    problems = []
    for setting in settings:
        name, sign, value = setting.partition("=")
        if not sign or not value:
            problems.append(Problem(name, "is to be NAME=VALUE"))
        elif name not in pack.values:
            problems.append(Problem(name, f"is no value of `{pack.name}`; {', '.join(pack.values) or 'it has none'}"))
        else:
            values[name] = value if isinstance(pack.values[name], str) else tuple(value.split(","))
    if problems:
        raise UsageError("A value cannot be set.", problems=problems)
    return values


def _filled(pack: "Pack", values: "Mapping[str, Value]") -> dict[str, str]:
    from kata_audit.integrations.pack import UnsafeValueError, fill_in
    from kata_audit.wiring import integration_file
    from kata_audit.wiring_integrate import with_rules

    rules = configured().rules
    try:
        return {name: with_rules(fill_in(pack, integration_file(pack, name), values), rules) for name in pack.files}
    except UnsafeValueError as error:
        hint = "Use letters, digits and `._:/@+=-`, in lists of files `*` and `?` too."
        raise UsageError(f"The value of `{error}` would not stay a value there.", hint=hint) from error


def _print_diff(pack: "Pack", values: "Mapping[str, Value]", path: Path) -> None:
    """Print the change of an existing file as a unified diff, and what a person should know of it beside it."""
    import difflib

    from kata_audit.integrations.fluent_bit import add_kata, is_yaml

    if pack.name != "fluent-bit":
        raise UsageError(f"There is no `--diff` for `{pack.name}`.", hint="There is one for `fluent-bit`.")
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise InputMissingError(f"The configuration cannot be read: {error.strerror}.", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise UsageError("The configuration is not UTF-8.", hint=str(path)) from error
    if is_yaml(text):
        hint = (
            "Add the pack's files by hand: name them under `includes`, and kata-parsers.conf as `parsers_file` of `service`."
        )
        raise UsageError("This is Fluent Bit's YAML; `--diff` reads the classic format.", hint=hint)
    added = add_kata(text, {**pack.values, **values})
    old, new = text.splitlines(), added.text.splitlines()
    write_lines(list(difflib.unified_diff(old, new, str(path), str(path), lineterm="")))
    for note in added.notes:
        say(note)
    say("Beside it: the files of `kata-audit integrate fluent-bit --out FOLDER`, all but fluent-bit.conf.")


def _write(out: Path, files: "Mapping[str, str]") -> None:
    """Write new files; what is there already stays."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        there = [name for name in files if os.path.lexists(out / name)]
        if there:
            problems = [Problem(str(out / name), "is there already") for name in there]
            raise UsageError("Nothing was written.", problems=problems, hint="Name another folder, or move them away.")
        for name, text in files.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            with (out / name).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise StoreError(f"The files cannot be written: {error.strerror}.", where=str(out)) from error
    say(f"{', '.join(files)}: written to {out}")
