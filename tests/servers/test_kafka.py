"""Kafka itself takes what is exported, keeps each source in order, and says what it does not take."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Message
from tests.evidence import DATA
from tests.exports import source
from tests.loopback import certificate, closed_port
from tests.servers.kafka_server import HOST, LOOPBACKS, PASSWORD, STRANGER, USER, Broker, Running, can_run, kafka
from tests.stores import fill

from kata_audit.clock import ManualClock
from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.kafka import DEFAULT_TOPIC, NAME_HEADER, Kafka
from kata_audit.exporters.records import Receipt
from kata_audit.schema.exported import Exported
from kata_audit.store.writer import open_writer
from kata_audit.wire.kafka import Sasl

pytestmark = pytest.mark.servers_all(can_run())


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Exported]:
    root = tmp_path_factory.mktemp("kafka") / "store"
    with open_writer(root, clock=ManualClock(), node="lab/node") as writer:
        fill(writer, sorted((DATA / "captures").glob("*.gz")))
    with source(root).read(0) as parts:
        return [one for part in parts for one in part.records]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with kafka(tmp_path_factory.mktemp("kafka") / "broker") as running:
        yield running


@pytest.fixture
def server(broker: Broker) -> Running:
    return broker.running


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(PASSWORD)
    return path


def to(server: Running, listener: str = "open", **settings: Any) -> Kafka:
    scheme = "tls" if listener in ("tls", "both") else "tcp"
    values = {"url": f"{scheme}://{server.at(listener)}", "plaintext": scheme == "tcp", "allow": LOOPBACKS}
    if scheme == "tls":
        values["ca_file"] = server.ca_file
    return Kafka(Export("bus", ExportKind.KAFKA, **{**values, **settings}), limit_secs=5.0)


def sent(exporter: Kafka, records: Sequence[Exported]) -> Receipt:
    try:
        return exporter.export(records)
    finally:
        exporter.close()


def names(server: Running, topic: str) -> list[str]:
    return [name_of(one) for one in server.messages(topic)]


def name_of(message: Message) -> str:
    name = dict(message.headers() or ())[NAME_HEADER]
    assert isinstance(name, bytes)
    return name.decode()


def test_every_record_is_there_and_each_source_in_order(server: Running, records: Sequence[Exported]) -> None:
    server.create(DEFAULT_TOPIC, 3)
    exporter = to(server)
    for first in range(0, len(records), 500):
        some = records[first : first + 500]
        assert exporter.export(some) == Receipt(len(some), [])
    exporter.close()

    found = server.messages(DEFAULT_TOPIC)
    by_name = {name_of(one): one for one in found}
    assert len(found) == len(by_name) == len(records)
    assert all(orjson.loads(by_name[one.name].value() or b"") == one.document for one in records)
    assert len({one.partition() for one in found}) > 1
    order, partitions = defaultdict(list), defaultdict(set)
    for one in found:
        order[one.key()].append(int(name_of(one).rpartition("/")[2]))
        partitions[one.key()].add(one.partition())
    assert len(order) > 3
    assert all(numbers == sorted(numbers) for numbers in order.values())
    assert all(len(places) == 1 for places in partitions.values())


@pytest.mark.parametrize("sasl", [Sasl.SCRAM_SHA_512, Sasl.SCRAM_SHA_256])
def test_a_user_logs_in_over_tls(server: Running, records: Sequence[Exported], password: Path, sasl: Sasl) -> None:
    topic = f"user-{sasl}"
    server.create(topic)
    server.allow(USER, topic, "WRITE", "DESCRIBE")
    assert sent(to(server, "both", into=topic, user=USER, secret_file=password, sasl=sasl), records[:5]) == Receipt(5, [])
    assert names(server, topic) == [one.name for one in records[:5]]


def test_a_user_logs_in_by_the_password_itself(server: Running, records: Sequence[Exported], password: Path) -> None:
    server.create("plain")
    server.allow(USER, "plain", "WRITE", "DESCRIBE")
    exporter = to(server, "user", into="plain", user=USER, secret_file=password, sasl=Sasl.PLAIN)
    assert sent(exporter, records[:5]) == Receipt(5, [])


def test_a_certificate_logs_in(server: Running, records: Sequence[Exported]) -> None:
    """Where there is no user, the secret is one, with its key."""
    server.create("certificate")
    server.allow(f"CN={HOST}", "certificate", "WRITE", "DESCRIBE")
    exporter = to(server, "tls", into="certificate", secret_file=server.ca_file.with_name("server.pem"))
    assert sent(exporter, records[:5]) == Receipt(5, [])


def test_a_new_password_needs_no_restart(server: Running, records: Sequence[Exported], password: Path) -> None:
    server.create("renewed")
    server.allow(USER, "renewed", "WRITE", "DESCRIBE")
    password.write_text("forgotten")
    exporter = to(server, "both", into="renewed", user=USER, secret_file=password)
    receipt = exporter.export(records[:3])
    assert (receipt.taken, receipt.problem) == (
        0,
        "it does not let us in; check `user`, the secret, and that `sasl` is a way it knows",
    )
    password.write_text(PASSWORD)
    assert sent(exporter, records[:3]) == Receipt(3, [])


def test_an_unknown_topic_is_said_and_not_made(server: Running, records: Sequence[Exported]) -> None:
    assert sent(to(server, into="nowhere"), records[:3]) == Receipt(
        0, [], "there is no such topic; make it there, or name another one"
    )


def test_a_topic_that_may_not_be_written_is_said(server: Running, records: Sequence[Exported], password: Path) -> None:
    """Where nothing is allowed, where it may be seen, and where the user may write nothing anywhere."""
    server.create("secret")
    server.create("elsewhere")
    server.allow(USER, "elsewhere", "WRITE")
    for allowed in ("nothing", "DESCRIBE"):
        server.allow("nobody" if allowed == "nothing" else USER, "secret", "DESCRIBE")
        receipt = sent(to(server, "both", into="secret", user=USER, secret_file=password), records[:3])
        assert receipt == Receipt(0, [], "this user may not do it; allow it `Describe` and `Write` on the topic")
    server.allow(STRANGER, "secret", "DESCRIBE")
    receipt = sent(to(server, "both", into="secret", user=STRANGER, secret_file=password), records[:3])
    assert receipt.taken == 0
    assert str(receipt.problem).startswith("this user may write no topic at all; allow it `Write` on the topic")
    assert names(server, "secret") == []


def test_a_certificate_that_is_not_trusted_is_said(server: Running, records: Sequence[Exported], tmp_path: Path) -> None:
    """Whoever signed it, or whatever name it has."""
    other, _ = certificate(tmp_path, HOST)
    for settings in ({"ca_file": other}, {"url": f"tls://127.0.0.1:{server.ports['tls']}"}):
        receipt = sent(to(server, "tls", **settings), records[:3])
        assert receipt.taken == 0
        assert str(receipt.problem).startswith("its certificate is not trusted, or is for another name; name in `ca_file`")


def test_a_broker_that_is_down_or_speaks_otherwise_is_said(server: Running, records: Sequence[Exported]) -> None:
    for exporter in (
        to(server, url=f"tcp://127.0.0.1:{closed_port()}"),
        to(server, url=f"tcp://{server.at('tls')}"),
        to(server, "tls", url=f"tls://{server.at()}"),
    ):
        receipt = sent(exporter, records[:3])
        assert receipt.taken == 0
        assert str(receipt.problem).startswith("no broker can be reached; is one up, does it speak ")


def test_a_record_that_is_too_large_is_refused_alone(server: Running, records: Sequence[Exported]) -> None:
    """Where the topic takes what it takes by default, and where it takes so little that a batch of ours is too large."""
    some = [one._replace(document={"line": "x" * 300, "at": one.seq}) for one in records[:60]]
    for topic, large, most in (("default", 2_000_000, "1048588"), ("little", 5_000, "2000")):
        server.create(topic, max_message_bytes=most)
        sending = [*some]
        for at in (0, 17, 59):
            sending[at] = some[at]._replace(document={"line": "x" * large})
        receipt = sent(to(server, into=topic, gzip=False), sending)
        assert (receipt.taken, receipt.problem) == (60, None)
        assert [one.at for one in receipt.rejected] == [0, 17, 59]
        assert {one.reason for one in receipt.rejected} == {"it is larger than its topic takes, `max.message.bytes` there"}
        assert set(names(server, topic)) == {one.name for one in some} - {some[at].name for at in (0, 17, 59)}


def test_what_is_not_confirmed_is_not_taken(broker: Broker, records: Sequence[Exported]) -> None:
    """A broker that hangs; once it goes on, all go, in order, and what is there twice has one name."""
    server = broker.running
    server.create("hangs")
    exporter = to(server, into="hangs")
    assert exporter.export(records[:5]) == Receipt(5, [])
    broker.pause()
    try:
        receipt = exporter.export(records[5:10])
    finally:
        broker.resume()
    assert receipt.taken == 0
    assert "it did not confirm in time" in str(receipt.problem)
    assert sent(exporter, records[5:10]) == Receipt(5, [])
    assert list(dict.fromkeys(names(server, "hangs"))) == [one.name for one in records[:10]]
