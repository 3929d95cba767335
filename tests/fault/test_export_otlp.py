"""A hundred thousand records come to OpenTelemetry receivers, all of them, whatever fails on the way."""

import gzip
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.fault.exporting import RECORDS, Made, export_all, faulty, killed_now_and_then, through
from tests.loopback import LOOPBACK, Http, Reply, Request
from tests.servers.otelcol_server import can_run, otelcol

from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.otlp import Otlp
from kata_audit.schema.fieldset import FieldSetName
from kata_audit.wire.otlp import decode_logs, encode_reply

pytestmark = pytest.mark.torture
LIMIT_SECS = 3.0


class Behind:
    """What is behind everything: it counts how often each record came."""

    def __init__(self) -> None:
        self.came: Counter[str] = Counter()

    def take(self, request: Request) -> Reply:
        body = gzip.decompress(request.body) if "Content-Encoding" in request.headers else request.body
        self.came.update(log.attributes["log.record.uid"] for group in decode_logs(body) for log in group.logs)
        return Reply(body=encode_reply(0))

    def check(self) -> None:
        assert sorted(int(name.rpartition("/")[2]) for name in self.came) == list(range(RECORDS))
        again = sum(self.came.values()) - RECORDS
        assert again > 0
        print(f"{RECORDS} records came, {again} of them again under the same name")


def to(server: Http) -> Export:
    return Export("otel", ExportKind.OTLP, f"http://127.0.0.1:{server.port}", allow=(LOOPBACK,), plaintext=True)


def test_all_come_to_one_that_fails_in_every_way(tmp_path: Path) -> None:
    """429, 5xx and slow or half answers before and after it took them, broken connections, restarts of ours."""
    chance, behind, made = random.Random(11), Behind(), Made(time.time_ns(), RECORDS, FieldSetName.OTEL)
    with Http().running() as server:
        server.reply = faulty(behind.take, chance, LIMIT_SECS + 1)
        one = to(server)
        assert export_all(one, lambda: Otlp(one, limit_secs=LIMIT_SECS), made, tmp_path, chance)

    behind.check()


@pytest.mark.servers_all(can_run())
@pytest.mark.timeout(3600)
def test_all_come_through_a_real_collector_that_is_killed(tmp_path: Path) -> None:
    """The same faults in front of it, and itself killed and started again between two requests."""
    chance, behind, made = random.Random(12), Behind(), Made(time.time_ns(), RECORDS, FieldSetName.OTEL)
    with Http().running() as last, Http().running() as first:
        last.reply = behind.take
        place = f"http://127.0.0.1:{last.port}"
        with (
            killed_now_and_then(lambda: otelcol(tmp_path / "otelcol", place), chance, 5) as (port, perhaps),
            through(lambda: f"http://127.0.0.1:{port()}") as reply,
        ):
            first.reply, one = faulty(reply, chance, LIMIT_SECS + 1), to(first)
            assert export_all(one, lambda: Otlp(one, limit_secs=LIMIT_SECS), made, tmp_path, chance, between=perhaps)

    behind.check()
