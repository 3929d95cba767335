"""What a stream gives: every byte once, masked, and nothing kept back when it breaks off."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_audit.clock import ManualClock
from kata_audit.errors import ReceiverError
from kata_audit.parse.split import MAX_FRAME
from kata_audit.pipeline.derive import evidence_of
from kata_audit.receivers.file import CHUNK_BYTES, FileReceiver, Place
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk, Source, Transport

KEY = b"k" * 32
SIGN = "PRIVATE " + "KEY-----"
KEY_LINE = b"MIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeK"


class Breaking:
    """A stream of given chunks that breaks off with an error."""

    stream = "breaking?1-2-aa"

    def __init__(self, chunks: list[bytes], error: BaseException) -> None:
        self._chunks, self._error = chunks, error

    def receive(self, start: int) -> Iterator[Chunk]:
        source = Source("test", "lab/node", "default", Transport.BARE)
        for data in self._chunks:
            yield Chunk(source, self.stream, start, data, 1)
            start += len(data)
        raise self._error

    def acknowledge(self, cursor: Cursor) -> None:
        raise AssertionError(cursor)


def read(path: Path) -> list[list[bytes]]:
    """Read a file to masked rows, one list for each time that some were ready."""
    with FileReceiver(str(path), Place("n", "t", Transport.BARE), clock=ManualClock(), key=KEY) as receiver:
        return [rows["raw"].to_pylist() for rows in evidence_of(receiver, start=0, key=KEY)]


@pytest.mark.parametrize("before_end", [20, 60, 100])
def test_a_key_across_two_chunks_of_a_file_never_shows(tmp_path: Path, before_end: int) -> None:
    key = b"-----BEGIN RSA " + SIGN.encode() + b"\n" + (KEY_LINE + b"\n") * 3 + b"-----END RSA " + SIGN.encode() + b"\n"
    filler = b"plain\n" * ((CHUNK_BYTES - before_end) // 6)
    (tmp_path / "log").write_bytes(filler + key + b"last\n")

    first, second = read(tmp_path / "log")

    assert len(first) == filler.count(b"\n"), "what is not open does not wait"
    assert KEY_LINE not in b"".join([*first, *second])
    assert b"".join(second).count(b"*masked:pem:") == 4, "the line that begins it, and three of its letters"
    assert second[-1] == b"last\n"


@pytest.mark.parametrize("shift", [-30, -12, -4])
def test_a_long_line_across_two_chunks_is_masked_as_one(tmp_path: Path, shift: int) -> None:
    seam = CHUNK_BYTES // MAX_FRAME * MAX_FRAME
    line = b"x" * (seam + shift) + b" password=hunter21hunter21 " + b"y" * MAX_FRAME + b"\n"
    (tmp_path / "log").write_bytes(line + b"next\n")

    rows = [raw for ready in read(tmp_path / "log") for raw in ready]

    assert b"hunter21" not in b"".join(rows)
    assert b"".join(rows).startswith(line[: seam + shift + 10])
    assert b"".join(rows).endswith(b"y\nnext\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ReceiverError("The input is damaged.")])
def test_what_waits_comes_out_before_the_error(error: BaseException) -> None:
    """A begun key and a begun line are whole records and pieces that were received: they are not lost."""
    chunks = [b"one\n-----BEGIN RSA " + SIGN.encode() + b"\n" + KEY_LINE + b"\n", b"z" * (2 * MAX_FRAME + 5)]
    given = evidence_of(Breaking(chunks, error), start=0, key=KEY)

    found = [next(given)["raw"].to_pylist(), next(given)["raw"].to_pylist()]
    with pytest.raises(type(error)):
        next(given)

    assert found[0] == [b"one\n"]
    assert len(found[1]) == 4
    assert KEY_LINE not in b"".join(found[1])
    assert b"".join(found[1]).endswith(b"z" * 2 * MAX_FRAME)
