"""What a producer and a consumer of Kafka have in common: how they reach their brokers, and what their errors mean.

The client library resolves names and connects by itself. Every name is looked at before: those of `url` before the library
knows them, those that the brokers tell of themselves before anything is sent to one. It asks again when it connects, and a
name server may have changed its mind by then: with TLS, which is the rule, the certificate decides all the same.

Its texts hold what a broker said, so that only its codes are read; none of its words is printed.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, Protocol

from confluent_kafka import KafkaError, KafkaException

from kata_audit.errors import UsageError
from kata_audit.exporters.address import choose_address
from kata_audit.exporters.post import UNTRUSTED, PostError, explained, look_up
from kata_audit.exporters.settings import Endpoint, read_secret
from kata_audit.wire import kafka as wire

LIMIT_SECS: Final = 30.0
"""How long brokers may take to say where the topic is, and then to confirm."""
_STEP_SECS: Final = 0.5
_CODE: Final = re.compile(r"_?[A-Z][A-Z0-9_]{0,63}")
_PROTOCOL: Final = {
    ("tls", False): "SSL",
    ("tls", True): "SASL_SSL",
    ("tcp", False): "PLAINTEXT",
    ("tcp", True): "SASL_PLAINTEXT",
}
_REACHING: Final = {
    "_AUTHENTICATION": "it does not let us in; check `user`, the secret, and that `sasl` is a way it knows",
    "_SSL": f"{UNTRUSTED}, and its brokers in `url` and `advertised.listeners` as it does",
    "_RESOLVE": "a broker's name is not known; check `url`, and `advertised.listeners` there",
}
"""What keeps us from a broker, by the library's codes; what stands first is said first."""
_DOWN: Final = "no broker can be reached; is one up, does it speak {}, and do its `advertised.listeners` lead to it?"
_LAYER: Final = {"tls": "TLS there", "tcp": "without TLS there"}
_SILENT: Final = "it did not confirm in time; is its disk full, or are too few replicas in sync there?"
LOST: Final = "its client library gave up; it is begun anew"
"""What is said where nothing is known."""
_MEANING: Final = {
    "UNKNOWN_TOPIC_OR_PART": "there is no such topic; make it there, or name another one",
    "TOPIC_AUTHORIZATION_FAILED": "this user may not do it; allow it `Describe` and `{}` on the topic",
    "_TIMED_OUT": "no broker answered in time",
    "CLUSTER_AUTHORIZATION_FAILED": (
        "this user may write no topic at all; "
        "allow it `{}` on the topic, and before Kafka 2.8 `IdempotentWrite` on the cluster"
    ),
    "INVALID_RECORD": "its topic refuses our records; does it ask for a schema, or is it compacted by other keys?",
    "_PURGE_QUEUE": _SILENT,
    "_PURGE_INFLIGHT": _SILENT,
    "_MSG_TIMED_OUT": _SILENT,
}


class Brokers(wire.Brokers, Endpoint, Protocol):
    """Brokers that are connected to, with what is known of anything that is."""

    @property
    def secret_file(self) -> Path | None:
        """File with the secret."""
        ...


class KafkaProblemError(Exception):
    """It did not work; the text says why, in words of ours."""


class Client(Protocol):
    """What a producer and a consumer can."""

    def list_topics(self, topic: str | None = None, timeout: float = -1) -> Any:
        """Ask the brokers for a topic, and for themselves."""
        ...

    def poll(self, timeout: float = -1) -> Any:
        """Call back."""
        ...


class Heard:
    """What the library says of its connections since it was asked last, as codes."""

    def __init__(self) -> None:
        self._codes: set[str] = set()

    def __call__(self, error: KafkaError) -> None:
        """Take what the library says."""
        self._codes.add(error.name())

    def why(self) -> str | None:
        """Say what is known to keep us from the brokers, and will not pass by itself."""
        return next((text for code, text in _REACHING.items() if code in self._codes), None)

    def has_lost_all(self) -> bool:
        """Say whether no broker could be reached at some time since `forget`."""
        return "_ALL_BROKERS_DOWN" in self._codes

    def forget(self) -> None:
        """Begin anew: they were reached."""
        self._codes.clear()


def settings_of(one: Brokers, secret: str | None, heard: Heard) -> dict[str, Any]:
    """Give the library's settings for reaching brokers; the caller adds those of what it does there.

    Raises:
        KafkaProblemError: A file that they name cannot be used.
    """
    assert one.url is not None
    scheme = one.url.partition(":")[0]
    made: dict[str, Any] = {
        "bootstrap.servers": one.url.partition("://")[2],
        "client.id": "kata-audit",
        "security.protocol": _PROTOCOL[scheme, one.user is not None],
        "error_cb": heard,
        "logger": _quiet(),
        "reconnect.backoff.ms": 250,
        "socket.keepalive.enable": True,
    }
    if one.user is not None:
        made |= {"sasl.mechanisms": one.sasl.upper(), "sasl.username": one.user, "sasl.password": secret}
    elif secret is not None:
        made |= {"ssl.certificate.pem": secret, "ssl.key.pem": secret}
    if one.ca_file is not None:
        made["ssl.ca.location"] = str(one.ca_file)
    return made


def secret_of(one: Brokers) -> str | None:
    """Read the secret.

    Raises:
        KafkaProblemError: It cannot be had.
    """
    try:
        return read_secret(one)
    except UsageError as error:
        raise KafkaProblemError(str(error)) from error


def opened(make: Callable[[dict[str, Any]], Any], settings: dict[str, Any]) -> Any:
    """Make a producer or a consumer, which connects to nothing yet.

    Raises:
        KafkaProblemError: The library takes no such settings: certificates are no such, mostly.
    """
    try:
        return make(settings)
    except KafkaException as error:
        raise KafkaProblemError("`ca_file`, or the secret where there is no `user`, is no certificate in PEM") from error


def meet(client: Client, one: Brokers, topic: str, heard: Heard, *, to: str, limit_secs: float) -> list[int]:
    """Ask the brokers for a topic, and look at where they say that they are.

    Args:
        client: A producer or a consumer.
        one: Whose brokers.
        topic: The topic.
        heard: What the client's errors go to.
        to: What is to be done there, in Kafka's word for a permission.
        limit_secs: How long it may take.

    Returns:
        The numbers of its partitions.

    Raises:
        KafkaProblemError: They cannot be reached, may not be, or have no such topic for us.
    """
    found = _ask(client, one, topic, heard, limit_secs)
    check_brokers(((broker.host, broker.port) for broker in found.brokers.values()), one)
    made = found.topics[topic]
    if made.error is not None:
        raise KafkaProblemError(meaning(made.error, to=to))
    heard.forget()
    return sorted(made.partitions)


def _ask(client: Client, one: Brokers, topic: str, heard: Heard, limit_secs: float) -> Any:
    until = time.monotonic() + limit_secs
    while True:
        try:
            return client.list_topics(topic, timeout=_STEP_SECS)
        except KafkaException as error:
            client.poll(0)
            if (why := heard.why()) is not None:
                raise KafkaProblemError(why) from error
            if time.monotonic() > until:
                raise KafkaProblemError(_down(one)) from error


def _down(one: Brokers) -> str:
    assert one.url is not None
    return _DOWN.format(_LAYER[one.url.partition(":")[0]])


def keeps_out(one: Brokers, heard: Heard) -> str | None:
    """Say what keeps us from brokers that were reached before; None where nothing is known to."""
    return heard.why() or (_down(one) if heard.has_lost_all() else None)


def check_brokers(brokers: Iterable[tuple[str, int]], one: Brokers) -> None:
    """Look at where names lead.

    Raises:
        KafkaProblemError: One leads to where it may not, or nowhere.
    """
    until = time.monotonic() + LIMIT_SECS
    try:
        for host, port in brokers:
            choose_address(look_up(host, port).result(max(until - time.monotonic(), 0)), one.allow)
    except Exception as error:
        said = explained(error, LIMIT_SECS)
        if not isinstance(said, PostError):
            raise
        raise KafkaProblemError(f"{said}; `url` and `advertised.listeners` there say where brokers are") from error


def meaning(error: KafkaError, *, to: str) -> str:
    """Say what an error of the library means, and what to do about it.

    Args:
        error: The error.
        to: What was to be done, in Kafka's word for a permission.
    """
    code = error.name()
    if code in _MEANING:
        return _MEANING[code].format(to)
    return f"it did not do it ({code.lower()}); its own log says why" if _CODE.fullmatch(code) else "it did not do it"


def cause(raised: BaseException, *, to: str) -> str:
    """Say why the library gave up; it raises that within other exceptions, or behind them.

    Args:
        raised: What it raised.
        to: What was to be done, in Kafka's word for a permission.
    """
    found: BaseException | None = raised
    while found is not None:
        if isinstance(found, KafkaException) and found.args[0].name() != "_FATAL":
            return meaning(found.args[0], to=to)
        found = found.__cause__ or found.__context__
    return LOST


def _quiet() -> logging.Logger:
    """Give a log that nobody reads: left alone, the library writes what brokers say to stderr."""
    log = logging.getLogger("kata_audit.kafka")
    log.propagate, log.disabled = False, True
    return log
