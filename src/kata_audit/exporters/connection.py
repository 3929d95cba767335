"""A connection of TCP or TLS to a destination, by the rules of `post`: a checked address, certificates, a limit of time."""

import asyncio
import ssl
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from kata_audit.exporters.address import choose_address
from kata_audit.exporters.post import LIMIT_SECS, PostError, explained, look_up, trust_of
from kata_audit.exporters.settings import Endpoint

_PIECE = 64 * 1024


class Connection:
    """Bytes to and from one destination; used by one thread. After an error of any call it is closed.

    Args:
        one: The destination: its networks, certificates, and whether plain text is allowed.
        url: `tls://host:port` or `tcp://host:port`.
        limit_secs: How long each call may take.

    Raises:
        PostError: It cannot be connected to; the text says why, in words of ours.
    """

    def __init__(self, one: Endpoint, url: str, *, limit_secs: float = LIMIT_SECS) -> None:
        self._limit_secs, self._runner = limit_secs, asyncio.Runner()
        try:
            self._reader, self._writer = self._runner.run(self._open(one, url))
        except Exception as error:
            self._runner.close()
            raise explained(error, limit_secs) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def _open(self, one: Endpoint, url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(url)
        if parts.scheme != "tls" and not (one.plaintext and parts.scheme == "tcp"):
            raise PostError("its URL is not tls, and `plaintext` is not set")
        assert parts.hostname is not None
        assert parts.port is not None
        async with asyncio.timeout(self._limit_secs):
            address = choose_address(await look_up(parts.hostname, parts.port), one.allow)
            trust: ssl.SSLContext | None = trust_of(one) if parts.scheme == "tls" else None
            name = parts.hostname if trust is not None else None
            return await asyncio.open_connection(address, parts.port, ssl=trust, server_hostname=name)

    def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            PostError: The connection broke off, or it took too long.
        """

        async def sending() -> None:
            async with asyncio.timeout(self._limit_secs):
                self._writer.write(data)
                await self._writer.drain()

        try:
            self._runner.run(sending())
        except Exception as error:
            self.close()
            raise explained(error, self._limit_secs) from error

    def receive(self) -> bytes:
        """Wait for what comes next, some of it.

        Raises:
            PostError: The connection broke off, or it took too long.
        """

        async def receiving() -> bytes:
            async with asyncio.timeout(self._limit_secs):
                return await self._reader.read(_PIECE)

        try:
            data = self._runner.run(receiving())
        except Exception as error:
            self.close()
            raise explained(error, self._limit_secs) from error
        if not data:
            self.close()
            raise PostError("the connection broke off")
        return data

    def close(self) -> None:
        """Let it go; a second time does nothing."""
        if not self._writer.is_closing():
            self._runner.run(self._abort())
        self._runner.close()

    async def _abort(self) -> None:
        self._writer.transport.abort()
