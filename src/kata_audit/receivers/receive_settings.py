"""What a receiver of other shippers' records is set up with, `[[receive]]`; `config.py` reads it."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from kata_audit.receivers.field_settings import FieldSettings, mistakes_of_fields
from kata_audit.schema.source import Transport

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_LISTEN: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<four>[0-9.]{7,15})):(?P<port>[0-9]{1,5})")
_PORTS: Final = range(1 << 16)


class ReceiveKind(StrEnum):
    """What is spoken there."""

    HTTP = "http"
    """POSTs of JSON: an object a line, or an array; also what kube-apiserver posts to its audit webhook."""
    OTLP = "otlp"
    """OpenTelemetry's logs over HTTP, binary or as JSON."""
    FORWARD = "forward"
    """The Forward protocol of Fluentd and Fluent Bit."""
    SYSLOG = "syslog"
    """Syslog in a stream: RFC 5424 or the older kind, over TLS or plain."""
    SYSLOG_UDP = "syslog-udp"
    """Syslog in datagrams."""


_WITHOUT_SECRET: Final = frozenset({ReceiveKind.SYSLOG, ReceiveKind.SYSLOG_UDP})


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Receive(FieldSettings):
    """One place where `collect` takes records that other shippers send, `[[receive]]`."""

    name: str
    """What it is called in messages and in the names of its streams."""
    kind: ReceiveKind
    """What is spoken there."""
    listen: str
    """Address and port: `127.0.0.1:9880`, `[::1]:9880`; 0 as port is any that is free."""
    certificate_file: Path | None = None
    """Certificate that we show, and those behind it, in PEM; with it, only TLS is spoken."""
    key_file: Path | None = None
    """Its private key, in PEM."""
    client_ca_file: Path | None = None
    """Certificates that those of senders are checked against, in PEM; left out, none is asked for."""
    secret_file: Path | None = None
    """File with the secret that senders must show."""
    secret_env: str | None = None
    """Environment variable with it, in place of a file."""
    allow: tuple[Network, ...] = ()
    """Networks that may send, as CIDR; left out, all."""
    plaintext: bool = False
    """Whether others than this machine may speak without TLS."""


def read_listen(text: str) -> Address | None:
    """Read an address and a port; None where a text is none."""
    found = _LISTEN.fullmatch(text)
    if found is None or int(found["port"]) not in _PORTS:
        return None
    try:
        host = ipaddress.ip_address(found["six"] or found["four"])
    except ValueError:
        return None
    return Address(str(host), int(found["port"]))


def mistakes_of_receive(one: Receive) -> Iterator[tuple[str, str]]:
    """Say what keeps settings from being a receiver: the key, and why."""
    if one.secret_file is not None and one.secret_env is not None:
        yield "secret_env", "`secret_env` and `secret_file` are two places for one secret; name one"
    if (one.certificate_file is None) != (one.key_file is None):
        yield "certificate_file", "`certificate_file` and `key_file` belong together; one is missing"
    if one.kind in _WITHOUT_SECRET and (one.secret_file is not None or one.secret_env is not None):
        yield "secret_file", f"kind `{one.kind}` knows no secret; name `client_ca_file` or `allow`"
    if one.kind in _WITHOUT_SECRET and one.evidence_of:
        yield "evidence_of", f"kind `{one.kind}` carries no evidence; say `forward`, `otlp` or `http`"
    if one.kind is ReceiveKind.SYSLOG_UDP and one.certificate_file is not None:
        yield "certificate_file", "datagrams are sent without TLS; say kind `syslog`, or leave it out"
    if one.client_ca_file is not None and one.certificate_file is None:
        yield "client_ca_file", "`client_ca_file` is nothing without TLS; name `certificate_file` and `key_file`"
    yield from _mistakes_of_address(one)
    yield from mistakes_of_fields(one)
    yield from _mistakes_of_audit(one)


def _mistakes_of_address(one: Receive) -> Iterator[tuple[str, str]]:
    """Say what would let strangers send, or listen in."""
    address = read_listen(one.listen)
    if address is None:
        yield "listen", "`listen` is no address and port, such as `127.0.0.1:9880`"
        return
    if ipaddress.ip_address(address.host).is_loopback:
        return
    if one.certificate_file is None and not one.plaintext:
        yield "listen", "`listen` is open to other machines without TLS; name `certificate_file`, or set `plaintext`"
    if one.secret_file is None and one.secret_env is None and one.client_ca_file is None and not one.allow:
        yield "listen", "`listen` is open to anybody; name `secret_file`, `client_ca_file` or `allow`"


def _mistakes_of_audit(one: Receive) -> Iterator[tuple[str, str]]:
    """Say what keeps bodies of the audit webhook from being read."""
    if one.transport is Transport.AUDIT_EVENTLIST and one.kind is not ReceiveKind.HTTP:
        yield "transport", "the audit webhook is posted to kind `http`"
    if one.transport is Transport.AUDIT_EVENTLIST and any(one.fields):
        yield "transport", "a body of the audit webhook has no fields; leave the fields out"
