"""A collector with one listener on loopback, and what its store holds afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from kata_audit.clock import SystemClock
from kata_audit.pipeline.collect import Collector, run
from kata_audit.pipeline.ingest import CutPolicy, Sealer
from kata_audit.pipeline.own import OwnRecords
from kata_audit.pipeline.shedding import Holding
from kata_audit.receivers.inlet import ROOM_BYTES, Inlet, InletWatch
from kata_audit.receivers.listen import Datagrams, Listener, Serve
from kata_audit.receivers.receive_settings import Receive
from kata_audit.receivers.shipped import Declared
from kata_audit.store.writer import open_writer
from tests.evidence import derive

_COLUMNS = ["seq", "receiver", "node", "cursor", "raw", "origin", "dialect", "event_name", "k8s_pod", "body"]
KEY = bytes(range(32))
NODE = "lab/central"


class Receiving(NamedTuple):
    """Where it listens, and the collector behind it; while `paused` is set the collector takes nothing."""

    port: int
    collector: Collector
    paused: Event


@contextmanager
def receiving(
    root: Path,
    one: Receive,
    serve: Serve | Datagrams,
    *,
    answer_secs: float = 20.0,
    room_bytes: int = ROOM_BYTES,
) -> Iterator[Receiving]:
    """Run a collector with a listener until the block ends; then what came is sealed."""
    clock, wake, stop, paused = SystemClock(), Event(), Event(), Event()
    inlet = Inlet(str(one.kind), one.name, "default", clock=clock, wake=wake, room_bytes=room_bytes)
    declared = Declared("lab", NODE, one.transport, one.evidence_of)
    problems: list[BaseException] = []
    with (
        open_writer(root, clock=clock) as writer,
        Listener(one, declared, inlet, serve, answer_secs=answer_secs) as listener,
    ):
        own = OwnRecords("collect", node=NODE, tenant="default", clock=clock)
        sealer = Sealer(writer, CutPolicy(), derive, clock, after_seal=int)
        watch = InletWatch(inlet, f"{one.kind}-{one.name}")
        collector = Collector([watch], writer, sealer, own, clock=clock, key=KEY, holding=Holding(derive), wake=wake)

        def rest() -> None:
            collector.rest(0.01)
            while paused.is_set() and not stop.is_set():
                stop.wait(0.01)

        def body() -> None:
            try:
                run(collector, stopped=stop.is_set, rest=rest, told=lambda: None)
            except BaseException as error:  # noqa: BLE001 - the test that waits for it is to see it
                problems.append(error)

        thread = Thread(target=body)
        thread.start()
        try:
            yield Receiving(listener.port, collector, paused)
        finally:
            stop.set()
            thread.join()
    if problems:
        raise problems[0]


def sealed(root: Path) -> list[dict[str, Any]]:
    """Give the sealed records that others sent, in order of `seq`."""
    return [row for row in _rows(root) if not row["receiver"].startswith("kata-audit:")]


def said(root: Path) -> list[dict[str, Any]]:
    """Give what the collector said itself."""
    return [row for row in _rows(root) if row["receiver"].startswith("kata-audit:")]


def _rows(root: Path) -> list[dict[str, Any]]:
    paths = sorted((root / "segments").rglob("*.parquet"))
    rows = [row for path in paths for row in pq.read_table(path, columns=_COLUMNS).to_pylist()]
    return sorted(rows, key=lambda row: row["seq"])
