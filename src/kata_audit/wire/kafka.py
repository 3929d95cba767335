"""Where Kafka's brokers are and how one logs in, whoever speaks to them; the protocol itself is the client library's."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Final, Protocol

_URL: Final = re.compile(r"(tls|tcp)://([^/?#@]+)")
_BROKER: Final = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})")
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


class Sasl(StrEnum):
    """How a user logs in, as Kafka calls it."""

    SCRAM_SHA_512 = "scram-sha-512"
    """By proof of the password, which the broker is not told."""
    SCRAM_SHA_256 = "scram-sha-256"
    """The same with a shorter hash."""
    PLAIN = "plain"
    """By the password itself."""


class Brokers(Protocol):
    """Brokers that are connected to, and who we are there."""

    @property
    def url(self) -> str | None:
        """Where they are: `tls://host:port`, more of them behind commas."""
        ...

    @property
    def user(self) -> str | None:
        """Who logs in with the secret; None where the secret is a certificate, or where nobody logs in."""
        ...

    @property
    def sasl(self) -> Sasl:
        """How the user logs in."""
        ...

    @property
    def secret_file(self) -> object:
        """File with the secret; None where there is none."""
        ...

    @property
    def secret_env(self) -> str | None:
        """Environment variable with it, in place of a file."""
        ...

    @property
    def plaintext(self) -> bool:
        """Whether they may be spoken to without TLS."""
        ...


def brokers_of(url: str) -> list[tuple[str, int]]:
    """Read names and ports from `tls://host:port,…`.

    Raises:
        ValueError: It is none.
    """
    found = _URL.fullmatch(url)
    parts = [] if found is None else [_BROKER.fullmatch(part) for part in found[2].split(",")]
    if not parts or not all(part is not None and 0 < int(part[2]) < 1 << 16 for part in parts):
        raise ValueError("no brokers")
    return [(part[1].strip("[]"), int(part[2])) for part in parts if part is not None]


def mistakes_of_brokers(one: Brokers, topic: str | None) -> Iterator[tuple[str, str]]:
    """Say what keeps settings from being brokers and a topic: the key, and why."""
    if one.url is not None:
        try:
            brokers_of(one.url)
        except ValueError:
            yield "url", "`url` must be tls://host:port, with more of them behind commas, and nothing else"
        else:
            if one.url.startswith("tcp:") and not one.plaintext:
                yield "url", "`url` is without TLS; make it tls, or set `plaintext`"
    has_secret = one.secret_file is not None or one.secret_env is not None
    if one.user is not None and not has_secret:
        yield "user", "`user` has no secret; name `secret_file` or `secret_env`"
    if one.user is None and has_secret and one.url is not None and one.url.startswith("tcp:"):
        yield "user", "`user` is missing: without it, the secret is a certificate with its key, which needs TLS"
    if topic is not None and (not _TOPIC.fullmatch(topic) or topic in (".", "..")):
        yield "into", "`into` is no topic: up to 249 letters, digits, and ._-"
