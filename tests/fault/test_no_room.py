"""No room for segments, and a spool at its limit: files wait, and what cannot wait is dropped by class and told."""

import errno
import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.evidence import derive

from kata_audit.clock import ManualClock
from kata_audit.pipeline.collect import Collector
from kata_audit.pipeline.ingest import CutPolicy, Sealer
from kata_audit.pipeline.own import OwnRecords
from kata_audit.pipeline.shedding import Holding
from kata_audit.receivers.base import Watch
from kata_audit.receivers.fifo import FifoWatch
from kata_audit.receivers.file import Place
from kata_audit.receivers.follow import FileWatch
from kata_audit.schema.source import Transport
from kata_audit.store.durable import RealDisk
from kata_audit.store.writer import Writer, open_writer
from kata_audit.wiring import verify_store

SECOND = 1_000_000_000
KEY = bytes(range(32))
CAP = 20_000
HOLD = 8_000
_LINE = "2026-03-30T17:09:28.145771637 [a:fc_api:{level}:src/x.rs:1] text {number}\n"
_STARTED = "Running Firecracker v1.{number}\n"


class Crowded(RealDisk):
    """A disk with a quota on segments."""

    def __init__(self) -> None:
        self.has_room = True

    def create(self, path: Path) -> int:
        if not self.has_room and "segments" in path.parts:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        return super().create(path)


def collector_of(writer: Writer, folder: Path, clock: ManualClock, spool_bytes: int) -> Collector:
    place = Place("lab/worker", "default", Transport.HOST_FILE)
    watches: list[Watch] = [
        FileWatch(str(folder / "a.log"), place, clock=clock, key=KEY),
        FifoWatch(str(folder / "vm" / "*.fifo"), place, clock=clock, owner=os.getuid()),
    ]
    sealer = Sealer(writer, CutPolicy(), derive, clock, after_seal=int)
    own = OwnRecords("collect", node="lab/worker", tenant="default", clock=clock)
    return Collector(
        watches, writer, sealer, own, clock=clock, key=KEY, holding=Holding(derive, HOLD), spool_bytes=spool_bytes
    )


def sealed(root: Path) -> list[str]:
    tables = [pq.read_table(path, columns=["seq", "raw"]) for path in (root / "segments").rglob("*.parquet")]
    found = sorted((seq, raw.decode()) for one in tables for seq, raw in zip(*one.to_pydict().values(), strict=True))
    return [raw for _, raw in found]


def test_at_the_spools_limit_files_wait_and_a_fifo_loses_by_class_and_all_of_it_is_told(tmp_path: Path) -> None:
    """Afterwards each line of the file is there once, each line of the fifo is there or counted, and audit records all are."""
    clock, disk = ManualClock(), Crowded()
    (tmp_path / "vm").mkdir(mode=0o700)
    path, fifo = tmp_path / "a.log", tmp_path / "vm" / "logs.fifo"
    os.mkfifo(fifo, 0o600)
    written, sent = "", {"DEBUG": 0, "ERROR": 0, "started": 0}
    with open_writer(tmp_path / "store", clock=clock, disk=disk) as writer:
        collector = collector_of(writer, tmp_path, clock, CAP)
        collector.step()
        firecracker = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        disk.has_room = False
        for number in range(60):
            lines = "".join(f"line {number}-{index}\n" for index in range(30))
            path.write_text(written := written + lines)
            for level in ("DEBUG", "ERROR"):
                for _ in range(4):
                    os.write(firecracker, _LINE.format(level=level, number=sent[level]).encode())
                    sent[level] += 1
            os.write(firecracker, _STARTED.format(number=number).encode())
            sent["started"] += 1
            collector.step()
            clock.advance(SECOND)
            assert writer.spooled_bytes <= CAP
        assert (collector.is_stuck, writer.sealed_to) == (True, 0)
        disk.has_room = True
        for _ in range(20):
            collector.step()
            clock.advance(SECOND)
        collector.finish()
        assert (collector.is_stuck, writer.sealed_to) == (False, writer.next_seq)
        os.close(firecracker)
    texts = sealed(tmp_path / "store")

    assert "".join(text for text in texts if text.startswith("line ")) == written
    got = {level: [text for text in texts if f":{level}:" in text] for level in ("DEBUG", "ERROR")}
    told = [json.loads(text)["attributes"] for text in texts if '"event":"collect.dropped"' in text]
    lost = {one["log.class"]: int(one["log.records.lost"]) for one in told}
    assert lost == {"debug": sent["DEBUG"] - len(got["DEBUG"]), "operational": sent["ERROR"] - len(got["ERROR"])}
    assert lost["debug"] > lost["operational"] >= 0
    assert {(one["source"], one["object"], one["action"]) for one in told} == {(str(fifo), str(fifo), "lose-records")}
    assert collector.counts.dropped == sum(lost.values())
    assert len([text for text in texts if text.startswith("Running")]) == sent["started"]
    assert verify_store(tmp_path / "store", deep=False, vkey=None, tell=lambda _: None).troubles == ()


def test_what_is_larger_than_the_limit_is_taken_where_nothing_waits(tmp_path: Path) -> None:
    """A limit that is too small for one commit slows it down, and never stops it."""
    clock = ManualClock()
    (tmp_path / "a.log").write_text("x" * 5_000 + "\n")
    with open_writer(tmp_path / "store", clock=clock) as writer:
        collector = collector_of(writer, tmp_path, clock, 100)
        for number in range(30):
            with (tmp_path / "a.log").open("a") as file:
                file.write(f"line {number}\n")
            collector.step()
            clock.advance(2 * SECOND)
        collector.finish()

    assert sum(text.startswith("line") for text in sealed(tmp_path / "store")) == 30


@pytest.mark.parametrize("flood", [200, 5_000])
def test_a_source_that_floods_keeps_no_other_from_being_read(tmp_path: Path, flood: int) -> None:
    """One step reads of everything that has something."""
    clock = ManualClock()
    (tmp_path / "vm").mkdir(mode=0o700)
    fifos = [tmp_path / "vm" / f"{number}.fifo" for number in range(12)]
    for fifo in fifos:
        os.mkfifo(fifo, 0o600)
    (tmp_path / "a.log").write_text("the host's line\n")
    with open_writer(tmp_path / "store", clock=clock) as writer:
        collector = collector_of(writer, tmp_path, clock, 1 << 30)
        collector.step()
        ends = [os.open(fifo, os.O_RDWR | os.O_NONBLOCK) for fifo in fifos]
        with (tmp_path / "a.log").open("a") as file:
            file.write("the host's next line\n")
        for end in ends:
            os.write(end, (b"x" * 200 + b"\n") * flood)
        collector.step()
        _, rows = writer.unsealed() or pytest.fail("nothing is there")
        raws = rows.column("raw").to_pylist()
        assert raws.count(b"the host's next line\n") == 1
        for end in ends:
            os.close(end)
        collector.finish()
