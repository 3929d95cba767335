"""From a line in a file to an alert that is told, under a steady load: collector and delivery as two real processes.

    python tests/perf/alerting.py --rate 5000 --secs 300

A process writes records to a file that is rotated every minute; one line of each second is what a shipped rule looks for, in
a sandbox whose id says when it was written. An alert counts as told when its line stands in the file of the destination,
which is behind the moment it was queued. Part of torture.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_FEED = """
import os, sys, time
path, rate, secs = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
began, sent, turn, wrong = time.time(), 0, 0, 0
file = open(path, "ab", buffering=0)
while (now := time.time()) < began + secs:
    due = int((now - began) * rate) - sent
    lines = [
        b'time="2026-11-23T06:07:28.903288138Z" level=info msg="record %d of a sandbox with a message of some length in it"'
        b' name=containerd-shim-v2 pid=270 sandbox=b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f'
        b' source=virtcontainers subsystem=sandbox\\n' % (sent + one) for one in range(due)]
    if now - began >= wrong:
        wrong += 1
        lines.append(
            b'time="2026-11-23T06:14:21.781044356Z" level=error msg="KVM internal error. Suberror: 1"'
            b' name=containerd-shim-v2 pid=3691 qemuPid=3711 sandbox=%064x source=virtcontainers/hypervisor'
            b' subsystem=qemu\\n' % time.time_ns())
    file.write(b"".join(lines))
    sent += due
    if int(now - began) // 60 != turn:
        turn = int(now - began) // 60
        os.rename(path, f"{path}.{turn}")
        file = open(path, "ab", buffering=0)
    time.sleep(0.05)
print(sent + wrong, wrong)
"""
_CONFIG = """
store = "{folder}/store"
node = "lab/load"
[[file]]
path = "{folder}/shim.log"
transport = "host-file"
[alerts]
shadow_days = 0
storm_rule = 65536
storm_all = 65536
group_nodes = 65536
group_alerts = 65536
[[alerts.destination]]
name = "file"
kind = "file"
path = "{folder}/told.jsonl"
"""


def kata_audit(folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start a command of ours."""
    environment = {**os.environ, "KATA_AUDIT_CONFIG": str(folder / "config.toml")}
    command = [sys.executable, "-m", "kata_audit.cli.main", *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def watch(path: Path, ages: dict[int, float], at: int) -> int:
    """Read what was told since a place in the file, and note how old it is."""
    if not path.exists():
        return at
    with path.open("rb") as file:
        file.seek(at)
        for line in file:
            if line.endswith(b"\n"):
                at += len(line)
                written = int(json.loads(line)["data"]["labels"]["sandbox_id"], 16)
                ages.setdefault(written, (time.time_ns() - written) / 1e9)
    return at


def measure(folder: Path, rate: int, secs: float) -> tuple[int, int, list[float]]:
    """Run all of it; give the records and the alerts that were written, and how old each alert was when it was told."""
    (folder / "config.toml").write_text(_CONFIG.format(folder=folder))
    (folder / "shim.log").touch()
    ages: dict[int, float] = {}
    at = 0
    with kata_audit(folder, "collect") as collector:
        while not (folder / "store" / "log" / "checkpoint").exists():
            assert collector.poll() is None, "the collector ended"
            time.sleep(0.1)
        with (
            kata_audit(folder, "alerts", "deliver") as delivery,
            subprocess.Popen(
                [sys.executable, "-c", _FEED, str(folder / "shim.log"), str(rate), str(secs)], stdout=subprocess.PIPE
            ) as feed,
        ):
            until = time.monotonic() + secs + 30
            while time.monotonic() < until:
                assert collector.poll() is None, "the collector ended"
                assert delivery.poll() is None, "delivery ended"
                at = watch(folder / "told.jsonl", ages, at)
                time.sleep(0.05)
            assert feed.stdout is not None
            sent, wrong = map(int, feed.stdout.read().split())
            delivery.terminate()
        collector.terminate()
    return sent, wrong, sorted(ages.values())


def main() -> None:
    """Measure and print; exit with 1 where an alert was not told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=5_000, help="records a second")
    parser.add_argument("--secs", type=float, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kata-audit-alerting-") as folder:
        sent, wrong, ages = measure(Path(folder), options.rate, options.secs)
    print(
        f"{sent:,} records in {options.secs:g} s, {wrong} of them for an alert, {len(ages)} told; {os.cpu_count()} processors"
    )
    if len(ages) > 1:
        cuts = statistics.quantiles(ages, n=20)
        print(f"line to alert told: median {cuts[9]:.2f} s, 95th of a hundred {cuts[18]:.2f} s, longest {ages[-1]:.2f} s")
    sys.exit(0 if len(ages) == wrong else 1)


if __name__ == "__main__":
    main()
