"""One POST to a destination, and nothing else that it could make us do.

TLS unless plain text is allowed, an address that was checked, no redirect, no proxy of the environment, no cookie; all of
it within one limit of time, and of bytes that are read.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Mapping
from concurrent.futures import Future
from threading import Thread
from typing import Final, NamedTuple, TypeAlias

import httpx

from kata_audit.exporters.address import ForbiddenAddressError, choose_address
from kata_audit.exporters.base import MAX_ANSWER_BYTES
from kata_audit.exporters.settings import Endpoint

LIMIT_SECS: Final = 10.0
"""How long one POST takes at most, from the name server's answer to the last byte."""
_AGENT: Final = "kata-audit"
_MOST_WAIT_SECS: Final = 3600.0
_Found: TypeAlias = list[tuple[int, tuple[object, ...]]]


class Answer(NamedTuple):
    """What came back: a status of HTTP, and how long the destination asks us to wait."""

    status: int
    retry_after_secs: float | None


class PostError(Exception):
    """Nothing came back; the text says why, in words of ours."""


def post(one: Endpoint, url: str, body: bytes, headers: Mapping[str, str], *, limit_secs: float = LIMIT_SECS) -> Answer:
    """Send one POST.

    Args:
        one: The destination: its networks, certificates, and whether plain text is allowed.
        url: Where exactly.
        body: What.
        headers: Beside those of HTTP itself.
        limit_secs: How long it may take.

    Raises:
        PostError: It did not come to an answer.
    """
    try:
        return asyncio.run(_post(one, httpx.URL(url), body, headers, limit_secs))
    except TimeoutError as error:
        raise PostError(f"it took longer than {limit_secs:g} seconds") from error
    except ForbiddenAddressError as error:
        raise PostError(str(error)) from error
    except httpx.InvalidURL as error:
        raise PostError("its URL is none") from error
    except (httpx.HTTPError, OSError) as error:  # the text of these may hold what the destination said
        raise PostError(_reason(error)) from error


async def _post(one: Endpoint, url: httpx.URL, body: bytes, headers: Mapping[str, str], limit_secs: float) -> Answer:
    if url.scheme != "https" and not (one.plaintext and url.scheme == "http"):
        raise PostError("its URL is not https, and `plaintext` is not set")
    async with asyncio.timeout(limit_secs):
        port = url.port or (443 if url.scheme == "https" else 80)
        address = choose_address(await _look_up(url.host, port), one.allow)
        trust = _trust(one) if url.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        named = {"Host": url.netloc.decode("ascii"), "User-Agent": _AGENT, **headers}
        async with (
            httpx.AsyncClient(verify=trust, trust_env=False, follow_redirects=False, timeout=limit_secs) as client,
            client.stream(
                "POST",
                url.copy_with(host=address),
                content=body,
                headers=named,
                extensions={"sni_hostname": url.host},
            ) as response,
        ):
            read = 0
            async for part in response.aiter_raw():
                read += len(part)
                if read > MAX_ANSWER_BYTES:
                    break
            return Answer(response.status_code, _wait(response.headers.get("Retry-After")))


def _look_up(host: str, port: int) -> Awaitable[_Found]:
    """Ask for a name's addresses in a thread that nobody waits for: a name server that is silent holds it for minutes."""
    answer: Future[_Found] = Future()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):  # the latter for what is no name at all, such as `a..b`
            answer.set_exception(socket.gaierror())
        else:
            answer.set_result([(family, where) for family, _, _, _, where in found])

    answer.set_running_or_notify_cancel()
    Thread(target=ask, name="resolver", daemon=True).start()
    return asyncio.wrap_future(answer)


def _trust(one: Endpoint) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if one.ca_file is None else str(one.ca_file))
    except OSError as error:
        raise PostError("its `ca_file` cannot be read as certificates") from error


def _wait(text: str | None) -> float | None:
    """Read how many seconds to wait; a date is not read, and our own waiting does as well."""
    return min(float(text), _MOST_WAIT_SECS) if text is not None and text.isascii() and text.isdecimal() else None


def _reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is not trusted"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError | ConnectionRefusedError):
        return "it cannot be connected to"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, httpx.TimeoutException):
        return "it did not answer in time"
    return "the connection broke off"
