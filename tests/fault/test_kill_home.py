"""A node's collector, its export, the broker and the central collector are killed anywhere: all is there, as it was."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.sent_evidence import differences, rows
from tests.servers.kafka_server import Broker, can_run, kafka

from kata_audit.exporters.kafka import NAME_HEADER
from kata_audit.parse.waves import NAME_THERE

pytestmark = pytest.mark.servers_all(can_run())
TOPIC = "evidence"
NODE = """
node = "lab/w1"

[[file]]
path = "{folder}/node.log"
transport = "host-file"

[[export]]
name = "central"
kind = "kafka"
url = "tcp://{brokers}"
into = "evidence"
plaintext = true
allow = ["127.0.0.0/8", "::1/128"]
evidence = true
"""
CENTRAL = """
node = "lab/central"

[[kafka]]
name = "nodes"
url = "tcp://{brokers}"
topic = "evidence"
plaintext = true
allow = ["127.0.0.0/8", "::1/128"]
evidence_of = ["lab/w*"]
"""
SECS = 600.0


class Size(NamedTuple):
    """How much is tried: lines, and kills of anybody."""

    lines: int
    kills: int


class Process:
    """One command, started again whenever it is killed."""

    def __init__(self, folder: Path, name: str, *arguments: str) -> None:
        self.name, self.kills = name, 0
        self.log = folder / f"{name}.log"
        self._environment = {**os.environ, "KATA_AUDIT_CONFIG": str(folder / f"{arguments[-1]}.toml")}
        self._command = [
            sys.executable,
            "-m",
            "kata_audit.cli.main",
            *arguments[:-1],
            "--store",
            str(folder / arguments[-1]),
        ]
        self._start()

    def _start(self) -> None:
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> None:
        self.running.send_signal(signal.SIGKILL)
        self.running.wait()
        self.kills += 1
        self._start()

    def end(self) -> None:
        self.running.send_signal(signal.SIGTERM)
        assert self.running.wait(120) == 0, self.log.read_text()[-4000:]


def writing(path: Path, size: Size, over: threading.Event) -> None:
    """Write a node's log, slowly enough that kills fall into it; bytes that are no text and secrets among it."""
    with path.open("ab", buffering=0) as file:
        for first in range(0, size.lines, 500):
            numbers = range(first, min(first + 500, size.lines))
            file.write(b"".join(b"line %d \xff password=hunter%d %s\n" % (one, one, b"x" * (one % 90)) for one in numbers))
            over.wait(2 * size.kills * 500 / size.lines)


def wait_for(processes: list[Process], broker: Broker) -> None:
    """Wait until what is in the topic is durable at the centre, and no more comes."""
    until, still = time.monotonic() + SECS, 0
    while still < 3:
        time.sleep(1)
        still = still + 1 if broker.running.is_taken(TOPIC) else 0
        for one in processes:
            assert one.running.poll() is None, one.log.read_text()[-4000:]
        assert time.monotonic() < until, [one.log.read_text()[-2000:] for one in processes]


@pytest.mark.parametrize(
    "size", [Size(3_000, 6), pytest.param(Size(100_000, 40), marks=[pytest.mark.torture, pytest.mark.timeout(3600)])]
)
def test_all_is_there_and_twice_only_under_equal_names(
    tmp_path: Path, size: Size, capsys: pytest.CaptureFixture[str]
) -> None:
    chance, over, killed = random.Random(size.kills), threading.Event(), Counter[str]()
    with kafka(tmp_path / "broker") as broker:
        broker.running.create(TOPIC, 3)
        for name, text in (("node", NODE), ("central", CENTRAL)):
            (tmp_path / f"{name}.toml").write_text(text.format(folder=tmp_path, brokers=broker.running.at()))
        (tmp_path / "node.log").touch()
        collect = Process(tmp_path, "collect", "collect", "node")
        time.sleep(2)
        export = Process(tmp_path, "export", "export", "node")
        central = Process(tmp_path, "take", "collect", "central")
        writer = threading.Thread(target=writing, args=(tmp_path / "node.log", size, over))
        writer.start()
        victims = [(collect, export, central, None)[number % 4] for number in range(size.kills)]
        chance.shuffle(victims)
        for victim in victims:
            time.sleep(chance.uniform(1, 3))
            killed["broker" if victim is None else victim.name] += 1
            if victim is None:
                broker.kill()
                broker.start()
            else:
                victim.kill()
        over.set()
        writer.join()
        time.sleep(8)
        collect.end()
        time.sleep(8)
        wait_for([export, central], broker)
        export.end()
        central.end()
        headers = [dict(one.headers() or ())[NAME_HEADER] for one in broker.running.messages(TOPIC)]
        messages = Counter(name.decode() if isinstance(name, bytes) else str(name) for name in headers)

    by_name: defaultdict[str, list[bytes]] = defaultdict(list)
    for row in rows(tmp_path / "central"):
        there = dict(row["attributes"] or ()).get(NAME_THERE)
        if there is not None:
            by_name[there].append(row["raw"])
    held = rows(tmp_path / "node")
    lines = {int(row["raw"].split()[1]) for row in held if row["raw"].startswith(b"line ")}
    total, sent = sum(map(len, by_name.values())), messages.total()
    with capsys.disabled():
        print(f"\n{len(held):,} records at the node, {sent:,} messages of {len(messages):,}")
        print(f"{total:,} records of {len(by_name):,} at the centre; killed: {dict(killed)}")
    assert lines == set(range(size.lines))
    assert all(len(set(raws)) == 1 for raws in by_name.values())
    assert all(len(raws) <= messages[name] for name, raws in by_name.items()), "what is in the topic once is there once"
    assert not differences(tmp_path / "node", tmp_path / "central")
    command = [sys.executable, "-m", "kata_audit.cli.main", "verify", "--deep", "--store", str(tmp_path / "central")]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr
