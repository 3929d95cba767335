"""How fast, as ratios in one run: `make bench`.

Every variant runs once a round, one after another, so that what disturbs the machine disturbs all; the table shows the
median of the rounds and their spread. One core. Read the ratios to `orjson.loads`, not the rates: those are the machine's.
"""

import argparse
import gzip
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.conftest import corpus_directory
from tests.evidence import derive
from tests.simulator import Node

from kata_audit.clock import SystemClock
from kata_audit.config import RuleSettings
from kata_audit.detect.baseline import Baselines
from kata_audit.detect.baseline_settings import BaselineSettings
from kata_audit.detect.rule import Rule
from kata_audit.detect.ruleset import Ruleset
from kata_audit.parse.mask import mask
from kata_audit.parse.outline import outline
from kata_audit.parse.split import Held, split
from kata_audit.pipeline.ingest import CutPolicy, Sealer, take
from kata_audit.pipeline.judging import Judge
from kata_audit.receivers.file import FileReceiver, Place
from kata_audit.schema.record import EvidenceRows
from kata_audit.schema.source import Chunk, Source, Transport
from kata_audit.tlog.leaf import batch_root, hash_leaves, make_salts
from kata_audit.wiring import rules, writing

CAPTURES = ("go-info", "go-debug2", "rs-remote-info", "k8s-kata-info")
_KEY = bytes(range(32))
_ONE_NS = 1
_BASE = "orjson.loads alone"


class Variant(NamedTuple):
    """One thing that is measured, and what it is for."""

    name: str
    run: Callable[[], object]


class Input(NamedTuple):
    """What is measured on: a journal as JSON lines, and where it came from."""

    data: bytes
    lines: list[bytes]
    said: str


def read_input(records: int, *, simulate: bool) -> Input:
    """Take records evenly from the reference captures where they are, else from the simulator."""
    corpus = None if simulate else corpus_directory()
    if corpus is None:
        lines = list(Node(7).journal_json(records=records))
        said = "simulated node, seed 7"
    else:
        parts = [gzip.decompress((corpus / "captures" / name / "journal.json.gz").read_bytes()) for name in CAPTURES]
        every = b"".join(parts).splitlines(keepends=True)
        count = min(records, len(every))
        lines = [every[index * len(every) // count] for index in range(count)]
        said = f"captures {', '.join(CAPTURES)}"
    return Input(b"".join(lines), lines, said)


def split_all(data: bytes) -> list[EvidenceRows]:
    """Cut a journal into evidence, in chunks as a file's receiver gives them."""
    source = Source("file", "bench/node", "default", Transport.JOURNAL_JSON)
    held, found, size = Held(), [], 4 << 20
    for start in range(0, len(data), size):
        held, rows = split(held, Chunk(source, "bench?1-2-aa", start, data[start : start + size], _ONE_NS))
        found.append(rows)
    return found


def variants(given: Input, folder: Path) -> list[Variant]:
    """List what is measured; all of it sees the same records."""
    evidence = split_all(given.data)
    masked = [mask(rows, _KEY)[0] for rows in evidence]
    numbered = [rows.set_column(0, "seq", pa.array(range(rows.num_rows), pa.uint64())) for rows in masked]
    shipped = rules(RuleSettings())
    journal = folder / "journal.json"
    journal.write_bytes(given.data)
    return [
        Variant(_BASE, lambda: [orjson.loads(line) for line in given.lines]),
        Variant("split", lambda: split_all(given.data)),
        Variant("mask", lambda: [mask(rows, _KEY) for rows in evidence]),
        Variant("derive (parse and classify)", lambda: [derive(rows) for rows in masked]),
        Variant("bytes to records in memory", lambda: [derive(mask(rows, _KEY)[0]) for rows in split_all(given.data)]),
        Variant("leaf hashes and batch root", lambda: [_commit(rows) for rows in numbered]),
        Variant("ingest: bytes to sealed", lambda: ingest(journal, folder)),
        Variant("ingest, judged by all rules", lambda: ingest(journal, folder, rules=shipped)),
        Variant("ingest, judged by rules and baselines", lambda: ingest(journal, folder, rules=shipped, usual=True)),
    ]


def _commit(rows: EvidenceRows) -> bytes:
    return batch_root(hash_leaves(rows, make_salts(_KEY, rows.num_rows)))


def ingest(journal: Path, folder: Path, *, rules: Sequence[Rule] = (), usual: bool = False) -> None:
    """Take a file into a new store, as the command does, until all is sealed; with rules, each cut goes past them.

    Where `usual` is asked for, it is compared with baselines too.
    """
    clock = SystemClock()
    place = Place("bench/node", "default", Transport.JOURNAL_JSON)
    with tempfile.TemporaryDirectory(dir=folder) as fresh, writing(Path(fresh) / "store") as writer:
        baselines = Baselines(BaselineSettings(), writer.origin, outline) if usual else None
        ruleset = Ruleset(rules, origin=writer.origin, lateness_ns=1 << 62)
        judge = Judge(ruleset, writer, clock, live=False, baselines=baselines) if rules else None
        sealer = Sealer(writer, CutPolicy(), derive, clock, after_seal=lambda: None, judge=judge)
        with FileReceiver(str(journal), place, clock=clock, key=_KEY) as receiver:
            for _ in take(receiver, writer, sealer, key=_KEY):
                pass
        sealer.finish()


def measure(found: list[Variant], rounds: int) -> dict[str, list[float]]:
    """Run every variant once a round; give the seconds of each."""
    seconds: dict[str, list[float]] = {one.name: [] for one in found}
    for number in range(rounds):
        for one in found:
            start = time.perf_counter()
            one.run()
            seconds[one.name].append(time.perf_counter() - start)
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return seconds


def table(seconds: dict[str, list[float]], records: int, size: int) -> str:
    """Draw the medians, their spread, and each one's ratio to decoding the JSON alone, round by round."""
    rows = [f"{'':28} {'records/s':>10} {'MB/s':>7} {'spread':>13} {'of orjson':>10}"]
    for name, times in seconds.items():
        median = statistics.median(times)
        ratio = statistics.median(base / one for base, one in zip(seconds[_BASE], times, strict=True))
        spread = f"{min(times) / median - 1:+.0%} {max(times) / median - 1:+.0%}"
        rows.append(f"{name:28} {records / median:10,.0f} {size / median / 1e6:7.1f} {spread:>13} {ratio:10.3f}")
    return "\n".join(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--simulate", action="store_true", help="on the simulator's output even where the captures are")
    parser.add_argument("--cpu", type=int, help="the processor to stay on; by default the last one that is allowed")
    options = parser.parse_args()
    cpu = max(os.sched_getaffinity(0)) if options.cpu is None else options.cpu
    os.sched_setaffinity(0, {cpu})
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    given = read_input(options.records, simulate=options.simulate)
    with tempfile.TemporaryDirectory(prefix="kata-audit-bench-") as folder:
        seconds = measure(variants(given, Path(folder)), options.rounds)
    records = len(given.lines)
    print(
        f"{records:,} records, {len(given.data) / records:,.0f} bytes each, {given.said}; one core, {options.rounds} rounds"
    )
    print(table(seconds, records, len(given.data)))


if __name__ == "__main__":
    main()
