"""A line of JSON for each notice, at the end of a file or on stdout: for what reads files, and for looking on."""

import os
import sys
from collections.abc import Sequence

from kata_audit.exporters.base import Delivery
from kata_audit.exporters.settings import Destination
from kata_audit.exporters.values import spell_notice
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
            self._append(lines)
        except OSError as error:
            return Delivery(0, problem=f"it cannot be written: {error.strerror}")
        return Delivery(len(notices))

    def _append(self, lines: bytes) -> None:
        """Append whole lines, durably; behind a line that was cut off by a full disk or a crash, on a line of their own."""
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(file).st_size
            whole = not size or os.pread(file, 1, size - 1) == b"\n"
            rest = memoryview(lines if whole else b"\n" + lines)
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        finally:
            os.close(file)
