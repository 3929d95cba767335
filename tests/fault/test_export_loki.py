"""A hundred thousand records come to Loki, all of them and once, whatever fails on the way."""

import random
import time
from pathlib import Path

import pytest
from tests.fault.exporting import RECORDS, Made, export_all, faulty
from tests.loki_double import LokiDouble
from tests.loopback import LOOPBACK, Http

from kata_audit.clock import SystemClock
from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.loki import Loki
from kata_audit.schema.fieldset import FieldSetName

pytestmark = pytest.mark.torture


def test_all_come_to_one_that_fails_in_every_way(tmp_path: Path) -> None:
    """429, 5xx before and after it took them, connections that break, restarts of ours that forget the last request."""
    chance, double, made = random.Random(11), LokiDouble(), Made(time.time_ns(), RECORDS, FieldSetName.OTEL)
    with Http().running() as server:
        server.reply = faulty(double.reply, chance)
        url = f"http://127.0.0.1:{server.port}"
        one = Export("loki", ExportKind.LOKI, url=url, allow=(LOOPBACK,), plaintext=True)
        said = export_all(one, lambda: Loki(one, SystemClock()), made, tmp_path, chance)

    assert sorted(int(name.rpartition("/")[2]) for name in double.names()) == list(range(RECORDS))
    assert double.again > 0
    assert said
