"""A Forward server as the specification describes it, in memory: it greets, unpacks, acknowledges, and misbehaves."""

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgpack

from kata_audit.wire import forward


class Last(bytes):
    """An answer behind which the connection is closed."""


class ForwardDouble:
    """What a server took, and how it answers.

    `is_rude` is whether it closes the connection on who knows another key, as Fluent Bit does.

    Args:
        key: Its shared key; None for none.
    """

    def __init__(self, key: str | None = None) -> None:
        self.key = key
        self.hello = forward.Hello(b"nonce-of-16-bytes", b"")
        self.is_rude = False
        self.messages: list[forward.Message] = []
        self.answer: Callable[[forward.Message], bytes | None] = lambda one: forward.encode_ack(one.chunk or "")

    @contextmanager
    def running(self, tls: ssl.SSLContext | None = None) -> Iterator[int]:
        """Serve until the block ends; give the port."""
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outer._serve(self.request)

        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that goes away is no error
            if tls is not None:
                server.socket = tls.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            try:
                yield server.server_address[1]
            finally:
                server.shutdown()
                thread.join()

    def _serve(self, connection: Any) -> None:
        unpacker = msgpack.Unpacker(max_buffer_size=1 << 26)
        is_in = self.key is None
        if self.key is not None:
            connection.sendall(forward.encode_hello(self.hello))
        while data := connection.recv(65_536):
            unpacker.feed(data)
            for told in unpacker:
                if not is_in:
                    salt = forward.check_ping(told, self.hello, self.key or "")
                    if salt is None and self.is_rude:
                        return
                    connection.sendall(forward.encode_pong(self.hello, "double", salt, self.key or ""))
                    is_in = salt is not None
                    continue
                message = forward.decode_message(told)
                self.messages.append(message)
                answer = self.answer(message)
                if answer is None:
                    return
                connection.sendall(answer)
                if isinstance(answer, Last):
                    return
