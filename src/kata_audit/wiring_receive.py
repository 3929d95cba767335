"""Puts together what takes records of other shippers: a listener for each `[[receive]]`, and topics of Kafka."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from kata_audit.clock import SystemClock

if TYPE_CHECKING:
    from kata_audit.config import Config
    from kata_audit.receivers.base import Watch
    from kata_audit.receivers.listen import Serve
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
            declared = Declared(node.partition("/")[0], node, one.transport)
            opened.enter_context(Listener(one, declared, inlet, _serve(one)))
            watches.append(InletWatch(inlet, f"{one.kind}-{one.name}"))
        yield [*watches, *kafka_watches(config, node)]


def _serve(one: "Receive") -> "Serve":
    """Give what speaks the protocol of a receiver; its secret is read at once, and again for each who shows one."""
    from kata_audit.exporters.settings import read_secret
    from kata_audit.receivers.http import serve_http
    from kata_audit.receivers.http_records import decode_body
    from kata_audit.receivers.receive_settings import ReceiveKind

    secret = partial(read_secret, one)
    secret()
    make: dict[ReceiveKind, Callable[[], Serve]] = {
        ReceiveKind.HTTP: lambda: serve_http(partial(decode_body, one.transport), secret),
    }
    return make[one.kind]()
