"""What `journalctl` says is read from behind the last durable entry; a program in its place plays its part."""

import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_audit.clock import ManualClock
from kata_audit.errors import ReceiverError
from kata_audit.receivers.file import Place
from kata_audit.receivers.journal import JournalFollower, JournalWatch, journal_stream
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk

PLACE = Place("lab/worker", "default", None)
SOURCE = "0" * 32


def entry(number: int, source: str = SOURCE) -> str:
    """Write one entry in export form."""
    return f"__CURSOR=s={source};i={number:x};b=1;m=2;t=3;x=4\nMESSAGE=n {number}\n\n"


def position(number: int, source: str = SOURCE) -> str:
    return f"s={source};i={number:x};b=1;m=2;t=3;x=4"


def program(folder: Path, text: str, *, stays: bool = True) -> str:
    """Make a program that writes a text, and what it was asked for beside it."""
    (folder / "said").write_text(text)
    path = folder / "journalctl"
    end = "sleep 60" if stays else "exit 3"
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{folder}/asked"\ncat "{folder}/said"\n{end}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def polled(follower: JournalFollower) -> Iterator[Chunk]:
    """Poll until something has come."""
    until = time.monotonic() + 20
    while (chunk := follower.poll(1 << 20)) is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    yield chunk


def test_a_new_journal_is_read_from_its_beginning(tmp_path: Path) -> None:
    (follower,) = JournalWatch(
        ["--directory=/x y"], PLACE, clock=ManualClock(), program=program(tmp_path, entry(1))
    ).discover({}, ())
    (chunk,) = polled(follower)
    follower.close()

    assert (chunk.stream, chunk.offset, chunk.data) == ("journald?--directory%3D/x%20y", 0, entry(1).encode())
    assert (tmp_path / "asked").read_text().split("\n")[:4] == ["--output=export", "--all", "--follow", "--no-tail"]
    assert "--cursor" not in (tmp_path / "asked").read_text()


@pytest.mark.parametrize("line", [None, 100])
def test_reading_goes_on_at_the_last_durable_entry(line: int | None, tmp_path: Path) -> None:
    """It comes again at the same place of the stream, so that whoever reads knows it."""
    size = len(entry(7))
    offset = 100 if line is None else 120
    known = Cursor(journal_stream([]), offset, 100 + size - offset, line, position(7))
    said = program(tmp_path, entry(7) + entry(8))
    follower = JournalFollower([], PLACE, clock=ManualClock(), known=known, program=said)
    (chunk,) = polled(follower)
    follower.close()

    assert (chunk.offset, chunk.data) == (100, (entry(7) + entry(8)).encode())
    assert (follower.behind, list(follower.told())) == (100 + size, [])
    assert f"--cursor={position(7)}" in (tmp_path / "asked").read_text().splitlines()


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        (entry(12), "4"),
        (entry(8), "0"),
        (entry(3), "unknown"),
        (entry(12, "1" * 32), "unknown"),
        ("__CURSOR=x\n\n", "unknown"),
    ],
)
def test_entries_that_were_removed_unread_are_counted(text: str, lost: str, tmp_path: Path) -> None:
    """Then the stream goes on behind what is durable, and nothing is left out."""
    known = Cursor(journal_stream([]), 100, 50, None, position(7))
    follower = JournalFollower([], PLACE, clock=ManualClock(), known=known, program=program(tmp_path, text))
    (chunk,) = polled(follower)
    follower.close()

    assert (chunk.offset, chunk.data) == (150, text.encode())
    assert ([told.lost for told in follower.told()], list(follower.told())) == ([lost], [])


def test_an_end_is_a_failure(tmp_path: Path) -> None:
    """What came before it is given first."""
    said = program(tmp_path, entry(1), stays=False)
    follower = JournalFollower([], PLACE, clock=ManualClock(), known=None, program=said)
    (chunk,) = polled(follower)

    assert chunk.data == entry(1).encode()
    with pytest.raises(ReceiverError, match="ended with code 3"):
        list(polled(follower))
    follower.close()


def test_a_program_that_is_not_there_is_a_failure() -> None:
    with pytest.raises(ReceiverError, match="cannot be run"):
        JournalFollower([], PLACE, clock=ManualClock(), known=None, program="/nonexistent/journalctl")
