"""`kata-audit collect`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kata_audit.cli.options import configured, example, store_option
from kata_audit.cli.service import Stop, Teller
from kata_audit.cli.terminal import say

if TYPE_CHECKING:
    from kata_audit.pipeline.collect import Collector

_REST_SECS = 0.1


@click.command("collect")
@click.option("--journal", is_flag=True, help="Follow the system's journal, whatever is configured.")
@click.option("--metrics-file", type=click.Path(path_type=Path), help="Write Prometheus numbers to this file.")
@store_option
@example("collect --journal", "collect --store /var/lib/kata-audit --metrics-file /var/lib/node_exporter/kata-audit.prom")
def command(*, journal: bool, metrics_file: Path | None, store: Path) -> None:
    """Follow journals and files into the store.

    Follows what `[[journal]]` and `[[file]]` of the configuration name, and takes what is sent to `[[receive]]` and
    `[[kafka]]`; else the system's journal, until it is told to stop (Ctrl-C, SIGTERM). What is durable survives any
    crash; started again, it goes on behind it. Files are followed through rotation, and patterns find new ones.
    """
    from kata_audit.wiring import collecting

    config = configured()
    stop = Stop()
    with collecting(store, config, always_journal=journal) as collector:
        teller = Teller(partial(_sentence, collector), collector.numbers, metrics_file or config.metrics_file)
        from kata_audit.pipeline.collect import run
        from kata_audit.telemetry import notify

        notify("READY=1")
        run(collector, stopped=stop.asked, rest=partial(collector.rest, _REST_SECS), told=teller.tell)
        notify("STOPPING=1")
        teller.tell(last=True)
    counts = collector.counts
    say(f"{counts.records:,} records are durable and sealed.")


def _sentence(collector: "Collector") -> str:
    sentence = f"{collector.counts.records:,} records of {collector.following} sources"
    return sentence + ("; the disk has no room, nothing more is read until there is" if collector.is_stuck else "")
