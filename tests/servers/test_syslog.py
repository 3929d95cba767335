"""Records come to real rsyslog and syslog-ng over TLS, all of them, and as they were sent."""

import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Network
from pathlib import Path
from typing import Any

import pytest
from tests.fault.exporting import RECORDS, Made, export_all
from tests.loopback import LOOPBACK, certificate
from tests.servers.syslog_servers import MISSING, Server, can_run, server
from tests.unit.exporters.test_syslog import NOW, record

from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.post import UNTRUSTED
from kata_audit.exporters.records import Receipt
from kata_audit.exporters.syslog import Syslog, spell
from kata_audit.schema.exported import Exported
from kata_audit.schema.fieldset import FieldSetName
from kata_audit.wire.syslog import FACILITIES, decode_message, header_of

pytestmark = pytest.mark.skipif(not can_run(), reason=MISSING)
KINDS = ["rsyslog-gtls", "rsyslog-ossl", "syslog-ng"]
HOSTILE = 'a "quoted]" \\ text\nand <13>1 a forged line\x1b[2J\u202e %d äöü'


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """What the server's certificate is checked against."""
    return certificate(tmp_path, "localhost")[0]


def settings(one: Server, public: Path, **values: Any) -> Export:
    networks = (LOOPBACK, IPv6Network("::1"))
    return Export("siem", ExportKind.SYSLOG, f"tls://localhost:{one.port}", ca_file=public, allow=networks, **values)


def sent(one: Server, public: Path, records: list[Exported], **values: Any) -> Receipt:
    exporter = Syslog(settings(one, public, **values))
    try:
        return exporter.export(records)
    finally:
        exporter.close()


@pytest.mark.parametrize("kind", KINDS)
def test_records_are_there_as_they_were_sent(kind: str, tmp_path: Path, public: Path) -> None:
    """Header, structured data and text, of hostile records too: a message each, on a line each."""
    records = [
        record(1, event_name="exec.start", pid=4711, actor="system:admin", k8s_pod="web", observed_timestamp=NOW),
        record(2, body=HOSTILE, object=HOSTILE, k8s_pod=HOSTILE, severity_number=21),
        record(3, body="x" * 9000),
        record(4, body="ends in spaces  "),
        record(5, body=None, event_name=None, component=None, node="w2"),
    ]
    with server(kind, tmp_path).running() as one:
        assert sent(one, public, records, into="local0") == Receipt(5)
        read = one.wait_for(5)

    for message, was in zip(read, records, strict=True):
        spelled = decode_message(spell(was, FACILITIES.index("local0"), is_raw=False))
        assert message._replace(raw=b"", stated=None) == spelled._replace(raw=b"", stated=None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_that_is_not_trusted_is_sent_nothing(kind: str, tmp_path: Path, public: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with server(kind, tmp_path).running() as one:
        receipt = sent(one, certificate(other, "localhost")[0], [record(1)])
        assert receipt == Receipt(0, problem=UNTRUSTED)
        assert sent(one, public, [record(2)]) == Receipt(1)
        assert [dict(message.structured[0][1])["name"] for message in one.wait_for(1)] == [record(2).name]


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_asks_for_a_certificate_takes_nothing_without(kind: str, tmp_path: Path, public: Path) -> None:
    """And nothing counts as taken that it did not take."""
    other = tmp_path / "other"
    other.mkdir()
    certificate(other, "someone")
    with server(kind, tmp_path, asks=True).running() as one:
        for secret in (None, other / "server.pem"):
            for records in ([record(1)], [record(seq) for seq in range(2000)]):
                receipt = sent(one, public, records, secret_file=secret)
                assert receipt.taken == 0
                assert str(receipt.problem).startswith(("it wants a certificate of ours", "the connection broke off"))
        assert sent(one, public, [record(2)], secret_file=tmp_path / "server.pem") == Receipt(1)
        assert [dict(message.structured[0][1])["name"] for message in one.wait_for(1)] == [record(2).name]


SEARCHES = {
    "what happened in a pod": ['k8s_pod="web-3"'],
    "what happened in a sandbox": ['sandbox_id="5b7e'],
    "who ran something": ["exec.start", 'actor="system:admin"'],
    "what was denied": ['outcome="denied"'],
    "gaps and losses": [" loss."],
    "errors": ["<107>1"],
    "what only a guest says": ['origin="guest"'],
    "one record": ['name="kata-audit/lab/1/4"'],
    "security findings": ['class="security"'],
    "one node": [" w2 "],
}
"""What a user looks for in the file that a server writes, by `grep -F`; all words of a search count at once."""


@pytest.mark.parametrize("kind", ["rsyslog-gtls", "syslog-ng"])
def test_what_a_user_looks_for_is_found(kind: str, tmp_path: Path, public: Path) -> None:
    """Each search of the page finds its record, and only that."""
    records = [
        record(0, k8s_pod="web-3"),
        record(1, sandbox_id="5b7e" * 16),
        record(2, event_name="exec.start", actor="system:admin"),
        record(3, outcome="denied"),
        record(4, origin="host"),
        record(5, event_name="loss.rate-limit"),
        record(6, severity_number=17),
        record(7, origin="guest"),
        record(8, **{"class": "security"}),
        record(9, node="lab/w2"),
        record(10, event_name="exec.start", actor="unknown"),
    ]
    found = dict(zip(SEARCHES, [0, 1, 2, 3, 5, 6, 7, 4, 8, 9], strict=True))
    with server(kind, tmp_path).running() as one:
        assert sent(one, public, records) == Receipt(len(records))
        one.wait_for(len(records))
    for search, words in SEARCHES.items():
        lines = (tmp_path / "out.log").read_bytes()
        for word in words:
            lines = subprocess.run(["grep", "-F", word], input=lines, capture_output=True, check=False).stdout
        names = [header_of(decode_message(line))["kata@32473.name"] for line in lines.splitlines()]
        assert names == [records[found[search]].name], search


@contextmanager
def restarts(one: Server, chance: random.Random, secs: tuple[float, float]) -> Iterator[list[float]]:
    """Run a server that is stopped and started again until the block ends; give when."""
    ended, times = threading.Event(), list[float]()
    process = one.start()

    def restart() -> None:
        nonlocal process
        while not ended.wait(chance.uniform(*secs)):
            one.stop(process)
            times.append(time.monotonic())
            process = one.start()

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        yield times
    finally:
        ended.set()
        thread.join()
        one.stop(process)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_restarted_misses_nothing(kind: str, tmp_path: Path, public: Path) -> None:
    """Before, in the middle of, and behind a request; what it may have read in part is sent again, under the same name."""
    one, records = server(kind, tmp_path), [record(seq, body="x" * 3000) for seq in range(3000)]
    with one.running():
        assert sent(one, public, records[:10]) == Receipt(10)
    assert sent(one, public, records[10:]) == Receipt(0, problem="it cannot be connected to")
    process = one.start()
    stopping = threading.Thread(target=one.stop, args=(process,))
    stopping.start()
    receipt = sent(one, public, records[10:])
    stopping.join()
    with one.running():
        assert sent(one, public, records[10 + receipt.taken :]).problem is None

    assert list(dict.fromkeys(one.names())) == [each.name for each in records]


@pytest.mark.torture
@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_thousand_come_whatever_fails(kind: str, tmp_path: Path, public: Path) -> None:
    """The server is restarted all the time, and we forget the last request now and then; the order of first arrival is kept."""
    one, chance, made = server(kind, tmp_path), random.Random(7), Made(NOW, RECORDS, FieldSetName.OTEL)

    def make() -> Syslog:
        time.sleep(0.2)
        return Syslog(settings(one, public))

    with restarts(one, chance, (0.5, 3)) as times:
        said = export_all(settings(one, public), make, made, tmp_path, chance)

    numbers = [int(name.rpartition("/")[2]) for name in one.names()]
    print(kind, len(numbers) - RECORDS, "twice;", len(times), "restarts;", len(said), "problems")
    assert list(dict.fromkeys(numbers)) == list(range(RECORDS))
    assert times
