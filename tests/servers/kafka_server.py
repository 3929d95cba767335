"""A real Kafka of a test's own, on loopback: one broker that is its own controller, with its own folder."""

import ipaddress
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from tests.loopback import LOOPBACK, certificate, closed_port

VERSION: Final = "3.9.1"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
FOLDER: Final = _CACHE / "kata-audit" / "servers" / f"kafka-{VERSION}"
USER: Final = "shipper"
STRANGER: Final = "stranger"
"""Another user, with the same password."""
PASSWORD: Final = "correct horse"
HOST: Final = "localhost"
"""What its certificate says, and what it tells clients."""
LOOPBACKS: Final = (LOOPBACK, ipaddress.ip_network("::1/128"))
"""Where that leads."""
_READY_SECS = 120.0
_CLUSTER = "a2F0YS1hdWRpdC10ZXN0cw"
_LISTENERS = {"open": "PLAINTEXT", "tls": "SSL", "user": "SASL_PLAINTEXT", "both": "SASL_SSL"}
_LOGIN = "org.apache.kafka.common.security"
_CONFIG = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=OPEN
listeners=CONTROLLER://127.0.0.1:{controller},{listeners}
advertised.listeners={advertised}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,{protocols}
sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN
{logins}
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={truststore}
ssl.client.auth=requested
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
log.dirs={folder}/logs
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
log.retention.check.interval.ms=500
log.segment.delete.delay.ms=0
"""


def can_run() -> bool:
    """Say whether it is there, and Java to run it."""
    return shutil.which("java") is not None and (FOLDER / "pom.xml").is_file()


class Running:
    """One that runs: where its listeners are, who signed its certificate, and what it holds."""

    def __init__(self, ports: Mapping[str, int], ca_file: Path) -> None:
        self.ports, self.ca_file = ports, ca_file

    def at(self, listener: str = "open") -> str:
        """Say where a listener is: `open`, with `tls`, for a `user`, or `both`."""
        return f"{HOST}:{self.ports[listener]}"

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.at(), "log_level": 0})

    def create(self, topic: str, partitions: int = 1, **settings: str) -> None:
        """Make a topic; settings are spelled with `_` for `.`."""
        config = {name.replace("_", "."): value for name, value in settings.items()}
        admin = self._admin()
        made = admin.create_topics([NewTopic(topic, partitions, 1, config=config)])
        made[topic].result(30)

    def remove(self, topic: str, before: int) -> None:
        """Remove what partition 0 holds before an offset, as retention does."""
        admin = self._admin()
        for future in admin.delete_records([TopicPartition(topic, 0, before)]).values():
            future.result(30)

    def put(self, topic: str, *values: bytes, **settings: str) -> None:
        """Put messages into partition 0; settings of the client are spelled with `_` for `.`."""
        config = {name.replace("_", "."): value for name, value in settings.items()}
        producer = Producer({"bootstrap.servers": self.at(), "log_level": 0, **config})
        for value in values:
            producer.produce(topic, value, partition=0)
        assert producer.flush(30) == 0
        producer.close()

    def change(self, topic: str, **settings: str) -> None:
        """Set settings of a topic anew."""
        entries = [
            ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
            for name, value in settings.items()
        ]
        admin = self._admin()
        for future in admin.incremental_alter_configs(
            [ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)]
        ).values():
            future.result(30)

    def allow(self, user: str, topic: str, *operations: str, kind: str = "TOPIC") -> None:
        """Let a user do something with a topic or a group; what nobody was allowed, nobody may."""
        rules = [
            AclBinding(
                ResourceType[kind],
                topic,
                ResourcePatternType.LITERAL,
                f"User:{user}",
                "*",
                AclOperation[one],
                AclPermissionType.ALLOW,
            )
            for one in operations
        ]
        admin = self._admin()
        for future in admin.create_acls(rules).values():
            future.result(30)

    def messages(self, topic: str) -> list[Message]:
        """Read all that a topic holds, partition by partition."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.at(),
                "group.id": "tests",
                "enable.auto.commit": False,
                "enable.partition.eof": False,
                "log_level": 0,
            }
        )
        try:
            found: list[Message] = []
            for number in consumer.list_topics(topic, timeout=30).topics[topic].partitions:
                first, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
                consumer.assign([TopicPartition(topic, number, first)])
                at = first
                while at < end:
                    for message in consumer.consume(10_000, timeout=1):
                        assert message.error() is None, message.error()
                        found.append(message)
                        at += 1
            return found
        finally:
            consumer.close()

    def is_taken(self, topic: str, group: str = "kata-audit") -> bool:
        """Say whether the brokers were told by a group that all is durable."""
        consumer = Consumer({"bootstrap.servers": self.at(), "group.id": group, "log_level": 0})
        try:
            numbers = consumer.list_topics(topic, timeout=5).topics[topic].partitions
            committed = consumer.committed([TopicPartition(topic, number) for number in numbers], timeout=5)
            return all(max(one.offset, 0) == consumer.get_watermark_offsets(one, timeout=5)[1] for one in committed)
        except KafkaException:
            return False
        finally:
            consumer.close()


class Broker:
    """A broker that can be killed and started again, with what it has written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        names = ("controller", *_LISTENERS)
        ports = dict(zip(names, _ports(len(names)), strict=True))
        ca_file, _ = certificate(folder, HOST)
        self.running = Running(ports, ca_file)
        self._config = folder / "server.properties"
        self._config.write_text(
            _CONFIG.format(
                controller=ports["controller"],
                listeners=",".join(f"{name.upper()}://127.0.0.1:{ports[name]}" for name in _LISTENERS),
                advertised=",".join(f"{name.upper()}://{HOST}:{ports[name]}" for name in _LISTENERS),
                protocols=",".join(f"{name.upper()}:{value}" for name, value in _LISTENERS.items()),
                keystore=folder / "server.pem",
                truststore=ca_file,
                folder=folder,
                logins=_logins(),
            )
        )
        scram = [
            part
            for kind in ("SCRAM-SHA-512", "SCRAM-SHA-256")
            for name in (USER, STRANGER)
            for part in ("--add-scram", f"{kind}=[name={name},password={PASSWORD}]")
        ]
        self._java("kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(self._config), *scram).wait(60)
        self._process: subprocess.Popen[bytes] | None = None

    def _java(self, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self._folder / "log").open("ab") as log:
            command = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{FOLDER}/libs/*", *arguments]
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self) -> None:
        """Run it; back when it takes requests."""
        self._process = self._java("kafka.Kafka", str(self._config))
        until = time.monotonic() + _READY_SECS
        while True:
            try:
                self.running._admin().list_topics(timeout=2)
            except KafkaException:
                said = (self._folder / "log").read_text()[-4000:]
                assert self._process.poll() is None, said
                assert time.monotonic() < until, said
            else:
                return

    def kill(self) -> None:
        """Kill it with -9."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it hang."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def kafka(folder: Path) -> Iterator[Broker]:
    """Run one until the block ends; its state stays in the folder."""
    broker = Broker(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


def _logins() -> str:
    """Say how users log in, of each listener and each way."""
    plain = f'{_LOGIN}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    scram = f"{_LOGIN}.scram.ScramLoginModule required;"
    ways = {"plain": plain, "scram-sha-256": scram, "scram-sha-512": scram}
    return "\n".join(
        f"listener.name.{name}.{way}.sasl.jaas.config={module}" for name in ("user", "both") for way, module in ways.items()
    )


def _ports(count: int) -> Sequence[int]:
    found: set[int] = set()
    while len(found) < count:
        found.add(closed_port())
    return sorted(found)
