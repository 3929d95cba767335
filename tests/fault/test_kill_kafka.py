"""`kata-audit collect` reading a topic, killed with signal 9 anywhere, and the broker too: each line is in the store once."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import Producer
from tests.receiving import said, sealed
from tests.servers.kafka_server import Broker, can_run, kafka

pytestmark = pytest.mark.servers_all(can_run())
TOPIC = "logs"
PARTITIONS = 4
CONFIG = """
node = "lab/central"

[[kafka]]
name = "bus"
url = "tcp://{brokers}"
topic = "logs"
plaintext = true
allow = ["127.0.0.0/8", "::1/128"]
text_field = "log"
path_field = "path"
node_field = "host"
"""


class Size(NamedTuple):
    """How much is tried: messages, kills of ours, kills of the broker."""

    messages: int
    kills: int
    broker_kills: int


def shipping(broker: Broker, size: Size, over: threading.Event) -> None:
    """Put lines there as a shipper does, slowly enough that kills fall into it."""
    producer = Producer(
        {
            "bootstrap.servers": broker.running.at(),
            "enable.idempotence": True,
            "message.timeout.ms": 0,
            "linger.ms": 5,
            "log_level": 0,
        }
    )
    chance = random.Random(3)
    for number in range(size.messages):
        path = f"/var/log/pods/{chance.randrange(20)}.log"
        value = {"log": f"line {number} {'x' * chance.choice([10, 200])}", "path": path, "host": f"w{number % 3}"}
        producer.produce(TOPIC, json.dumps(value), key=path)
        if number % 1000 == 999:
            producer.poll(0)
            over.wait(4 * size.kills * 1000 / size.messages)
    assert producer.flush(300) == 0


def collecting(root: Path, config: Path) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "KATA_AUDIT_CONFIG": str(config)}
    command = [sys.executable, "-m", "kata_audit.cli.main", "collect", "--store", str(root)]
    with root.with_name("log").open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "kata_audit.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "size", [Size(4_000, 3, 1), pytest.param(Size(100_000, 50, 3), marks=[pytest.mark.torture, pytest.mark.timeout(3600)])]
)
def test_every_line_is_there_once(tmp_path: Path, size: Size, capsys: pytest.CaptureFixture[str]) -> None:
    chance, root, config = random.Random(size.kills), tmp_path / "store", tmp_path / "config.toml"
    with kafka(tmp_path / "broker") as broker:
        broker.running.create(TOPIC, PARTITIONS)
        config.write_text(CONFIG.format(brokers=broker.running.at()))
        over = threading.Event()
        shipper = threading.Thread(target=shipping, args=(broker, size, over))
        shipper.start()
        broker_kills = set(chance.sample(range(size.kills), size.broker_kills))
        for kill in range(size.kills):
            with collecting(root, config) as process:
                time.sleep(chance.uniform(1.5, 5))
                if kill in broker_kills:
                    broker.kill()
                process.send_signal(signal.SIGKILL)
            if kill in broker_kills:
                broker.start()
        over.set()
        shipper.join()
        with collecting(root, config) as process:
            broker.running.put(TOPIC, b'{"log":"line %d"}' % size.messages)  # for this life, whatever the others have left
            until = time.monotonic() + 300
            while not broker.running.is_taken(TOPIC):
                assert process.poll() is None, (tmp_path / "log").read_text()[-4000:]
                assert time.monotonic() < until, (tmp_path / "log").read_text()[-4000:]
                time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, (tmp_path / "log").read_text()[-4000:]

    numbers = Counter(int(row["raw"].split()[1]) for row in sealed(root))
    begun = [row for row in said(root) if b"collect.started" in row["raw"]]
    with capsys.disabled():
        print(f"\n{len(numbers):,} lines of {size.messages + 1:,}, {numbers.total():,} rows, {len(begun)} lives")
    assert sorted(numbers) == list(range(size.messages + 1))
    assert set(numbers.values()) == {1}
    assert not [row for row in said(root) if b'"event":"collect.lost"' in row["raw"]]
    verified = run("verify", "--deep", "--store", str(root))
    assert verified.returncode == 0, verified.stdout + verified.stderr
