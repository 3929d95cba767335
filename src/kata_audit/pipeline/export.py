"""Export: sealed records to one destination, in order, at least once.

The store is the queue: what a destination has not taken stays where it is sealed, and costs nothing more. A position moves
only behind what the destination has confirmed, or has refused for good and the dead letters hold; it is saved after each
request, so that a crash sends that request again, under the same names. Each destination has its own loop, and none waits
for another.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, Protocol

from kata_audit.clock import Clock
from kata_audit.errors import StoreError
from kata_audit.exporters.export_settings import Export
from kata_audit.exporters.records import Receipt, RecordExporter, Rejected
from kata_audit.pipeline.ahead import ahead
from kata_audit.schema.exported import Exported

POSITION: Final = "position"
_SECOND: Final = 1_000_000_000
_FIRST_WAIT_NS: Final = _SECOND
_LONGEST_WAIT_NS: Final = 60 * _SECOND
_SOME: Final = 8
"""Records over which a record's size is told to the next request: names and columns beside its text."""


class Sealed(NamedTuple):
    """Some sealed records, and the number that they come to: those of it that are not here are not wanted."""

    records: Sequence[Exported]
    seen_to: int


class Source(Protocol):
    """What is sealed, as a destination wants it."""

    def read(self, after: int) -> AbstractContextManager[Iterator[Sealed]]:
        """Give what is sealed from a number on, in order; nothing where nothing new is.

        Raises:
            StoreError: The store cannot be read.
            VerificationError: The log is not what its checkpoint says.
        """
        ...

    def place(self) -> tuple[str, int]:
        """Give the log's origin, and the number behind its last sealed record."""
        ...


class Keeper(Protocol):
    """Where a position is kept: an outbox of the destination's own."""

    def load(self, name: str) -> dict[str, Any] | None:
        """Give what was saved."""
        ...

    def save(self, name: str, value: Mapping[str, Any]) -> None:
        """Save durably."""
        ...


class DeadLetters(Protocol):
    """Where records are kept that a destination will never take."""

    def keep(self, rejected: Sequence[tuple[Exported, str]]) -> None:
        """Keep records with the reasons, durably.

        Raises:
            StoreError: There is no room for them.
        """
        ...


class Numbers(NamedTuple):
    """How a destination is.

    Attributes:
        sent: Records that it took, since it is one.
        rejected: Records that it refused for good.
        failures: Attempts that failed, of this process.
        seen_to: The number that it has come to.
        problem: What is wrong; None where nothing is.
    """

    sent: int
    rejected: int
    failures: int
    seen_to: int
    problem: str | None


class Exporting:
    """Hands records to one destination.

    Args:
        settings: The destination.
        exporter: What it is reached by.
        source: What is sealed.
        keeper: Where its position is.
        dead_letters: Where what it refuses is kept.
        clock: For waiting.
        chance: Spreads retries.
        tell: Takes sentences for people; each begins with the destination's name.
        stopped: Whether to stop; asked between requests.

    Raises:
        StoreError: Its position cannot be read, or the store cannot.
    """

    def __init__(
        self,
        settings: Export,
        exporter: RecordExporter,
        source: Source,
        keeper: Keeper,
        dead_letters: DeadLetters,
        *,
        clock: Clock,
        chance: random.Random,
        tell: Callable[[str], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._settings, self._exporter, self._source = settings, exporter, source
        self._keeper, self._dead_letters = keeper, dead_letters
        self._clock, self._chance, self._tell, self._stopped = clock, chance, tell, stopped
        self._tries = self._retry_ns = self._failures = 0
        self._problem: str | None = None
        origin, end = source.place()
        saved = keeper.load(POSITION)
        if saved is None:
            saved = {"origin": origin, "seen_to": 0 if settings.backlog else end, "sent": 0, "rejected": 0}
            keeper.save(POSITION, saved)
        if saved["origin"] != origin:
            hint = "Give the export another name, so that it begins anew with this store."
            raise StoreError(f"The export was of another store, `{saved['origin']}`.", where=settings.name, hint=hint)
        self._origin = origin
        self._seen_to, self._sent, self._rejected = (int(saved[key]) for key in ("seen_to", "sent", "rejected"))

    @property
    def name(self) -> str:
        """What the destination is called."""
        return self._settings.name

    @property
    def numbers(self) -> Numbers:
        """How it is."""
        return Numbers(self._sent, self._rejected, self._failures, self._seen_to, self._problem)

    def step(self) -> bool:
        """Hand over what is sealed until all of it is taken, the destination fails, or it is to stop.

        Returns:
            Whether the destination took something.

        Raises:
            VerificationError: The log is not what its checkpoint says: nothing of it is sent any more.
        """
        if self._clock.now_ns() < self._retry_ns:
            if self._retry_ns - self._clock.now_ns() > _LONGEST_WAIT_NS * 60:  # the clock was put back
                self._retry_ns = 0
            return False
        before = self._seen_to
        try:
            with ahead(lambda: self._source.read(self._seen_to)) as parts:
                for part in parts:
                    if self._stopped() or not self._hand_over(part):
                        break
        except StoreError as error:
            self._fail(error.diagnostics(), None)
        return self._seen_to > before

    def _hand_over(self, part: Sealed) -> bool:
        """Hand over records in requests of its size; say whether all were taken."""
        left = list(part.records)
        while left:
            together = left[: self._size_of(left)]
            receipt = self._attempt(together)
            self._take(together, receipt)
            left = left[receipt.taken :]
            if receipt.problem is not None:
                self._fail(receipt.problem, receipt.retry_after_secs)
                return False
            if self._stopped():
                return not left and self._move(part.seen_to)
        return self._move(part.seen_to)

    def _size_of(self, records: Sequence[Exported]) -> int:
        """Count how many fit into one request; at least one."""
        room = self._settings.max_bytes
        for number, one in enumerate(records[: self._settings.max_records]):
            room -= sum(len(value) if isinstance(value, str | bytes) else _SOME for value in one.record.values())
            if room < 0:
                return max(number, 1)
        return min(len(records), self._settings.max_records)

    def _attempt(self, records: Sequence[Exported]) -> Receipt:
        try:
            return self._exporter.export(records)
        except Exception as error:  # noqa: BLE001 - one destination's defect stops no other
            return Receipt(0, problem=f"this is a defect of ours: {type(error).__name__}")

    def _take(self, records: Sequence[Exported], receipt: Receipt) -> None:
        """Note what is done with; what was refused is kept before the position moves over it."""
        if not receipt.taken:
            return
        if receipt.rejected:
            self._dead_letters.keep([(records[one.at], one.reason) for one in receipt.rejected])
            self._tell(self._refusal(records, receipt.rejected))
        self._sent += receipt.taken - len(receipt.rejected)
        self._rejected += len(receipt.rejected)
        self._move(records[receipt.taken - 1].seq + 1)
        if self._problem is not None and receipt.problem is None:
            self._tell(f"{self._settings.name}: it takes records again")
        if receipt.problem is None:
            self._problem, self._tries = None, 0

    def _refusal(self, records: Sequence[Exported], rejected: Sequence[Rejected]) -> str:
        first = rejected[0]
        count = "a record" if len(rejected) == 1 else f"{len(rejected)} records"
        name = records[first.at].name
        return (
            f"{self._settings.name}: it refused {count} for good, first {name}: {first.reason}; the dead letters keep them"
        )

    def _move(self, seen_to: int) -> bool:
        """Move the position, and save it; where the disk does not take it, a crash sends again, and that is all."""
        self._seen_to = max(self._seen_to, seen_to)
        numbers = {"seen_to": self._seen_to, "sent": self._sent, "rejected": self._rejected}
        self._keeper.save(POSITION, {"origin": self._origin, **numbers})
        return True

    def _fail(self, problem: str, wait_secs: float | None) -> None:
        """Leave the destination alone for a while, and say why, once."""
        self._failures += 1
        self._tries += 1
        wait = min(_FIRST_WAIT_NS * 2 ** min(self._tries - 1, 20), _LONGEST_WAIT_NS)
        wait -= int(wait * self._chance.random() / 2)
        self._retry_ns = self._clock.now_ns() + max(wait, int((wait_secs or 0) * _SECOND))
        if problem != self._problem:
            self._tell(f"{self._settings.name}: {problem}; it is tried again")
        self._problem = problem


def run(exporting: Exporting, *, stopped: Callable[[], bool], rest: Callable[[], None]) -> None:
    """Export until told to stop; a request that has begun is ended first."""
    while not stopped():
        if not exporting.step():
            rest()


def run_once(exporting: Exporting, *, stopped: Callable[[], bool]) -> str | None:
    """Export what is sealed now, until the destination fails; give what was wrong."""
    while not stopped() and exporting.step():
        pass
    return exporting.numbers.problem
