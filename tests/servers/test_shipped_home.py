"""Packs with their own outputs, against our receivers: what a shipper sends home is read as if it had been collected here."""

import gzip
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.evidence import DATA
from tests.receiving import Receiving, receiving, sealed
from tests.servers.shippers import FLUENT_BIT, OTELCOL, Place, prepare_fluent_bit, prepare_otelcol
from tests.shipped import our_reading

from kata_audit.receivers.forward import serve_forward
from kata_audit.receivers.http import serve_http
from kata_audit.receivers.otlp_records import decode_otlp
from kata_audit.receivers.receive_settings import Receive, ReceiveKind
from kata_audit.schema.source import Transport

CAPTURE = DATA / "captures" / "go-debug.journal.json.gz"
FORWARD = Receive(
    "home",
    ReceiveKind.FORWARD,
    "127.0.0.1:0",
    text_field="log",
    transport_field="kata_transport",
    path_field="kata_path",
)
OTLP = Receive(
    "home",
    ReceiveKind.OTLP,
    "127.0.0.1:0",
    text_field="body",
    transport_field="attributes.kata_transport",
    path_field="attributes.kata_path",
    cursor_field="attributes.kata_cursor",
)


@contextmanager
def running(command: Sequence[str | Path], folder: Path) -> Iterator[None]:
    """Run a shipper until the block ends."""
    with (folder / "stderr").open("wb") as err:
        process = subprocess.Popen([str(part) for part in command], cwd=folder, stdout=err, stderr=err)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def wait_for(here: Receiving, count: int, folder: Path) -> None:
    end = time.monotonic() + 90
    while here.collector.counts.records < count:
        assert time.monotonic() < end, (folder / "stderr").read_text()
        time.sleep(0.1)


def bodies(root: Path) -> list[str]:
    return sorted(row["body"] or "" for row in sealed(root))


@pytest.mark.servers_all(FLUENT_BIT.is_file())
def test_what_fluent_bit_sends_home(tmp_path: Path) -> None:
    """Entries of the journal, by Forward with acknowledgements."""
    data = gzip.decompress(CAPTURE.read_bytes())
    folder = tmp_path / "bits"
    folder.mkdir()
    with receiving(tmp_path / "store", FORWARD, serve_forward(lambda: None)) as here:
        prepare_fluent_bit(folder, Place.JOURNAL, data.splitlines(), here.port)
        with running([FLUENT_BIT, "fluent-bit.conf"], folder):
            wait_for(here, 450, folder)

    rows = sealed(tmp_path / "store")
    assert bodies(tmp_path / "store") == sorted(
        one["kata_message"] or "" for one in our_reading(data, Transport.JOURNAL_JSON)
    )
    assert {row["receiver"].partition(":")[2] for row in rows} == {"journal-json"}


@pytest.mark.servers_all(OTELCOL.is_file())
def test_what_the_collector_sends_home(tmp_path: Path) -> None:
    """The same entries, by OTLP over HTTP."""
    data = gzip.decompress(CAPTURE.read_bytes())
    folder = tmp_path / "otel"
    folder.mkdir()
    with receiving(tmp_path / "store", OTLP, serve_http(decode_otlp, lambda: None)) as here:
        prepare_otelcol(folder, Place.JOURNAL, data.splitlines(), here.port)
        with running([OTELCOL, "--config", "kata.yaml", "--config", "test.yaml"], folder):
            wait_for(here, 450, folder)

    assert bodies(tmp_path / "store") == sorted(
        one["kata_message"] or "" for one in our_reading(data, Transport.JOURNAL_JSON)
    )
