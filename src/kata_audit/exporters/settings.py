"""What a destination is set up with, `[[alerts.destination]]`; `config.py` reads it."""

import ipaddress
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

from kata_audit.errors import UsageError
from kata_audit.schema.finding import Level

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_MOST_SECRET_BYTES = 64 * 1024


class WithSecret(Protocol):
    """Anything that has a secret: what it is called, and where its secret is."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    @property
    def secret_file(self) -> Path | None:
        """File with its secret."""
        ...

    @property
    def secret_env(self) -> str | None:
        """Environment variable with its secret, in place of a file."""
        ...


class Endpoint(WithSecret, Protocol):
    """What is known of anything that is connected to: whose name it has, where its secret is, and how it may be reached."""

    @property
    def ca_file(self) -> Path | None:
        """Certificates that its certificate is checked against, in PEM; None for those of the system."""
        ...

    @property
    def allow(self) -> tuple[Network, ...]:
        """Private networks that it may lie in."""
        ...

    @property
    def plaintext(self) -> bool:
        """Whether it may be spoken to without TLS."""
        ...


class DestinationKind(StrEnum):
    """What takes the notices."""

    ALERTMANAGER = "alertmanager"
    """Prometheus' Alertmanager, API v2."""
    WEBHOOK = "webhook"
    """A signed POST for each notice."""
    APPRISE = "apprise"
    """A service that Apprise knows: pagers, chats, mail, tickets."""
    FILE = "file"
    """A line of JSON for each notice, at the end of a file."""
    STDOUT = "stdout"
    """The same on stdout."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One place that notices go to, `[[alerts.destination]]`."""

    name: str
    """What it is called in messages, and in the saved positions: a new name is a new destination."""
    kind: DestinationKind
    """`alertmanager`, `webhook`, `apprise`, `file` or `stdout`."""
    url: str | None = None
    """Where it is, of an Alertmanager or a webhook; it holds no secret."""
    path: Path | None = None
    """The file that a destination of kind `file` appends to."""
    secret_file: Path | None = None
    """File with its secret: the bearer token of an Alertmanager, the signing secret of a webhook, the URL of Apprise."""
    secret_env: str | None = None
    """Environment variable with its secret, in place of a file."""
    ca_file: Path | None = None
    """Certificates that its certificate is checked against, in PEM; left out, those of the system."""
    allow: tuple[Network, ...] = ()
    """Private networks that it may lie in, as CIDR; left out, only public addresses are connected to."""
    plaintext: bool = False
    """Whether it may be spoken to without TLS."""
    min_level: Level = Level.HIGH
    """The least severe level of alerts that it is told of."""
    heartbeat: bool = False
    """Whether it is told at every heartbeat that delivery is alive."""
    standby: bool = False
    """Whether it is told only what another destination did not take in time."""
    second: str | None = None
    """Name of the destination that is told of critical alerts which this one has not taken after `second_after_secs`."""
    second_after_secs: float = 300.0
    """Seconds that this destination has for a critical alert before the second one is told."""


def mistakes_of(one: Destination) -> Iterator[tuple[str, str]]:
    """Say what keeps settings from being a destination: the key, and why."""
    needs_url = one.kind in (DestinationKind.ALERTMANAGER, DestinationKind.WEBHOOK)
    needs_secret = one.kind in (DestinationKind.APPRISE, DestinationKind.WEBHOOK)
    for key, value, is_needed in (
        ("url", one.url, needs_url),
        ("path", one.path, one.kind is DestinationKind.FILE),
        ("secret_file", one.secret_file or one.secret_env, needs_secret),
    ):
        if is_needed and value is None:
            yield key, f"`{key}` is missing for kind `{one.kind}`{'; or name `secret_env`' if key == 'secret_file' else ''}"
        elif not is_needed and value is not None and not (key == "secret_file" and needs_url):
            yield key, f"`{key}` is nothing for kind `{one.kind}`"
    if one.secret_file is not None and one.secret_env is not None:
        yield "secret_env", "`secret_env` and `secret_file` are two places for one secret; name one"
    if one.url is not None and needs_url:
        yield from (("url", message) for message in mistakes_of_url(one.url, plaintext=one.plaintext))
        if one.kind is DestinationKind.ALERTMANAGER and "?" in one.url:
            yield "url", "`url` of an Alertmanager has no part behind `?`"
    if one.second == one.name:
        yield "second", "`second` names this destination itself"


def mistakes_of_url(url: str, *, plaintext: bool) -> Iterator[str]:
    """Say what keeps a text from being the URL of something that is reached by HTTP."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        yield "`url` is none"
        return
    if parts.scheme not in ("https", "http") or not host:
        yield "`url` must begin with https:// and name a host"
    elif parts.scheme == "http" and not plaintext:
        yield "`url` is without TLS; make it https, or set `plaintext`"
    if parts.username is not None or parts.password is not None:
        yield "`url` holds a user or password; put the secret into `secret_file`"
    if not url.isascii() or not url.isprintable() or " " in url:
        yield "`url` holds characters that no URL has; spell other hosts as xn--…"
    if parts.fragment:
        yield "`url` has a part behind `#`, which is never sent"


def read_secret(one: WithSecret, environment: Mapping[str, str] = os.environ) -> str | None:
    """Read a secret, without the white space around it; None where it has none.

    It is read for each attempt, so that a new secret needs no restart.

    Raises:
        UsageError: It is named and cannot be had. The text names the file or variable, never the secret.
    """
    if one.secret_env is not None:
        if not environment.get(one.secret_env, "").strip():
            raise UsageError(f"The secret of `{one.name}` is not there.", where=f"${one.secret_env}", hint="Set it.")
        return environment[one.secret_env].strip()
    if one.secret_file is None:
        return None
    try:
        with one.secret_file.open("rb") as file:
            text = file.read(_MOST_SECRET_BYTES).decode().strip()
    except OSError as error:
        where = str(one.secret_file)
        raise UsageError(f"The secret of `{one.name}` cannot be read: {error.strerror}.", where=where) from error
    except UnicodeDecodeError:
        text = ""
    if not text:
        hint = "Write it there as text."
        raise UsageError(f"The secret of `{one.name}` is empty or no text.", where=str(one.secret_file), hint=hint)
    return text
