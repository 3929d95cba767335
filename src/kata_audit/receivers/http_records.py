"""What is posted to a receiver of kind `http`."""

from kata_audit.receivers.http import Answered
from kata_audit.receivers.shipped import Shipped
from kata_audit.schema.source import Transport
from kata_audit.wire.ndjson import decode_records


def decode_body(transport: Transport | None, body: bytes, _content_type: str) -> Answered:
    """Read a body: JSON records, or one body of kube-apiserver's audit webhook where that is declared.

    Args:
        transport: What the receiver declares of all its lines.
        body: The body, no longer compressed.
    """
    if transport is Transport.AUDIT_EVENTLIST:
        line = body.replace(b"\n", b" ").strip()
        return Answered([Shipped({}, line)] if line else [])
    return Answered([Shipped(one.values, one.line) for one in decode_records(body)])
