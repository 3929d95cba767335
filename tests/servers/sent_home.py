"""Captured lines through a real shipper and back: what our receiver makes of them, beside what `ingest` does.

    PYTHONPATH=. .venv/bin/python -m tests.servers.sent_home

prints the table of `docs/how-to/take-from-other-shippers.md` anew, of those shippers that are here (`make servers-all`).
"""

import gzip
import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from tests.evidence import DATA, derive, evidence
from tests.loopback import certificate
from tests.receiving import KEY, receiving
from tests.servers.shippers import (
    FLUENT_BIT,
    OTELCOL,
    Place,
    Running,
    prepare_fluent_bit,
    prepare_otelcol,
    put,
    read_entries_from_file,
    write_rsyslog,
    write_syslog_ng,
)
from tests.servers.syslog_servers import program_file

from kata_audit.parse.mask import mask
from kata_audit.receivers.forward import serve_forward
from kata_audit.receivers.http import serve_http
from kata_audit.receivers.listen import Serve
from kata_audit.receivers.otlp_records import decode_otlp
from kata_audit.receivers.receive_settings import Receive, ReceiveKind
from kata_audit.receivers.syslog import serve_syslog
from kata_audit.schema.source import Transport

CAPTURES = {
    "go-info.journal.json.gz": (Place.JOURNAL, Transport.JOURNAL_JSON),
    "go-debug.journal.json.gz": (Place.JOURNAL, Transport.JOURNAL_JSON),
    "rs-info.journal.json.gz": (Place.JOURNAL, Transport.JOURNAL_JSON),
    "k8s-kata.containerd.log.gz": (Place.HOST, Transport.HOST_FILE),
    "k8s-kata.audit.log.gz": (Place.AUDIT, Transport.HOST_FILE),
    "k8s-kata.containerd.log.gz in a pod": (Place.POD, Transport.CRI),
}
"""What is sent, how it stands on a node, and how it is read; the same lines again as a container would print them."""
COLUMNS = ("body", "severity_number", "timestamp", "pid", "sandbox_id", "k8s_pod", "origin", "component", "event_name")
_SECONDS = 120


class Road(NamedTuple):
    """One shipper, how it is written and started, and the receiver that its pack sends to."""

    name: str
    program: Path
    prepare: Callable[[Path, Place, Sequence[bytes], int], Running]
    one: Receive
    serve: Serve


def _fluent_bit(folder: Path, place: Place, lines: Sequence[bytes], port: int) -> Running:
    prepare_fluent_bit(folder, place, lines, port)
    return Running([FLUENT_BIT, "fluent-bit.conf"], os.environ)


def _otelcol(folder: Path, place: Place, lines: Sequence[bytes], port: int) -> Running:
    prepare_otelcol(folder, place, lines, port)
    return Running([OTELCOL, "--config", "kata.yaml", "--config", "test.yaml"], os.environ)


def _syslog(name: str) -> Callable[[Path, Place, Sequence[bytes], int], Running]:
    """Have rsyslog or syslog-ng send by TLS; its receiver's certificate lies beside its folder."""
    write = {"rsyslog": write_rsyslog, "syslog-ng": write_syslog_ng}[name]

    def prepare(folder: Path, place: Place, lines: Sequence[bytes], port: int) -> Running:
        ca_file = str(folder.parent / "ca.pem")
        running = write(folder, ca_file=ca_file, syslog_host="localhost", syslog_port=str(port))
        read_entries_from_file(name, folder)
        put(folder, place, lines)
        return running

    return prepare


SYSLOG = Receive(
    "home",
    ReceiveKind.SYSLOG,
    "127.0.0.1:0",
    text_field="message",
    transport_field="kata@32473.transport",
    path_field="kata@32473.path",
)


ROADS = (
    Road(
        "fluent-bit",
        FLUENT_BIT,
        _fluent_bit,
        Receive(
            "home",
            ReceiveKind.FORWARD,
            "127.0.0.1:0",
            text_field="log",
            transport_field="kata_transport",
            path_field="kata_path",
        ),
        serve_forward(lambda: None),
    ),
    Road(
        "otelcol",
        OTELCOL,
        _otelcol,
        Receive(
            "home",
            ReceiveKind.OTLP,
            "127.0.0.1:0",
            text_field="body",
            transport_field="attributes.kata_transport",
            path_field="attributes.kata_path",
            cursor_field="attributes.kata_cursor",
        ),
        serve_http(decode_otlp, lambda: None),
    ),
    Road("rsyslog", program_file("rsyslogd"), _syslog("rsyslog"), SYSLOG, serve_syslog),
    Road("syslog-ng", program_file("syslog-ng"), _syslog("syslog-ng"), SYSLOG, serve_syslog),
)


@contextmanager
def _running(running: Running, folder: Path) -> Iterator[None]:
    with (folder / "stderr").open("wb") as err:
        command = [str(part) for part in running.command]
        process = subprocess.Popen(command, cwd=folder, env=running.environment, stdout=err, stderr=err)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def send_home(road: Road, lines: Sequence[bytes], place: Place) -> list[dict[str, Any]]:
    """Put lines where a shipper reads them, and give the sealed records that our receiver made of what it sent, by `seq`."""
    with tempfile.TemporaryDirectory() as name:
        folder, store = Path(name) / "shipper", Path(name) / "store"
        folder.mkdir()
        one = road.one
        if one.kind is ReceiveKind.SYSLOG:
            certificate(folder.parent, "localhost")
            both = folder.parent / "server.pem"
            one = replace(one, certificate_file=both, key_file=both)
        with receiving(store, one, road.serve) as here, _running(road.prepare(folder, place, lines, here.port), folder):
            until = time.monotonic() + _SECONDS
            while here.collector.counts.records < len(lines):
                assert time.monotonic() < until, (folder / "stderr").read_text()[-4000:]
                time.sleep(0.1)
            time.sleep(1)  # the collector's own records are counted too
        tables = [
            pq.read_table(path, columns=["seq", "receiver", *COLUMNS]) for path in store.rglob("segments/**/*.parquet")
        ]
    rows = [row for table in tables for row in _plain(table) if not row["receiver"].startswith("kata-audit:")]
    return sorted(rows, key=lambda row: row["seq"])


def _plain(table: Any) -> list[dict[str, Any]]:
    table = table.select(["seq", "receiver", *COLUMNS])
    at = table.schema.get_field_index("timestamp")
    return list(table.set_column(at, "timestamp", table["timestamp"].cast("int64")).to_pylist())


class Difference(NamedTuple):
    """Of one column: how many records are equal on both roads, and how many there are on each."""

    equal: int
    sent: int
    taken: int


def differences(road: Road, name: str) -> dict[str, Difference]:
    """Compare what came home of a capture with what we read ourselves, column by column, whatever the order."""
    place, transport = CAPTURES[name]
    data = gzip.decompress((DATA / "captures" / name.partition(" ")[0]).read_bytes())
    if transport is Transport.CRI:
        printed = enumerate(data.splitlines(keepends=True))
        data = b"".join(b"2026-11-25T10:00:00.%09dZ stdout F %b" % (at, line) for at, line in printed)
    theirs = send_home(road, data.splitlines(), place)
    ours = _plain(derive(mask(evidence(data, transport), KEY)[0]))
    key = ("body", "timestamp")
    found = {}
    for one in COLUMNS:
        sent, taken = (Counter((*(row[name] for name in key), row[one]) for row in rows) for rows in (ours, theirs))
        found[one] = Difference((sent & taken).total(), len(ours), len(theirs))
    return found


def main() -> None:
    """Print the table."""
    print(f"| | {' | '.join(COLUMNS)} |\n| --- |{' --- |' * len(COLUMNS)}")
    for road in (one for one in ROADS if one.program.is_file()):
        for name in CAPTURES:
            found = differences(road, name)
            cells = " | ".join(f"{one.equal}/{one.sent}" for one in found.values())
            print(f"| {road.name}, {name.removesuffix('.gz')} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
