"""A syslog server in memory that reads to the end of each connection and closes, and misbehaves as it is told."""

import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from kata_audit.wire.syslog import Frame, FrameDecoder, Message, decode_message


class Fault(NamedTuple):
    """What goes wrong in a connection.

    Attributes:
        after: Bytes that are read before.
        does: `reset`, `close` with what came lying unread, or `sleep` until `wake` is set.
    """

    after: int
    does: str


class SyslogDouble:
    """What a server read; `fault` says what goes wrong in the connection of each number, from 0.

    Args:
        tls: What it serves with; None for plain text.
        says_end: Whether it says under TLS that it ends, as OpenSSL's programs do and GnuTLS' do not.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, says_end: bool = False) -> None:
        self._tls, self._says_end = tls, says_end
        self.fault: Callable[[int], Fault | None] = lambda _: None
        self.messages: list[Message] = []
        self.connections = 0
        self.wake = threading.Event()
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """List the records that it read, by their names."""
        return [dict(one.structured[0][1])["name"] for one in self.messages]

    def wait_for(self, count: int, secs: float = 60) -> None:
        """Wait until it has read so many messages."""
        until = time.monotonic() + secs
        while len(self.messages) < count:
            assert time.monotonic() < until, f"{len(self.messages)} of {count} came"
            time.sleep(0.05)

    @contextmanager
    def running(self) -> Iterator[int]:
        """Serve until the block ends; give the port."""
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outer._serve(self.request)

        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that goes away is no error
            server.shutdown_request = server.close_request  # type: ignore[method-assign] # a half-close would hide what is unread
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            try:
                yield server.server_address[1]
            finally:
                self.wake.set()
                server.shutdown()
                thread.join()

    def _serve(self, there: Any) -> None:
        with self._lock:
            number, self.connections = self.connections, self.connections + 1
        fault, decoder, read = self.fault(number), FrameDecoder(), 0
        if self._tls is not None:
            there = self._tls.wrap_socket(there, server_side=True, suppress_ragged_eofs=False)
        with there:
            while fault is None or read < fault.after:
                data = there.recv(65_536 if fault is None else min(fault.after - read, 65_536))
                read += len(data)
                self._take(decoder.feed(data) if data else decoder.finish())
                if not data:
                    if self._says_end:
                        there.unwrap()
                    return
            if fault.does == "reset":
                there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif fault.does == "sleep":
                self.wake.wait()
                while data := there.recv(65_536):
                    self._take(decoder.feed(data))

    def _take(self, frames: list[Frame]) -> None:
        with self._lock:
            self.messages += [decode_message(one.data) for one in frames]
