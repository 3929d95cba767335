"""The OpenTelemetry Collector itself takes what is exported, and passes it on as it was."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from tests.evidence import DATA
from tests.exports import source
from tests.loopback import LOOPBACK, Http, Reply, Request, certificate
from tests.servers.otelcol_server import can_run, otelcol
from tests.stores import captured_store

from kata_audit.cli.parse import command
from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.otlp import Otlp
from kata_audit.exporters.post import UNTRUSTED
from kata_audit.exporters.records import Receipt
from kata_audit.schema.exported import Exported
from kata_audit.wire.otlp import Group, Log, decode_logs, groups_of

pytestmark = pytest.mark.servers_all(can_run())


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Exported]:
    root = tmp_path_factory.mktemp("otelcol") / "store"
    captured_store(root)
    with source(root).read(0) as parts:
        return [one for part in parts for one in part.records]


def to(port: int, *, scheme: str = "http", **settings: Any) -> Otlp:
    values = {"plaintext": True, "allow": (LOOPBACK,), **settings}
    return Otlp(Export("otel", ExportKind.OTLP, f"{scheme}://127.0.0.1:{port}", **values))


def sent(port: int, records: Sequence[Exported], **settings: Any) -> Receipt:
    exporter = to(port, **settings)
    try:
        return exporter.export(records)
    finally:
        exporter.close()


def logs_of(groups: Sequence[Group]) -> list[tuple[dict[str, Any], Log]]:
    return [(dict(group.resource), log) for group in groups for log in group.logs]


@pytest.mark.parametrize("is_zipped", [True, False])
def test_records_go_through_it_as_they_are(tmp_path: Path, records: list[Exported], *, is_zipped: bool) -> None:
    """Resources, times, severity, body, name and every attribute, in order, of every record of real captures."""
    with Http().running() as behind, otelcol(tmp_path / "otelcol", f"http://127.0.0.1:{behind.port}") as port:
        exporter = to(port, gzip=is_zipped)
        for first in range(0, len(records), 500):
            some = records[first : first + 500]
            assert exporter.export(some) == Receipt(len(some))
            assert logs_of(decode_logs(behind.requests[-1].body)) == logs_of(
                groups_of((one.record, one.document) for one in some)
            )
        exporter.close()

    assert len(records) > 1000


def test_what_the_filter_prints_is_read(tmp_path: Path) -> None:
    """Each line is a request to the Collector's own decoder of JSON, and comes out with all that it says."""
    printed = CliRunner().invoke(command, ["--to", "otlp-json", str(DATA / "captures" / "rs-info.journal.export.gz")])
    lines = printed.stdout.splitlines()
    with Http().running() as behind, otelcol(tmp_path / "otelcol", f"http://127.0.0.1:{behind.port}") as port:
        with httpx.Client(trust_env=False, base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            headers = {"Content-Type": "application/json"}
            answers = {client.post("/v1/logs", content=line.encode(), headers=headers).status_code for line in lines}
        came = [logs_of(decode_logs(one.body)) for one in behind.requests]

    assert answers == {200}
    assert len(came) > 100
    assert came == [logs_of(decode_logs(line.encode())) for line in lines]


@pytest.mark.parametrize(
    ("status", "says"),
    [(429, "it is busy or not ready"), (503, "it is busy or not ready"), (400, "it refuses each record alone")],
)
def test_what_fails_behind_it_takes_nothing(tmp_path: Path, records: list[Exported], status: int, says: str) -> None:
    """It says so itself, and nothing becomes a dead letter; what is mended takes all."""
    with Http().running() as behind, otelcol(tmp_path / "otelcol", f"http://127.0.0.1:{behind.port}") as port:
        behind.reply = lambda _: Reply(status)
        receipt = sent(port, records[:20])
        assert (receipt.taken, list(receipt.rejected)) == (0, [])
        assert says in (receipt.problem or "")
        behind.reply = lambda _: Reply()
        assert sent(port, records[:20]) == Receipt(20)


def test_one_record_that_is_refused_behind_it_is_found(tmp_path: Path, records: list[Exported]) -> None:
    """By its name; all others are there."""
    bad = records[7].name

    def reply(request: Request) -> Reply:
        return Reply(
            400 if bad in [log.attributes["log.record.uid"] for _, log in logs_of(decode_logs(request.body))] else 200
        )

    left, refused, there = records[:20], list[str](), set[str]()
    with Http().running() as behind, otelcol(tmp_path / "otelcol", f"http://127.0.0.1:{behind.port}") as port:
        behind.reply = reply
        while left:
            receipt = sent(port, left)
            assert receipt.problem is None
            refused += [left[one.at].name for one in receipt.rejected]
            left = left[receipt.taken :]
        for request in behind.requests:
            there |= {str(log.attributes["log.record.uid"]) for _, log in logs_of(decode_logs(request.body))}

    assert refused == [bad]
    assert there == {one.name for one in records[:20]}


def test_its_certificate_is_checked(tmp_path: Path, records: list[Exported]) -> None:
    """One that nobody vouches for gets no record."""
    certificate(tmp_path, "elsewhere.example")
    with (
        Http().running() as behind,
        otelcol(tmp_path / "otelcol", f"http://127.0.0.1:{behind.port}", tls=tmp_path / "server.pem") as port,
    ):
        receipt = sent(port, records[:5], scheme="https", plaintext=False)

    assert receipt == Receipt(0, problem=UNTRUSTED)
    assert behind.requests == []


def test_what_is_no_request_of_logs_is_not_taken_for_one(tmp_path: Path, records: list[Exported]) -> None:
    """A wrong path is told as such."""
    with Http().running() as behind, otelcol(tmp_path / "otelcol", f"http://127.0.0.1:{behind.port}") as port:
        exporter = Otlp(Export("otel", ExportKind.OTLP, f"http://127.0.0.1:{port}/logs", allow=(LOOPBACK,), plaintext=True))
        receipt = exporter.export(records[:5])
        exporter.close()

    assert "nothing takes logs there" in (receipt.problem or "")
