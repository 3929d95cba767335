"""A line of JSON for each notice or record, at the end of a file or on stdout: for what reads files, and for looking on."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kata_audit.errors import StoreError
from kata_audit.exporters.base import Delivery
from kata_audit.exporters.export_settings import Export
from kata_audit.exporters.records import Receipt
from kata_audit.exporters.settings import Destination
from kata_audit.exporters.values import spell_notice
from kata_audit.schema.exported import Exported
from kata_audit.schema.notice import Notice


class Stdout:
    """Prints each notice: for what reads the service's log, and for looking on."""

    def export(self, notices: Sequence[Notice]) -> Delivery:
        """Print all notices."""
        try:
            sys.stdout.write("".join(f"{spell_notice(notice).decode()}\n" for notice in notices))
            sys.stdout.flush()
        except OSError as error:
            return Delivery(0, problem=f"it cannot be written: {error.strerror}")
        return Delivery(len(notices))


class LineFile:
    """Appends to one file. It is opened anew each time, so that it can be rotated by renaming.

    Args:
        one: Its settings.
    """

    def __init__(self, one: Destination) -> None:
        assert one.path is not None
        self._path = one.path

    def export(self, notices: Sequence[Notice]) -> Delivery:
        """Hand all notices over; they are on the disk before this returns."""
        lines = b"".join(spell_notice(notice) + b"\n" for notice in notices)
        try:
            append_lines(self._path, lines)
        except OSError as error:
            return Delivery(0, problem=f"it cannot be written: {error.strerror}")
        return Delivery(len(notices))


class RecordFile:
    """Appends records to one file. It is opened anew each time, so that it can be rotated by renaming.

    Args:
        one: Its settings.
    """

    def __init__(self, one: Export) -> None:
        assert one.path is not None
        self._path = one.path

    def export(self, records: Sequence[Exported]) -> Receipt:
        """Hand all records over; they are on the disk before this returns."""
        try:
            append_lines(self._path, b"".join(_line(one.document) for one in records))
        except OSError as error:
            return Receipt(0, problem=f"it cannot be written: {error.strerror}; make room, or let this user write there")
        return Receipt(len(records))

    def close(self) -> None:
        """Do nothing: no file is kept open."""


class DeadLetterFile:
    """Keeps records that a destination refused for good, a line of JSON each: the reason, the record's name, and the record.

    Args:
        path: The file.
        max_bytes: What it holds at most; a full one stops the destination, because nothing is dropped unseen.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path, self._max_bytes = path, max_bytes

    def keep(self, rejected: Sequence[tuple[Exported, str]]) -> None:
        """Keep records with their reasons, durably.

        Raises:
            StoreError: There is no room for them, or the file cannot be written.
        """
        lines = b"".join(_line({"reason": reason, "name": one.name, "record": one.record}) for one, reason in rejected)
        try:
            size = self._path.stat().st_size if self._path.exists() else 0
            if size + len(lines) > self._max_bytes:
                hint = "Look at what it holds, mend the destination, and move the file away."
                raise StoreError("The dead letters are full.", where=str(self._path), hint=hint)
            append_lines(self._path, lines)
        except OSError as error:
            hint = "Make room on its disk, and let this user write there."
            message = f"The dead letters cannot be written: {error.strerror}."
            raise StoreError(message, where=str(self._path), hint=hint) from error


def _line(value: Mapping[str, Any]) -> bytes:
    """Spell a line in ASCII: whoever prints the file on a terminal sends it no character of a log that it would obey."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def append_lines(path: Path, lines: bytes) -> None:
    """Append whole lines, durably; behind a line that was cut off by a full disk or a crash, on a line of their own.

    Raises:
        OSError: The disk did not take all of them.
    """
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        size = os.fstat(file).st_size
        whole = not size or os.pread(file, 1, size - 1) == b"\n"
        rest = memoryview(lines if whole else b"\n" + lines)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    finally:
        os.close(file)
