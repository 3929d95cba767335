"""A guest's clock against its kernel's uptime: in a file that holds both, setting the clock shows without any relay.

Kernel lines on a console count from the boot, and no setting of the clock moves that count. What an agent wrote between two
of them was written in the time between: where its own times say more, or go back, its clock was set. All of it is a claim.

Source: captures of machines whose clock `SetGuestDateTime` moved by most of a day while the uptime went on by seconds.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from kata_audit.pipeline.clocks import Jump
from kata_audit.schema.record import Component, RecordRows

UPTIME_COLUMNS: Final = ("sandbox_id", "cursor", "component", "guest_timestamp", "attributes")
"""What is read of a record; records come in the order of `seq`, which is the order of each file."""
_SECOND: Final = 1_000_000_000
_TOLERANCE_NS: Final = _SECOND
"""An agent's threads write some milliseconds out of order, and lines wait for a console that is busy."""
_KERNEL: Final = frozenset({Component.GUEST_KERNEL, Component.GUEST_SYSTEMD})
_ELAPSED: Final = re.compile(r"([0-9]{1,9})\.([0-9]{6})")
_MAX_GAPS: Final = 256
_MAX_JUMPS: Final = 64
"""A clock that is set more often than this in one file is none; the first ones are told."""


@dataclass(slots=True)
class _File:
    """One file: the newest uptime and guest's time in it, and the gaps that the next uptime will judge.

    Before the first kernel line the uptime is not known, and no less than nothing.
    """

    sandbox_id: str
    uptime_ns: int = 0
    guest_ns: int | None = None
    gaps: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=_MAX_GAPS))
    """Uptime before it, and the guest's times on both sides."""
    jumps: list[Jump] = field(default_factory=list)

    def add_guest(self, guest_ns: int) -> None:
        before, self.guest_ns = self.guest_ns, guest_ns
        if before is None:
            return
        if guest_ns < before - _TOLERANCE_NS:
            self._jump(before, guest_ns, guest_ns - before)
        elif guest_ns > before + _TOLERANCE_NS:
            self.gaps.append((self.uptime_ns, before, guest_ns))

    def add_uptime(self, uptime_ns: int) -> None:
        if uptime_ns < self.uptime_ns - _TOLERANCE_NS:
            self.guest_ns = None
            self.gaps.clear()
        for begun, before, after in self.gaps:
            least = after - before - (uptime_ns - begun)
            if least > _TOLERANCE_NS:
                self._jump(before, after, least)
        self.gaps.clear()
        self.uptime_ns = uptime_ns

    def _jump(self, before: int, after: int, size: int) -> None:
        if len(self.jumps) < _MAX_JUMPS:
            self.jumps.append(Jump(self.sandbox_id, before, after, size))


class Uptimes:
    """The files of guests that hold uptimes and times of the guest's clock."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, str], _File] = {}

    def add(self, rows: RecordRows) -> None:
        """Read records of sandboxes, with the columns `UPTIME_COLUMNS`, in the order of `seq`."""
        columns = [rows.column(name) for name in UPTIME_COLUMNS]
        columns[3] = columns[3].cast("int64")
        for sandbox, cursor, component, guest_ns, attributes in zip(*(one.to_pylist() for one in columns), strict=True):
            key = (sandbox, cursor.rpartition("@")[0])
            file = self._files.get(key)
            if file is None:
                file = self._files[key] = _File(sandbox)
            if guest_ns is not None:
                file.add_guest(guest_ns)
            elif component in _KERNEL and (uptime := _uptime(attributes)) is not None:
                file.add_uptime(uptime)

    def jumps(self) -> Iterator[Jump]:
        """Give what the clocks were set by, at least; times are the guests' own, before and after."""
        for file in self._files.values():
            yield from file.jumps


def _uptime(attributes: list[tuple[str, str]] | None) -> int | None:
    match = _ELAPSED.fullmatch(dict(attributes or ()).get("elapsed", ""))
    return int(match[1]) * _SECOND + int(match[2]) * 1000 if match is not None else None
