"""`kata-audit ingest`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kata_audit.cli.inputs import Inputs, input_options
from kata_audit.cli.options import configured, example, store_option
from kata_audit.cli.output import json_lines, output_option, write_lines
from kata_audit.cli.terminal import progress, say, show

if TYPE_CHECKING:
    from kata_audit.receivers.file import Place


@click.command("ingest")
@input_options
@store_option
@output_option(formats=("text", "json", "jsonl"))
@example("ingest node.json", "ingest --transport console --node lab/worker-a console.log.gz", "ingest - < node.json")
def command(*, inputs: Inputs, store: Path, form: str) -> None:
    """Take files into the store.

    Without FILE, takes the files of the configuration, else stdin. A file that was taken before is recognised, and only
    what is new in it is taken. What was acknowledged survives any crash, and the same command goes on behind it.
    """
    rows = _take_all(inputs.places(from_configuration=True), store)
    if form == "text":
        write_lines(_sentence(row) for row in rows)
    else:
        write_lines(json_lines(rows, form))


def _take_all(places: "list[tuple[str, Place]]", store: Path) -> Iterator[dict[str, Any]]:
    """Take every input, sealing on the way, and tell what became of each."""
    from kata_audit.pipeline.ingest import take
    from kata_audit.wiring import file_receiver, fingerprint_key, sealer, writing

    with writing(store, node=places[0][1].node) as writer:
        key = fingerprint_key(store, writer)
        seals = sealer(writer, configured())
        for path, place in places:
            with file_receiver(path, place, key=key) as receiver:
                for taken in take(receiver, writer, seals, key=key):
                    progress(f"{path}: {taken.records:,} records")
            progress(None)
            seals.seal_all()
            yield {
                "source": path,
                "transport": str(receiver.source.transport),
                "records": taken.records,
                "bytes": taken.raw_bytes,
                "resumed_at": taken.resumed_at,
                "sealed_to": writer.sealed_to,
                "store": str(store),
            }
        if found := seals.finish():
            say(f"{found:,} findings: `kata-audit alerts list` shows what they come to.")


def _sentence(row: dict[str, Any]) -> str:
    source = show(row["source"])
    if not row["records"]:
        return f"{source}: nothing new" if row["resumed_at"] else f"{source}: no records in it"
    before = f", behind the {row['resumed_at']:,} bytes taken before" if row["resumed_at"] else ""
    return f"{source}: {row['records']:,} records ({row['transport']}) taken and sealed{before}"
