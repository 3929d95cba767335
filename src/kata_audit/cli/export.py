"""`kata-audit export`."""

import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import click

from kata_audit.cli.options import configured, example, store_option
from kata_audit.cli.service import Stop, Teller
from kata_audit.cli.terminal import say
from kata_audit.errors import ExporterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kata_audit.pipeline.export import Exporting

_REST_SECS = 0.2


@click.command("export")
@click.option("--once", is_flag=True, help="Send what is sealed now, and end; what is not taken is sent next time.")
@click.option("--only", "names", multiple=True, metavar="NAME", help="This export alone; may be given several times.")
@click.option("--metrics-file", type=click.Path(path_type=Path), help="Write Prometheus numbers to this file.")
@store_option
@example("export", "export --once --only siem --store ./store")
def command(*, once: bool, names: tuple[str, ...], metrics_file: Path | None, store: Path) -> None:
    """Send records to other systems.

    Follows the store and hands each sealed record to every configured system, `[[export]]`, until it is told to stop
    (Ctrl-C, SIGTERM). What a system has not taken stays in the store and is sent later, under the same name; one that is
    slow or gone holds up no other.
    """
    from kata_audit.telemetry import notify
    from kata_audit.wiring_export import exporting

    stop = Stop()
    with exporting(store, configured(), names, say, stop.asked) as each:
        teller = Teller(lambda: _sentence(each), lambda: _numbers(each), metrics_file)
        notify("READY=1")
        threads = [Thread(target=_work, args=(one, stop, once), name=one.name) for one in each]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            teller.tell()
            time.sleep(_REST_SECS)
        notify("STOPPING=1")
        teller.tell(last=True)
        say(_sentence(each))
        failed = {one.name: one.numbers.problem for one in each if one.numbers.problem is not None}
    if once and failed:
        told = "; ".join(f"{name}: {problem}" for name, problem in failed.items())
        raise ExporterError("Not every system has taken everything.", where=told, hint="It is kept, and sent next time.")


def _work(exporting: "Exporting", stop: Stop, once: bool) -> None:  # noqa: FBT001 - a thread's target
    from kata_audit.pipeline.export import run, run_once

    if once:
        run_once(exporting, stopped=stop.asked)
    else:
        run(exporting, stopped=stop.asked, rest=lambda: time.sleep(_REST_SECS))


def _sentence(each: "Sequence[Exporting]") -> str:
    return "; ".join(f"{one.name}: {one.numbers.sent:,} records taken, {one.numbers.rejected:,} refused" for one in each)


def _numbers(each: "Sequence[Exporting]") -> "Mapping[str, tuple[str, str, float]]":
    numbers = [one.numbers for one in each]
    return {
        "kata_audit_records_exported_total": (
            "counter",
            "Records taken, of all systems.",
            sum(one.sent for one in numbers),
        ),
        "kata_audit_records_rejected_total": (
            "counter",
            "Records refused for good and kept.",
            sum(one.rejected for one in numbers),
        ),
        "kata_audit_export_failures_total": ("counter", "Requests that failed.", sum(one.failures for one in numbers)),
        "kata_audit_exports_failing": (
            "gauge",
            "Systems that do not take records.",
            sum(one.problem is not None for one in numbers),
        ),
        "kata_audit_export_seen_to": (
            "gauge",
            "Number of the record that the slowest system has come to.",
            min((one.seen_to for one in numbers), default=0),
        ),
    }
