"""What reading a topic of Kafka is set up with, `[[kafka]]`; `config.py` reads it."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from kata_audit.receivers.field_settings import FieldSettings, mistakes_of_fields
from kata_audit.schema.source import Transport
from kata_audit.wire.kafka import Sasl, mistakes_of_brokers

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class KafkaInput(FieldSettings):
    """One topic of Kafka that `collect` reads, `[[kafka]]`; needs `pip install 'kata-audit[kafka]'`."""

    name: str
    """What it is called in messages and in the names of its streams: a new name reads the topic from its beginning."""
    url: str
    """Brokers to begin with: `tls://host:port`, more of them behind commas."""
    topic: str
    """The topic; all of its partitions are read."""
    group: str = "kata-audit"
    """Consumer group that the brokers are told our position under, for people who look there; we never read it back."""
    user: str | None = None
    """Who logs in with the secret as password; left out, the secret is a client certificate with its key, in PEM."""
    sasl: Sasl = Sasl.SCRAM_SHA_512
    """How the user logs in: `scram-sha-512`, `scram-sha-256` or `plain`."""
    secret_file: Path | None = None
    """File with the secret."""
    secret_env: str | None = None
    """Environment variable with the secret, in place of a file."""
    ca_file: Path | None = None
    """Certificates that those of the brokers are checked against, in PEM; left out, those of the system."""
    allow: tuple[Network, ...] = ()
    """Private networks that brokers may lie in, as CIDR; left out, only public addresses are connected to."""
    plaintext: bool = False
    """Whether they may be spoken to without TLS."""


def mistakes_of_kafka(one: KafkaInput) -> Iterator[tuple[str, str]]:
    """Say what keeps settings from being a topic to read: the key, and why."""
    if one.secret_file is not None and one.secret_env is not None:
        yield "secret_env", "`secret_env` and `secret_file` are two places for one secret; name one"
    for key, message in mistakes_of_brokers(one, one.topic):
        yield ("topic", message.replace("`into`", "`topic`")) if key == "into" else (key, message)
    yield from mistakes_of_fields(one)
    if one.transport is Transport.AUDIT_EVENTLIST:
        yield "transport", "bodies of the audit webhook come by HTTP, `[[receive]]`"
