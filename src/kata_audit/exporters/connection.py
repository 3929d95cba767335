"""A connection of TCP or TLS to a destination, by the rules of `post`: a checked address, certificates, a limit of time.

It can be ended so that the end is an answer: we say that nothing more comes, and wait until the other side has closed too. A
program that closes while bytes lie unread has its kernel say so (RST), so that a plain end means that it has read all of
them. For a protocol without acknowledgements that is the most there is to know.
"""

import fcntl
import os
import socket
import ssl
import struct
import termios
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from kata_audit.exporters.address import choose_address
from kata_audit.exporters.post import LIMIT_SECS, PostError, explained, look_up, trust_of
from kata_audit.exporters.settings import Endpoint

_PIECE: Final = 64 * 1024
_REST_SECS: Final = 0.005
_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 6))
"""A destination that is gone without a word is noticed after one and a half minutes, also where we only wait."""


class Connection:
    """Bytes to and from one destination; used by one thread. After an error of any call it is closed.

    Args:
        one: The destination: its networks, certificates, and whether plain text is allowed.
        url: `tls://host:port` or `tcp://host:port`.
        limit_secs: How long each call may take.
        certificate: Our own certificate with its key, in PEM, for a destination that asks for one.

    Raises:
        PostError: It cannot be connected to; the text says why, in words of ours.
    """

    def __init__(self, one: Endpoint, url: str, *, limit_secs: float = LIMIT_SECS, certificate: Path | None = None) -> None:
        self._limit_secs = limit_secs
        self._until = time.monotonic() + limit_secs
        self._waiting = bytearray()
        """Bytes as they go over the wire which are not yet given to the kernel."""
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._is_ending = self._is_shut = False
        self._socket: socket.socket | None = None
        try:
            self._open(one, url, certificate)
        except Exception as error:
            raise self._broken(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            PostError: The connection broke off, or it took too long.
        """
        self.put(data)
        if not self.push():
            self.close()
            raise explained(TimeoutError(), self._limit_secs)

    def put(self, data: bytes) -> None:
        """Take what `push` is to send."""
        if self._tls is None:
            self._waiting += data
            return
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]
        self._waiting += self._out.read()

    def push(self) -> bool:
        """Send what waits; say whether all of it was given to the kernel in time. What was not, a further call goes on with.

        Raises:
            PostError: The connection broke off.
        """
        self._until = time.monotonic() + self._limit_secs
        try:
            self._push()
        except TimeoutError:
            return False
        except Exception as error:
            raise self._broken(error) from error
        return True

    def receive(self) -> bytes:
        """Wait for what comes next, some of it.

        Raises:
            PostError: The connection broke off, or it took too long.
        """
        self._until = time.monotonic() + self._limit_secs
        try:
            data = self._receive()
        except Exception as error:
            raise self._broken(error) from error
        if not data:
            self.close()
            raise PostError("the connection broke off")
        return data

    def end(self) -> bool:
        """Say that nothing more comes, and wait until the other side has read all and closed; say whether it has, in time.

        It can be called again where it had not, and goes on waiting. What comes from the other side is thrown away.

        Raises:
            PostError: The connection broke off: nobody knows what was read.
        """
        self._until = time.monotonic() + self._limit_secs
        try:
            self._end()
        except TimeoutError:
            return False
        except Exception as error:
            raise self._broken(error) from error
        self.close()
        return True

    def left(self) -> int:
        """Count the bytes that the other side's kernel has not confirmed."""
        return len(self._waiting) + (0 if self._socket is None else _unconfirmed(self._socket))

    def close(self) -> None:
        """Let it go; a second time does nothing. What the kernel has not sent yet is thrown away."""
        if self._socket is not None:
            if self.left():
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._socket.close()
            self._socket = None

    def _open(self, one: Endpoint, url: str, certificate: Path | None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "tls" and not (one.plaintext and parts.scheme == "tcp"):
            raise PostError("its URL is not tls, and `plaintext` is not set")
        host, port = parts.hostname, parts.port
        assert host is not None
        assert port is not None
        address = choose_address(look_up(host, port).result(self._time_left()), one.allow)
        trust = _trust(one, certificate) if parts.scheme == "tls" else None
        self._socket = socket.create_connection((address, port), self._time_left())
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            self._socket.setsockopt(socket.IPPROTO_TCP, option, value)
        if trust is not None:
            self._tls = trust.wrap_bio(self._in, self._out, server_hostname=host)
            self._shake_hands(self._tls)

    def _shake_hands(self, tls: ssl.SSLObject) -> None:
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._push()
                self._pull()
            else:
                return self._push()

    def _time_left(self) -> float:
        """Give how long this call has still.

        Raises:
            TimeoutError: It has no time left.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise BrokenPipeError
        return self._socket

    def _push(self) -> None:
        there = self._open_socket()
        self._waiting += self._out.read()
        while self._waiting:
            there.settimeout(self._time_left())
            del self._waiting[: there.send(self._waiting[:_PIECE])]

    def _pull(self) -> bool:
        """Wait for some bytes of the wire; say whether there were any before the end."""
        there = self._open_socket()
        there.settimeout(self._time_left())
        data = there.recv(_PIECE)
        if self._tls is not None:
            self._in.write(data) if data else self._in.write_eof()
        return bool(data)

    def _receive(self) -> bytes:
        while self._tls is not None:
            try:
                return self._tls.read(_PIECE)
            except ssl.SSLWantReadError:
                self._pull()
        there = self._open_socket()
        there.settimeout(self._time_left())
        return there.recv(_PIECE)

    def _end(self) -> None:
        there = self._open_socket()
        if not self._is_ending:
            self._is_ending = True
            if self._tls is not None:
                with suppress(ssl.SSLWantReadError):  # raised once our own word of the end is written
                    self._tls.unwrap()
        if not self._is_shut:
            self._push()
            there.shutdown(socket.SHUT_WR)
            self._is_shut = True
        while self._pull():
            self._read_away()
        self._read_away()
        while _unconfirmed(there):  # the end that we saw came before our last bytes: does it still take them?
            _check(there)
            self._time_left()
            time.sleep(_REST_SECS)
        _check(there)

    def _broken(self, error: Exception) -> Exception:
        """Close, and give what to raise: what the other side said before it broke off tells more than that it did."""
        if self._tls is not None and isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
            with suppress(OSError):
                while self._pull():
                    pass
            try:
                self._read_away()
            except ssl.SSLError as said:
                error = said
        self.close()
        return explained(error, self._limit_secs)

    def _read_away(self) -> None:
        """Look at what came for what it says of the connection: that our certificate is not taken, for one."""
        if self._tls is None:
            return
        # Not every program says under TLS that it ends, rsyslog with GnuTLS for one: there anybody on the way can end it.
        with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError, ssl.SSLEOFError):
            while self._tls.read(_PIECE):
                pass


def _trust(one: Endpoint, certificate: Path | None) -> ssl.SSLContext:
    trust = trust_of(one)
    if certificate is not None:
        try:
            trust.load_cert_chain(certificate, password="")  # or OpenSSL asks for one on the terminal
        except (OSError, ValueError) as error:
            raise PostError(
                "its `secret_file` does not hold a certificate with its key, in PEM and not encrypted"
            ) from error
    return trust


def _unconfirmed(there: socket.socket) -> int:
    """Count the bytes in a socket's queue that the other side's kernel has not confirmed; the end counts as one."""
    (count,) = struct.unpack("i", fcntl.ioctl(there, termios.TIOCOUTQ, bytes(4)))
    return int(count)


def _check(there: socket.socket) -> None:
    """Raise what the kernel has heard of the connection.

    Raises:
        OSError: It broke off.
    """
    if error := there.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(error, os.strerror(error))
