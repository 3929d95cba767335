"""Ten million records through `ingest -`: memory, speed, size, and how long questions take afterwards. Part of torture.

    python tests/perf/volume.py --records 10000000

A simulated node writes into the command as a stream. Its memory is sampled from the outside while it runs. Then one
sandbox's records are asked for, by the reader and by the commands, with files in the page cache.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.simulated_life import Sandbox
from tests.simulator import Node

from kata_audit.pipeline.clocks import Clocks
from kata_audit.pipeline.moments import COLUMNS
from kata_audit.pipeline.timeline import tell
from kata_audit.predicate.language import parse_query
from kata_audit.store.reader import EVERYTHING_IN_SCOPE, Reader
from kata_audit.wiring import reading

SIMULATOR = Path(__file__).resolve().parents[1] / "simulator.py"
COMMAND = [sys.executable, "-m", "kata_audit.cli.main"]
_SAMPLE_SECS = 0.25
_LOOKED_THROUGH = 200_000


class Memory(NamedTuple):
    """Resident memory of a process over its life, in MiB, sampled at even times."""

    samples: list[float]

    @property
    def quarters(self) -> list[float]:
        """The highest of each quarter of the time."""
        step = max(len(self.samples) // 4, 1)
        return [max(self.samples[at : at + step], default=0.0) for at in range(0, step * 4, step)]

    @property
    def growth(self) -> float:
        """How much higher the last quarter's peak is than the second one's; the first still warms up."""
        return self.quarters[3] / self.quarters[1] - 1 if len(self.samples) >= 4 else 0.0


def resident_mib(pid: int) -> float | None:
    """Read a process's resident memory; None once it has ended (Source: proc(5), status)."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    line = next((line for line in text.splitlines() if line.startswith("VmRSS:")), None)
    return None if line is None else int(line.split()[1]) / 1024


def ingest(records: int, seed: int, store: Path) -> tuple[dict[str, int], Memory, float]:
    """Stream a simulated node into the command; give what it said, its memory, and its seconds."""
    start = time.perf_counter()
    arguments = ["ingest", "-", "--transport", "journal-json", "--node", "volume/node", "--store", str(store), "-o", "json"]
    with subprocess.Popen(
        [sys.executable, SIMULATOR, "--records", str(records), "--seed", str(seed)], stdout=subprocess.PIPE
    ) as source:
        assert source.stdout is not None
        with subprocess.Popen([*COMMAND, *arguments], stdin=source.stdout, stdout=subprocess.PIPE) as taking:
            source.stdout.close()
            samples = []
            while taking.poll() is None:
                if (now := resident_mib(taking.pid)) is not None:
                    samples.append(now)
                time.sleep(_SAMPLE_SECS)
            assert taking.stdout is not None
            said = taking.stdout.read()
    if taking.returncode:
        raise SystemExit(f"ingest ended with {taking.returncode}")
    taken = json.loads(said)
    return (taken[0] if isinstance(taken, list) else taken), Memory(samples), time.perf_counter() - start


def one_sandbox(records: int, seed: int) -> tuple[Sandbox, int]:
    """Choose a sandbox whose whole life is in what is looked through, and count its records."""
    counted: Counter[int] = Counter()
    seen: dict[int, tuple[Sandbox, int]] = {}
    total = min(records, _LOOKED_THROUGH)
    for one in Node(seed).truth(total):
        counted[one.sandbox.number] += 1
        seen[one.sandbox.number] = (one.sandbox, one.ordinal)
    ended = [sandbox for sandbox, last in seen.values() if sandbox.sandbox_id is not None and last < total * 0.6]
    chosen = ended[len(ended) // 2]
    return chosen, counted[chosen.number]


def timed(run: Callable[[], int], rounds: int) -> tuple[float, int]:
    """Run once to warm up, then give the median milliseconds and the answer's size."""
    size = run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        size = run()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times), size


def _lines(store: Path, *arguments: str) -> int:
    done = subprocess.run([*COMMAND, *arguments, "--store", str(store)], capture_output=True, check=True)
    return done.stdout.count(b"\n")


def _found(reader: Reader, query: str) -> int:
    rows = reader.scan(EVERYTHING_IN_SCOPE, parse_query(query), COLUMNS)
    return sum(batch.num_rows for batch in rows)


def _told(reader: Reader, query: str) -> int:
    return sum(1 for _ in tell([reader.scan(EVERYTHING_IN_SCOPE, parse_query(query), COLUMNS)], Clocks()))


def ask(store: Path, sandbox: Sandbox, records: int, rounds: int) -> None:
    """Time the questions and say what they found."""
    by_id, by_pod = f"sandbox_id:{sandbox.sandbox_id}", f"pod:{sandbox.k8s_pod}"
    with reading(store) as reader:
        for name, run in (
            ("reader: records of one sandbox", lambda: _found(reader, by_id)),
            ("reader: its story", lambda: _told(reader, by_id)),
            ("reader: records of its pod", lambda: _found(reader, by_pod)),
        ):
            milliseconds, size = timed(run, rounds)
            print(f"{name:32} {milliseconds:10.1f} ms  {size:8,} found  ({records:,} by the truth)")
    for name, arguments in (
        ("command: timeline SANDBOX", ("timeline", str(sandbox.sandbox_id), "--debug-lines")),
        ("command: timeline POD", ("timeline", f"{sandbox.k8s_namespace}/{sandbox.k8s_pod}")),
        ("command: why POD", ("why", f"{sandbox.k8s_namespace}/{sandbox.k8s_pod}")),
        ("command: search pod", ("search", by_pod, "--limit", "0", "-o", "jsonl")),
    ):
        milliseconds, size = timed(lambda arguments=arguments: _lines(store, *arguments), rounds)  # type: ignore[misc]
        print(f"{name:32} {milliseconds:10.1f} ms  {size:8,} lines")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the store is made; by default the temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kata-audit-volume-", dir=options.folder) as folder:
        store = Path(folder) / "store"
        taken, memory, seconds = ingest(options.records, options.seed, store)
        size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
        print(
            f"{taken['records']:,} records, {taken['bytes'] / 1e9:.2f} GB in {seconds:,.0f} s: {taken['records'] / seconds:,.0f}/s"
        )
        print(f"store {size / 1e9:.3f} GB, {size / taken['bytes']:.3f} of raw, {size / taken['records']:.0f} bytes a record")
        peaks = " ".join(f"{peak:.0f}" for peak in memory.quarters)
        print(f"memory: peaks of the quarters {peaks} MiB, growth from the second to the last {memory.growth:+.1%}")
        ask(store, *one_sandbox(options.records, options.seed), options.rounds)
        if taken["records"] != options.records:
            raise SystemExit(f"{options.records:,} records were written, {taken['records']:,} were taken")


if __name__ == "__main__":
    main()
