"""`kata-audit alerts deliver`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kata_audit.cli.options import configured, example, store_option
from kata_audit.cli.output import write_lines
from kata_audit.cli.service import Stop, Teller
from kata_audit.cli.terminal import say
from kata_audit.errors import ExporterError, UsageError

if TYPE_CHECKING:
    from kata_audit.config import Config
    from kata_audit.pipeline.deliver import Deliverer

_REST_SECS = 0.2


@click.command("deliver")
@click.option("--once", is_flag=True, help="Tell what is to be told now, and end; who did not take it is told next time.")
@click.option("--try", "trial", is_flag=True, help="Tell each destination of an alert that is none, and say how it went.")
@click.option("--metrics-file", type=click.Path(path_type=Path), help="Write Prometheus numbers to this file.")
@store_option
@example("alerts deliver", "alerts deliver --try", "alerts deliver --once --store ./store")
def deliver(*, once: bool, trial: bool, metrics_file: Path | None, store: Path) -> None:
    """Tell people and systems of alerts.

    Follows the store and hands each notice to every configured destination, `[[alerts.destination]]`, until it is told to
    stop (Ctrl-C, SIGTERM). What a destination has not taken is tried again, however long that takes, and survives any
    crash. Destinations with `heartbeat` are told regularly that all is well.
    """
    config = configured()
    if once and trial:
        raise UsageError("--once and --try are two things.", hint="Name one.")
    if trial:
        _try(config)
    else:
        _deliver(config, store, metrics_file, once=once)


def _try(config: "Config") -> None:
    from kata_audit.wiring import try_destinations

    found = try_destinations(config)
    write_lines(f"{name}: {'took it' if problem is None else problem}" for name, problem in found.items())
    failed = [name for name, problem in found.items() if problem is not None]
    if failed:
        raise ExporterError("Not every destination took it.", where=", ".join(failed))


def _deliver(config: "Config", store: Path, metrics_file: Path | None, *, once: bool) -> None:
    from kata_audit.pipeline.deliver import run, run_once
    from kata_audit.telemetry import notify
    from kata_audit.wiring import delivering

    stop = Stop()
    with delivering(store, config, say) as deliverer:
        teller = Teller(lambda: _sentence(deliverer), deliverer.numbers, metrics_file)
        notify("READY=1")
        if once:
            behind = run_once(deliverer, stopped=stop.asked, told=teller.tell)
        else:
            run(deliverer, stopped=stop.asked, rest=lambda: time.sleep(_REST_SECS), told=teller.tell)
            behind = {}
        notify("STOPPING=1")
        teller.tell(last=True)
        say(_sentence(deliverer))
    if behind:
        told = "; ".join(f"{name}: {problem}" for name, problem in behind.items())
        raise ExporterError("Not every destination has taken everything.", where=told, hint="It is kept, and tried again.")


def _sentence(deliverer: "Deliverer") -> str:
    return f"{deliverer.sent:,} notices were taken, {deliverer.waiting:,} wait."
