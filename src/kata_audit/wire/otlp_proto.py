"""OpenTelemetry's protocol for logs in its binary encoding, as most senders use it. No bytes leave or come here.

Source: opentelemetry-proto, `logs_service.proto`, `logs.proto` and `common.proto`; its generated classes read the bytes.
"""

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from kata_audit.wire.otlp import MAX_DEPTH, Group, Log, OtlpError


def decode_logs_proto(body: bytes) -> list[Group]:
    """Read a request.

    Raises:
        OtlpError: It is none.
    """
    try:
        told = ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise OtlpError("it is no ExportLogsServiceRequest") from error
    return [
        Group(
            _pairs(one.resource.attributes, 0),
            [_log(log) for scope in one.scope_logs for log in scope.log_records],
        )
        for one in told.resource_logs
    ]


def _log(told: LogRecord) -> Log:
    return Log(
        _pairs(told.attributes, 0),
        told.time_unix_nano or None,
        told.observed_time_unix_nano or None,
        told.severity_number or None,
        told.severity_text or None,
        _value(told.body, 0),
        told.event_name or None,
    )


def _pairs(told: Iterable[KeyValue], depth: int) -> dict[str, Any]:
    return {one.key: _value(one.value, depth) for one in told}


def _value(told: AnyValue, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise OtlpError("values lie too deep in each other")
    match told.WhichOneof("value"):
        case None:
            return None
        case "kvlist_value":
            return _pairs(told.kvlist_value.values, depth + 1)
        case "array_value":
            return [_value(one, depth + 1) for one in told.array_value.values]
        case name:
            return getattr(told, name)
