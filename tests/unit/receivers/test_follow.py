"""Files are read as they grow: through rotation, renaming and cutting, and nothing is read twice or left out."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_audit.clock import ManualClock
from kata_audit.errors import ReceiverError
from kata_audit.receivers.file import FileReceiver, Place
from kata_audit.receivers.follow import FileWatch, FollowedFile
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Transport

PLACE = Place("lab/worker", "default", Transport.HOST_FILE)
KEY = b"k" * 32
SECOND = 1_000_000_000


class Reading:
    """A watch, everything that it gave, and what of it counts as durable."""

    def __init__(self, pattern: Path, known: Mapping[str, Cursor] | None = None) -> None:
        self.clock = ManualClock()
        self.watch = FileWatch(str(pattern), PLACE, clock=self.clock, key=KEY)
        self.known = dict(known or {})
        self.open: list[FollowedFile] = []
        self.data: dict[str, bytes] = {}

    def step(self, size: int = 1 << 20) -> bytes:
        """Look around, poll everything once, and give what has come."""
        self.open += self.watch.discover(self.known, {one.name for one in self.open})
        came = b""
        for one in list(self.open):
            chunk = one.poll(size)
            if chunk is not None:
                assert chunk.offset == max(self.known.get(chunk.stream, Cursor("", 0, 0)).end, one.start)
                self.known[chunk.stream] = Cursor(chunk.stream, chunk.offset, len(chunk.data))
                self.data[chunk.stream] = self.data.get(chunk.stream, b"") + chunk.data
                came += chunk.data
            if one.ended:
                one.close()
                self.open.remove(one)
        return came

    def drain(self) -> bytes:
        """Step until nothing comes and all grace is over."""
        came = b""
        for _ in range(6):
            came += self.step()
            self.clock.advance(2 * SECOND)
        return came


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_a_file_is_read_as_it_grows(tmp_path: Path) -> None:
    """Its first line names its stream, so reading begins once that is whole."""
    path, reading = tmp_path / "a.log", Reading(tmp_path / "a.log")

    assert reading.step() == b""
    append(path, b"one")
    assert reading.step() == b""
    append(path, b"\ntwo")
    assert reading.step() == b"one\ntwo"
    append(path, b"\n")
    assert reading.step() == b"\n"
    (stream,) = reading.data
    with FileReceiver(str(path), PLACE, clock=ManualClock(), key=KEY) as once:
        assert once.stream == stream, "ingest of the same file knows it"


def test_what_is_written_to_a_renamed_file_is_read_before_the_new_one(tmp_path: Path) -> None:
    """Its writer goes on there until it opens the new one."""
    path, reading = tmp_path / "a.log", Reading(tmp_path / "a.log")
    append(path, b"one\n")
    reading.step()
    path.rename(tmp_path / "a.log.1")
    append(tmp_path / "a.log.1", b"two\n")
    append(path, b"three\n")
    assert reading.step() == b"two\n"
    assert reading.step() == b""
    append(tmp_path / "a.log.1", b"late\n")

    assert reading.drain() == b"late\nthree\n"
    assert len(reading.data) == 2


def test_a_file_that_was_cut_is_another_stream(tmp_path: Path) -> None:
    """Also where its first line comes again, as a header does."""
    path, reading = tmp_path / "a.log", Reading(tmp_path / "a.log")
    append(path, b"header\none\ntwo\n")
    reading.step()
    os.truncate(path, 0)
    append(path, b"header\nx\n")

    assert reading.drain() == b"header\nx\n"
    append(path, b"y\n")
    assert Reading(path, reading.known).drain() == b"y\n", "and it is known again"


def test_what_was_renamed_while_nobody_read_is_read_first(tmp_path: Path) -> None:
    """Only what was read under this name, from where it was left; a stranger beside it is not taken."""
    path, before = tmp_path / "a.log", Reading(tmp_path / "a.log")
    append(path, b"one\n")
    before.step()
    append(path, b"two\n")
    path.rename(tmp_path / "a.log.1")
    (tmp_path / "a.log.0").write_bytes(b"stranger\n")
    append(path, b"three\n")

    after = Reading(path, before.known)
    assert after.drain() == b"two\nthree\n"
    assert set(before.data) < set(after.data)


def test_a_pattern_finds_new_files(tmp_path: Path) -> None:
    reading = Reading(tmp_path / "*.log")
    append(tmp_path / "a.log", b"a\n")
    assert reading.step() == b"a\n"
    append(tmp_path / "b.log", b"b\n")
    (tmp_path / "c.log").mkdir()

    assert reading.step() == b"b\n"


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    """A socket in its place is no file."""
    path = tmp_path / "a.log"
    os.mkfifo(path)

    with pytest.raises(ReceiverError, match="cannot be read"):
        FollowedFile(str(path), PLACE, clock=ManualClock(), key=KEY, known={}).poll(10)
    assert not [one for one in Path("/proc/self/fd").iterdir() if one.exists() and one.samefile(path)]


ACTS = st.lists(
    st.tuples(st.sampled_from(["write", "rotate", "cut", "step", "restart", "grace"]), st.integers(1, 40)), max_size=25
)


@settings(max_examples=60, deadline=None)
@given(ACTS)
def test_every_line_comes_once_and_in_order(tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int]]) -> None:
    """Whatever the order of writing, rotating, reading and restarting, as long as what is cut away was read before."""
    folder = tmp_path_factory.mktemp("follow")
    path, reading, written, number = folder / "a.log", Reading(folder / "a.log"), [], 0
    got = b""
    for act, count in acts:
        if act == "write":
            lines = [f"line {number + index}\n".encode() for index in range(count)]
            number += count
            append(path, b"".join(lines))
            written += lines
        elif act == "rotate" and path.exists():
            got += reading.step() + reading.step()  # a file that comes and goes between two looks is never seen
            path.rename(folder / f"a.log.{number}-{len(list(folder.iterdir()))}")
        elif act == "cut" and path.exists():
            got += reading.drain()
            os.truncate(path, 0)
            reading.step()
        elif act == "step":
            got += reading.step(size=count)
        elif act == "restart":
            for one in reading.open:
                one.close()
            reading = Reading(path, reading.known)
        else:
            reading.clock.advance(2 * SECOND)
    got += reading.drain() + reading.drain() + reading.drain()
    for one in reading.open:
        one.close()

    assert sorted(got.splitlines(keepends=True)) == sorted(written)
