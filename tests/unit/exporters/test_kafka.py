"""Records come to a topic in the order of their source, and what keeps them from it is one sentence with a next step.

The broker is librdkafka's own mock, which speaks the protocol; tests/servers/test_kafka.py asks a real one.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from tests.loopback import LOOPBACK, closed_port

from kata_audit.errors import UsageError
from kata_audit.exporters.export_settings import Export, ExportKind, mistakes_of_export
from kata_audit.exporters.kafka import DEFAULT_TOPIC, NAME_HEADER, Kafka
from kata_audit.exporters.kafka_client import Heard, KafkaProblemError, meet, settings_of
from kata_audit.exporters.records import Receipt
from kata_audit.schema.exported import Exported
from kata_audit.wire.kafka import Sasl, brokers_of
from kata_audit.wiring_export import record_exporter

SECS = 1.0


def record(seq: int, **columns: Any) -> Exported:
    """A record as it leaves."""
    values = {"seq": seq, "node": "lab/w1", "receiver": "journald:journal-export", "cursor": f"journald?system@{seq}+1"}
    return Exported(f"log/{seq}", seq, seq, {**values, **columns}, {"body": f"line {seq}", "kata.seq": seq})


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    mock = Producer({"bootstrap.servers": "nowhere", "test.mock.num.brokers": 2, "log_level": 0})
    found = mock.list_topics(timeout=10).brokers.values()
    yield ",".join(f"{one.host}:{one.port}" for one in found)
    mock.close()


def kafka(brokers: str, **settings: Any) -> Kafka:
    values = {"url": f"tcp://{brokers}", "plaintext": True, "allow": (LOOPBACK,), **settings}
    return Kafka(Export("bus", ExportKind.KAFKA, **values), limit_secs=SECS)


def sent(exporter: Kafka, records: list[Exported]) -> Receipt:
    try:
        return exporter.export(records)
    finally:
        exporter.close()


def messages(brokers: str, topic: str) -> list[Message]:
    """Read a topic, partition by partition."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "tests", "log_level": 0})
    found: list[Message] = []
    for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
        consumer.assign([TopicPartition(topic, number, first)])
        before = len(found)
        while len(found) < before + end - first:
            found += consumer.consume(1000, timeout=1)
    consumer.close()
    return found


def headers(message: Message) -> Mapping[str, Any]:
    return dict(message.headers() or ())


def test_a_record_is_a_message(broker: str) -> None:
    """Its document is the value, its name a header, its source the key."""
    some = [record(seq) for seq in range(50)] + [record(50, cursor="/var/log/pods/a@7+3", receiver="file:cri")]
    assert sent(kafka(broker), some) == Receipt(51, [])

    found = messages(broker, DEFAULT_TOPIC)
    by_name = {headers(one)[NAME_HEADER].decode(): one for one in found}
    assert set(by_name) == {one.name for one in some}
    assert orjson.loads(by_name["log/7"].value() or b"") == some[7].document
    assert by_name["log/7"].key() == b"lab/w1 journald?system"
    assert by_name["log/50"].key() == b"lab/w1 /var/log/pods/a"


def test_each_source_stays_in_order(broker: str) -> None:
    """Over all partitions, and whether or not what is sent is compressed."""
    some = [record(seq, cursor=f"s{seq % 7}@{seq}+1") for seq in range(2_000)]
    exporter = kafka(broker, into="order", gzip=False)
    assert exporter.export(some[:900]) == Receipt(900, [])
    assert sent(exporter, some[900:]) == Receipt(1100, [])

    found = messages(broker, "order")
    assert len(found) == 2_000
    assert len({one.partition() for one in found}) > 1
    for stream in range(7):
        of_it = [one for one in found if one.key() == b"lab/w1 s%d" % stream]
        assert len({one.partition() for one in of_it}) == 1
        numbers = [int(headers(one)[NAME_HEADER][4:]) for one in of_it]
        assert numbers == list(range(stream, 2_000, 7))


def test_a_redacted_record_has_the_log_as_its_source(broker: str) -> None:
    one = Exported("log/3", 3, 3, {"seq": 3}, {})
    assert sent(kafka(broker, into="redacted"), [one]) == Receipt(1, [])
    (found,) = messages(broker, "redacted")
    assert found.key() == b"log "


def test_what_is_sent_again_has_the_same_key_and_name(broker: str) -> None:
    for _ in range(2):
        assert sent(kafka(broker, into="again"), [record(1)]) == Receipt(1, [])
    first, second = messages(broker, "again")
    assert (first.key(), first.headers(), first.value()) == (second.key(), second.headers(), second.value())


def test_no_broker_is_said_with_what_to_look_at() -> None:
    receipt = sent(kafka(f"127.0.0.1:{closed_port()}"), [record(1)])
    assert receipt.taken == 0
    assert receipt.problem == (
        "no broker can be reached; is one up, does it speak without TLS there, and do its `advertised.listeners` lead to it?"
    )


def test_a_name_that_nobody_knows_is_said() -> None:
    receipt = sent(kafka("broker.invalid:9092"), [record(1)])
    assert receipt == Receipt(0, [], "its name is not known; `url` and `advertised.listeners` there say where brokers are")


def test_nothing_is_sent_to_an_address_that_was_not_allowed(broker: str) -> None:
    """Neither to one that `url` names, nor to one that a broker names."""
    receipt = sent(kafka(broker, allow=(), into="forbidden"), [record(1)])
    assert receipt.taken == 0
    assert "private" in str(receipt.problem)

    one = Export("bus", ExportKind.KAFKA, f"tcp://{broker}", plaintext=True)
    heard = Heard()
    client = Producer(settings_of(one, None, heard))
    with pytest.raises(KafkaProblemError, match="private"):
        meet(client, one, "forbidden", heard, to="Write", limit_secs=10)
    client.close()


def test_a_secret_that_cannot_be_had_is_said(broker: str, tmp_path: Path) -> None:
    receipt = sent(kafka(broker, user="me", secret_file=tmp_path / "none"), [record(1)])
    assert receipt.taken == 0
    assert "cannot be read" in str(receipt.problem)


def test_a_file_that_is_no_certificate_is_said(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("none")
    receipt = sent(kafka("127.0.0.1:1", url="tls://127.0.0.1:1", ca_file=path), [record(1)])
    assert receipt == Receipt(0, [], "`ca_file`, or the secret where there is no `user`, is no certificate in PEM")


def test_the_library_says_nothing_itself(broker: str, capfd: pytest.CaptureFixture[str]) -> None:
    """What it would print holds what brokers say."""
    sent(kafka(broker), [record(1)])
    sent(kafka(f"127.0.0.1:{closed_port()}"), [record(1)])
    assert capfd.readouterr() == ("", "")


def test_brokers_are_read_from_the_url() -> None:
    assert brokers_of("tls://a.example:9093,[::1]:9094") == [("a.example", 9093), ("::1", 9094)]


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"url": "https://kafka:9093"}, "url"),
        ({"url": "tls://kafka"}, "url"),
        ({"url": "tls://kafka:99999"}, "url"),
        ({"url": "tls://kafka:9093/topic"}, "url"),
        ({"url": "tls://me:secret@kafka:9093"}, "url"),
        ({"url": "tls://a:9093,tls://b:9093"}, "url"),
        ({"url": "tcp://kafka:9092"}, "url"),
        ({"url": "tls://kafka:9093", "user": "me"}, "user"),
        ({"url": "tcp://kafka:9092", "plaintext": True, "secret_env": "X"}, "user"),
        ({"url": "tls://kafka:9093", "into": "a b"}, "into"),
        ({"url": "tls://kafka:9093", "into": ".."}, "into"),
    ],
)
def test_settings_that_cannot_work_are_said(settings: dict[str, Any], key: str) -> None:
    assert [found for found, _ in mistakes_of_export(Export("bus", ExportKind.KAFKA, **settings))] == [key]


def test_settings_that_can_work_are_not_minded() -> None:
    assert not list(mistakes_of_export(Export("bus", ExportKind.KAFKA, "tls://a:9093,b:9093", user="me", secret_env="X")))
    assert [key for key, _ in mistakes_of_export(Export("x", ExportKind.LOKI, "https://x", sasl=Sasl.PLAIN))] == ["sasl"]


def test_without_the_library_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kata_audit.wiring_kafka.has_kafka", lambda: False)
    with pytest.raises(UsageError) as caught:
        record_exporter(Export("bus", ExportKind.KAFKA, "tls://kafka:9093"))
    assert "kata-audit[kafka]" in str(caught.value.hint)
