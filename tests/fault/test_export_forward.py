"""A hundred thousand records come to Forward servers, all of them, whatever fails on the way."""

import random
import re
import socket
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import pytest
from tests.fault.exporting import RECORDS, Made, export_all, killed_now_and_then
from tests.forward_double import ForwardDouble, Last
from tests.loopback import LOOPBACK
from tests.servers.fluent_bit import Sink, fluent_bit_sink
from tests.servers.shippers import FLUENT_BIT

from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.forward import Forward
from kata_audit.schema.fieldset import FieldSetName
from kata_audit.wire.forward import Message, encode_ack, encode_message

pytestmark = pytest.mark.torture
LIMIT_SECS = 3.0
Take = Callable[[Message], bytes | None]


def to(port: int) -> Export:
    return Export("fluentd", ExportKind.FORWARD, f"tcp://127.0.0.1:{port}", allow=(LOOPBACK,), plaintext=True)


def check(came: Counter[str]) -> None:
    assert sorted(int(name.rpartition("/")[2]) for name in came) == list(range(RECORDS))
    again = sum(came.values()) - RECORDS
    assert again > 0
    print(f"{RECORDS} records came, {again} of them again under the same name")


def failing(take: Take, chance: random.Random) -> Take:
    """Answer as a server that often fails: before it took the message, or behind; in half, late, or something else."""

    def answer(message: Message) -> bytes | None:
        fault = chance.choice(["", "", "", "", "reset", "reset after", "half after", "slow after", "other after"])
        if fault == "reset":
            return None
        ack = take(message)
        if fault == "slow after":
            time.sleep(LIMIT_SECS + 1)
        if ack is None or fault == "reset after":
            return None
        return Last(ack[:-3]) if fault == "half after" else encode_ack("other") if fault == "other after" else ack

    return answer


def test_all_come_to_one_that_fails_in_every_way(tmp_path: Path) -> None:
    """It breaks off before and after it took them, and acknowledges in half, late, something else, or not; we restart."""
    chance, came, made = random.Random(11), Counter[str](), Made(time.time_ns(), RECORDS, FieldSetName.OTEL)
    double = ForwardDouble()

    def take(message: Message) -> bytes:
        double.messages.clear()
        came.update(str(one.record["log.record.uid"]) for one in message.entries)
        return encode_ack(message.chunk or "")

    double.answer = failing(take, chance)
    with double.running() as port:
        one = to(port)
        assert export_all(one, lambda: Forward(one, limit_secs=LIMIT_SECS), made, tmp_path, chance)

    check(came)


@pytest.mark.servers_all(FLUENT_BIT.is_file())
@pytest.mark.timeout(3600)
def test_all_come_to_a_real_fluent_bit_that_is_killed(tmp_path: Path) -> None:
    """The same faults in front of one that files what it takes, and it is killed between a message and its acknowledgement."""
    chance, made, double, turn = random.Random(12), Made(time.time_ns(), RECORDS, FieldSetName.OTEL), ForwardDouble(), Lock()
    with killed_now_and_then(lambda: fluent_bit_sink(tmp_path, is_filed=True), chance, 8) as (server, perhaps):

        def take(message: Message) -> bytes | None:
            double.messages.clear()
            with turn, socket.create_connection(("127.0.0.1", server().port), timeout=60) as there:
                there.sendall(encode_message(message.tag, message.entries, message.chunk or "", is_zipped=False))
                perhaps()
                return there.recv(4096) or None

        double.answer = failing(take, chance)
        with double.running() as port:
            one = to(port)
            assert export_all(one, lambda: Forward(one, limit_secs=LIMIT_SECS), made, tmp_path, chance)
        came = all_that_came(server())

    check(came)


def all_that_came(server: Sink) -> Counter[str]:
    """Wait until it writes no more, and give how often each record stands there.

    What a kill tore in its files is none: a line that was cut off, or an event of zeros that was not acknowledged.
    """
    before, now = -1, server.count()
    while before != now:
        time.sleep(5)
        before, now = now, server.count()
    return Counter(name.decode() for name in re.findall(rb'"log.record.uid":"(kata-audit/lab/made/\d+)"', server.read()))
