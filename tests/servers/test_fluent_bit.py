"""Fluent Bit itself takes what is exported: by the Forward protocol, with and without a key, and by OTLP."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.exports import source
from tests.loopback import LOOPBACK, certificate
from tests.servers.fluent_bit import can_run, fluent_bit
from tests.stores import captured_store

from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.forward import Forward
from kata_audit.exporters.otlp import Otlp
from kata_audit.exporters.post import UNTRUSTED
from kata_audit.exporters.records import Receipt
from kata_audit.schema.exported import Exported
from kata_audit.schema.own import spell_time
from kata_audit.wire.otlp import groups_of

pytestmark = pytest.mark.servers_all(can_run())


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Exported]:
    root = tmp_path_factory.mktemp("fluent-bit") / "store"
    captured_store(root)
    with source(root).read(0) as parts:
        return [one for part in parts for one in part.records]


def sent(port: int, records: Sequence[Exported], *, scheme: str = "tcp", **settings: Any) -> Receipt:
    """Send records over a connection of their own, five hundred at a time; give the last answer."""
    values = {"plaintext": True, "allow": (LOOPBACK,), **settings}
    exporter = Forward(Export("fluentd", ExportKind.FORWARD, f"{scheme}://127.0.0.1:{port}", **values))
    try:
        return [exporter.export(records[first : first + 500]) for first in range(0, len(records), 500)][-1]
    finally:
        exporter.close()


@pytest.mark.parametrize("gzip", [True, False])
def test_records_are_events_with_their_times(tmp_path: Path, records: list[Exported], *, gzip: bool) -> None:
    """Every record of real captures, in order, to the nanosecond, after its acknowledgement."""
    count = len(records) - len(records) % 500
    with fluent_bit(tmp_path / "fluent-bit", "forward") as server:
        assert sent(server.port, records[:count], gzip=gzip) == Receipt(500)
        server.wait_for(lambda: len(server.events()) >= count)
        events = server.events()

    assert [one["message"] for one in events] == [dict(one.document) for one in records[:count]]
    assert [_short(one["timestamp"]) for one in events] == [_short(spell_time(one.time_ns)) for one in records[:count]]


def _short(time: str) -> str:
    """Take the zeros away behind the point, which Tenzir does not print."""
    return time.removesuffix("Z").rstrip("0").rstrip(".")


def test_a_shared_key_lets_in_who_knows_it(tmp_path: Path, records: list[Exported]) -> None:
    """And tells who does not what to do."""
    secret = tmp_path / "key"
    secret.write_text("s3cret\n")
    with fluent_bit(tmp_path / "fluent-bit", "forward", {"shared_key": "s3cret", "self_hostname": "here"}) as server:
        assert sent(server.port, records[:50], secret_file=secret) == Receipt(50)
        assert "name its secret" in (sent(server.port, records[:50]).problem or "")
        secret.write_text("another\n")
        problem = sent(server.port, records[:50], secret_file=secret).problem
        server.wait_for(lambda: len(server.events()) >= 50)
        assert len(server.events()) == 50

    assert problem == "it broke off when we proved our key: put the server's `shared_key` into the secret"


def test_a_user_beside_the_key_is_told_as_not_sent(tmp_path: Path, records: list[Exported]) -> None:
    """It takes the key, and not us."""
    secret = tmp_path / "key"
    secret.write_text("s3cret\n")
    users = {"shared_key": "s3cret", "self_hostname": "here", "security.users": "bob pass"}
    with fluent_bit(tmp_path / "fluent-bit", "forward", users) as server:
        receipt = sent(server.port, records[:5], secret_file=secret)

    assert receipt.taken == 0
    assert "switch users (`user_auth`, `security.users`) off there" in (receipt.problem or "")


def test_tls_is_spoken(tmp_path: Path, records: list[Exported]) -> None:
    """A certificate of another name gets no record."""
    certificate(tmp_path, "elsewhere.example")
    with fluent_bit(tmp_path / "fluent-bit", "forward", tls=tmp_path / "server.pem") as server:
        receipt = sent(server.port, records[:5], scheme="tls", plaintext=False)
        assert server.events() == []

    assert receipt == Receipt(0, problem=UNTRUSTED)


def test_otlp_is_taken(tmp_path: Path, records: list[Exported]) -> None:
    """It answers 201. Tenzir shows of each resource that it begins, and not the log records, so that those are not looked at."""
    some = records[:500]
    with fluent_bit(tmp_path / "fluent-bit", "opentelemetry") as server:
        one = Export("otel", ExportKind.OTLP, f"http://127.0.0.1:{server.port}", allow=(LOOPBACK,), plaintext=True)
        exporter = Otlp(one)
        assert exporter.export(some) == Receipt(500)
        exporter.close()
        expected = [dict(group.resource) for group in groups_of((one.record, one.document) for one in some)]

        def resources() -> list[Any]:
            return [one["message"]["resource"]["attributes"] for one in server.events() if "resource" in one["message"]]

        server.wait_for(lambda: len(resources()) >= len(expected))
        assert resources() == expected
