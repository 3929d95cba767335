"""A hundred thousand records come to Loki, all of them and once, whatever fails on the way."""

import random
import time
from pathlib import Path

import pytest
from tests.fault.exporting import RECORDS, Made, export_all, faulty, killed_now_and_then, through
from tests.loki_double import LokiDouble, ToLoki
from tests.loopback import LOOPBACK, Http
from tests.servers.loki_server import can_run, loki

from kata_audit.clock import SystemClock
from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.schema.fieldset import FieldSetName

pytestmark = pytest.mark.torture


def test_all_come_to_one_that_fails_in_every_way(tmp_path: Path) -> None:
    """429, 5xx before and after it took them, connections that break, restarts of ours that forget the last request."""
    chance, double, made = random.Random(11), LokiDouble(), Made(time.time_ns(), RECORDS, FieldSetName.OTEL)
    with Http().running() as server:
        server.reply = faulty(double.reply, chance)
        url = f"http://127.0.0.1:{server.port}"
        one = Export("loki", ExportKind.LOKI, url=url, allow=(LOOPBACK,), plaintext=True)
        said = export_all(one, lambda: ToLoki(one, SystemClock()), made, tmp_path, chance)

    assert sorted(int(name.rpartition("/")[2]) for name in double.names()) == list(range(RECORDS))
    assert double.again > 0
    assert said


@pytest.mark.servers_all(can_run())
@pytest.mark.timeout(3600)
def test_all_come_to_a_real_one_that_is_killed(tmp_path: Path) -> None:
    """The same faults in front of it, and itself killed and started again: it has all, from its own log of writes."""
    chance, now = random.Random(12), time.time_ns()
    limits = "  ingestion_rate_mb: 100\n  ingestion_burst_size_mb: 200\n  per_stream_rate_limit: 100MB\n"
    made = Made(now, RECORDS, FieldSetName.OTEL)
    with (
        Http().running() as proxy,
        killed_now_and_then(lambda: loki(tmp_path / "loki", limits=limits), chance, 3) as (server, perhaps),
        through(lambda: server().url) as reply,
    ):
        proxy.reply = faulty(reply, chance)
        one = Export("loki", ExportKind.LOKI, url=f"http://127.0.0.1:{proxy.port}", allow=(LOOPBACK,), plaintext=True)
        assert export_all(one, lambda: ToLoki(one, SystemClock()), made, tmp_path, chance, between=perhaps)
        there: list[str] = []
        for first in range(
            0, RECORDS, 1000
        ):  # a record that was sent again may be there twice, and an answer has 5,000 at most
            asked = {"start": str(now + first * 1000), "end": str(now + (first + 1000) * 1000)}
            streams = server().ask('{job="kata-audit"}', **asked)
            there += [one["stream"]["log_record_uid"] for one in streams for _ in one["values"]]

    assert sorted(int(name.rpartition("/")[2]) for name in set(there)) == list(range(RECORDS))
    print(f"{RECORDS} records are there, {len(there) - RECORDS} of them twice under the same name")
