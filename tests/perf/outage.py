"""A destination that is down for an hour while records go on coming: what it costs the rest, and how it catches up.

    python tests/perf/outage.py --rate 2000 --outage-secs 3600

What programs of a simulated node say is written, with the times of now, to a file as syslog keeps it, which is rotated every
minute. `kata-audit collect` follows it and `kata-audit export` hands the store to three systems of one configuration: a file, a Fluent Bit that lives, and
a Fluent Bit that is stopped for the outage. In the middle of the outage its port accepts connections and never answers; before
and after that it refuses them. Then it is started again, while records go on coming, until it has caught up.

What is measured is seen from the outside: the spool's files, what arrives, `/proc`, and the sizes of files. A record is on the
disk when it is seen in the spool, and arrived when it is seen in the system's file; both are looked at ten times a second.
Needs `make servers-all`.
"""

import argparse
import json
import os
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from typing import IO, Any, NamedTuple

import orjson
import pyarrow.compute as pc
import pyarrow.dataset as ds

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.loopback import closed_port
from tests.perf.volume import resident_mib
from tests.servers.shippers import FLUENT_BIT
from tests.simulator import Node, lives

from kata_audit.store.spool import HEADER_BYTES, decode_payload
from kata_audit.wiring import reading

COMMAND = [sys.executable, "-m", "kata_audit.cli.main"]
_NAME = re.compile(rb'"log\.record\.uid":"[^"]*/(\d+)"')
_FRAME = struct.Struct(">4sIQII")
_EACH = 100
"""One record in so many is timed."""
_LOOK_SECS, _SAMPLE_SECS, _SIZE_SECS = 0.1, 1.0, 10.0
_ROTATE_SECS, _WARM_SECS = 60.0, 60.0
_KEEP_BYTES = 64 << 20
_CUT_SECS = 5.0
_CONFIG = """
node = "lab/outage"
spool_max_bytes = {spool}
[[file]]
path = "{folder}/syslog"
transport = "host-file"
[[export]]
name = "archive"
kind = "file"
path = "{folder}/archive"
[[export]]
name = "near"
kind = "forward"
url = "tcp://127.0.0.1:{near}"
plaintext = true
allow = ["127.0.0.0/8"]
gzip = false
[[export]]
name = "late"
kind = "forward"
url = "tcp://127.0.0.1:{late}"
plaintext = true
allow = ["127.0.0.0/8"]
gzip = false
"""
_SINK = """
[SERVICE]
    Flush 0.2
    Grace 5
    Log_Level error
[INPUT]
    Name forward
    Listen 127.0.0.1
    Port {port}
[OUTPUT]
    Name file
    Match *
    Path {folder}
    File {name}
"""


def syslog_line(entry: bytes) -> tuple[int, bytes]:
    """Write an entry of the journal as syslog does in a file: its time in microseconds, and the line.

    The line is empty for what would be several, and for what is no text.
    """
    fields = orjson.loads(entry)
    time_us, said = int(fields["__REALTIME_TIMESTAMP"]), fields.get("MESSAGE")
    if not isinstance(said, str) or "\n" in said:
        return time_us, b""
    when = datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="microseconds")
    return time_us, f"{when} worker-7 {fields.get('SYSLOG_IDENTIFIER')}[{fields.get('_PID')}]: {said}\n".encode()


def feed(path: Path, rate: float) -> None:
    """Write what a node's programs say as they say it, until told to stop; beside it stands how many lines were written."""
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    mean = statistics.mean(len(life.entries) for life in lives("json", long_fields=True))
    begun = time.time()
    ready: Queue[tuple[list[int], list[bytes]]] = Queue(4)

    def make() -> None:
        node = Node(7, births_per_second=rate / mean, starts_us=int((begun - _WARM_SECS) * 1e6))
        for block in node.blocks(1 << 40):
            told = [(time_us, line) for time_us, line in map(syslog_line, block.lines) if line]
            ready.put(([time_us for time_us, _ in told], [line for _, line in told]))

    threading.Thread(target=make, daemon=True).start()
    written, turn, file = 0, 0, path.open("ab", buffering=0)
    while not asked.is_set():
        times, lines = ready.get()
        at = 0
        while at < len(lines) and not asked.is_set():
            now = time.time()
            due = [line for line, one in zip(lines[at:], times[at:], strict=True) if one <= now * 1e6]
            if times[at] >= begun * 1e6:  # what came before is of lives that were under way
                file.write(b"".join(due))
                written += len(due)
            at += len(due)
            if now - begun > (turn + 1) * _ROTATE_SECS:
                turn += 1
                path.rename(f"{path}.{turn}")
                file.close()
                file = path.open("ab", buffering=0)
            path.with_name("written.new").write_text(str(written))
            path.with_name("written.new").rename(path.with_name("written"))
            if at < len(lines):
                time.sleep(0.05)


class Spooled:
    """What is seen in the spool: when records were written, and when they were on the disk, one in a hundred."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name, self._at = "", 0
        self.seen = array("d")
        self.newest = 0
        self.newest_written = 0.0

    def look(self) -> list[float]:
        """Read frames that are new; give how long their records took from the file to here, in seconds."""
        ages: list[float] = []
        for path in sorted(self._folder.glob("*.spool")):
            if path.name < self._name:
                continue
            if path.name != self._name:
                self._name, self._at = path.name, 0
            try:
                with path.open("rb") as file:
                    self._read(file, ages)
            except FileNotFoundError:  # sealed meanwhile
                continue
        return ages

    def _read(self, file: IO[bytes], ages: list[float]) -> None:
        file.seek(self._at)
        data, at = file.read(), 0
        now = time.time()
        while at + HEADER_BYTES <= len(data):
            _, size, first, rows, _ = _FRAME.unpack_from(data, at)
            if at + HEADER_BYTES + size > len(data):
                break
            at += HEADER_BYTES
            raw = decode_payload(data[at : at + size])["raw"]
            at += size
            self.newest = first + rows
            for seq in range(-(-first // _EACH) * _EACH, first + rows, _EACH):
                while len(self.seen) < seq // _EACH:
                    self.seen.append(0.0)
                self.seen.append(now)
                line = raw[seq - first].as_py()
                if line[4:5] == b"-":  # not a record of ours
                    self.newest_written = datetime.fromisoformat(line[:32].decode()).timestamp()
                    ages.append(now - self.newest_written)
        self._at += at


class Arriving:
    """What arrives in one system: each record's number is counted, and its file thrown away."""

    def __init__(self, path: Path, spooled: Spooled) -> None:
        self._path, self._spooled = path, spooled
        self._files: list[tuple[IO[bytes], float]] = []
        self._rest: dict[IO[bytes], bytes] = {}
        self._is_open = False
        self.counts = bytearray()
        self.newest = 0

    def look(self) -> list[float]:
        """Read lines that are new; give how long their records took from the disk to here, in seconds."""
        now = time.monotonic()
        if self._is_open and self._files[-1][0].tell() > _KEEP_BYTES:  # both kinds open the file anew for each request
            self._path.unlink()
            self._is_open = False
        if not self._is_open and self._path.exists():
            self._files.append((self._path.open("rb"), now))
            self._is_open = True
        ages: list[float] = []
        for file, _ in self._files:
            self._take(file, ages)
        while len(self._files) > 1 and self._files[1][1] < now - _CUT_SECS:  # nobody writes to it any more
            self._files.pop(0)[0].close()
        return ages

    def close(self) -> None:
        """Let its files go."""
        for file, _ in self._files:
            file.close()

    def _take(self, file: IO[bytes], ages: list[float]) -> None:
        data = self._rest.pop(file, b"") + file.read()
        whole, end, rest = data.rpartition(b"\n")
        if rest:
            self._rest[file] = rest
        now = time.time()
        for seq in map(int, _NAME.findall(whole + end)):
            if seq >= len(self.counts):
                self.counts += bytes(seq + 100_000 - len(self.counts))
            self.counts[seq] = min(self.counts[seq] + 1, 255)
            self.newest = max(self.newest, seq + 1)
            if seq % _EACH == 0 and seq // _EACH < len(self._spooled.seen) and (seen := self._spooled.seen[seq // _EACH]):
                ages.append(now - seen)


class Use(NamedTuple):
    """Seconds that a process had a processor, seconds that its threads waited for one, and its MiB."""

    cpu_secs: float
    wait_secs: float
    mib: float


def use_of(pid: int) -> Use:
    """Look at a process (Source: proc(5), stat, and the kernel's sched-stats, schedstat of each thread)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    waited = sum(int(path.read_text().split()[1]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return Use((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), waited / 1e9, resident_mib(pid) or 0.0)


def size_of(*paths: Path) -> int:
    """Add up the bytes of files in folders; one that is gone meanwhile counts nothing."""
    total = 0
    for path in paths:
        for folder, _, names in os.walk(path):
            for name in names:
                try:
                    total += Path(folder, name).lstat().st_size
                except FileNotFoundError:
                    continue
    return total


class Phase:
    """What was seen in one phase."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.begun = self.ended = time.time()
        self.written = (0, 0)
        self.ages: dict[str, list[float]] = {}
        self.uses: dict[str, list[Use]] = {}
        self.sizes: dict[str, list[int]] = {}
        self.loads: list[float] = []


class Run:
    """One run: the processes, and what is seen of them."""

    def __init__(self, folder: Path, pids: dict[str, int]) -> None:
        self.folder, self.store, self.pids = folder, folder / "store", pids
        self.spooled = Spooled(self.store / "spool")
        self.arriving = {name: Arriving(folder / name, self.spooled) for name in ("archive", "near", "late")}
        self._next_sample = self._next_size = 0.0

    def written(self) -> int:
        """Say how many records the node has written."""
        path = self.folder / "written"
        return int(path.read_text()) if path.exists() else 0

    def phase(self, name: str, holds: Callable[[float], bool]) -> Phase:
        """Look on until something holds of the seconds that passed."""
        phase = Phase(name)
        before = self.written()
        while not holds(time.time() - phase.begun):
            self.look(phase)
            time.sleep(_LOOK_SECS)
        self._sizes(phase)
        self._uses(phase)
        phase.ended = time.time()
        phase.written = (before, self.written())
        return phase

    def look(self, phase: Phase) -> None:
        """Look once at everything."""
        phase.ages.setdefault("file to disk", []).extend(self.spooled.look())
        for name, one in self.arriving.items():
            phase.ages.setdefault(f"disk to {name}", []).extend(one.look())
        now = time.monotonic()
        if now >= self._next_sample:
            self._next_sample = now + _SAMPLE_SECS
            self._uses(phase)
            self._throw_away()
        if now >= self._next_size:
            self._next_size = now + _SIZE_SECS
            self._sizes(phase)

    def _uses(self, phase: Phase) -> None:
        for name, pid in self.pids.items():
            phase.uses.setdefault(name, []).append(use_of(pid))
        phase.loads.append(os.getloadavg()[0])

    def _sizes(self, phase: Phase) -> None:
        exports = self.folder / "store.exports"
        letters = sum(path.stat().st_size for path in exports.glob("*/rejected.jsonl"))
        spool = size_of(self.store / "spool")
        for name, size in {
            "store without spool": size_of(self.store) - spool,
            "spool": spool,
            "positions": size_of(exports) - letters,
            "dead letters": letters,
        }.items():
            phase.sizes.setdefault(name, []).append(size)

    def _throw_away(self) -> None:
        """Remove what was rotated away and is on the disk: a younger record is."""
        for path in self.folder.glob("syslog.*"):
            if path.stat().st_mtime < self.spooled.newest_written - 10:
                path.unlink()


def say(phase: Phase) -> None:
    """Print what was seen in a phase."""
    secs, written = phase.ended - phase.begun, phase.written[1] - phase.written[0]
    load = statistics.median(phase.loads)
    print(f"\n{phase.name}: {secs:,.0f} s, {written:,} records in, {written / secs:,.0f} a second; load {load:.1f} (median)")
    for name, ages in phase.ages.items():
        if len(ages) > 1:
            cuts = statistics.quantiles(ages, n=100)
            print(f"  {name}: median {cuts[49]:.2f} s, 99th of a hundred {cuts[98]:.2f} s, longest {max(ages):.2f} s")
        else:
            print(f"  {name}: nothing came")
    for name, uses in phase.uses.items():
        cpu, waited = ((uses[-1][at] - uses[0][at]) / secs for at in (0, 1))
        mib = [one.mib for one in uses]
        print(f"  {name}: {cpu:.1%} of a processor, for which it waited {waited:.1%} of the time; ", end="")
        print(f"{statistics.median(mib):.0f} MiB resident, {max(mib):.0f} at most")
    for name, sizes in phase.sizes.items():
        grown = f", {(sizes[-1] - sizes[0]) / written:.0f} for each record" if name.startswith("store") and written else ""
        print(f"  {name}: {sizes[0]:,} to {sizes[-1]:,} bytes, {max(sizes):,} at most{grown}")
    sys.stdout.flush()


@contextmanager
def started(command: Sequence[str | Path], folder: Path, name: str, config: Path | None = None) -> Iterator[int]:
    """Run a program until the block ends, and let it end by itself; what it says is kept."""
    environment = {**os.environ} if config is None else {**os.environ, "KATA_AUDIT_CONFIG": str(config)}
    with (folder / f"{name}.said").open("ab") as said:
        process = subprocess.Popen([str(one) for one in command], cwd=folder, env=environment, stdout=said, stderr=said)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(120)


def fluent_bit(folder: Path, name: str, port: int) -> Sequence[str | Path]:
    """Configure one that writes what it takes to a file."""
    path = folder / f"{name}.conf"
    path.write_text(_SINK.format(folder=folder, name=name, port=port))
    return [FLUENT_BIT, path]


@contextmanager
def silent(port: int) -> Iterator[list[socket.socket]]:
    """Accept connections and never answer, until the block ends; give them."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", port)) as server:

        def accept() -> None:
            try:
                while True:
                    taken.append(server.accept()[0])
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        yield taken
        server.shutdown(socket.SHUT_RDWR)
    for one in taken:
        one.close()


def lasts(secs: float) -> Callable[[float], bool]:
    """Hold when so many seconds have passed."""
    return lambda passed: passed >= secs


def go_through(run: Run, late: Callable[[], AbstractContextManager[int]], port: int, asked: argparse.Namespace) -> None:
    """Have all up, then one down, then all up until that one has caught up, and some seconds more."""
    with late():
        run.phase("settling", lasts(asked.settle_secs))
        say(run.phase("all are up", lasts(asked.control_secs)))
    begun, third = run.spooled.newest, asked.outage_secs / 3
    say(run.phase("one is down: it refuses connections", lasts(third)))
    with silent(port) as taken:
        say(run.phase("one is down: it accepts connections and never answers", lasts(third)))
        print(f"  {len(taken)} connections were made to it")
    say(run.phase("one is down: it refuses connections again", lasts(third)))
    waiting, came = run.spooled.newest - begun, run.arriving["late"].newest
    with late():
        one, near = run.arriving["late"], run.arriving["near"]

        def caught_up(passed: float) -> bool:
            return bool(one.newest >= near.newest - asked.rate * _CUT_SECS or passed > asked.most_secs)

        phase = run.phase("it is up again, and catches up", caught_up)
        say(phase)
        secs = phase.ended - phase.begun
        print(
            f"  {waiting:,} records waited; caught up in {secs:,.0f} s, {(one.newest - came) / secs:,.0f} records a second"
        )
        say(run.phase("it has caught up", lasts(asked.after_secs)))
        finish(run)


def finish(run: Run) -> None:
    """Stop the node, and the collector when it has read all; wait until all is exported."""
    end = Phase("the end")

    def until(holds: Callable[[], bool]) -> None:
        while not holds():
            run.look(end)
            time.sleep(_LOOK_SECS)

    os.kill(run.pids.pop("node"), signal.SIGTERM)
    was, since = -1, time.monotonic()

    def is_still() -> bool:
        nonlocal was, since
        if run.spooled.newest != was:
            was, since = run.spooled.newest, time.monotonic()
        return time.monotonic() > since + 10

    until(is_still)
    pid = run.pids.pop("collect")
    os.kill(pid, signal.SIGTERM)
    until(lambda: not is_running(pid))
    with reading(run.store) as reader:
        sealed_to = reader.status().sealed_to
    until(lambda: min(position(run, name)["seen_to"] for name in run.arriving) == sealed_to)
    latest = time.monotonic() + 30
    until(lambda: all(0 not in one.counts[:sealed_to] for one in run.arriving.values()) or time.monotonic() > latest)
    for one in run.arriving.values():
        one.close()


def is_running(pid: int) -> bool:
    """Say whether a child has not ended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def position(run: Run, name: str) -> dict[str, Any]:
    """Read how far an export has come."""
    saved = (run.folder / "store.exports" / name / "position").read_bytes()
    return dict(json.loads(saved.partition(b" ")[2]))


def prove(run: Run) -> bool:
    """Say whether each record is everywhere, and the store verifies."""
    with reading(run.store) as reader:
        status = reader.status()
    ours = pc.starts_with(pc.field("receiver"), "kata-audit:")
    taken = ds.dataset(run.store / "segments", format="parquet").count_rows(filter=~ours)
    print(f"\n{run.written():,} records written, {taken:,} of them sealed; {status.sealed_to:,} records with ours")
    print(f"{status.segments:,} segments, {status.entries:,} entries of the log")
    is_whole = taken == run.written() and status.records == status.sealed_to
    for name, one in run.arriving.items():
        counts, saved = one.counts[: status.sealed_to], position(run, name)
        missing, again = counts.count(0), sum(counts) - len(counts)
        is_whole = is_whole and not missing and not any(one.counts[status.sealed_to :]) and not saved["rejected"]
        print(f"{name}: {missing} records missing, {again:,} came again under their names; {saved['rejected']} refused")
    for more in ([], ["--deep"]):
        begun = time.monotonic()
        verified = subprocess.run([*COMMAND, "verify", *more, "--store", str(run.store)], check=False)
        print(f"verify {' '.join(more)}: exit {verified.returncode}, {time.monotonic() - begun:,.0f} s", flush=True)
        is_whole = is_whole and verified.returncode == 0
    return is_whole


def measure(folder: Path, asked: argparse.Namespace) -> bool:
    """Run it all in a folder; say whether each record is everywhere."""
    near, late = closed_port(), closed_port()
    config, store = folder / "config.toml", ["--store", str(folder / "store"), "--metrics-file"]
    config.write_text(_CONFIG.format(folder=folder, near=near, late=late, spool=asked.spool_bytes))
    (folder / "syslog").touch()
    node = [sys.executable, __file__, "--feed", str(folder / "syslog"), "--rate", str(asked.rate)]
    with ExitStack() as stack:

        def start(name: str, command: Sequence[str | Path], config: Path | None = None) -> int:
            return stack.enter_context(started(command, folder, name, config))

        start("near", fluent_bit(folder, "near", near))
        pids = {"collect": start("collect", [*COMMAND, "collect", *store, str(folder / "collect.prom")], config)}
        while not (folder / "store" / "log" / "checkpoint").exists():
            time.sleep(0.2)
        pids["export"] = start("export", [*COMMAND, "export", *store, str(folder / "export.prom")], config)
        pids["node"] = start("node", node)
        run = Run(folder, pids)
        command = fluent_bit(folder, "late", late)
        go_through(run, lambda: started(command, folder, "late"), late, asked)
    for name in ("collect", "export"):
        print(f"\n{name} said:\n{(folder / f'{name}.said').read_text()[-2000:]}")
    return prove(run)


def main() -> None:
    """Measure and print; exit with 1 where a record is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=2_000, help="records a second")
    parser.add_argument("--outage-secs", type=float, default=3_600)
    parser.add_argument("--control-secs", type=float, default=180, help="how long all are up before it")
    parser.add_argument("--settle-secs", type=float, default=30, help="how long nothing is measured at first")
    parser.add_argument("--after-secs", type=float, default=60, help="how long it goes on when all has caught up")
    parser.add_argument("--most-secs", type=float, default=3_600, help="how long catching up may take")
    parser.add_argument("--spool-bytes", type=int, default=256 << 20, help="`spool_max_bytes` of the collector")
    parser.add_argument("--folder", type=Path, help="where the run's files are; a temporary folder by default")
    parser.add_argument("--feed", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.feed is not None:
        feed(asked.feed, asked.rate)
        return
    if not FLUENT_BIT.is_file():
        print("Fluent Bit is not here; `make servers-all` installs it. Nothing was measured.")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what it started is ended, too
    with tempfile.TemporaryDirectory(prefix="kata-audit-outage-", dir=asked.folder) as name:
        is_whole = measure(Path(name), asked)
    sys.exit(0 if is_whole else 1)


if __name__ == "__main__":
    main()
