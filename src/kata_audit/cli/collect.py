"""`kata-audit collect`."""

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kata_audit.cli.options import configured, example, store_option
from kata_audit.cli.terminal import progress, say
from kata_audit.errors import UsageError

if TYPE_CHECKING:
    from kata_audit.pipeline.collect import Collector

_REST_SECS = 0.1
_TELL_SECS = 5.0


@click.command("collect")
@click.option("--journal", is_flag=True, help="Follow the system's journal, whatever is configured.")
@click.option("--metrics-file", type=click.Path(path_type=Path), help="Write Prometheus numbers to this file.")
@store_option
@example("collect --journal", "collect --store /var/lib/kata-audit --metrics-file /var/lib/node_exporter/kata-audit.prom")
def command(*, journal: bool, metrics_file: Path | None, store: Path) -> None:
    """Follow journals and files into the store.

    Follows what `[[journal]]` and `[[file]]` of the configuration name, else the system's journal, until it is told to
    stop (Ctrl-C, SIGTERM). What is durable survives any crash; started again, it goes on behind it. Files are followed
    through rotation, and patterns find new ones.
    """
    from kata_audit.wiring import collecting

    config = configured()
    stop = _Stop()
    with collecting(store, config, always_journal=journal) as collector:
        teller = _Teller(collector, metrics_file or config.metrics_file)
        from kata_audit.pipeline.collect import run
        from kata_audit.telemetry import notify

        notify("READY=1")
        run(collector, stopped=stop.asked, rest=lambda: time.sleep(_REST_SECS), told=teller.tell)
        notify("STOPPING=1")
        teller.tell(last=True)
    counts = collector.counts
    say(f"{counts.records:,} records are durable and sealed.")


class _Stop:
    """Whether somebody asked the process to stop."""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def asked(self) -> bool:
        return self._asked


class _Teller:
    """Tells the terminal, systemd and Prometheus how the collector is."""

    def __init__(self, collector: "Collector", metrics_file: Path | None) -> None:
        from kata_audit.telemetry import watchdog_secs

        self._collector, self._path = collector, metrics_file
        self._every = min(watchdog_secs() or _TELL_SECS, _TELL_SECS)
        self._next = 0.0
        self._has_written = False

    def tell(self, *, last: bool = False) -> None:
        """Tell, now and then."""
        from kata_audit.telemetry import notify, write_metrics

        now = time.monotonic()
        if now < self._next and not last:
            return
        self._next = now + self._every
        collector = self._collector
        sentence = f"{collector.counts.records:,} records of {collector.following} sources"
        if collector.is_stuck:
            sentence += "; the disk has no room, nothing more is read until there is"
        progress(None if last else sentence)
        notify(f"WATCHDOG=1\nSTATUS={sentence}")
        if self._path is not None:
            try:
                write_metrics(self._path, collector.numbers())
                self._has_written = True
            except OSError as error:
                if not self._has_written:
                    where = str(self._path)
                    raise UsageError(f"The metrics cannot be written: {error.strerror}.", where=where) from error
                # Later, a collector goes on without them: `kata_audit_time_seconds` grows old, and that is seen.
