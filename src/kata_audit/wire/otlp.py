"""OpenTelemetry's protocol for logs, in its JSON encoding: requests and their answers. No bytes leave or come here.

A request on a line of its own is also what its file format has, which the Collector's receiver `otlpjsonfile` reads.

Numbers of 64 bits are texts in JSON, and a decoder takes both.

Source: OpenTelemetry Protocol Specification 1.x, OTLP/HTTP with JSON; opentelemetry-proto, `logs.proto` and `common.proto`;
OpenTelemetry Protocol File Exporter.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

PATH: Final = "/v1/logs"
MAX_DEPTH: Final = 32
"""How deep values may lie in each other."""
_MOST_DIGITS: Final = 20
_INT64: Final = range(-(2**63), 2**63)
_TIMES: Final = range(1, 2**64)
_RESOURCE: Final = ("k8s.node.name", "service.name")
_FIELDS: Final = frozenset({"timestamp", "observed_timestamp", "severity_number", "severity_text", "body", "event_name"})


class OtlpError(ValueError):
    """Bytes that are no request of this protocol."""


class Log(NamedTuple):
    """One log record; times are nanoseconds since the Unix epoch, and None where it states none."""

    attributes: Mapping[str, Any]
    time_ns: int | None = None
    observed_ns: int | None = None
    severity_number: int | None = None
    severity_text: str | None = None
    body: Any = None
    event_name: str | None = None


class Group(NamedTuple):
    """Log records of one resource."""

    resource: Mapping[str, Any]
    logs: Sequence[Log]


def is_time(value: object) -> bool:
    """Say whether the protocol has a number for a time."""
    return isinstance(value, int) and value in _TIMES


def groups_of(records: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[Group]:
    """Group records by node and component, in order; what the log record's own fields hold is no attribute as well.

    Args:
        records: Each record's columns, times in nanoseconds, and its document in the words of the field set `otel`.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Log]] = {}
    for record, document in records:
        resource = tuple((key, str(document[key])) for key in _RESOURCE if key in document)
        groups.setdefault(resource, []).append(_log_of(record, document))
    return [Group(dict(resource), logs) for resource, logs in groups.items()]


def _log_of(record: Mapping[str, Any], document: Mapping[str, Any]) -> Log:
    time_ns, observed_ns = record.get("timestamp"), record.get("observed_timestamp")
    attributes = {key: value for key, value in document.items() if key not in _RESOURCE and key not in _FIELDS}
    return Log(
        attributes,
        time_ns if is_time(time_ns) else None,
        observed_ns if is_time(observed_ns) else None,
        document.get("severity_number"),
        document.get("severity_text"),
        document.get("body"),
        document.get("event_name"),
    )


def encode_logs(groups: Iterable[Group]) -> bytes:
    """Spell a request."""
    told = [
        {
            "resource": {"attributes": _spell_pairs(one.resource)},
            "scopeLogs": [{"scope": {"name": "kata-audit"}, "logRecords": [_spell_log(log) for log in one.logs]}],
        }
        for one in groups
    ]
    return orjson.dumps({"resourceLogs": told})


def _spell_log(one: Log) -> dict[str, Any]:
    times = (("timeUnixNano", one.time_ns), ("observedTimeUnixNano", one.observed_ns))
    told: dict[str, Any] = {key: str(value) for key, value in times if value is not None}
    plain = (("severityNumber", one.severity_number), ("severityText", one.severity_text), ("eventName", one.event_name))
    told |= {key: value for key, value in plain if value is not None}
    if one.body is not None:
        told["body"] = _spell(one.body)
    told["attributes"] = _spell_pairs(one.attributes)
    return told


def _spell_pairs(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _spell(value)} for key, value in values.items()]


def _spell(value: Any) -> dict[str, Any]:
    if isinstance(value, str):  # nearly all are
        return {"stringValue": value}
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue" if value in _INT64 else "stringValue": str(value)}
        case float():
            return {"doubleValue": value}
        case Mapping():
            return {"kvlistValue": {"values": _spell_pairs(value)}}
        case list() | tuple():
            return {"arrayValue": {"values": [_spell(one) for one in value]}}
    return {"stringValue": str(value)}


def decode_logs(body: bytes) -> list[Group]:
    """Read a request.

    Raises:
        OtlpError: It is none.
    """
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise OtlpError("it is no JSON") from error
    return [
        Group(
            _read_pairs(_object(one.get("resource")).get("attributes"), 0),
            [_read_log(log) for scope in _objects(one.get("scopeLogs")) for log in _objects(scope.get("logRecords"))],
        )
        for one in _objects(_object(told).get("resourceLogs"))
    ]


def _read_log(told: dict[str, Any]) -> Log:
    number, text, name = told.get("severityNumber"), told.get("severityText"), told.get("eventName")
    if not all(one is None or isinstance(one, str) for one in (text, name)):
        raise OtlpError("a text is none")
    return Log(
        _read_pairs(told.get("attributes"), 0),
        _read_time(told.get("timeUnixNano")),
        _read_time(told.get("observedTimeUnixNano")),
        None if number is None else _read_int(number) or None,
        text or None,
        None if told.get("body") is None else _read(told["body"], 0),
        name or None,
    )


def _read_time(value: Any) -> int | None:
    number = 0 if value is None else _read_int(value)
    if number and number not in _TIMES:
        raise OtlpError("a time is out of range")
    return number or None


def _read_int(value: Any) -> int:
    if isinstance(value, str) and len(value) <= _MOST_DIGITS and value.isascii() and value.removeprefix("-").isdecimal():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise OtlpError("a number is none")


def _read_pairs(told: Any, depth: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for one in _objects(told):
        key = one.get("key", "")
        if not isinstance(key, str):
            raise OtlpError("a key is no text")
        values[key] = _read(one.get("value"), depth)
    return values


def _read(told: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise OtlpError("values lie too deep in each other")
    value = _object(told)
    if "kvlistValue" in value:
        return _read_pairs(_object(value["kvlistValue"]).get("values"), depth + 1)
    if "arrayValue" in value:
        return [_read(one, depth + 1) for one in _objects(_object(value["arrayValue"]).get("values"))]
    if "intValue" in value:
        return _read_int(value["intValue"])
    for key, kind in (("stringValue", str), ("boolValue", bool), ("doubleValue", int | float), ("bytesValue", str)):
        if key in value:
            if not isinstance(value[key], kind):
                raise OtlpError("a value is not of its type")
            return value[key]
    return None


def encode_reply(rejected: int) -> bytes:
    """Spell the answer: how many records were refused."""
    return orjson.dumps({"partialSuccess": {"rejectedLogRecords": str(rejected)}} if rejected else {})


def decode_reply(body: bytes) -> int | None:
    """Read how many records were refused; None where it is no answer of this protocol. Its text is not read."""
    try:
        partial = _object(_object(orjson.loads(body or b"{}")).get("partialSuccess"))
        return max(_read_int(partial.get("rejectedLogRecords", 0)), 0)
    except (orjson.JSONDecodeError, OtlpError):
        return None


def _object(told: Any) -> dict[str, Any]:
    if told is None:
        return {}
    if not isinstance(told, dict):
        raise OtlpError("an object is none")
    return told


def _objects(told: Any) -> list[dict[str, Any]]:
    if told is None:
        return []
    if not isinstance(told, list):
        raise OtlpError("a list is none")
    return [_object(one) for one in told]
