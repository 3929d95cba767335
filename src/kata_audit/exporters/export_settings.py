"""What an export is set up with, `[[export]]`; `config.py` reads it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from kata_audit.exporters.settings import Network, mistakes_of_url
from kata_audit.schema.fieldset import FieldSetName
from kata_audit.wire.kafka import Sasl, mistakes_of_brokers
from kata_audit.wire.syslog import FACILITIES


class ExportKind(StrEnum):
    """What takes the records."""

    FILE = "file"
    """A line of JSON for each record, at the end of a file."""
    ELASTICSEARCH = "elasticsearch"
    """Elasticsearch, its bulk API."""
    OPENSEARCH = "opensearch"
    """OpenSearch, its bulk API."""
    LOKI = "loki"
    """Grafana Loki, its push API."""
    SPLUNK = "splunk"
    """Splunk, by its HTTP Event Collector."""
    OTLP = "otlp"
    """An OpenTelemetry receiver, by OTLP over HTTP with JSON."""
    FORWARD = "forward"
    """Fluentd or Fluent Bit, by the Forward protocol."""
    KAFKA = "kafka"
    """A topic of Kafka; needs `pip install 'kata-audit[kafka]'`."""
    SYSLOG = "syslog"
    """A syslog server, by RFC 5424 over TLS."""


@dataclass(frozen=True, slots=True)
class Export:
    """One system that records go to, `[[export]]`."""

    name: str
    """What it is called in messages, and its saved position: a new name is a new destination."""
    kind: ExportKind
    """What takes the records; the page of each kind says what it is sent."""
    url: str | None = None
    """Where it is; it holds no secret."""
    path: Path | None = None
    """The file that an export of kind `file` appends to."""
    fields: FieldSetName | None = None
    """Whose words the records are sent in: `otel`, `ecs`, `ocsf` or `cim`; left out, those of its kind."""
    query: str = ""
    """Which records are sent, as `search` takes it; left out, all of them."""
    raw: bool = False
    """Whether the frame as it was received is sent with each record."""
    evidence: bool = False
    """Whether records are sent as the evidence that they are, for another kata-audit (`evidence_of` there)."""
    backlog: bool = True
    """Whether a new destination is sent what the store held before."""
    into: str | None = None
    """What it goes into there: the data stream, index, topic or facility; left out, that of its kind."""
    user: str | None = None
    """Who logs in with the secret as password; left out, the secret is a token or key."""
    sasl: Sasl = Sasl.SCRAM_SHA_512
    """How the user logs in to Kafka: `scram-sha-512`, `scram-sha-256` or `plain`."""
    secret_file: Path | None = None
    """File with its secret."""
    secret_env: str | None = None
    """Environment variable with its secret, in place of a file."""
    ca_file: Path | None = None
    """Certificates that its certificate is checked against, in PEM; left out, those of the system."""
    allow: tuple[Network, ...] = ()
    """Private networks that it may lie in, as CIDR; left out, only public addresses are connected to."""
    plaintext: bool = False
    """Whether it may be spoken to without TLS."""
    gzip: bool = True
    """Whether what is sent is compressed, where the protocol can."""
    max_records: int = 2_000
    """Records of one request at most."""
    max_bytes: int = 4 * 1024 * 1024
    """Bytes of records in one request, about."""
    dead_letters_max_bytes: int = 64 * 1024 * 1024
    """Bytes of records that it refused for good which are kept; where they are full, it waits for a person."""


_BY_BULK: Final = frozenset({ExportKind.ELASTICSEARCH, ExportKind.OPENSEARCH})
_BY_HTTP: Final = frozenset({*_BY_BULK, ExportKind.LOKI, ExportKind.SPLUNK, ExportKind.OTLP})
_FOR_EVIDENCE: Final = frozenset({ExportKind.FILE, ExportKind.FORWARD, ExportKind.KAFKA, ExportKind.OTLP})
_INDEX: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_TENANT: Final = re.compile(r"[A-Za-z0-9!_.*'()-]{1,150}")
_WITHOUT_URL: Final = frozenset({ExportKind.FILE})
FIELDS: Final = {
    ExportKind.FILE: FieldSetName.OTEL,
    ExportKind.ELASTICSEARCH: FieldSetName.ECS,
    ExportKind.OPENSEARCH: FieldSetName.ECS,
    ExportKind.LOKI: FieldSetName.OTEL,
    ExportKind.SPLUNK: FieldSetName.CIM,
    ExportKind.OTLP: FieldSetName.OTEL,
    ExportKind.FORWARD: FieldSetName.OTEL,
    ExportKind.KAFKA: FieldSetName.OTEL,
    ExportKind.SYSLOG: FieldSetName.OTEL,
}
"""The field set of a kind where none is named."""


def mistakes_of_export(one: Export) -> Iterator[tuple[str, str]]:
    """Say what keeps settings from being an export: the key, and why."""
    for key, value, is_needed in (
        ("url", one.url, one.kind not in _WITHOUT_URL),
        ("path", one.path, one.kind is ExportKind.FILE),
    ):
        if is_needed and value is None:
            yield key, f"`{key}` is missing for kind `{one.kind}`"
        elif not is_needed and value is not None:
            yield key, f"`{key}` is nothing for kind `{one.kind}`"
    if one.secret_file is not None and one.secret_env is not None:
        yield "secret_env", "`secret_env` and `secret_file` are two places for one secret; name one"
    if one.url is not None and one.kind in _BY_HTTP:
        yield from (("url", message) for message in mistakes_of_url(one.url, plaintext=one.plaintext))
    if (
        one.kind in (ExportKind.ELASTICSEARCH, ExportKind.OPENSEARCH)
        and one.into is not None
        and not _INDEX.fullmatch(one.into)
    ):
        yield "into", "`into` is no data stream or index: small letters, digits, and `._-` behind the first"
    yield from _mistakes_of_evidence(one)
    if one.kind is ExportKind.LOKI:
        yield from _mistakes_of_loki(one)
    if one.kind is ExportKind.SPLUNK:
        yield from _mistakes_of_splunk(one)
    if one.kind is ExportKind.OTLP:
        yield from _mistakes_of_otlp(one)
    if one.kind is ExportKind.FORWARD:
        yield from _mistakes_of_forward(one)
    if one.kind is ExportKind.KAFKA:
        yield from mistakes_of_brokers(one, one.into)
    elif one.sasl is not Sasl.SCRAM_SHA_512:
        yield "sasl", f"`sasl` is nothing for kind `{one.kind}`"
    if one.kind is ExportKind.SYSLOG:
        yield from _mistakes_of_syslog(one)


def _mistakes_of_evidence(one: Export) -> Iterator[tuple[str, str]]:
    """Say what evidence cannot be sent with, or through."""
    if not one.evidence:
        return
    if one.kind not in _FOR_EVIDENCE:
        yield "evidence", f"kind `{one.kind}` carries no evidence; say one of: {', '.join(sorted(_FOR_EVIDENCE))}"
    if one.fields is not None:
        yield "fields", "`fields` is nothing for evidence: it has names of its own"
    if one.raw:
        yield "raw", "`raw` is nothing for evidence: the frame is part of it"


def _mistakes_of_loki(one: Export) -> Iterator[tuple[str, str]]:
    """Say what Loki would not take: its tenants are names of files there."""
    if one.into is not None and (not _TENANT.fullmatch(one.into) or one.into in (".", "..")):
        yield "into", "`into` is no tenant: up to 150 letters, digits, and !-_.*'()"
    if one.url is not None and ("?" in one.url or one.url.rstrip("/").endswith("/push")):
        yield "url", "`url` of a Loki is what stands before /loki/api/v1/push"
    if one.user is not None and (":" in one.user or not one.user.isprintable()):
        yield "user", "`user` has a colon, or a character that cannot be shown"


def _mistakes_of_splunk(one: Export) -> Iterator[tuple[str, str]]:
    """Say what no HTTP Event Collector would take."""
    if one.secret_file is None and one.secret_env is None:
        yield "secret_file", "`secret_file` is missing for kind `splunk`: the collector's token; or name `secret_env`"
    if one.user is not None:
        yield "user", "`user` is nothing for kind `splunk`: its secret is a token"
    if one.url is not None and ("?" in one.url or "/services/" in one.url):
        yield "url", "`url` of a Splunk is what stands before /services/collector"


def _mistakes_of_otlp(one: Export) -> Iterator[tuple[str, str]]:
    """Say what OpenTelemetry's protocol has no place for."""
    if one.fields not in (None, FieldSetName.OTEL):
        yield "fields", "`fields` of kind `otlp` are `otel`: the protocol has its own words"
    if one.into is not None:
        yield "into", "`into` is nothing for kind `otlp`"
    if one.url is not None and "?" in one.url:
        yield "url", "`url` of kind `otlp` has a query; give only where it is"
    if one.user is not None and (":" in one.user or not one.user.isprintable()):
        yield "user", "`user` has a colon, or a character that cannot be shown"


def _mistakes_of_forward(one: Export) -> Iterator[tuple[str, str]]:
    """Say what is no place of a Forward server."""
    if one.user is not None:
        yield "user", "`user` is nothing for kind `forward`: its secret is a shared key"
    yield from _mistakes_of_place(one)


def _mistakes_of_syslog(one: Export) -> Iterator[tuple[str, str]]:
    """Say what syslog has no place for."""
    if one.fields is not None:
        yield "fields", "`fields` is nothing for kind `syslog`: its structured data have the names of the record's columns"
    if one.into is not None and one.into not in FACILITIES:
        yield "into", f"`into` is no facility of syslog; there are: {', '.join(FACILITIES)}"
    if one.user is not None:
        yield "user", "`user` is nothing for kind `syslog`: its secret is a certificate"
    if one.secret_env is not None:
        yield "secret_env", "`secret_env` is nothing for kind `syslog`: name in `secret_file` a certificate with its key"
    elif one.secret_file is not None and one.url is not None and not one.url.startswith("tls:"):
        yield "secret_file", "`secret_file` is a certificate, which is shown only by TLS"
    yield from _mistakes_of_place(one)


def _mistakes_of_place(one: Export) -> Iterator[tuple[str, str]]:
    """Say what is no place of a server that is spoken to without HTTP."""
    if one.url is None:
        return
    try:
        parts = urlsplit(one.url)
        whole = bool(parts.hostname and parts.port) and not (parts.path or parts.query or parts.fragment or parts.username)
    except ValueError:
        whole = False
    if not whole or parts.scheme not in ("tls", "tcp"):
        yield "url", "`url` must be tls://host:port, with nothing else"
    elif parts.scheme == "tcp" and not one.plaintext:
        yield "url", "`url` is without TLS; make it tls, or set `plaintext`"
