"""Firecracker's fifos: a real fifo and a real writer, neither of which waits for the other."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kata_audit.clock import ManualClock
from kata_audit.errors import ReceiverError
from kata_audit.receivers.fifo import FifoFollower, FifoWatch
from kata_audit.receivers.file import Place
from kata_audit.receivers.rest import Ended
from kata_audit.schema.cursor import Cursor

PLACE = Place("lab/worker", "default", None)
SANDBOX = "b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f"
_WRITER = """
import os, sys
fifo = os.open(sys.argv[1], int(sys.argv[2]))
for line in sys.stdin.buffer:
    try:
        done = os.write(fifo, line)
    except OSError as error:
        done = -error.errno
    print(done, flush=True)
"""
LIKE_FIRECRACKER = os.O_RDWR | os.O_NONBLOCK
"""How Firecracker opens its logger's fifo: it needs no reader."""


class Writer:
    """A process that writes lines to a fifo and says what became of each."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def write(self, line: bytes) -> int:
        """Give how many bytes were taken, or the negative error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(30) == 0


@contextmanager
def writer(path: Path, flags: int = LIKE_FIRECRACKER) -> Iterator[Writer]:
    command = [sys.executable, "-c", _WRITER, str(path), str(flags)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Writer(process)
        finally:
            process.kill()


def fifo(root: Path) -> Path:
    """Lay out what the Go runtime lays out for one sandbox."""
    folder = root / "firecracker" / SANDBOX
    folder.mkdir(parents=True, mode=0o750)
    (root / "firecracker").chmod(0o755)
    path = folder / "logs.fifo"
    os.mkfifo(path, 0o600)
    return path


def watch(root: Path) -> FifoWatch:
    return FifoWatch(str(root / "firecracker/*/logs.fifo"), PLACE, clock=ManualClock(), owner=os.getuid())


def follow(root: Path) -> FifoFollower:
    (found,) = watch(root).discover({}, [])
    assert isinstance(found, FifoFollower)
    return found


def polled(follower: FifoFollower, size: int = 1 << 20) -> bytes:
    """Poll until something comes."""
    until = time.monotonic() + 30
    while (chunk := follower.poll(size)) is None:
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)
    return chunk.data


def test_what_a_writer_writes_is_read_and_the_next_writers_too(tmp_path: Path) -> None:
    """Without a writer nothing comes and nothing waits; its place in the stream goes on from one writer to the next."""
    path = fifo(tmp_path)
    follower = follow(tmp_path)
    assert (follower.poll(100), follower.ended) == (None, False)
    with writer(path, os.O_WRONLY) as one:
        assert one.write(b"first\n") == 6
        assert polled(follower) == b"first\n"
        one.end()
    assert (follower.poll(100), follower.ended) == (None, False)
    with writer(path) as other:
        other.write(b"second\n")
        chunk = follower.poll(3)
        assert chunk is not None
        assert (chunk.offset, chunk.data, polled(follower)) == (6, b"sec", b"ond\n")
    assert chunk.source.receiver == "fifo:host-file:firecracker"
    assert chunk.stream.startswith(f"{path}?fifo-")
    path.unlink()
    assert (follower.poll(100), follower.ended) == (None, True)
    follower.close()


def test_a_writer_is_never_held_up_and_never_fails_for_want_of_us(tmp_path: Path) -> None:
    """Before we come, while we read nothing, and after we are gone: it writes what fits, and drops what does not."""
    path = fifo(tmp_path)
    line = b"x" * 4095 + b"\n"
    with writer(path) as firecracker:
        assert firecracker.write(b"before\n") == 7
        follower = follow(tmp_path)
        assert polled(follower) == b"before\n"
        took = [firecracker.write(line) for _ in range(300)]
        assert set(took) == {4096, -11}, "what does not fit is refused at once, not waited for"
        assert sum(one > 0 for one in took) == 256, "the fifo holds a mebibyte for us"
        assert len(polled(follower)) == 1 << 20
        follower.close()
        assert firecracker.write(b"after\n") == 6


def test_another_fifo_at_the_path_is_another_stream(tmp_path: Path) -> None:
    path = fifo(tmp_path)
    with writer(path) as old:
        follower = follow(tmp_path)
        follower.poll(1)
        old.write(b"last words\n")
        path.unlink()
        os.mkfifo(path, 0o600)
        assert polled(follower) == b"last words\n"
        old.end()
    with writer(path) as new:
        new.write(b"new\n")
        assert (follower.poll(100), follower.ended) == (None, True)
        other = follow(tmp_path)
        assert polled(other) == b"new\n"
        assert other.stream != follower.stream
        other.close()
    follower.close()


@pytest.mark.parametrize(
    "attack",
    ["a file", "a link", "a directory that is a link", "a directory for everybody", "another user's", "a base for all"],
)
def test_what_others_may_have_put_there_is_not_opened(tmp_path: Path, attack: str) -> None:
    """And a fifo is never opened through a link, wherever it leads."""
    path = fifo(tmp_path)
    owner = os.getuid()
    if attack == "a file":
        path.unlink()
        path.write_text("text\n")
    elif attack == "a link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    elif attack == "a directory that is a link":
        path.parent.rename(tmp_path / "elsewhere")
        path.parent.symlink_to(tmp_path / "elsewhere")
    elif attack == "a directory for everybody":
        path.parent.chmod(0o777)
    elif attack == "a base for all":
        (tmp_path / "firecracker").chmod(0o1777)
    else:
        owner += 1
    follower = FifoFollower(str(path), str(tmp_path / "firecracker/*/logs.fifo"), PLACE, clock=ManualClock(), owner=owner)

    with pytest.raises(ReceiverError) as caught:
        follower.poll(100)
    assert caught.value.where == str(path)
    assert caught.value.hint
    follower.close()


def test_a_fifo_that_went_before_it_was_opened_is_no_failure(tmp_path: Path) -> None:
    path = fifo(tmp_path)
    follower = follow(tmp_path)
    path.unlink()

    assert (follower.poll(100), follower.ended, follower.stream) == (None, True, "")


def test_what_came_while_no_collector_ran_is_told_as_lost(tmp_path: Path) -> None:
    """Of each fifo that the last process left open, once; nothing is kept of it."""
    path = fifo(tmp_path)
    known = {
        stream: Cursor(stream, 0, 10)
        for stream in (f"{path}?fifo-1-2-3", "/else/where/logs.fifo?fifo-1-2-3", f"{path}?1-2-aa")
    }
    finder = watch(tmp_path)
    first, *others = finder.discover(known, [])

    assert isinstance(first, Ended)
    assert [(told.lost, told.details["log.file.path"]) for told in first.told()] == [("unknown", str(path))]
    assert (first.stream, len(others)) == (f"{path}?fifo-1-2-3", 1)
    assert len(list(finder.discover(known, []))) == 1
