"""A hundred thousand records come to Forward servers, all of them, whatever fails on the way."""

import random
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.fault.exporting import RECORDS, Made, export_all
from tests.forward_double import ForwardDouble, Last
from tests.loopback import LOOPBACK

from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.forward import Forward
from kata_audit.schema.fieldset import FieldSetName
from kata_audit.wire.forward import Message, encode_ack

pytestmark = pytest.mark.torture
LIMIT_SECS = 3.0


def to(port: int) -> Export:
    return Export("fluentd", ExportKind.FORWARD, f"tcp://127.0.0.1:{port}", allow=(LOOPBACK,), plaintext=True)


def check(came: Counter[str]) -> None:
    assert sorted(int(name.rpartition("/")[2]) for name in came) == list(range(RECORDS))
    again = sum(came.values()) - RECORDS
    assert again > 0
    print(f"{RECORDS} records came, {again} of them again under the same name")


def test_all_come_to_one_that_fails_in_every_way(tmp_path: Path) -> None:
    """It breaks off before and after it took them, and acknowledges in half, late, something else, or not; we restart."""
    chance, came, made = random.Random(11), Counter[str](), Made(time.time_ns(), RECORDS, FieldSetName.OTEL)
    double = ForwardDouble()

    def answer(message: Message) -> bytes | None:
        double.messages.clear()
        fault = chance.choice(["", "", "", "", "reset", "reset after", "half after", "slow after", "other after"])
        if fault == "reset":
            return None
        came.update(str(one.record["log.record.uid"]) for one in message.entries)
        if fault == "slow after":
            time.sleep(LIMIT_SECS + 1)
        ack = encode_ack("other" if fault == "other after" else message.chunk or "")
        return None if fault == "reset after" else Last(ack[:-3]) if fault == "half after" else ack

    double.answer = answer
    with double.running() as port:
        one = to(port)
        assert export_all(one, lambda: Forward(one, limit_secs=LIMIT_SECS), made, tmp_path, chance)

    check(came)
