"""The collector over real stores and files: what comes is durable, what fails is tried again, and all of it is told."""

import errno
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event
from unittest.mock import patch

import pyarrow.parquet as pq
import pytest
from tests.evidence import derive
from tests.fault.disks import FaultDisk
from tests.findings import ACT

from kata_audit.clock import ManualClock
from kata_audit.errors import ReceiverError, StoreError, StoreStoppedError
from kata_audit.pipeline.collect import Collector, run
from kata_audit.pipeline.ingest import CutPolicy, Sealer
from kata_audit.pipeline.own import OwnRecords
from kata_audit.pipeline.shedding import Holding
from kata_audit.receivers.base import Told, Watch
from kata_audit.receivers.fifo import FifoWatch
from kata_audit.receivers.file import Place
from kata_audit.receivers.follow import FileWatch, FollowedFile
from kata_audit.receivers.inlet import Inlet, InletWatch
from kata_audit.receivers.shipped import Line
from kata_audit.schema.act import ACT_KIND, to_line
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk, Transport
from kata_audit.store.durable import Disk, RealDisk
from kata_audit.store.inbox import Message, is_waiting, leave
from kata_audit.store.writer import Writer, open_writer

KEY = bytes(range(32))
PLACE = Place("lab/worker", "default", Transport.HOST_FILE)
SECOND = 1_000_000_000


def collecting(
    writer: Writer,
    watches: list[Watch],
    clock: ManualClock,
    *,
    max_records: int = 65_536,
    hold_bytes: int = 1 << 20,
    spool_bytes: int = 1 << 30,
) -> Collector:
    """Make a collector as the command does."""
    sealer = Sealer(writer, CutPolicy(max_records=max_records), derive, clock, after_seal=int)
    own = OwnRecords("collect", node="lab/worker", tenant="default", clock=clock)
    holding = Holding(derive, hold_bytes)
    return Collector(watches, writer, sealer, own, clock=clock, key=KEY, holding=holding, spool_bytes=spool_bytes)


def watch(path: Path, clock: ManualClock) -> FileWatch:
    return FileWatch(str(path), PLACE, clock=clock, key=KEY)


def sealed(root: Path) -> list[str]:
    """Give the texts of all sealed records, in order of `seq`."""
    tables = [pq.read_table(path, columns=["seq", "raw"]) for path in sorted((root / "segments").rglob("*.parquet"))]
    rows = sorted((seq, raw.decode()) for one in tables for seq, raw in zip(*one.to_pydict().values(), strict=True))
    assert [seq for seq, _ in rows] == list(range(len(rows)))
    return [raw for _, raw in rows]


def lines_of(texts: list[str]) -> list[str]:
    """Leave out what the collector says itself."""
    return [text for text in texts if not text.startswith('{"time"')]


def append(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


def test_it_says_every_minute_that_it_is_alive(tmp_path: Path) -> None:
    """Where nothing happens, something is sealed all the same: an old store has lost its collector."""
    clock = ManualClock()
    append(tmp_path / "a.log", "a 1")
    with open_writer(tmp_path / "store", clock=clock) as writer:
        collector = collecting(writer, [watch(tmp_path / "a.log", clock)], clock)
        for _ in range(150):
            collector.step()
            clock.advance(SECOND)
        clock.advance(-3600 * SECOND)
        for _ in range(70):
            collector.step()
            clock.advance(SECOND)
        assert writer.sealed_to == writer.next_seq
        collector.finish()
    told = [json.loads(text) for text in sealed(tmp_path / "store") if text.startswith("{")]

    alive = [one for one in told if one["event"] == "collect.alive"]
    assert len(alive) == 4
    assert alive[0]["attributes"] == {"sources": "1"}


def test_what_comes_is_durable_then_sealed_and_counted(tmp_path: Path) -> None:
    """Of all sources in one commit; sealed when its time has come, also where nothing new comes."""
    clock = ManualClock()
    append(tmp_path / "a.log", "a 1", "password=hunter2hunter2")
    append(tmp_path / "b.log", "b 1")
    with open_writer(tmp_path / "store", clock=clock) as writer:
        collector = collecting(writer, [watch(tmp_path / "*.log", clock)], clock)

        assert (collector.step(), collector.following, collector.step()) == (3, 2, 0)
        assert (writer.next_seq, writer.sealed_to) == (3, 0)
        clock.advance(6 * SECOND)
        assert (collector.step(), writer.sealed_to) == (0, 3)
        assert collector.counts._replace(raw_bytes=0) == (3, 0, 0, 0, 0, 0)
        assert {name: value for name, (_, _, value) in collector.numbers().items() if value} == {
            "kata_audit_collected_records_total": 3,
            "kata_audit_collected_bytes_total": collector.counts.raw_bytes,
            "kata_audit_sources": 2,
            "kata_audit_time_seconds": clock.now_ns() / SECOND,
        }
    texts = sealed(tmp_path / "store")
    assert "hunter2" not in "".join(texts)
    assert collector.counts.raw_bytes == sum(map(len, texts))


def test_a_key_in_several_lines_waits_for_its_end_but_not_for_ever(tmp_path: Path) -> None:
    """Its first lines are held back while it may go on; what nobody ends goes out after a second."""
    clock, path = ManualClock(), tmp_path / "a.log"
    append(path, "one", "-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC")
    with open_writer(tmp_path / "store", clock=clock) as writer:
        collector = collecting(writer, [watch(path, clock)], clock)
        assert (collector.step(), collector.step()) == (1, 0)
        append(path, "BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj", "-----END PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----")
        assert (collector.step(), collector.step()) == (4, 0)
        clock.advance(2 * SECOND)
        assert (collector.step(), collector.step()) == (1, 0)
        collector.finish()

    assert not {"MIIEv", "BKcwg"} & {text[:5] for text in sealed(tmp_path / "store")}


class Failing:
    """A source that breaks off whenever it is polled."""

    name, stream, behind, ended, waits = "broken", "broken?1", 0, False, True

    def __init__(self) -> None:
        self.opened = self.closed = 0

    def discover(self, known: Mapping[str, Cursor], following: Collection[str]) -> Iterator["Failing"]:  # noqa: ARG002
        if self.name not in following:
            self.opened += 1
            yield self

    def poll(self, size: int) -> None:  # noqa: ARG002
        raise ReceiverError("It broke.", where=self.name)

    def acknowledge(self, _end: int) -> None:
        """Hold nothing."""

    def told(self) -> Iterator[Told]:
        yield from ()

    def close(self) -> None:
        self.closed += 1


def test_a_line_that_waits_for_the_rest_of_a_secret_is_not_acknowledged(tmp_path: Path) -> None:
    """What stood before it is; it is itself when it is durable."""
    clock, answers = ManualClock(), list[str]()
    inlet = Inlet("http", "nodes", "default", clock=clock, wake=Event())
    for name, text in (("plain", "one"), ("secret", "-----BEGIN PRIVATE KEY-----")):
        line = Line("lab/worker", Transport.HOST_FILE, "/a", None, f"{text}\n".encode())
        inlet.offer([line], partial(answers.append, name))
    with open_writer(tmp_path / "store", clock=clock) as writer:
        collector = collecting(writer, [InletWatch(inlet, "http-nodes")], clock)
        durable = collector.step()
        before = list(answers)
        clock.advance(2 * SECOND)
        durable += collector.step()
        collector.finish()

    assert (before, answers) == (["plain"], ["plain", "secret"])
    assert durable == 3  # the two, and what the collector says of the node


def test_half_a_line_is_not_acknowledged(tmp_path: Path) -> None:
    """Its other half may never come to be read where the reading ends now."""
    clock, path = ManualClock(), tmp_path / "a.log"
    ends: list[int] = []
    path.write_text("one\nha")
    with open_writer(tmp_path / "store", clock=clock) as writer:
        files = watch(path, clock)
        collector = collecting(writer, [files], clock)
        with patch.object(FollowedFile, "acknowledge", lambda _, end: ends.append(end)):
            collector.step()
            append(path, "lf")
            collector.step()

    assert ends == [4, 9]


def test_a_source_that_fails_is_told_and_opened_again_less_and_less_often(tmp_path: Path) -> None:
    """The others go on."""
    clock, broken = ManualClock(), Failing()
    append(tmp_path / "a.log", "one")
    with open_writer(tmp_path / "store", clock=clock) as writer:
        collector = collecting(writer, [broken, watch(tmp_path / "a.log", clock)], clock)
        for _ in range(300):
            collector.step()
            clock.advance(SECOND)
        assert 8 <= broken.opened == broken.closed <= 12
        assert collector.counts.failures == broken.opened
        collector.finish()

    told = [json.loads(text) for text in sealed(tmp_path / "store") if text.startswith("{")]
    events = [one["event"] for one in told if one["event"] != "collect.alive"]
    assert events == [*["collect.source_failed"] * broken.opened, "collect.stopped"]
    assert told[0]["attributes"] == {"source": "broken"}


class Losing(FollowedFile):
    """A file that says that its source removed records unread."""

    def told(self) -> Iterator[Told]:
        yield from (Told("collect.lost", "Gone.", "12"), Told("collect.lost", "Gone.", "unknown"))


def test_a_loss_is_a_record_and_a_number(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "a.log"
    append(path, "one")

    class Once:
        waits = True

        def discover(self, known: Mapping[str, Cursor], following: Collection[str]) -> Iterator[Losing]:
            if not following:
                yield Losing(str(path), PLACE, clock=clock, key=KEY, known=known)

    with open_writer(tmp_path / "store", clock=clock) as writer:
        collector = collecting(writer, [Once()], clock)
        collector.step()

        assert collector.counts.lost == 12
        (cut, evidence) = writer.unsealed() or pytest.fail("nothing is there")
        records = derive(evidence)
    assert cut.end == 3
    assert records["event_name"].to_pylist()[1:] == ["collect.lost"] * 2
    assert records["action"].to_pylist()[1:] == ["lose-records"] * 2
    assert [dict(one or {}).get("log.records.lost") for one in records["attributes"].to_pylist()[1:]] == ["12", None]


def test_a_hundred_rotations_leave_one_cursor_and_every_cut_is_a_record(tmp_path: Path) -> None:
    """Whatever the way of rotating, the state stays as small as what is followed, also for the next process."""
    clock, path = ManualClock(), tmp_path / "a.log"
    with open_writer(tmp_path / "store", clock=clock) as writer:
        collector = collecting(writer, [watch(path, clock)], clock)
        for number in range(100):
            append(path, f"line {number}")
            for _ in range(2):
                collector.step()
                clock.advance(SECOND)
            if number % 2:
                path.rename(tmp_path / f"a.log.{number}")
            else:
                path.write_bytes(b"")
            for _ in range(3):
                collector.step()
                clock.advance(2 * SECOND)
        collector.finish()
        assert [stream.partition("?")[0] for stream in writer.last_cursors()] == ["kata-audit:collect"]
    with open_writer(tmp_path / "store", clock=clock) as writer:
        assert len(writer.last_cursors()) == 1

    texts = sealed(tmp_path / "store")
    assert lines_of(texts) == [f"line {number}\n" for number in range(100)]
    cuts = [json.loads(text) for text in texts if '"event":"collect.cut"' in text]
    assert len(cuts) == 50
    assert cuts[0]["attributes"] == {
        "source": str(path),
        "log.file.path": str(path),
        "log.file.read_to": "7",
        "action": "lose-records",
        "object": str(path),
    }


def test_it_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """What has come is sealed, and nothing is left open."""
    clock, path = ManualClock(), tmp_path / "a.log"
    steps: list[int] = []
    append(path, "one")
    with open_writer(tmp_path / "store", clock=clock) as writer:
        collector = collecting(writer, [watch(path, clock)], clock)
        run(
            collector,
            stopped=lambda: len(steps) == 3,
            rest=lambda: append(path, f"line {len(steps)}"),
            told=lambda: steps.append(1),
        )
        assert writer.sealed_to == writer.next_seq

    assert lines_of(sealed(tmp_path / "store")) == ["one\n", "line 1\n"]


def test_firecrackers_lines_are_the_hosts_and_name_their_sandbox(tmp_path: Path) -> None:
    """Without its own name for the sandbox, the hypervisor's line is still of the host and of Firecracker."""
    clock, sandbox = ManualClock(), "b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f"
    path = tmp_path / sandbox / "logs.fifo"
    path.parent.mkdir(mode=0o700)
    os.mkfifo(path)
    found = FifoWatch(str(tmp_path / "*" / "logs.fifo"), PLACE._replace(transport=None), clock=clock, owner=os.getuid())
    with open_writer(tmp_path / "store", clock=clock) as writer:
        collector = collecting(writer, [found], clock)
        collector.step()
        firecracker = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        os.write(firecracker, f"2026-03-30T17:09:28.145771637 [{sandbox}:fc_api:ERROR:src/x.rs:1] no room\n".encode())
        assert collector.step() == 1
        os.close(firecracker)
        path.unlink()
        collector.step()
        assert (collector.following, writer.last_cursors()) == (0, {}), "it has ended with its sandbox"
        (_, evidence) = writer.unsealed() or pytest.fail("nothing is there")
    names = ["origin", "component", "severity_text", "sandbox_id", "receiver"]
    assert derive(evidence).select(names).to_pylist() == [
        dict(zip(names, ("host", "firecracker", "ERROR", sandbox, "fifo:host-file:firecracker"), strict=True))
    ]


class Dripping(FollowedFile):
    """A file of which one line of eight bytes comes at a time."""

    def poll(self, size: int) -> Chunk | None:
        return super().poll(min(size, 8))


def test_a_merge_holds_nobody_up(tmp_path: Path) -> None:
    """What comes while segments are merged is durable before the merge is over, and sealed with the next cut."""
    clock, path = ManualClock(), tmp_path / "a.log"
    append(path, *(f"line {number:02}" for number in range(80)))
    waiting = []

    class Drip:
        waits = True

        def discover(self, known: Mapping[str, Cursor], following: Collection[str]) -> Iterator[Dripping]:
            if not following:
                yield Dripping(str(path), PLACE, clock=clock, key=KEY, known=known)

    with open_writer(tmp_path / "store", clock=clock) as writer:
        collector = collecting(writer, [Drip()], clock, max_records=4)
        while collector.step():
            waiting.append(writer.next_seq - writer.sealed_to)
        collector.finish()
        assert writer.next_seq == writer.sealed_to == 81

    assert waiting[3] == waiting[27] == 0, "a cut of four is sealed"
    assert waiting[31] >= 2, "eight of them are merged, and lines come meanwhile"
    assert lines_of(sealed(tmp_path / "store")) == path.read_text().splitlines(keepends=True)


def test_a_store_that_fails_otherwise_ends_it(tmp_path: Path) -> None:
    """Only a full disk is waited for: a spool that cannot be read is told, and not tried for ever."""
    clock, path = ManualClock(), tmp_path / "a.log"
    append(path, "one")
    with open_writer(tmp_path / "store", clock=clock) as writer:
        collector = collecting(writer, [watch(path, clock)], clock)
        collector.step()
        for spooled in (tmp_path / "store" / "spool").iterdir():
            spooled.unlink()
        clock.advance(6 * SECOND)
        with pytest.raises(StoreError):
            collector.step()


def _life(root: Path, path: Path, disk: Disk, clock: ManualClock) -> None:
    """Collect what a file says until all of it is sealed; where the disk stops the writer, the process would end."""
    with open_writer(root, clock=clock, disk=disk) as writer:
        collector = collecting(writer, [watch(path, clock)], clock, max_records=4)
        for number in range(4):
            append(path, f"{path.name} {path.stat().st_size} {number}")
            for _ in range(3):
                collector.step()
                clock.advance(SECOND)
        for _ in range(3):
            collector.step()
        collector.finish()


def test_a_disk_without_room_costs_nothing_but_time(tmp_path: Path) -> None:
    """Every act of the store is refused once for want of room: each line of the file is sealed once, in order."""
    side = tmp_path / "side"
    side.mkdir()
    clock, disk = ManualClock(), FaultDisk(side)
    path = tmp_path / "count.log"
    append(path, "first")
    _life(tmp_path / "count", path, disk, clock)
    opening = FaultDisk(side)
    with open_writer(tmp_path / "empty", clock=clock, disk=opening):
        pass

    for number in range(len(opening.acts) + 1, len(disk.acts) + 1):
        root, path, clock = tmp_path / f"store-{number}", tmp_path / f"{number}.log", ManualClock()
        append(path, "first")
        with suppress(StoreStoppedError):
            _life(root, path, FaultDisk(side, fail_at=number, error=errno.ENOSPC), clock)
        _life(root, path, RealDisk(), clock)
        assert lines_of(sealed(root)) == path.read_text().splitlines(keepends=True), disk.acts[number - 1]


def test_what_a_command_leaves_is_taken_in(tmp_path: Path) -> None:
    """Beside a running collector an act is in the store within a second, though no source says anything."""
    clock, root = ManualClock(), tmp_path / "store"
    with open_writer(root, clock=clock) as writer:
        collector = collecting(writer, [], clock)
        collector.step()
        leave(root, Message("0f" * 16, clock.now_ns(), ACT_KIND, "lab/worker", "default", to_line(ACT)))
        collector.step()
        assert is_waiting(root, "0f" * 16)
        clock.advance(SECOND)
        collector.step()

        assert not is_waiting(root, "0f" * 16)
        clock.advance(5 * SECOND)
        collector.step()
        assert sealed(root) == [to_line(ACT).decode()]
        leave(root, Message("1f" * 16, clock.now_ns(), ACT_KIND, "lab/worker", "default", to_line(ACT)))
        collector.finish()
        assert lines_of(sealed(root)) == []
        assert len(sealed(root)) == 3
