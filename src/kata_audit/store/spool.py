"""The spool: records that are durable and not yet sealed.

Append-only files of frames. A frame is `KSP1`, u32be payload length, u64be first seq, u32be rows, u32be CRC-32 of the 20
bytes so far and the payload, then the payload: an Arrow IPC stream with one batch of `EVIDENCE_SCHEMA`, compressed with
zstd level 1. A file is named by the number of its first record and a new one begins behind 64 MiB and at each opening.

What a crash leaves at the end of the last file is a torn tail and goes away: it was never acknowledged. Any other damage
keeps its bytes in quarantine and becomes a `Gap`, which the next cut declares.
"""

import mmap
import os
import struct
import zlib
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from kata_audit.schema.record import EVIDENCE_SCHEMA, EvidenceRows
from kata_audit.store.durable import FULL, Disk, explain, refuse, sync_file, sync_names, write_all, writing
from kata_audit.store.layout import Layout

MAGIC = b"KSP1"
HEADER_BYTES = 24
FILE_BYTES = 64 << 20
"""A file that is this long gets no further frame."""
FRAME_RAW_BYTES = 4 << 20
"""A frame holds this much of `raw`, or one record that is longer: what a reader must hold to read any record."""
_HEADER = struct.Struct(">4sIQI")
_CRC = struct.Struct(">I")
_COPY_BYTES = 1 << 20
DAMAGED = "spool-damaged"
"""Reason of a gap: bytes were there and are no frame."""
MISSING = "spool-missing"
"""Reason of a gap: no bytes were there."""


class Frame(NamedTuple):
    """Where one frame stands, and which records it holds."""

    path: Path
    offset: int
    payload: int
    first: int
    rows: int

    @property
    def end(self) -> int:
        """The number behind its last record."""
        return self.first + self.rows


class Gap(NamedTuple):
    """Records `[first, end)` that were acknowledged and cannot be read any more."""

    first: int
    end: int
    reason: str


class Scan(NamedTuple):
    """What the spool's files hold: frames and gaps in order, and what stood between them."""

    items: tuple[Frame | Gap, ...]
    torn: tuple[Path, int] | None
    bad: tuple[tuple[Path, int, int], ...]


def encode_frames(rows: EvidenceRows) -> Iterator[bytes]:
    """Cut rows into frames.

    Args:
        rows: Evidence with `seq` filled, without holes, in order.
    """
    lengths = _offsets(rows)
    start = 0
    while start < rows.num_rows:
        end = start + 1
        while end < rows.num_rows and lengths[end + 1] - lengths[start] <= FRAME_RAW_BYTES:
            end += 1
        yield _encode_frame(rows.slice(start, end - start))
        start = end


def _encode_frame(rows: EvidenceRows) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, EVIDENCE_SCHEMA) as stream:
        stream.write_batch(rows)
    payload: bytes = pa.Codec("zstd", compression_level=1).compress(sink.getvalue(), asbytes=True)
    header = _HEADER.pack(MAGIC, len(payload), rows["seq"][0].as_py(), rows.num_rows)
    return header + _CRC.pack(zlib.crc32(payload, zlib.crc32(header))) + payload


def decode_payload(payload: bytes) -> EvidenceRows:
    """Read the rows of a frame whose checksum was right."""
    with pa.CompressedInputStream(pa.BufferReader(payload), "zstd") as plain:
        return pa.ipc.open_stream(plain).read_next_batch()


def _offsets(rows: EvidenceRows) -> Any:
    """Return where each `raw` begins and the last one ends: a view on Arrow's own offsets."""
    raw = rows["raw"]
    return memoryview(raw.buffers()[1]).cast("B").cast("q")[raw.offset : raw.offset + rows.num_rows + 1]


def _frame_at(path: Path, data: Any, offset: int) -> Frame | None:
    """Read the frame at `offset`; None where no whole frame with a right checksum stands."""
    if offset + HEADER_BYTES > len(data):
        return None
    header = data[offset : offset + _HEADER.size]
    magic, payload, first, rows = _HEADER.unpack(header)
    begin = offset + HEADER_BYTES
    if magic != MAGIC or rows == 0 or begin + payload > len(data):
        return None
    (stated,) = _CRC.unpack(data[begin - _CRC.size : begin])
    if zlib.crc32(data[begin : begin + payload], zlib.crc32(header)) != stated:
        return None
    return Frame(path, offset, payload, first, rows)


def _walk(path: Path, data: Any) -> Iterator[Frame | tuple[int, int]]:
    """Give the frames of one file in order, and `(begin, end)` of each stretch that is none."""
    offset = 0
    while offset < len(data):
        frame = _frame_at(path, data, offset)
        if frame is not None:
            yield frame
            offset += HEADER_BYTES + frame.payload
            continue
        begin, offset = offset, data.find(MAGIC, offset + 1)
        while offset != -1 and _frame_at(path, data, offset) is None:
            offset = data.find(MAGIC, offset + 1)
        offset = len(data) if offset == -1 else offset
        yield (begin, offset)


def scan(layout: Layout, sealed: int) -> Scan:
    """Read all of the spool and say what it holds behind `sealed`.

    Args:
        layout: The store.
        sealed: Records below this number are sealed and of no interest here.

    Returns:
        Frames and gaps that tile `[sealed, …)`, a torn tail as (file, length to keep), and stretches that are no frame.

    Raises:
        OSError: A file cannot be read.
    """
    items: list[Frame | Gap] = []
    bad: list[tuple[Path, int, int]] = []
    torn: tuple[Path, int] | None = None
    expected, damaged = sealed, False
    for path in sorted(layout.spool.glob("*.spool")):
        torn = None
        for found in _walk_file(path):
            # A frame that repeats numbers is as bad as one with a wrong checksum, but the first may span the seal.
            if isinstance(found, Frame) and (found.first >= expected or expected == sealed):
                if found.first <= sealed:
                    bad.clear()
                expected = _place(items, found, expected, sealed, damaged=damaged)
                torn, damaged = None, False
                continue
            begin, end = _stretch(found)
            torn, damaged = torn or (path, begin), True
            if end > begin:
                bad.append((path, begin, end))
    if torn is not None:
        bad = [stretch for stretch in bad if (stretch[0], stretch[1]) < torn]
    return Scan(tuple(items), torn, tuple(bad))


def _stretch(found: Frame | tuple[int, int]) -> tuple[int, int]:
    if isinstance(found, Frame):
        return found.offset, found.offset + HEADER_BYTES + found.payload
    return found


def _place(items: list[Frame | Gap], frame: Frame, expected: int, sealed: int, *, damaged: bool) -> int:
    """Add a frame behind the records that it shows to be missing, and return the number expected next."""
    if frame.end <= sealed:
        return expected
    if frame.first > expected:
        items.append(Gap(expected, frame.first, DAMAGED if damaged else MISSING))
    items.append(frame)
    return frame.end


def _walk_file(path: Path) -> list[Frame | tuple[int, int]]:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return [(0, 0)]
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return list(_walk(path, data))


class Spool:
    """The spool of a writer.

    Args:
        disk: What all writing goes through.
        layout: The store.
        items: What `scan` found.
        sealed: Records below this number are sealed.

    Attributes:
        end: The number that the next record gets.
        waiting_bytes: Bytes of frames that hold what is not sealed.
        stopped: Whether the disk has failed.
    """

    def __init__(self, disk: Disk, layout: Layout, items: tuple[Frame | Gap, ...], sealed: int) -> None:
        self._disk = disk
        self._layout = layout
        self._items: deque[Frame | Gap] = deque(items)
        self._sealed = sealed
        self._file: int | None = None
        self._path = layout.spool
        self._size = 0
        self.end = items[-1].end if items else sealed
        self.waiting_bytes = self._count()
        self.stopped = False

    def append(self, rows: EvidenceRows) -> None:
        """Make rows durable.

        Args:
            rows: Evidence whose `seq` goes on at `self.end`.

        Raises:
            StoreError: The disk took nothing of it; after one that is full the writer may go on.
            StoreStoppedError: The disk may have taken some of it; this writer must not go on.
        """
        if self.stopped:
            raise refuse(self._layout.root)
        is_new = self._begin()
        assert self._file is not None
        start, frames = self._size, []
        try:
            for data in encode_frames(rows):
                write_all(self._disk, self._file, data)
                _, payload, first, count = _HEADER.unpack(data[: _HEADER.size])
                frames.append(Frame(self._path, self._size, payload, first, count))
                self._size += len(data)
        except OSError as error:
            self._take_back(start)
            self.stopped = self.stopped or error.errno not in FULL
            raise explain(error, doing="append to the spool", where=self._path, stopped=self.stopped) from error
        try:
            self._disk.fsync(self._file)
            if is_new:
                self._disk.sync_directory(self._path.parent)
        except OSError as error:
            self.stopped = True
            raise explain(error, doing="make the spool durable", where=self._path, stopped=True) from error
        self._items.extend(frames)
        self.end += rows.num_rows
        self.waiting_bytes += sum(frame.payload for frame in frames)

    def _begin(self) -> bool:
        """Open the file to append to; say whether its name is not durable yet."""
        if self._file is not None and self._size >= FILE_BYTES:
            self.close()
        if self._file is None:
            path = self._layout.spool_file(self.end)
            try:
                self._file = self._disk.create(path)
            except OSError as error:
                raise explain(error, doing="begin a spool file", where=path) from error
            self._path, self._size = path, 0
        return self._size == 0

    def _take_back(self, size: int) -> None:
        """Leave no half frame behind a failed write; stop where the disk refuses even that."""
        assert self._file is not None
        try:
            self._disk.truncate(self._file, size)
        except OSError:
            self.stopped = True
        self._size = size

    def take(self, *, max_rows: int, max_bytes: int) -> tuple[int, int, list[EvidenceRows], list[Gap]] | None:
        """Read back the oldest records, as many as fit, with the gaps among and behind them.

        Returns:
            First number, number behind the last, rows and gaps; None where nothing waits.

        Raises:
            StoreError: The disk cannot be read.
        """
        if not self._items:
            return None
        end = self._sealed
        pieces: list[EvidenceRows] = []
        gaps: list[Gap] = []
        for position, item in enumerate(list(self._items)):
            found = item if isinstance(item, Gap) else self._read(item)
            if isinstance(found, Gap):
                self._items[position] = found
                gaps.append(found)
                end = found.end
                continue
            fit = _fitting(found, max_rows, max_bytes, at_least=0 if pieces else 1)
            if fit:
                pieces.append(found.slice(0, fit))
                end += fit
                max_rows -= fit
                max_bytes -= _offsets(found)[fit] - _offsets(found)[0]
            if fit < found.num_rows or max_rows <= 0 or max_bytes <= 0:
                break
        return self._sealed, end, pieces, gaps

    def _read(self, frame: Frame) -> EvidenceRows | Gap:
        """Read one frame's rows that are not sealed; a gap, with its bytes in quarantine, if it went bad on the disk."""
        try:
            with frame.path.open("rb") as file:
                file.seek(frame.offset)
                data = file.read(HEADER_BYTES + frame.payload)
            if _frame_at(frame.path, data, 0) != frame._replace(offset=0):
                set_aside(self._disk, self._layout, frame.path, frame.offset, frame.offset + len(data))
                return Gap(max(frame.first, self._sealed), frame.end, DAMAGED)
        except OSError as error:
            raise explain(error, doing="read the spool", where=frame.path) from error
        return decode_payload(data[HEADER_BYTES:]).slice(max(0, self._sealed - frame.first))

    def waiting(self) -> Iterator[EvidenceRows]:
        """Read all records that wait, one frame at a time; frames that went bad meanwhile are left to `take`.

        Raises:
            StoreError: The disk cannot be read.
        """
        for item in list(self._items):
            rows = item if isinstance(item, Gap) else self._read(item)
            if not isinstance(rows, Gap):
                yield rows

    def trim(self, sealed: int) -> None:
        """Remove files whose records are all below `sealed`.

        Raises:
            OSError: As the disk says; what is left is removed by the next trim or opening.
        """
        self._sealed = sealed
        while self._items and self._items[0].end <= sealed:
            self._items.popleft()
        self.waiting_bytes = self._count()
        needed = {item.path for item in self._items if isinstance(item, Frame)}
        if self._file is not None and self._path not in needed:
            self.close()
        surplus = [path for path in sorted(self._layout.spool.glob("*.spool")) if path not in needed]
        for path in surplus:
            self._disk.unlink(path)
        if surplus:
            sync_names(self._disk, self._layout.spool)

    def _count(self) -> int:
        return sum(item.payload for item in self._items if isinstance(item, Frame))

    def close(self) -> None:
        """Close the file that is being appended to; what it holds is durable already."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _fitting(rows: EvidenceRows, max_rows: int, max_bytes: int, *, at_least: int) -> int:
    """Count the rows that fit from the front."""
    offsets = _offsets(rows)
    fit: int = bisect_right(offsets, offsets[0] + max_bytes) - 1
    return min(max(fit, at_least), max_rows, int(rows.num_rows))


def set_aside(disk: Disk, layout: Layout, path: Path, begin: int, end: int) -> Path:
    """Copy bytes `[begin, end)` of a spool file to quarantine, once.

    Returns:
        `quarantine/spool-<number in the file's name>-<begin>.bin`.

    Raises:
        OSError: As the disk says.
    """
    target = layout.quarantine / f"spool-{path.stem}-{begin}.bin"
    if not target.exists():
        with path.open("rb") as source, writing(disk, target) as file:
            source.seek(begin)
            while begin < end and (data := source.read(min(_COPY_BYTES, end - begin))):
                write_all(disk, file, data)
                begin += len(data)
    return target


def cut_torn_tail(disk: Disk, torn: tuple[Path, int]) -> None:
    """Remove what a crash left behind the last whole frame.

    Raises:
        OSError: As the disk says.
    """
    path, keep = torn
    if keep == 0:
        disk.unlink(path)
        sync_names(disk, path.parent)
        return
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        disk.truncate(file, keep)
        sync_file(disk, file)
    finally:
        os.close(file)
