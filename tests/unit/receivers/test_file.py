"""Files are read whole, whatever they are packed in, and known again when they come back."""

import gzip
import io
import os
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from kata_audit.clock import ManualClock
from kata_audit.errors import InputMissingError, ReceiverError
from kata_audit.receivers import file as room
from kata_audit.receivers.file import FileReceiver, Place
from kata_audit.receivers.sniff import sniff_transport
from kata_audit.schema.source import Chunk, Transport

PLACE = Place("lab/node", "default", None)
LINES = b'time="2026-11-23T06:06:45Z" level=info msg=x\n' * 1000


def receiver(path: Path | str, place: Place = PLACE) -> FileReceiver:
    return FileReceiver(str(path), place, clock=ManualClock(), key=b"k" * 32)


def content(path: Path | str, start: int = 0) -> bytes:
    with receiver(path) as source:
        chunks = list(source.receive(start))
    position = start
    for chunk in chunks:
        assert chunk.offset == position
        position += len(chunk.data)
    return b"".join(chunk.data for chunk in chunks)


def stream(path: Path) -> str:
    with receiver(path) as source:
        return source.stream


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd], ids=["plain", "gzip", "zstd"])
def test_a_file_comes_whole_whatever_packs_it(tmp_path: Path, pack, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(room, "CHUNK_BYTES", 100_000)
    path = tmp_path / "log"
    path.write_bytes(pack(LINES * 20))

    assert content(path) == LINES * 20
    assert content(path, start=70_001) == (LINES * 20)[70_001:]


def test_two_gzip_members_are_one_stream(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))

    assert content(path) == b"one\ntwo\n"


def test_an_empty_file_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()

    assert content(path) == b""


def test_a_file_is_known_again_when_it_grew_and_not_when_it_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first\nsecond\n")
    before = stream(path)
    with path.open("ab") as out:
        out.write(b"third\n")
    grown = stream(path)
    path.write_bytes(b"other\n")
    rewritten = stream(path)
    path.replace(tmp_path / "log.1")
    path.write_bytes(b"first\nsecond\n")

    assert before == grown
    assert len({before, rewritten, stream(path)}) == 3


def test_what_is_no_file_is_said_with_its_place_and_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError) as missing:
        receiver(tmp_path / "nothing")
    with pytest.raises(InputMissingError) as directory:
        receiver(tmp_path)

    assert missing.value.where == str(tmp_path / "nothing")
    assert directory.value.hint == "Name the files in it."


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
def test_a_damaged_file_gives_its_good_part_and_says_so(tmp_path: Path, pack, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(room, "CHUNK_BYTES", 200_000)
    path = tmp_path / "log"
    packed = pack(os.urandom(1_000_000))
    path.write_bytes(packed[: len(packed) // 2])

    got: list[Chunk] = []
    with receiver(path) as source, pytest.raises(ReceiverError) as damaged:
        got.extend(chunk for chunk in source.receive(0) if got.append(chunk))  # type: ignore[func-returns-value]

    assert got
    assert damaged.value.where == str(path)


def test_stdin_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(LINES))))

    assert content("-") == LINES


@pytest.mark.parametrize(
    ("head", "transport"),
    [
        (b'{"__CURSOR":"s","__REALTIME_TIMESTAMP":"1","_BOOT_ID":"b"}\n', Transport.JOURNAL_JSON),
        (b'{"_BOOT_ID":"b","__REALTIME_TIMESTAMP":"1"}\n', Transport.BARE),
        (b"__CURSOR=s\n__REALTIME_TIMESTAMP=1\nMESSAGE=x\n\n", Transport.JOURNAL_EXPORT),
        (b"2026-11-23T06:08:00.6Z stdout F text\n", Transport.CRI),
        (b"2026-11-23T06:08:00.6Z stdout text\n", Transport.BARE),
        (b'time="2026-11-23T06:08:00.6Z" level=info\n', Transport.BARE),
        (b'text\n{"__CURSOR":"s","__REALTIME_TIMESTAMP":"1","_BOOT_ID":"b"}\n', Transport.BARE),
        (b"", Transport.BARE),
    ],
)
def test_the_first_frame_tells_the_transport_of_an_undeclared_file(head: bytes, transport: Transport) -> None:
    assert sniff_transport(head) is transport


def test_a_declaration_is_not_questioned(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_bytes(b'{"__CURSOR":"s","__REALTIME_TIMESTAMP":"1","_BOOT_ID":"b"}\n')

    with receiver(path, PLACE._replace(transport=Transport.CONSOLE)) as source:
        assert source.source.transport is Transport.CONSOLE
