"""What is posted to a receiver of kind `otlp`: logs of OpenTelemetry, binary or as JSON."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from kata_audit.receivers.http import Answered, RefusedError
from kata_audit.receivers.shipped import Shipped
from kata_audit.wire.otlp import Group, Log, OtlpError, decode_logs, encode_reply
from kata_audit.wire.otlp_proto import decode_logs_proto

_JSON: Final = "application/json"
_BINARY: Final = "application/x-protobuf"
_READ: Mapping[str, Callable[[bytes], list[Group]]] = {_JSON: decode_logs, _BINARY: decode_logs_proto}


def decode_otlp(body: bytes, content_type: str) -> Answered:
    """Read a request; its records have the fields `body`, `attributes`, `resource` and what else they state.

    Raises:
        RefusedError: It is no request for logs in one of the two encodings.
    """
    if content_type not in _READ:
        raise RefusedError(415, f"The content type must be {_BINARY} or {_JSON}.")
    try:
        groups = _READ[content_type](body)
    except OtlpError:
        raise RefusedError(400, "This is no request for logs of OTLP.") from None
    records = [
        Shipped(_fields(one.resource, log), time_ns=log.time_ns or log.observed_ns) for one in groups for log in one.logs
    ]
    return Answered(records, encode_reply(0) if content_type == _JSON else b"", content_type)


def _fields(resource: Mapping[str, Any], log: Log) -> dict[str, Any]:
    fields = {
        "body": log.body,
        "attributes": log.attributes,
        "resource": resource,
        "severity_number": log.severity_number,
        "severity_text": log.severity_text,
        "event_name": log.event_name,
    }
    return {name: value for name, value in fields.items() if value not in (None, {})}
