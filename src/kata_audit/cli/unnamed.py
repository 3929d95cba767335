"""Why audit events have no actor: said once, after the records."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from kata_audit.cli.terminal import say

if TYPE_CHECKING:
    from kata_audit.store.reader import Reader, Scope


_ASKED_BEFORE_NS = 600_000_000_000
"""Ten minutes: an audit log with a request so near to the events was taken in for their time."""


class Unnamed:
    """Counts audit events whose actor nobody tells, among records that pass."""

    def __init__(self) -> None:
        self._count = 0
        self._first_ns: int | None = None
        self._last_ns: int | None = None

    def watch(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Pass batches on; those without the columns `actor` and `timestamp` count nothing."""
        for rows in batches:
            if {"actor", "timestamp"} <= set(rows.schema.names):
                self._take(rows)
            yield rows

    def _take(self, rows: Any) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        from kata_audit.schema.event import UNKNOWN_ACTOR

        unnamed = rows.filter(pc.fill_null(pc.equal(rows.column("actor"), UNKNOWN_ACTOR), False))
        times = pc.min_max(unnamed.column("timestamp").cast(pa.int64())).as_py()
        self._count += unnamed.num_rows
        known = [time for time in (self._first_ns, times["min"]) if time is not None]
        self._first_ns = min(known, default=None)
        known = [time for time in (self._last_ns, times["max"]) if time is not None]
        self._last_ns = max(known, default=None)

    def explain(self, reader: "Reader", scope: "Scope") -> None:
        """Say on stderr how many there were, and why, if there were any."""
        if not self._count:
            return
        head = f"{self._count:,} audit events have no known actor"
        if self._first_ns is None or self._last_ns is None:
            say(f"{head}: nothing tells when they were")
        elif reader.has_requests(scope, self._first_ns - _ASKED_BEFORE_NS, self._last_ns + _ASKED_BEFORE_NS):
            say(f"{head}: no request in the API server's audit log fits their pod, time and command")
        else:
            say(f"{head}: no audit log of the API server of their time was taken in")
