"""`kata-audit export`."""

import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import click

from kata_audit.cli.options import configured, example, store_option
from kata_audit.cli.service import Stop, Teller
from kata_audit.cli.terminal import say
from kata_audit.errors import ExporterError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from concurrent.futures import Future

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

    stop, broken = Stop(), Event()

    def stopped() -> bool:
        return stop.asked() or broken.is_set()

    with exporting(store, configured(), names, say, stopped) as each:
        teller = Teller(lambda: _sentence(each), lambda: _numbers(each), metrics_file)
        notify("READY=1")
        with ThreadPoolExecutor(len(each)) as pool:
            works = [pool.submit(_work, one, stopped, once=once) for one in each]
            try:
                while (seen := wait(works, _REST_SECS, FIRST_EXCEPTION)).not_done and not _has_failed(seen.done):
                    teller.tell()
            finally:
                broken.set()  # what stops one for good, such as a log that does not verify, stops all
        notify("STOPPING=1")
        for work in works:
            work.result()
        teller.tell(last=True)
        say(_sentence(each))
        failed = {one.name: one.numbers.problem for one in each if one.numbers.problem is not None}
    if once and failed:
        told = "; ".join(f"{name}: {problem}" for name, problem in failed.items())
        raise ExporterError("Not every system has taken everything.", where=told, hint="It is kept, and sent next time.")


def _has_failed(works: "Collection[Future[None]]") -> bool:
    return any(work.exception() is not None for work in works)


def _work(exporting: "Exporting", stopped: Callable[[], bool], *, once: bool) -> None:
    from kata_audit.pipeline.export import run, run_once

    if once:
        run_once(exporting, stopped=stopped)
    else:
        run(exporting, stopped=stopped, rest=lambda: time.sleep(_REST_SECS))


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
        "kata_audit_export_time_seconds": ("gauge", "When these numbers were written.", time.time()),
        "kata_audit_export_seen_to": (
            "gauge",
            "Number of the record that the slowest system has come to.",
            min((one.seen_to for one in numbers), default=0),
        ),
    }
