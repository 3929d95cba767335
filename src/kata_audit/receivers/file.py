"""Files: plain, gzip or zstd, read once from beginning to end, and known again when they come back.

A file is the same as before when device, inode and the keyed hash of its first frame are the same: so a file that was
rotated away, replaced or cut is another one, and a file that has grown goes on where it was left.
"""

import fcntl
import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import IO, NamedTuple, Self, cast
from urllib.parse import quote

import pyarrow as pa

from kata_audit.clock import Clock
from kata_audit.errors import InputMissingError, ReceiverError
from kata_audit.receivers.sniff import sniff_transport
from kata_audit.schema.cursor import Cursor
from kata_audit.schema.source import Chunk, Source, Transport

CHUNK_BYTES = (4 << 20) - (256 << 10)
"""One group commit: what is read, masked and made durable together. With the line that began before it, it is a frame of the
spool's 4 MiB, and three of them are a cut of 12 MiB."""
_HEAD_BYTES = 64 * 1024
_PIPE_BYTES = 1 << 20
"""What anybody may make of a pipe on Linux."""
_SET_PIPE_SIZE = getattr(fcntl, "F_SETPIPE_SZ", -1)
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
STDIN = "-"
STDIN_STREAM = "stdin?"
"""How the name of a stream of stdin begins: it never comes again."""
_CHECK = "Check that the file is whole, then run the same command again."


class Place(NamedTuple):
    """What the configuration says of an input: its node, its tenant, and transport and dialect where they are declared."""

    node: str
    tenant: str
    transport: Transport | None
    dialect: str | None = None


def _open_bytes(path: str) -> IO[bytes]:
    """Open an input for reading, or say what is wrong with it."""
    if path == STDIN:
        return sys.stdin.buffer
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise InputMissingError("The input does not exist.", where=path, hint="Check the name; `-` reads stdin.") from error
    except OSError as error:
        hint = "Let this user read it, or run the command as one who may." if isinstance(error, PermissionError) else _CHECK
        raise ReceiverError(f"The input cannot be opened: {error.strerror}.", where=path, hint=hint) from error
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputMissingError("The input is a directory, not a file.", where=path, hint="Name the files in it.")
    return os.fdopen(descriptor, "rb")


def decompressed(source: IO[bytes]) -> IO[bytes]:
    """Put the decompressor that the first bytes ask for over a stream."""
    buffered = source if isinstance(source, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", source))
    magic = buffered.peek(4)[:4]
    if magic.startswith(_GZIP_MAGIC):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=buffered, mode="rb"))
    if magic == _ZSTD_MAGIC:
        return cast("IO[bytes]", pa.CompressedInputStream(pa.PythonFile(buffered, mode="r"), "zstd"))
    return buffered


def _widen(file: IO[bytes]) -> None:
    """Let a pipe hold more than 64 KiB: what a writer has put there meanwhile is read together, for half the work."""
    with suppress(OSError, ValueError):  # no pipe, or one that may be no wider
        fcntl.fcntl(file.fileno(), _SET_PIPE_SIZE, _PIPE_BYTES)


class FileReceiver:
    """Reads one file, or stdin for `-`; a context manager that closes it.

    Args:
        path: The file as the user named it.
        place: Whose it is.
        clock: For `observed_ns`.
        key: Key of the hash that tells files apart; without a store any constant will do.
        prompt: Hand on what a pipe holds as soon as it holds a line, in place of waiting for a whole chunk.

    Raises:
        InputMissingError: There is no such file.
        ReceiverError: It cannot be read.
    """

    def __init__(self, path: str, place: Place, *, clock: Clock, key: bytes, prompt: bool = False) -> None:
        self._path = path
        self._prompt = prompt
        self._clock = clock
        self._raw = _open_bytes(path)
        if prompt:
            _widen(self._raw)
        self._data = decompressed(self._raw)
        self._head = self._first()
        transport = place.transport or sniff_transport(self._head)
        name = "stdin" if path == STDIN else "file"
        self.source = Source(name, place.node, place.tenant, transport, place.dialect)
        self.declared = place.transport is not None
        self.stream = self._stream(key)

    def _first(self) -> bytes:
        """Read the head: what tells the transport is in it, the first line or the first entry of the journal's export."""
        head = self._read(_HEAD_BYTES)
        while self._prompt and len(head) < _HEAD_BYTES and (b"\n\n" if head.startswith(b"__") else b"\n") not in head:
            if not (more := self._read(_HEAD_BYTES - len(head))):
                break
            head += more
        return head

    def _stream(self, key: bytes) -> str:
        """Name the stream: path, device, inode and first frame; stdin is another stream each time."""
        first = blake2b(self._head.partition(b"\n")[0], digest_size=8, key=key[:64]).hexdigest()
        if self._path == STDIN:
            return f"{STDIN_STREAM}{self._clock.now_ns()}-0-{first}"
        status = os.fstat(self._raw.fileno())
        return f"{quote(str(Path(self._path).absolute()), safe='/')}?{status.st_dev}-{status.st_ino}-{first}"

    def _read(self, size: int) -> bytes:
        """Read up to `size` bytes; fewer only at the end, or where a prompt pipe holds no more by now."""
        parts: list[bytes] = []
        missing = size
        try:
            if self._prompt and isinstance(self._data, io.BufferedReader):
                return self._data.read1(size)
            while missing and (part := self._data.read(missing)):
                parts.append(part)
                missing -= len(part)
        except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
            raise ReceiverError("The input is damaged or cannot be read further.", where=self._path, hint=_CHECK) from error
        return b"".join(parts)

    def receive(self, start: int) -> Iterator[Chunk]:
        """Give the file's chunks from byte `start` of its decompressed content; see `Receiver`."""
        offset = 0
        data = self._head if self._prompt else self._head + self._read(CHUNK_BYTES - len(self._head))
        while data:
            fresh = max(start - offset, 0)
            if fresh < len(data):
                yield Chunk(self.source, self.stream, offset + fresh, data[fresh:], self._clock.now_ns())
            offset += len(data)
            data = self._read(CHUNK_BYTES)

    def acknowledge(self, _cursor: Cursor) -> None:
        """Do nothing: a file forgets nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._path != STDIN:
            self._raw.close()
