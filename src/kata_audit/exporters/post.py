"""Requests to a destination, and nothing else that it could make us do.

TLS unless plain text is allowed, an address that was checked, no redirect, no proxy of the environment, no cookie; all of
it within one limit of time, and of bytes that are read.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar
from threading import Thread
from typing import Final, NamedTuple, Self, TypeAlias

import httpx

from kata_audit.exporters.address import ForbiddenAddressError, choose_address
from kata_audit.exporters.base import MAX_ANSWER_BYTES
from kata_audit.exporters.settings import Endpoint

LIMIT_SECS: Final = 10.0
"""How long one POST takes at most, from the name server's answer to the last byte."""
UNTRUSTED: Final = "its certificate is not trusted, or is for another name; name in `ca_file` who signed it"
"""What is said of a certificate that does not hold."""
_AGENT: Final = "kata-audit"
_MOST_WAIT_SECS: Final = 3600.0
_Found: TypeAlias = list[tuple[int, tuple[object, ...]]]


class Answer(NamedTuple):
    """What came back: a status of HTTP, how long the destination asks us to wait, and what it said, as far as it is read."""

    status: int
    retry_after_secs: float | None
    body: bytes = b""


class PostError(Exception):
    """Nothing came back; the text says why, in words of ours."""


def post(one: Endpoint, url: str, body: bytes, headers: Mapping[str, str], *, limit_secs: float = LIMIT_SECS) -> Answer:
    """Send one POST, over a connection of its own.

    Args:
        one: The destination: its networks, certificates, and whether plain text is allowed.
        url: Where exactly.
        body: What.
        headers: Beside those of HTTP itself.
        limit_secs: How long it may take.

    Raises:
        PostError: It did not come to an answer.
    """
    with Session(one, limit_secs=limit_secs) as session:
        return session.request("POST", url, body, headers)


class Session:
    """Requests to one destination over a connection that is kept; used by one thread.

    Certificates are read when the first request is sent, and again after one that failed.

    Args:
        one: The destination: its networks, certificates, and whether plain text is allowed.
        limit_secs: How long a request may take.
        max_answer_bytes: Bytes of an answer that are read at most.
    """

    def __init__(self, one: Endpoint, *, limit_secs: float = LIMIT_SECS, max_answer_bytes: int = MAX_ANSWER_BYTES) -> None:
        self._one, self._limit_secs, self._max_answer_bytes = one, limit_secs, max_answer_bytes
        self._runner = asyncio.Runner()
        self._client: httpx.AsyncClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the connection go; a later request makes another."""
        if self._client is not None:
            self._runner.run(self._client.aclose())
            self._client = None
        self._runner.close()
        self._runner = asyncio.Runner()

    def request(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one request.

        Args:
            method: What HTTP calls it.
            url: Where exactly.
            body: What.
            headers: Beside those of HTTP itself.

        Raises:
            PostError: It did not come to an answer.
        """
        [found] = self.request_each(method, url, [body], headers)
        if isinstance(found, PostError):
            raise found
        return found

    def request_each(
        self, method: str, url: str, bodies: Sequence[bytes], headers: Mapping[str, str]
    ) -> list[Answer | PostError]:
        """Send requests at the same time, each over a connection of its own; give what came of each.

        Args:
            method: What HTTP calls it.
            url: Where exactly.
            bodies: What, a request each.
            headers: Beside those of HTTP itself.
        """
        found: list[Answer | PostError] = []
        for one in self._runner.run(self._each(method, httpx.URL(url), bodies, headers)):
            said = explained(one, self._limit_secs) if isinstance(one, Exception) else one
            if not isinstance(said, Answer | PostError):
                raise said
            found.append(said)
        if any(isinstance(one, PostError) for one in found):
            self.close()
        return found

    async def _each(
        self, method: str, url: httpx.URL, bodies: Sequence[bytes], headers: Mapping[str, str]
    ) -> list[Answer | BaseException]:
        return await asyncio.gather(*(self._request(method, url, body, headers) for body in bodies), return_exceptions=True)

    async def _request(self, method: str, url: httpx.URL, body: bytes, headers: Mapping[str, str]) -> Answer:
        if url.scheme != "https" and not (self._one.plaintext and url.scheme == "http"):
            raise PostError("its URL is not https, and `plaintext` is not set")
        async with asyncio.timeout(self._limit_secs):
            port = url.port or (443 if url.scheme == "https" else 80)
            found = await asyncio.wrap_future(look_up(url.host, port))
            address = choose_address(found, self._one.allow)
            client = self._connected(url.scheme)
            # What comes back is read as it comes: packed, a few bytes could be any number of them.
            plain = {"Host": url.netloc.decode("ascii"), "User-Agent": _AGENT, "Accept-Encoding": "identity"}
            async with client.stream(
                method,
                url.copy_with(host=address),
                content=body,
                headers={**plain, **headers},
                extensions={"sni_hostname": url.host},
            ) as response:
                read = bytearray()
                async for part in response.aiter_raw():
                    read += part
                    if len(read) > self._max_answer_bytes:
                        break
                wait = _wait(response.headers.get("Retry-After"), response.headers.get("Date"))
                return Answer(response.status_code, wait, bytes(read[: self._max_answer_bytes]))

    def _connected(self, scheme: str) -> httpx.AsyncClient:
        if self._client is None:
            trust = trust_of(self._one) if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._client = httpx.AsyncClient(
                verify=trust, trust_env=False, follow_redirects=False, timeout=self._limit_secs, cookies=NoCookies()
            )
        return self._client


class NoCookies(CookieJar):
    """Keeps no cookie: nothing that a destination says is sent to it again."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Keep none."""


def explained(error: Exception, limit_secs: float) -> Exception:
    """Give what to raise in place of an error: the texts of libraries may hold what the destination said."""
    if isinstance(error, TimeoutError):
        return PostError(f"it took longer than {limit_secs:g} seconds")
    if isinstance(error, ForbiddenAddressError):
        return PostError(str(error))
    if isinstance(error, httpx.InvalidURL):
        return PostError("its URL is none")
    if isinstance(error, httpx.HTTPError | OSError):
        return PostError(_reason(error))
    return error


def look_up(host: str, port: int) -> Future[_Found]:
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
    return answer


def trust_of(one: Endpoint) -> ssl.SSLContext:
    """Read the certificates that a destination's is checked against.

    Raises:
        PostError: They cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=None if one.ca_file is None else str(one.ca_file))
    except OSError as error:
        raise PostError("its `ca_file` cannot be read as certificates") from error


def _wait(text: str | None, date: str | None) -> float | None:
    """Read how long to wait, which is told in seconds or as a date (RFC 9110, 10.2.3).

    A date is measured from the answer's own, so that a clock which is wrong, there or here, does no harm.
    """
    if text is None or not text.isascii():
        return None
    if text.isdecimal():
        return min(float(text), _MOST_WAIT_SECS)
    end, begin = _moment(text), _moment(date or "")
    return None if end is None or begin is None else min(max((end - begin).total_seconds(), 0.0), _MOST_WAIT_SECS)


def _moment(text: str) -> datetime | None:
    """Read a date of HTTP; what is none, or states no zone, is not read."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None


def _reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return UNTRUSTED
        if isinstance(cause, ssl.SSLError) and any(word in str(cause.reason) for word in ("CERTIFICATE", "UNKNOWN_CA")):
            return "it wants a certificate of ours, or does not take the one that it was shown"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError | ConnectionRefusedError):
        return "it cannot be connected to"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, httpx.TimeoutException):
        return "it did not answer in time"
    return "the connection broke off"
