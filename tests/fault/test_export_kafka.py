"""A hundred thousand records come to Kafka, all of them, though the broker is killed, and we are."""

import random
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from tests.fault.exporting import RECORDS, Made, export_all
from tests.servers.kafka_server import LOOPBACKS, can_run, kafka

from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.kafka import DEFAULT_TOPIC, NAME_HEADER, Kafka
from kata_audit.schema.fieldset import FieldSetName

pytestmark = [pytest.mark.torture, pytest.mark.servers_all(can_run())]
KILLS = 8


def test_all_come_to_a_broker_that_is_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is killed with signal 9 and started again; our own restarts forget the last request. First seen is in order."""
    chance = random.Random(5)
    made = Made(time.time_ns(), RECORDS, FieldSetName.OTEL)
    with kafka(tmp_path / "broker") as broker:
        broker.running.create(DEFAULT_TOPIC, 3)
        one = Export(
            "bus", ExportKind.KAFKA, f"tcp://{broker.running.at()}", plaintext=True, allow=LOOPBACKS, max_records=700
        )
        kills = [0]
        ended = threading.Event()

        def killing() -> None:
            while kills[0] < KILLS and not ended.wait(chance.uniform(0.2, 2.0)):
                broker.kill()
                broker.start()
                kills[0] += 1

        killer = threading.Thread(target=killing)
        killer.start()
        said = export_all(one, lambda: Kafka(one, limit_secs=3.0), made, tmp_path, random.Random(6))
        ended.set()
        killer.join()
        found = broker.running.messages(DEFAULT_TOPIC)

    names = [dict(message.headers() or ())[NAME_HEADER] for message in found]
    seqs = [int(name.rpartition(b"/")[2]) for name in names if isinstance(name, bytes)]
    times = Counter(seqs)
    with capsys.disabled():
        print(
            f"\n{len(times):,} records, {len(seqs) - len(times):,} messages sent again, {kills[0]} kills, {len(said)} said"
        )
    assert sorted(times) == list(range(RECORDS))
    assert len(seqs) > RECORDS
    assert kills[0]
    assert said
    values = defaultdict(set)
    for seq, message in zip(seqs, found, strict=True):
        values[seq].add((message.key(), message.value()))
    assert all(len(same) == 1 for same in values.values())
    assert list(dict.fromkeys(seqs)) == sorted(times)
