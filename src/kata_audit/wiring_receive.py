"""Puts together what takes records of other shippers: a listener for each `[[receive]]`, and topics of Kafka."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from kata_audit.clock import SystemClock

if TYPE_CHECKING:
    from kata_audit.config import Config
    from kata_audit.receivers.base import Watch
    from kata_audit.receivers.listen import Datagrams, Serve
    from kata_audit.receivers.receive_settings import Receive


@contextmanager
def receiving(config: "Config", node: str, wake: Event) -> Iterator["list[Watch]"]:
    """Listen at all places of a configuration, and give what the collector takes from them.

    Args:
        config: The configuration.
        node: `<cluster>/<node name>` of records that say no node of their own.
        wake: Set when something has come.

    Raises:
        ReceiverError: One of them cannot listen.
        UsageError: A secret cannot be read.
    """
    from kata_audit.receivers.inlet import Inlet, InletWatch
    from kata_audit.receivers.listen import Listener
    from kata_audit.receivers.shipped import Declared
    from kata_audit.wiring_kafka import kafka_watches

    watches: list[InletWatch] = []
    with ExitStack() as opened:
        for one in config.receive:
            inlet = Inlet(str(one.kind), one.name, one.tenant or config.tenant, clock=SystemClock(), wake=wake)
            declared = Declared(node.partition("/")[0], node, one.transport, one.evidence_of)
            opened.enter_context(Listener(one, declared, inlet, _serve(one)))
            watches.append(InletWatch(inlet, f"{one.kind}-{one.name}"))
        yield [*watches, *kafka_watches(config, node)]


def _serve(one: "Receive") -> "Serve | Datagrams":
    """Give what speaks the protocol of a receiver; its secret is read at once, and again for each who shows one."""
    from kata_audit.exporters.settings import read_secret
    from kata_audit.receivers.http import serve_http
    from kata_audit.receivers.http_records import decode_body
    from kata_audit.receivers.listen import Datagrams
    from kata_audit.receivers.receive_settings import ReceiveKind
    from kata_audit.receivers.syslog import message_of, serve_syslog

    secret = partial(read_secret, one)
    secret()
    match one.kind:
        case ReceiveKind.HTTP:
            return serve_http(partial(decode_body, one.transport), secret)
        case ReceiveKind.OTLP:
            from kata_audit.receivers.otlp_records import decode_otlp

            return serve_http(decode_otlp, secret)
        case ReceiveKind.FORWARD:
            from kata_audit.receivers.forward import serve_forward

            return serve_forward(secret)
        case ReceiveKind.SYSLOG:
            return serve_syslog
        case ReceiveKind.SYSLOG_UDP:
            return Datagrams(message_of)
