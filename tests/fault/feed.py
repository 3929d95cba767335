"""A receiver in small: it feeds texts from where the store says it stopped, seals on the way and merges at the end."""

from pathlib import Path

from tests.fault.oracle import WIDTH, text
from tests.unit.store.rows import batches, evidence

from kata_audit.clock import ManualClock
from kata_audit.errors import StoreError, StoreStoppedError
from kata_audit.store.durable import Disk
from kata_audit.store.writer import Writer, open_writer

STREAM = "journal"


class Feed:
    """Texts `[0, count)` on their way into a store.

    Args:
        root: The store.
        count: How many texts.
        step: Texts of one append; every second append is followed by a seal.
    """

    def __init__(self, root: Path, count: int, step: int) -> None:
        self.root, self.count, self.step = root, count, step
        self.acknowledged: set[int] = set()
        self.refused: list[StoreError] = []

    def run(self, disk: Disk | None = None) -> None:
        """Feed to the end; go on after a refusal that lets us, and leave the rest to the next run else."""
        try:
            with open_writer(self.root, clock=ManualClock(), node="lab/worker-a", disk=disk) as writer:
                while self._position(writer) < self.count:
                    self._act(writer)
                self._seal(writer)
                self._insist(lambda: writer.compact(all_of_them=True))
        except StoreError as error:
            self.refused.append(error)

    def _position(self, writer: Writer) -> int:
        cursor = writer.last_cursors().get(STREAM)
        return 0 if cursor is None else cursor.end // WIDTH

    def _act(self, writer: Writer) -> None:
        first = self._position(writer)
        numbers = range(first, min(first + self.step, self.count))
        self._insist(lambda: writer.append(evidence([text(number) for number in numbers], offset=first * WIDTH)))
        self.acknowledged |= set(numbers)
        if first // self.step % 2:
            self._seal(writer)

    def _seal(self, writer: Writer) -> None:
        found = writer.unsealed(max_rows=self.step * 2 - 1, max_bytes=1 << 20)
        if found is not None:
            cut, rows = found
            self._insist(lambda: writer.seal(cut, batches(rows), derive="toy", states={"toy": b"%d" % cut.end}))

    def _insist(self, act: object) -> None:
        assert callable(act)
        try:
            act()
        except StoreStoppedError:
            raise
        except StoreError as error:
            self.refused.append(error)
            act()
