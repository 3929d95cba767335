"""A collector under a steady load: memory, processor, and how long a record takes from its file to the disk.

    python tests/perf/collecting.py --rate 5000 --secs 600

A process writes records with the time in them to a file that is rotated every minute; the collector follows it into a new
store in this process, whose memory and processor time are told. Part of torture.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.perf.volume import resident_mib

from kata_audit.clock import SystemClock
from kata_audit.config import Config
from kata_audit.pipeline.collect import Collector, run
from kata_audit.pipeline.own import OwnRecords
from kata_audit.pipeline.shedding import Holding
from kata_audit.receivers.file import Place
from kata_audit.receivers.follow import FileWatch
from kata_audit.schema.record import EvidenceRows
from kata_audit.schema.source import Transport
from kata_audit.store.writer import SeqRange, Writer
from kata_audit.wiring import derivation, sealer, writing

_STAMP = re.compile(rb"stamp=(\d+)")
_KEY = bytes(range(32))
_FEED = """
import os, sys, time
path, rate, secs = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
began, sent, turn = time.time(), 0, 0
file = open(path, "ab", buffering=0)
while (now := time.time()) < began + secs:
    due = int((now - began) * rate) - sent
    stamp = time.time_ns()
    file.write(b"".join(
        b'time="2026-11-23T06:07:28.903288138Z" level=info msg="record %d of a sandbox with a message of some length in it"'
        b' name=containerd-shim-v2 pid=270 sandbox=b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f'
        b' source=virtcontainers subsystem=sandbox stamp=%d\\n' % (sent + one, stamp) for one in range(due)))
    sent += due
    if int(now - began) // 60 != turn:
        turn = int(now - began) // 60
        os.rename(path, f"{path}.{turn}")
        file = open(path, "ab", buffering=0)
    time.sleep(0.05)
print(sent)
"""


class Timed(Writer):
    """A writer that notes how old records are when they are durable."""

    def append(self, rows: EvidenceRows) -> SeqRange:
        """Append, and note one age of each hundred records."""
        done = super().append(rows)
        now = time.time_ns()
        stamps = (_STAMP.search(raw) for raw in rows.column("raw").to_pylist()[::100])
        AGES.extend((now - int(stamp[1])) / 1e9 for stamp in stamps if stamp is not None)
        return done


AGES: list[float] = []
"""Seconds from the file to the disk, of one record in a hundred."""


def collect(folder: Path, rate: int, secs: float) -> tuple[int, list[float], float, int]:
    """Collect for some time; give the records sent, memory every second, processor seconds, and the records that are durable."""
    clock, path = SystemClock(), folder / "shim.log"
    memory: list[float] = []
    with writing(folder / "store", node="lab/load") as writer:
        writer.__class__ = Timed  # the store's own, but for the note
        place = Place("lab/load", "default", Transport.HOST_FILE)
        own = OwnRecords("collect", node="lab/load", tenant="default", clock=clock)
        watch = FileWatch(str(path), place, clock=clock, key=_KEY)
        seals = sealer(writer, Config(), live=True, merges=False)
        collector = Collector([watch], writer, seals, own, clock=clock, key=_KEY, holding=Holding(derivation()))
        feed = subprocess.Popen(
            [sys.executable, "-c", _FEED, str(path), str(rate), str(secs)], stdout=subprocess.PIPE, text=True
        )
        next_sample = began = time.monotonic()
        used = time.process_time()

        def told() -> None:
            nonlocal next_sample
            if time.monotonic() >= next_sample:
                memory.append(resident_mib(os.getpid()) or 0)
                next_sample += 1

        run(
            collector,
            stopped=lambda: feed.poll() is not None and time.monotonic() > began + secs + 5,
            rest=lambda: time.sleep(0.1),
            told=told,
        )
        used = time.process_time() - used
        assert feed.stdout is not None
        return int(feed.stdout.read()), memory, used, collector.counts.records


def main() -> None:
    """Measure and print; exit with 1 where a record is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=5_000, help="records a second")
    parser.add_argument("--secs", type=float, default=600)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kata-audit-collecting-") as folder:
        sent, memory, used, durable = collect(Path(folder), options.rate, options.secs)
    quarters = [statistics.median(memory[index * len(memory) // 4 : (index + 1) * len(memory) // 4]) for index in range(4)]
    ages = statistics.quantiles(AGES, n=100)
    print(f"{sent:,} records sent, {durable - 1:,} durable, in {options.secs:g} s; {os.cpu_count()} processors")
    print(f"resident MiB: {' '.join(f'{one:.0f}' for one in quarters)} (medians of quarters), {max(memory):.0f} at most")
    print(f"processor: {used / options.secs:.1%} of one")
    print(f"file to disk: median {ages[49]:.2f} s, 99th of a hundred {ages[98]:.2f} s, longest {max(AGES):.2f} s")
    sys.exit(0 if durable - 1 == sent else 1)


if __name__ == "__main__":
    main()
