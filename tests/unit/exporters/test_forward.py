"""Records come to a Forward server as packed entries, and are taken when it says so."""

from ipaddress import IPv6Network
from pathlib import Path
from typing import Any

import pytest
from tests.forward_double import ForwardDouble
from tests.loopback import LOOPBACK, certificate, closed_port

from kata_audit.exporters.export_settings import Export, ExportKind, mistakes_of_export
from kata_audit.exporters.forward import Forward
from kata_audit.exporters.post import UNTRUSTED
from kata_audit.exporters.records import Receipt
from kata_audit.schema.exported import Exported
from kata_audit.wire.forward import Entry, Hello, Message, encode_ack

NOW = 1_795_000_000_123_456_789
RECORDS = [Exported(f"lab/{seq}", seq, NOW + seq, {}, {"log.record.uid": f"lab/{seq}"}) for seq in range(20)]
ENTRIES = [Entry(one.time_ns, one.document) for one in RECORDS]


def sent(port: int, *, times: int = 1, scheme: str = "tcp", **settings: Any) -> Receipt:
    """Send the records over one connection; give the last answer."""
    values = {"allow": (LOOPBACK,), "plaintext": True, **settings}
    exporter = Forward(Export("fluentd", ExportKind.FORWARD, f"{scheme}://127.0.0.1:{port}", **values), limit_secs=5)
    try:
        return [exporter.export(RECORDS) for _ in range(times)][-1]
    finally:
        exporter.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("s3cret\n")
    return path


@pytest.mark.parametrize("gzip", [True, False])
def test_all_records_are_taken_in_order(*, gzip: bool) -> None:
    """One message for each request, over one connection, packed and not."""
    double = ForwardDouble()
    with double.running() as port:
        assert sent(port, times=3, gzip=gzip, into="a.tag") == Receipt(20)

    assert [(one.tag, one.entries) for one in double.messages] == [("a.tag", ENTRIES)] * 3
    assert len({one.chunk for one in double.messages}) == 3


def test_both_sides_prove_that_they_know_the_key(secret: Path) -> None:
    """A server with another key gets no record."""
    double = ForwardDouble("s3cret")
    with double.running() as port:
        assert sent(port, secret_file=secret) == Receipt(20)
        secret.write_text("other")
        assert "put the server's `shared_key` into the secret" in (sent(port, secret_file=secret).problem or "")
        assert sent(port).problem == "it wants a shared key; name its secret"
        secret.write_text("s3cret")
        double.hello = Hello(b"\xff" * 16, b"salt of a server that sends one in any case")
        assert sent(port, secret_file=secret) == Receipt(20)

    assert len(double.messages) == 2


def test_a_server_that_breaks_off_knows_another_key(secret: Path) -> None:
    """Fluent Bit says nothing when the key is another there."""
    double = ForwardDouble("s3cret")
    double.is_rude = True
    secret.write_text("other")
    with double.running() as port:
        problem = sent(port, secret_file=secret).problem

    assert problem == "it broke off when we proved our key: put the server's `shared_key` into the secret"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, "the connection broke off"),
        (encode_ack("other"), "it acknowledged something else"),
        (b"\xc1", "no Forward server"),
        (b"\xdb\x7f\xff\xff\xff" + b"x" * 70_000, "Forward server|too long"),
    ],
)
def test_what_is_not_acknowledged_is_not_taken(answer: bytes | None, says: str) -> None:
    """The sentence says what to look at; the next attempt has a connection of its own."""
    double = ForwardDouble()
    double.answer = lambda _: answer
    with double.running() as port:
        receipt = sent(port)
    assert receipt.taken == 0
    assert any(one in (receipt.problem or "") for one in says.split("|"))


def test_tls_is_checked(tmp_path: Path) -> None:
    """A name's own certificate is trusted where it is named, and nowhere else."""
    public, context = certificate(tmp_path, "localhost")
    double = ForwardDouble()
    with double.running(context) as port:
        assert sent(port, scheme="tls", plaintext=False).problem == UNTRUSTED
        one = Export(
            "x", ExportKind.FORWARD, f"tls://localhost:{port}", ca_file=public, allow=(LOOPBACK, IPv6Network("::1"))
        )
        exporter = Forward(one)
        receipt = exporter.export(RECORDS)
        exporter.close()
    assert receipt == Receipt(20)


def test_a_connection_that_is_none_is_said() -> None:
    """Nobody listens; the machine itself is not allowed."""
    assert sent(closed_port()).problem == "it cannot be connected to"
    assert "private" in (sent(closed_port(), allow=()).problem or "")


def test_mistakes_of_settings_are_named() -> None:
    """Each with its key."""
    one = Export("fluentd", ExportKind.FORWARD, "tcp://fluentd:24224", user="x")
    assert [key for key, _ in mistakes_of_export(one)] == ["user", "url"]
    for url in ("tls://host", "https://host:1", "tls://host:1/x", "tls://host:99999"):
        assert [key for key, _ in mistakes_of_export(Export("x", ExportKind.FORWARD, url))] == ["url"]


def test_a_lost_answer_is_a_message_again() -> None:
    """It has the same entries; nothing is left out."""
    double, answers = ForwardDouble(), [None]

    def answer(one: Message) -> bytes | None:
        return answers.pop() if answers else encode_ack(one.chunk or "")

    double.answer = answer
    with double.running() as port:
        assert sent(port, times=2) == Receipt(20)
    assert [one.entries for one in double.messages] == [ENTRIES] * 2
