"""HTTP/1.1 as a receiver speaks it: a POST is taken, made durable, and only then answered with 200.

h11 reads and writes the protocol; the body may be compressed, and what it becomes is limited. Whoever does not show the
secret is told 401 and is not read.
"""

import asyncio
import base64
import hmac
import zlib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import h11

from kata_audit.receivers.listen import DroppedError, Portion, Serve, Share, Take, UnwelcomeError
from kata_audit.receivers.shipped import Shipped

MAX_BODY_BYTES: Final = 16 << 20
MAX_RECORD_BYTES: Final = 64 << 20
"""Of one body, when it is no longer compressed."""
_READ_BYTES: Final = 64 << 10
_HEAD_BYTES: Final = 16 << 10
_IDLE_SECS: Final = 120.0
_BODY_SECS: Final = 60.0
_GZIP: Final = zlib.MAX_WBITS | 32
"""Tells gzip and zlib by their first bytes."""
_RETRY_SECS: Final = 5
_UNAUTHORIZED: Final = 401


class RefusedError(Exception):
    """A request is not taken.

    Args:
        status: What it is answered with.
        words: A sentence of ours for whoever reads the answer.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class Answered(NamedTuple):
    """The records of a body, and what its sender is told when they are durable."""

    records: Sequence[Shipped]
    body: bytes = b"{}"
    content_type: str = "application/json"


Decode = Callable[[bytes, str], Answered]
"""Reads a body; its second argument is the content type that the sender wrote. Raises `RefusedError`."""


class Body:
    """One body as it comes."""

    def __init__(self, held: Portion) -> None:
        self._held, self._parts = held, bytearray()

    def add(self, data: bytes) -> None:
        """Put bytes at its end.

        Raises:
            RefusedError: It becomes too long, or what all connections hold does.
        """
        self._parts += data
        if len(self._parts) > MAX_BODY_BYTES:
            raise RefusedError(413, f"The body is longer than {MAX_BODY_BYTES} bytes.")
        try:
            self._held.add(len(data))
        except DroppedError:
            raise RefusedError(503, "Too much is being sent at once; send it again later.") from None

    def take(self) -> bytes:
        """Give its bytes and hold them no longer."""
        data, self._parts = bytes(self._parts), bytearray()
        self._held.give(self._held.size)
        return data


class _Told(NamedTuple):
    """What a request is answered with."""

    status: int
    body: bytes
    content_type: str = "application/json"


def serve_http(decode: Decode, secret: Callable[[], str | None]) -> Serve:
    """Make what speaks HTTP.

    Args:
        decode: Reads bodies.
        secret: Gives the secret that senders must show; None where none is asked for.
    """
    share = Share()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, take: Take) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
        goes_on = True
        while goes_on:
            try:
                told = await _answer(connection, reader, writer, take)
            except RefusedError as refused:
                told = _Told(refused.status, _words(refused.words))
            except h11.RemoteProtocolError as error:
                told = _Told(error.error_status_hint, _words("This is no HTTP/1.1 request."))
            await _send(connection, writer, told)
            if told.status == _UNAUTHORIZED:
                raise UnwelcomeError("the secret is missing or wrong")
            goes_on = connection.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}
            if goes_on:
                connection.start_next_cycle()

    async def _answer(
        connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, take: Take
    ) -> _Told:
        request = await _event(connection, reader, _IDLE_SECS)
        if not isinstance(request, h11.Request):
            raise DroppedError("it has ended")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers}
        _look_at(request, headers, secret())
        if connection.they_are_waiting_for_100_continue:
            writer.write(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        with share.begin() as held:
            body = Body(held)
            async with asyncio.timeout(_BODY_SECS):
                while isinstance(event := await _event(connection, reader, _BODY_SECS), h11.Data):
                    body.add(event.data)
            if not isinstance(event, h11.EndOfMessage):
                raise DroppedError("it ended in the middle of a body")
            content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
            encoding = headers.get("content-encoding", "identity").strip().lower()
            answers: list[Answered] = []

            def read() -> Sequence[Shipped]:
                answers.append(decode(decompress(body.take(), encoding), content_type))
                return answers[0].records

            if not await take(read):
                raise RefusedError(503, "It could not be made durable in time; send it again later.")
        return _Told(200, answers[0].body, answers[0].content_type)

    return serve


async def _event(connection: h11.Connection, reader: asyncio.StreamReader, secs: float) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        async with asyncio.timeout(secs):
            connection.receive_data(await reader.read(_READ_BYTES))
    return event


async def _send(connection: h11.Connection, writer: asyncio.StreamWriter, told: _Told) -> None:
    """Answer, and end the connection where the request was not read to its end."""
    if connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
        raise DroppedError("nothing can be answered any more")
    headers = [("Content-Type", told.content_type), ("Content-Length", str(len(told.body)))]
    if told.status == 503:
        headers.append(("Retry-After", str(_RETRY_SECS)))
    if told.status == _UNAUTHORIZED:
        headers.append(("WWW-Authenticate", 'Bearer realm="kata-audit"'))
    if connection.their_state is not h11.DONE:
        headers.append(("Connection", "close"))
    events = (
        h11.Response(status_code=told.status, headers=headers),
        h11.Data(data=told.body),
        h11.EndOfMessage(),
    )
    for event in events:
        writer.write(connection.send(event) or b"")
    async with asyncio.timeout(_BODY_SECS):
        await writer.drain()


def _look_at(request: h11.Request, headers: dict[str, str], secret: str | None) -> None:
    """Refuse what need not be read.

    Raises:
        RefusedError: It is not allowed, or is no POST, or would be too long.
    """
    if secret is not None and not is_shown(headers.get("authorization", ""), secret):
        raise RefusedError(
            _UNAUTHORIZED, "The secret is missing or wrong; send it as a bearer token, or as the password of a user."
        )
    if request.method != b"POST":
        raise RefusedError(405, "Only POST is taken here.")
    length = headers.get("content-length", "0")
    if length.isascii() and length.isdecimal() and int(length[:20]) > MAX_BODY_BYTES:
        raise RefusedError(413, f"The body is longer than {MAX_BODY_BYTES} bytes.")


def is_shown(header: str, secret: str) -> bool:
    """Say whether a header `Authorization` shows the secret: as a bearer token, or as the password of any user."""
    scheme, _, value = header.partition(" ")
    shown = value.strip()
    if scheme.lower() == "basic":
        try:
            shown = base64.b64decode(shown, validate=True).decode().partition(":")[2]
        except ValueError:
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(shown.encode(errors="replace"), secret.encode())


def decompress(body: bytes, encoding: str) -> bytes:
    """Give a body as it was before it was compressed.

    Raises:
        RefusedError: It is not what it says, is compressed otherwise, or becomes too long.
    """
    if encoding in ("identity", ""):
        return body
    if encoding not in ("gzip", "deflate"):
        raise RefusedError(415, "Bodies may be compressed with gzip or deflate, and with nothing else.")
    parts: list[bytes] = []
    left, size = body, 0
    while left:
        inflate = zlib.decompressobj(_GZIP)
        try:
            parts.append(inflate.decompress(left, MAX_RECORD_BYTES - size + 1))
        except zlib.error:
            raise RefusedError(400, "The body is not compressed as it says.") from None
        size += len(parts[-1])
        if size > MAX_RECORD_BYTES:
            raise RefusedError(413, f"The body is longer than {MAX_RECORD_BYTES} bytes when it is decompressed.")
        if not inflate.eof:
            raise RefusedError(400, "The compressed body is cut.")
        left = inflate.unused_data
    return b"".join(parts)


def _words(text: str) -> bytes:
    return f'{{"error":"{text}"}}\n'.encode()
