"""Logs of OpenTelemetry in both encodings, as their own classes write them."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from tests.receiving import Receiving, receiving, sealed

from kata_audit.receivers.http import RefusedError, serve_http
from kata_audit.receivers.otlp_records import decode_otlp
from kata_audit.receivers.receive_settings import Receive, ReceiveKind
from kata_audit.schema.source import Transport
from kata_audit.wire.otlp import MAX_DEPTH

TIME = 1_795_617_069_080_484_520
BINARY, JSON = "application/x-protobuf", "application/json"
ONE = Receive(
    "otel",
    ReceiveKind.OTLP,
    "127.0.0.1:0",
    transport=Transport.CRI,
    text_field="body",
    path_field="attributes.log.file.path",
    node_field="resource.host.name",
)


def request() -> ExportLogsServiceRequest:
    made = ExportLogsServiceRequest()
    group = made.resource_logs.add()
    group.resource.attributes.add(key="host.name").value.string_value = "worker-1"
    log = group.scope_logs.add().log_records.add()
    log.time_unix_nano, log.severity_number, log.severity_text = TIME, SeverityNumber.SEVERITY_NUMBER_INFO, "INFO"
    log.body.string_value = "2026-11-25T10:00:00Z stdout F hello"
    log.attributes.add(
        key="log.file.path"
    ).value.string_value = "/var/log/pods/a_b_12345678-1234-1234-1234-123456789012/c/0.log"
    return made


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Receiving]:
    with receiving(tmp_path / "store", ONE, serve_http(decode_otlp, lambda: None)) as made:
        yield made


def post(port: int, body: bytes, content_type: str) -> httpx.Response:
    headers = {"Content-Type": content_type}
    return httpx.post(f"http://127.0.0.1:{port}/v1/logs", content=body, headers=headers, timeout=30, trust_env=False)


def test_both_encodings_are_one_record(tmp_path: Path) -> None:
    with receiving(tmp_path / "store", ONE, serve_http(decode_otlp, lambda: None)) as here:
        binary = post(here.port, request().SerializeToString(), BINARY)
        text = post(here.port, MessageToJson(request(), use_integers_for_enums=True).encode(), f"{JSON}; charset=utf-8")
    assert (binary.status_code, binary.content, binary.headers["content-type"]) == (200, b"", BINARY)
    assert (text.status_code, text.json(), text.headers["content-type"]) == (200, {}, JSON)
    rows = sealed(tmp_path / "store")
    assert [(row["node"], row["k8s_pod"], row["body"]) for row in rows] == [("lab/worker-1", "b", "hello")] * 2


def test_the_journal_receiver_of_a_collector_sends_entries_as_bodies(tmp_path: Path) -> None:
    made = request()
    log = made.resource_logs[0].scope_logs[0].log_records[0]
    log.body.kvlist_value.values.add(key="MESSAGE").value.string_value = "hello"
    log.body.kvlist_value.values.add(key="_PID").value.string_value = "7"
    one = Receive("otel", ReceiveKind.OTLP, "127.0.0.1:0", transport=Transport.JOURNAL_JSON, text_field="body")
    with receiving(tmp_path / "store", one, serve_http(decode_otlp, lambda: None)) as here:
        assert post(here.port, made.SerializeToString(), BINARY).status_code == 200
    [row] = sealed(tmp_path / "store")
    assert json.loads(row["raw"]) == {"MESSAGE": "hello", "_PID": "7", "__REALTIME_TIMESTAMP": str(TIME // 1000)}


def test_values_of_every_kind_are_read() -> None:
    made = request()
    log = made.resource_logs[0].scope_logs[0].log_records[0]
    for key, field, value in (("i", "int_value", -(2**63)), ("d", "double_value", 0.5), ("b", "bool_value", True)):
        setattr(log.attributes.add(key=key).value, field, value)
    log.attributes.add(key="x").value.bytes_value = b"\xff"
    log.attributes.add(key="n")
    log.attributes.add(key="a").value.array_value.values.add().string_value = "one"
    [record] = decode_otlp(made.SerializeToString(), BINARY).records
    told = {key: value for key, value in record.values["attributes"].items() if "." not in key}
    assert told == {"i": -(2**63), "d": 0.5, "b": True, "x": b"\xff", "n": None, "a": ["one"]}
    assert (record.time_ns, record.values["severity_text"]) == (TIME, "INFO")


def test_the_time_that_it_was_seen_where_it_states_none() -> None:
    made = request()
    log = made.resource_logs[0].scope_logs[0].log_records[0]
    log.time_unix_nano, log.observed_time_unix_nano = 0, 5
    assert [one.time_ns for one in decode_otlp(made.SerializeToString(), BINARY).records] == [5]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"\xff", BINARY, 400),
        (b"{", JSON, 400),
        (b'{"resourceLogs":1}', JSON, 400),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b"", BINARY, 200),
        (b"{}", JSON, 200),
    ],
)
def test_what_is_no_request_is_refused(here: Receiving, body: bytes, content_type: str, status: int) -> None:
    assert post(here.port, body, content_type).status_code == status


def test_values_that_lie_too_deep_are_refused() -> None:
    for depth in (MAX_DEPTH + 1, 90):
        made = request()
        value = made.resource_logs[0].scope_logs[0].log_records[0].attributes.add(key="deep").value
        for _ in range(depth):
            value = value.array_value.values.add()
        value.string_value = "bottom"
        with pytest.raises(RefusedError, match="no request"):
            decode_otlp(made.SerializeToString(), BINARY)
