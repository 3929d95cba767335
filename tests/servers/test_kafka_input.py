"""A topic of a real Kafka is read into a store, and what keeps it from being read is one sentence with a next step."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from tests.loopback import certificate, closed_port
from tests.receiving import said, sealed
from tests.servers.kafka_server import HOST, LOOPBACKS, PASSWORD, USER, Broker, Running, can_run, kafka

from kata_audit.config import parse_config
from kata_audit.pipeline.collect import Collector, run
from kata_audit.wiring import collecting

pytestmark = pytest.mark.servers_all(can_run())
SECS = 60.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with kafka(tmp_path_factory.mktemp("kafka") / "broker") as running:
        yield running


@pytest.fixture
def server(broker: Broker) -> Running:
    return broker.running


def config(server: Running, topic: str, listener: str = "open", **settings: str) -> str:
    scheme = "tls" if listener in ("tls", "both") else "tcp"
    values = {"name": "bus", "url": f"{scheme}://{server.at(listener)}", "topic": topic, "text_field": "log"}
    if scheme == "tls":
        values["ca_file"] = str(server.ca_file)
    values |= {"path_field": "path", "node_field": "host", **settings}
    texts = "".join(f'{name} = "{value}"\n' for name, value in values.items())
    allow = ", ".join(f'"{network}"' for network in LOOPBACKS)
    return f'node = "lab/central"\n[[kafka]]\n{texts}plaintext = {str(scheme == "tcp").lower()}\nallow = [{allow}]\n'


@contextmanager
def collected(root: Path, text: str) -> Iterator[Collector]:
    """Run a collector as the command does until the block ends."""
    stop, problems = Event(), list[BaseException]()
    with collecting(root, parse_config(text, name="c.toml", folder=root.parent)) as collector:

        def body() -> None:
            try:
                run(collector, stopped=stop.is_set, rest=lambda: collector.rest(0.05), told=lambda: None)
            except BaseException as error:  # noqa: BLE001 - the test that waits for it is to see it
                problems.append(error)

        thread = Thread(target=body)
        thread.start()
        try:
            yield collector
        finally:
            stop.set()
            thread.join()
    if problems:
        raise problems[0]


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + SECS
    while not holds():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.05)


def take(root: Path, text: str, records: int) -> None:
    """Collect until there are as many records as others have sent, and what we say of ourselves."""
    with collected(root, text) as collector:
        wait_for(lambda: collector.counts.records >= records)


def lines(root: Path) -> list[str]:
    return [row["raw"].decode().strip() for row in sealed(root)]


def test_lines_come_with_their_node_and_path_once(server: Running, tmp_path: Path) -> None:
    """As Fluent Bit and Filebeat compress them too; after a restart the rest comes, whatever the brokers were told."""
    server.create("lines", 2)
    for number, codec in enumerate(("none", "gzip", "snappy", "lz4", "zstd")):
        value = b'{"log":"line %d\\n","path":"/var/log/a.log","host":"w1"}' % number
        server.put("lines", value, compression_codec=codec)
    root = tmp_path / "store"
    take(root, config(server, "lines"), 5 + 2)
    server.put("lines", b"plain")
    take(root, config(server, "lines"), 1 + 2)

    assert lines(root) == [*(f"line {number}" for number in range(5)), "plain"]
    rows = sealed(root)
    assert {row["node"] for row in rows} == {"lab/w1", "lab/central"}
    assert rows[0]["cursor"].startswith("/var/log/a.log?kafka-bus-lines-0-")
    assert rows[4]["cursor"].rpartition("#")[2].split(".")[1] == "4"
    received = [row["raw"] for row in said(root) if b"collect.received" in row["raw"]]
    assert any(b"unproven" in raw and b"lab/w1" in raw for raw in received)


def test_a_user_reads_over_tls(server: Running, tmp_path: Path) -> None:
    """Even one that may not use the group: only people read there what it is told."""
    server.create("private")
    server.allow(USER, "private", "READ", "DESCRIBE")
    server.allow(USER, "kata-audit", "READ", kind="GROUP")
    server.put("private", b'{"log":"secret"}')
    (tmp_path / "password").write_text(PASSWORD)
    user = {"user": USER, "secret_file": str(tmp_path / "password")}
    take(tmp_path / "store", config(server, "private", "both", **user), 1 + 2)
    assert lines(tmp_path / "store") == ["secret"]

    take(tmp_path / "other", config(server, "private", "both", **user, group="not-allowed"), 1 + 2)
    assert lines(tmp_path / "other") == ["secret"]


def test_what_retention_removed_is_told_with_its_number(server: Running, tmp_path: Path) -> None:
    """Both what was removed between two lives, and while it was read."""
    server.create("removed")
    server.put("removed", *(b"%d" % number for number in range(10)))
    root = tmp_path / "store"
    take(root, config(server, "removed"), 10 + 2)
    server.put("removed", *(b"%d" % number for number in range(10, 30)))
    server.remove("removed", 25)
    take(root, config(server, "removed"), 5 + 3)

    assert [int(text) for text in lines(root)] == [*range(10), *range(25, 30)]
    (lost,) = [row["raw"] for row in said(root) if b'"event":"collect.lost"' in row["raw"]]
    assert b'"log.records.lost":"15"' in lost.replace(b" ", b"")


def test_a_topic_that_is_not_read_is_said(server: Running, tmp_path: Path) -> None:
    """One sentence each, as a record of the collector's own; the collector lives."""
    server.create("forbidden")
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "wrong").write_text("wrong")
    other, _ = certificate(tmp_path, HOST)
    user = {"user": USER, "secret_file": str(tmp_path / "password")}
    cases = {
        config(server, "nowhere"): "there is no such topic",
        config(server, "forbidden", "both", **user): "allow it `Describe` and `Read` on the topic",
        config(server, "forbidden", "both", **user | {"secret_file": str(tmp_path / "wrong")}): "it does not let us in",
        config(server, "forbidden", "tls", ca_file=str(other)): "its certificate is not trusted",
        config(server, "forbidden", url=f"tcp://127.0.0.1:{closed_port()}"): "no broker can be reached",
    }
    for number, (text, words) in enumerate(cases.items()):
        root = tmp_path / f"store{number}"
        with collected(root, text) as collector:
            wait_for(lambda collector=collector: collector.counts.failures > 0)  # type: ignore[misc]
        failed = [row["raw"].decode() for row in said(root) if b"collect.source_failed" in row["raw"]]
        assert any(f"Kafka cannot be read: {words}" in raw or words in raw for raw in failed), (words, failed)
        assert lines(root) == []


def test_a_broker_that_dies_is_said_and_read_on_where_it_was(broker: Broker, tmp_path: Path) -> None:
    server, root = broker.running, tmp_path / "store"
    server.create("dies")
    server.put("dies", b"before")
    with collected(root, config(server, "dies")) as collector:
        wait_for(lambda: collector.counts.records >= 1 + 2)
        broker.kill()
        wait_for(lambda: collector.counts.failures > 0)
        broker.start()
        server.put("dies", b"behind")
        wait_for(lambda: b"behind" in b"".join(row["raw"] for row in sealed(root)))

    assert lines(root) == ["before", "behind"]
    failed = [row["raw"].decode() for row in said(root) if b"collect.source_failed" in row["raw"]]
    assert "Kafka cannot be read: no broker can be reached" in failed[0]
