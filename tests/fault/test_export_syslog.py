"""A hundred thousand records come to a syslog server, in their order, whatever breaks on the way."""

import random
import time
from pathlib import Path

import pytest
from tests.fault.exporting import RECORDS, Made, export_all
from tests.loopback import LOOPBACK, certificate
from tests.syslog_double import Fault, SyslogDouble

from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.syslog import Syslog
from kata_audit.schema.fieldset import FieldSetName

pytestmark = pytest.mark.torture


@pytest.mark.parametrize("is_tls", [True, False])
def test_all_come_to_one_that_fails_in_every_way(tmp_path: Path, *, is_tls: bool) -> None:
    """Connections that break anywhere, servers that stop reading, restarts of ours that forget the last request."""
    chance, made = random.Random(5), Made(time.time_ns(), RECORDS, FieldSetName.OTEL)
    public, context = certificate(tmp_path, "localhost")
    double = SyslogDouble(context if is_tls else None, says_end=is_tls)
    double.fault = lambda _: chance.choice(
        [None, None, None, *(Fault(chance.randrange(400_000), does) for does in ("reset", "close", "sleep"))]
    )
    with double.running() as port:
        scheme = "tls" if is_tls else "tcp"
        url = f"{scheme}://localhost:{port}"
        one = Export("siem", ExportKind.SYSLOG, url, ca_file=public, allow=(LOOPBACK,), plaintext=True)
        said = export_all(one, lambda: Syslog(one, limit_secs=0.5, patience_secs=0), made, tmp_path, chance)

    numbers = [int(name.rpartition("/")[2]) for name in double.names()]
    print(len(numbers) - RECORDS, "twice;", len(said), "problems;", double.connections, "connections")
    assert list(dict.fromkeys(numbers)) == list(range(RECORDS))
    assert said
