"""`kata-audit collect` behind a receiver, killed with signal 9 anywhere: what a sender was answered for is in the store."""

import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import msgpack
import pytest
from tests.loopback import closed_port
from tests.receiving import sealed

from kata_audit.wire.forward import encode_ack

CONFIG = """
[[receive]]
name = "nodes"
kind = "{kind}"
listen = "127.0.0.1:{port}"
transport = "host-file"
text_field = "log"
"""
_TIME = msgpack.ExtType(0, struct.pack(">II", 1_795_617_069, 0))


def post(port: int, chunk: str, texts: list[str]) -> bool:
    """Send texts by HTTP, and say whether they were answered for."""
    del chunk
    body = "".join(f'{{"log":"{text}"}}\n' for text in texts)
    try:
        return httpx.post(f"http://127.0.0.1:{port}/", content=body, timeout=60, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def forward(port: int, chunk: str, texts: list[str]) -> bool:
    """Send texts by Forward, and say whether they were acknowledged."""
    packed = b"".join(msgpack.packb([_TIME, {"log": text}]) for text in texts)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as peer:
            peer.sendall(msgpack.packb(["tag", packed, {"chunk": chunk}]))
            return peer.recv(1024) == encode_ack(chunk)
    except OSError:
        return False


class Sender(threading.Thread):
    """Sends numbered texts in batches, each until it is answered for; `answered` are those that were."""

    def __init__(self, send: Callable[[int, str, list[str]], bool], port: int, seed: int) -> None:
        super().__init__()
        self._send, self._port, self._chance = send, port, random.Random(seed)
        self.answered = 0
        self.tries = 0
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            texts = [f"record {number}" for number in range(self.answered, self.answered + self._chance.randint(1, 400))]
            while not self._send(self._port, f"c{self.tries}", texts):
                self.tries += 1
                time.sleep(0.02)
                if self.stop.is_set():
                    return
            self.answered += len(texts)

    def wait_for_more(self, process: "subprocess.Popen[bytes]") -> None:
        """Wait until a process has answered for something."""
        before, until = self.answered, time.monotonic() + 60
        while self.answered == before:
            assert process.poll() is None, process.returncode
            assert time.monotonic() < until
            time.sleep(0.01)


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=[pytest.mark.torture, pytest.mark.timeout(3600)])])
@pytest.mark.parametrize(("kind", "send"), [("http", post), ("forward", forward)])
def test_what_was_answered_for_is_there(
    tmp_path: Path, kind: str, send: Callable[[int, str, list[str]], bool], kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was not is sent again by its sender, so a batch may be there twice, and nothing is missing or out of order."""
    chance, port, root = random.Random(kills), closed_port(), tmp_path / "store"
    (tmp_path / "config.toml").write_text(CONFIG.format(kind=kind, port=port))
    environment = {**os.environ, "KATA_AUDIT_CONFIG": str(tmp_path / "config.toml")}
    command = [sys.executable, "-m", "kata_audit.cli.main"]
    sender = Sender(send, port, kills)
    sender.start()
    try:
        for _ in range(kills):
            with subprocess.Popen(
                [*command, "collect", "--store", str(root)],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as process:
                sender.wait_for_more(process)
                time.sleep(chance.uniform(0, 1.0))
                process.send_signal(signal.SIGKILL)
        with subprocess.Popen(
            [*command, "collect", "--store", str(root)], env=environment, stderr=subprocess.PIPE
        ) as process:
            sender.wait_for_more(process)
            sender.stop.set()
            sender.join()
            process.send_signal(signal.SIGTERM)
            process.communicate()
            assert process.returncode == 0
    finally:
        sender.stop.set()
        sender.join()
    verified = subprocess.run([*command, "verify", "--deep", str(root)], capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr

    found = [int(row["raw"].split()[1]) for row in sealed(root)]
    times = Counter(found)
    with capsys.disabled():
        print(
            f"\n{kind}: {sender.answered:,} answered for, {len(found):,} in the store, {kills} kills, {sender.tries} refused"
        )
    assert not set(range(sender.answered)) - times.keys()
    firsts = list(dict.fromkeys(found))
    assert firsts == sorted(firsts)
