"""A process that feeds texts into a store until it is killed; the parent reads what was acknowledged from its output.

Usage: `python kill_ingest.py STORE COUNT`. Each line of output is the number behind the last acknowledged text.
"""

import sys
from pathlib import Path

from tests.fault.oracle import WIDTH, text
from tests.unit.store.rows import batches, evidence

from kata_audit.clock import SystemClock
from kata_audit.store.writer import open_writer

STEP = 7


def main(root: Path, count: int) -> None:
    """Feed from where the store stopped; seal behind every third append."""
    with open_writer(root, clock=SystemClock(), node="lab/worker-a") as writer:
        cursor = writer.last_cursors().get("journal")
        first = 0 if cursor is None else cursor.end // WIDTH
        appends = 0
        while first < count:
            numbers = range(first, min(first + STEP, count))
            writer.append(evidence([text(number) for number in numbers], offset=first * WIDTH))
            first = numbers.stop
            print(first, flush=True)
            appends += 1
            found = writer.unsealed(max_rows=3 * STEP - 2, max_bytes=1 << 20) if appends % 3 == 0 else None
            if found is not None:
                cut, rows = found
                writer.seal(cut, batches(rows), derive="toy", states={})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
