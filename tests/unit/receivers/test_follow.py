"""Files are read as they grow: through rotation, renaming and cutting, and nothing is read twice or left out."""

import gzip
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_audit.clock import ManualClock
from kata_audit.errors import ReceiverError
from kata_audit.receivers.base import Follower, Told
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
        self.clock, self.pattern = ManualClock(), pattern
        self.watch = FileWatch(str(pattern), PLACE, clock=self.clock, key=KEY)
        self.known = dict(known or {})
        self.open: list[Follower] = []
        self.told: list[Told] = []
        self.data: dict[str, bytes] = {}

    def step(self, size: int = 1 << 20) -> bytes:
        """Look around, poll everything once, and give what has come."""
        self.open += self.watch.discover(self.known, {one.name for one in self.open})
        came = b""
        for one in list(self.open):
            chunk = one.poll(size)
            if chunk is not None:
                assert chunk.offset == max(self.known.get(chunk.stream, Cursor("", 0, 0)).end, one.behind)
                self.known[chunk.stream] = Cursor(chunk.stream, chunk.offset, len(chunk.data))
                self.data[chunk.stream] = self.data.get(chunk.stream, b"") + chunk.data
                came += chunk.data
            self.told += one.told()
            if one.ended:
                one.close()
                self.open.remove(one)
                self.known.pop(one.stream, None)
        return came

    def stop(self) -> dict[str, Cursor]:
        """Close everything, as the end of the process does, and give what is durable."""
        for one in self.open:
            one.close()
        return self.known

    def again(self) -> "Reading":
        """Go on as another process, with what this one had."""
        next_one = Reading(self.pattern, self.stop())
        next_one.data = self.data
        return next_one

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

    after = Reading(path, before.stop())
    assert after.drain() == b"two\nthree\n"
    assert set(before.data) < set(after.data)
    assert (len(after.known), after.told) == (1, []), "what was read to its end is not remembered for ever"


def compress(path: Path, into: Path) -> None:
    """Compress a file as logrotate does: another file, and the old one goes."""
    if into.suffix == ".gz":
        with gzip.open(into, "wb") as file:
            file.write(path.read_bytes())
    else:
        with pa.CompressedOutputStream(str(into), "zstd") as stream:
            stream.write(path.read_bytes())
    path.unlink()


@pytest.mark.parametrize("name", ["a.log.1.gz", "a.log.2.zst", "a-20261125.log.gz", "a-2026-11-25T06-07-28.903.log.gz"])
def test_what_was_renamed_and_compressed_while_nobody_read_is_read_to_its_end_once(tmp_path: Path, name: str) -> None:
    path, before = tmp_path / "a.log", Reading(tmp_path / "a.log")
    append(path, b"one\n")
    before.step()
    append(path, b"two\n" * 9)
    compress(path, tmp_path / name)
    append(path, b"three\n")

    after = Reading(path, before.stop())
    assert after.drain() == b"two\n" * 9 + b"three\n"
    assert after.data[next(iter(before.data))] == b"two\n" * 9, "it is the same stream"
    assert Reading(path, after.stop()).drain() == b""
    assert (len(after.known), after.told) == (1, [])


def test_of_two_files_that_begin_alike_none_is_taken_for_the_rest(tmp_path: Path) -> None:
    """Nobody can say which one it is; the loss is told when it has been looked for long enough."""
    path, before = tmp_path / "a.log", Reading(tmp_path / "a.log")
    append(path, b"header\none\n")
    before.step()
    compress(path, tmp_path / "a.log.1.gz")
    (tmp_path / "x").write_bytes(b"header\nother and longer\n")
    compress(tmp_path / "x", tmp_path / "a.log.2.gz")
    append(path, b"header\nnew\n")

    after = Reading(path, before.stop())
    assert (after.drain(), after.told) == (b"header\nnew\n", [])
    after.clock.advance(3600 * SECOND)
    after.step()
    assert [(told.event, told.lost, told.details["log.file.read_to"]) for told in after.told] == [
        ("collect.lost", "unknown", "11")
    ]
    assert len(after.known) == 1


def test_a_compressed_file_that_is_not_whole_yet_is_read_when_it_is(tmp_path: Path) -> None:
    path, before = tmp_path / "a.log", Reading(tmp_path / "a.log")
    append(path, b"one\n")
    before.step()
    append(path, os.urandom(1000).hex().encode() + b"\n")
    rest = path.read_bytes()[4:]
    compress(path, tmp_path / "a.log.1.gz")
    whole = (tmp_path / "a.log.1.gz").read_bytes()
    (tmp_path / "a.log.1.gz").write_bytes(whole[:-700])

    after = Reading(path, before.stop())
    assert after.step() == b""
    (tmp_path / "a.log.1.gz").write_bytes(whole)
    assert (after.drain(), after.told) == (rest, [])


def test_a_damaged_rest_is_a_failure_of_its_source(tmp_path: Path) -> None:
    path, before = tmp_path / "a.log", Reading(tmp_path / "a.log")
    append(path, b"one\n" + os.urandom(200_000).hex().encode() + b"\n")
    before.step(size=4)
    compress(path, tmp_path / "a.log.1.gz")
    whole = (tmp_path / "a.log.1.gz").read_bytes()
    (tmp_path / "a.log.1.gz").write_bytes(whole[:-1000])

    after = Reading(path, before.stop())
    with pytest.raises(ReceiverError, match="rotated file cannot be read"):
        after.drain()
    assert len(after.stop()) == 1


@pytest.mark.parametrize("reads", [True, False], ids=["while it is read", "while nobody reads"])
@pytest.mark.parametrize("copy", ["a.log.1", "a.log.1.gz", None])
def test_what_was_copied_before_a_cut_is_read_and_what_was_not_is_told(
    tmp_path: Path, copy: str | None, *, reads: bool
) -> None:
    """`copytruncate` between two looks: the copy has the rest, and a cut is told in either case."""
    path, reading = tmp_path / "a.log", Reading(tmp_path / "a.log")
    append(path, b"one\n")
    reading.step()
    stream = next(iter(reading.data))
    append(path, b"two\n")
    if copy:
        shutil.copyfile(path, tmp_path / "a.log.1")
    if copy == "a.log.1.gz":
        compress(tmp_path / "a.log.1", tmp_path / copy)
    if not reads:
        reading = Reading(path, reading.stop())
    os.truncate(path, 0)
    append(path, b"x\n")

    got = reading.drain()
    assert sorted(got.splitlines()) == ([b"two", b"x"] if copy else [b"x"])
    assert reading.data.get(stream, b"").endswith(b"two\n") is bool(copy)
    (told,) = reading.told
    assert (told.event, told.lost) == ("collect.cut", None if copy else "unknown")
    assert told.details.get("log.file.copy") == (str(tmp_path / copy) if copy else None)
    assert len(reading.known) == 1


def test_a_file_that_was_cut_and_has_grown_beyond_what_was_read_is_seen(tmp_path: Path) -> None:
    """Its beginning is another one."""
    path, reading = tmp_path / "a.log", Reading(tmp_path / "a.log")
    append(path, b"one\n")
    reading.step()
    path.write_bytes(b"two\nthree\n")

    assert reading.drain() == b"two\nthree\n"
    assert [told.event for told in reading.told] == ["collect.cut"]


def test_a_file_that_vanished_unread_is_told_after_an_hour(tmp_path: Path) -> None:
    """A disk that is not mounted yet is no loss; its cursor is kept until then, and no longer."""
    path, before = tmp_path / "pod" / "a.log", Reading(tmp_path / "*" / "a.log")
    path.parent.mkdir()
    append(path, b"one\n")
    before.step()
    shutil.move(path.parent, tmp_path / "away.d")
    after = Reading(tmp_path / "*" / "a.log", before.stop())
    after.clock.advance(3500 * SECOND)
    (tmp_path / "away.d" / "a.log").unlink()
    assert (after.drain(), after.told, len(after.known)) == (b"", [], 1)
    after.clock.advance(3600 * SECOND)
    assert (after.step(), [told.lost for told in after.told], after.known) == (b"", ["unknown"], {})


def test_a_file_that_was_moved_away_and_back_is_not_read_again(tmp_path: Path) -> None:
    path, reading = tmp_path / "a.log", Reading(tmp_path / "a.log")
    append(path, b"one\n")
    reading.step()
    path.rename(tmp_path / "elsewhere")
    assert (reading.drain(), reading.known) == (b"", {})
    append(tmp_path / "elsewhere", b"two\n")
    (tmp_path / "elsewhere").rename(path)

    assert reading.drain() == b"two\n"


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
    st.tuples(
        st.sampled_from(["write", "rotate", "cut", "step", "restart", "grace", "compress", "copy and cut"]),
        st.integers(1, 40),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(ACTS)
def test_every_line_comes_once_and_in_order(tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int]]) -> None:
    """Whatever the order of writing, rotating, reading and restarting, as long as what is cut away was read before."""
    folder = tmp_path_factory.mktemp("follow")
    path, reading, written, number = folder / "a.log", Reading(folder / "a.log"), [], 0
    for act, count in acts:
        if act == "write":
            lines = [f"line {number + index}\n".encode() for index in range(count)]
            number += count
            append(path, b"".join(lines))
            written += lines
        elif act == "rotate" and path.exists():
            for _ in range(4):  # a file that comes and goes between two looks is never seen
                reading.step()
            path.rename(folder / f"a.log.{number}-{len(list(folder.iterdir()))}")
        elif act == "cut" and path.exists():
            reading.drain()
            os.truncate(path, 0)
            reading.step()
        elif act == "step":
            reading.step(size=count)
        elif act == "restart":
            reading = reading.again()
        elif act in {"compress", "copy and cut"} and path.exists() and path.stat().st_size:
            reading.drain()
            lines = [f"line {number + index}\n".encode() for index in range(count)]
            number += count
            if count % 2:  # nobody reads meanwhile
                reading = reading.again()
            append(path, b"".join(lines))
            written += lines
            name = folder / f"a.log.{number}-{len(list(folder.iterdir()))}"
            shutil.copyfile(path, name)
            if act == "compress":
                compress(name, name.with_name(f"{name.name}.gz"))
                path.unlink()
            else:
                os.truncate(path, 0)
        else:
            reading.clock.advance(2 * SECOND)
    reading.drain()
    reading.stop()

    assert sorted(b"".join(reading.data.values()).splitlines(keepends=True)) == sorted(written)
