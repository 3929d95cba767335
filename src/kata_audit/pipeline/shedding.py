"""What is held of sources that cannot wait while the disk has no room, and what of it is dropped, in which order.

Only what would be missed least is dropped: first what guests print at debug, then debug, workload and operational records,
each time what came last. What an audit asks for is never dropped: where nothing else is left, the source is read no more,
and drops, and counts, itself.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from kata_audit.pipeline.own import together
from kata_audit.schema.record import EvidenceRows, RecordRows, RetentionClass
from kata_audit.schema.source import Origin

HOLD_BYTES: Final = 4 << 20
"""How much is held in memory: as much as one group commit."""


class Rank(NamedTuple):
    """One step of the order: a class, and whether only a guest's text of it."""

    retention_class: RetentionClass
    of_guests_only: bool


ORDER: Final = (
    Rank(RetentionClass.DEBUG, of_guests_only=True),
    Rank(RetentionClass.DEBUG, of_guests_only=False),
    Rank(RetentionClass.WORKLOAD, of_guests_only=False),
    Rank(RetentionClass.OPERATIONAL, of_guests_only=True),
    Rank(RetentionClass.OPERATIONAL, of_guests_only=False),
)
"""What is dropped, first things first. The other classes are not in it."""


class Holding:
    """Rows of sources that cannot wait, as many as fit.

    Args:
        derive: Tells the class and origin of rows.
        limit: Bytes of `raw` that are held at most; where they are exceeded, half of them is made free.
    """

    def __init__(self, derive: Callable[[EvidenceRows], RecordRows], limit: int = HOLD_BYTES) -> None:
        self._derive, self._limit = derive, limit
        self._rows: list[tuple[str, EvidenceRows]] = []
        self._bytes = 0
        self._dropped: dict[tuple[str, str], int] = {}

    @property
    def is_full(self) -> bool:
        """Whether nothing more may be taken: all that is held is kept."""
        return self._bytes >= self._limit

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        return not self._rows

    def add(self, source: str, rows: EvidenceRows) -> None:
        """Hold rows of a source; drop what is in excess, by class."""
        self._rows.append((source, rows))
        self._bytes += _size(rows)
        if self._bytes > self._limit:
            self._shed()

    def take(self) -> list[EvidenceRows]:
        """Give what is held, in the order in which it came, and hold nothing."""
        rows, self._rows, self._bytes = [rows for _, rows in self._rows], [], 0
        return rows

    def dropped(self) -> Mapping[tuple[str, str], int]:
        """Give how many records were dropped since the last call, by source and class."""
        dropped, self._dropped = self._dropped, {}
        return dropped

    def _shed(self) -> None:
        """Drop by class until half of what may be held is free, or only what is never dropped is left."""
        sizes = [size for _, rows in self._rows for size in pc.binary_length(rows.column("raw")).to_pylist()]
        parts = [part for part, (_, rows) in enumerate(self._rows) for _ in range(rows.num_rows)]
        records = self._derive(_numbered(together([rows for _, rows in self._rows])))
        classes = records.column("class").to_pylist()
        of_guests = [origin == Origin.GUEST for origin in records.column("origin").to_pylist()]
        excess = self._bytes - self._limit // 2
        gone: set[int] = set()
        for rank in ORDER:
            for row in reversed(range(len(sizes))):
                if excess <= 0:
                    break
                if classes[row] == rank.retention_class and of_guests[row] >= rank.of_guests_only and row not in gone:
                    gone.add(row)
                    excess -= sizes[row]
                    key = (self._rows[parts[row]][0], str(rank.retention_class))
                    self._dropped[key] = self._dropped.get(key, 0) + 1
        self._keep([row not in gone for row in range(len(sizes))])

    def _keep(self, kept: Sequence[bool]) -> None:
        """Keep the rows that are to be kept of all that is held."""
        rest: list[tuple[str, EvidenceRows]] = []
        start = 0
        for source, rows in self._rows:
            left = rows.filter(pa.array(kept[start : start + rows.num_rows], pa.bool_()))
            start += rows.num_rows
            rest += [(source, left)] if left.num_rows else []
        self._rows, self._bytes = rest, sum(_size(rows) for _, rows in rest)


def _size(rows: EvidenceRows) -> int:
    return int(pc.sum(pc.binary_length(rows.column("raw"))).as_py() or 0)


def _numbered(rows: EvidenceRows) -> EvidenceRows:
    """Give rows numbers, as derivation wants them; they have no meaning."""
    return rows.set_column(0, rows.schema.field(0), pa.array(range(rows.num_rows), pa.uint64()))
