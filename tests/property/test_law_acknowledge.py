"""L4: a receiver's position moves only after its rows are durable, and a stream goes on exactly behind its last record."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evidence import derive
from tests.fault.disks import Death, FaultDisk
from tests.fault.oracle import examine

from kata_audit.clock import ManualClock
from kata_audit.parse import split as frames
from kata_audit.pipeline.ingest import CutPolicy, Sealer, take
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk, Source, Transport
from kata_audit.store.writer import open_writer

KEY = b"k" * 32
LINES = st.lists(
    st.sampled_from([b"one\n", b"two two\n", b"\n", b"x" * 30 + b"\n", b"y" * 16, b"z" * 70 + b"\n"]),
    min_size=1,
    max_size=20,
)


class Memory:
    """A receiver over bytes in memory that remembers what was acknowledged."""

    def __init__(self, data: bytes, chunk: int) -> None:
        self.stream = "memory?1-2-aa"
        self.acknowledged = 0
        self._data, self._chunk = data, chunk

    def receive(self, start: int) -> Iterator[Chunk]:
        source = Source("memory", "lab/node", "default", Transport.HOST_FILE)
        for offset in range(start, len(self._data), self._chunk):
            yield Chunk(source, self.stream, offset, self._data[offset : offset + self._chunk], 1)

    def acknowledge(self, cursor: Cursor) -> None:
        assert cursor.end >= self.acknowledged
        self.acknowledged = cursor.end


def run(root: Path, receiver: Memory, disk: FaultDisk | None) -> None:
    clock = ManualClock()
    with open_writer(root, clock=clock, node="lab/node", disk=disk) as writer:
        sealer = Sealer(writer, CutPolicy(max_records=5), derive, clock, after_seal=writer.compact)
        for _ in take(receiver, writer, sealer, key=KEY):
            pass
        sealer.seal_all()


def content(root: Path) -> bytes:
    found = examine(root)
    assert found.lost == set()
    records = {**found.sealed, **found.waiting}
    return b"".join(records[seq] for seq in sorted(records))


@settings(max_examples=40)
@given(lines=LINES, chunk=st.integers(1, 90), death=st.integers(1, 160), power=st.booleans())
def test_nothing_acknowledged_is_lost_and_nothing_is_taken_twice(
    lines: list[bytes], chunk: int, death: int, *, power: bool
) -> None:
    data = b"".join(lines)
    folder = Path(tempfile.mkdtemp())
    root, side = folder / "store", folder / "side"
    side.mkdir()
    disk = FaultDisk(side, die_at=death)
    receiver = Memory(data, chunk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "MAX_FRAME", 16)
        try:
            run(root, receiver, disk)
        except Death:
            if power:
                disk.lose_power()
        disk.close()
        run(root, again := Memory(data, chunk), None)

        assert content(root) == data
        assert again.acknowledged in {0, len(data)}
        assert receiver.acknowledged <= len(data)
    shutil.rmtree(folder)


@settings(max_examples=40)
@given(lines=LINES, chunk=st.integers(1, 90), death=st.integers(20, 160))
def test_what_was_acknowledged_survives_the_power(lines: list[bytes], chunk: int, death: int) -> None:
    data = b"".join(lines)
    folder = Path(tempfile.mkdtemp())
    root, side = folder / "store", folder / "side"
    side.mkdir()
    disk = FaultDisk(side, die_at=death)
    receiver = Memory(data, chunk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "MAX_FRAME", 16)
        try:
            run(root, receiver, disk)
        except Death:
            disk.lose_power()
        disk.close()
        if receiver.acknowledged:
            kept = content(root)

            assert data.startswith(kept)
            assert len(kept) >= receiver.acknowledged
    shutil.rmtree(folder)
