"""`kata-audit store`."""

from pathlib import Path

import click

from kata_audit.cli.options import example, store_option
from kata_audit.cli.output import json_line, output_option, write_lines


@click.group("store")
def command() -> None:
    """Look after the store."""


@command.command("status")
@store_option
@output_option(formats=("text", "json"))
@example("store status", "store status -o json")
def status(*, store: Path, form: str) -> None:
    """Describe the store in numbers."""
    from kata_audit.wiring import reading

    with reading(store) as reader:
        found = reader.status()._asdict()
    if form == "json":
        write_lines([json_line({"store": str(store), **found})])
        return
    write_lines(f"{name:20} {value if value is not None else '-'}" for name, value in {"store": store, **found}.items())


@command.command("repair")
@store_option
@output_option(formats=("text", "json"))
@example("store repair")
def repair(*, store: Path, form: str) -> None:
    """Put right what a crash left, and say what that was.

    Every command that writes does this by itself. Nothing that was acknowledged is dropped: bytes that belong nowhere go to
    the folder `quarantine`.
    """
    from kata_audit.wiring import writing

    with writing(store, create=False) as writer:
        found = writer.recovery._asdict()
        waiting = writer.next_seq - writer.sealed_to
    found = {name: list(map(str, value)) if isinstance(value, tuple) else value for name, value in found.items()}
    if form == "json":
        write_lines([json_line({"store": str(store), **found, "waiting": waiting})])
        return
    done = [f"{name.replace('_', ' ')}: {value}" for name, value in found.items() if value]
    write_lines([*(done or ["nothing to repair"]), f"{waiting:,} acknowledged records wait to be sealed"])


@command.command("compact")
@store_option
@output_option(formats=("text", "json"))
@example("store compact")
def compact(*, store: Path, form: str) -> None:
    """Merge small segments into larger ones.

    `ingest` does this by itself where many are small; this merges wherever two can be. The log says what was merged, and
    every proof still verifies.
    """
    from kata_audit.wiring import writing

    with writing(store, create=False) as writer:
        gone = writer.compact(all_of_them=True)
    if form == "json":
        write_lines([json_line({"store": str(store), "merged_away": gone})])
    else:
        write_lines([f"{gone:,} segments merged away" if gone else "nothing to merge"])
