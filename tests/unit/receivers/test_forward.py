"""Forward is acknowledged when it is durable; who does not know the key is not read."""

import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv6Network
from pathlib import Path
from typing import Any

import msgpack
import pytest
from tests.loopback import LOOPBACK, certificate
from tests.receiving import Receiving, receiving, sealed

from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.forward import Forward
from kata_audit.exporters.records import Receipt
from kata_audit.receivers import forward as forward_module
from kata_audit.receivers.forward import serve_forward
from kata_audit.receivers.receive_settings import Receive, ReceiveKind
from kata_audit.schema.exported import Exported
from kata_audit.wire.forward import decode_hello, encode_ping

ONE = Receive("bits", ReceiveKind.FORWARD, "127.0.0.1:0", text_field="log", transport_field="transport")
TIME = msgpack.ExtType(0, struct.pack(">II", 1_795_617_069, 80_484_520))


class Peer:
    """A sender."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.settimeout(20)
        self._unpacker = msgpack.Unpacker()

    def send(self, told: Any) -> None:
        self._socket.sendall(msgpack.packb(told))

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def hear(self) -> Any:
        """Give the next object; None where the connection has ended."""
        while True:
            try:
                return self._unpacker.unpack()
            except msgpack.OutOfData:
                try:
                    data = self._socket.recv(65536)
                except ConnectionResetError:
                    return None
                if not data:
                    return None
                self._unpacker.feed(data)

    def end(self) -> None:
        self._socket.close()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Receiving]:
    with receiving(tmp_path / "store", ONE, serve_forward(lambda: None)) as made:
        yield made


@pytest.fixture
def peer(here: Receiving) -> Iterator[Peer]:
    made = Peer(here.port)
    yield made
    made.end()


def packed(*records: dict[str, Any]) -> bytes:
    return b"".join(msgpack.packb([TIME, one]) for one in records)


def lines(root: Path) -> list[bytes]:
    return [row["raw"] for row in sealed(root)]


def test_every_mode_is_read_and_acknowledged(tmp_path: Path) -> None:
    a, b = {"log": "a"}, {"log": b"b\xff"}
    messages: list[Callable[[dict[str, Any]], list[Any]]] = [
        lambda option: ["tag", TIME, a, option],
        lambda option: ["tag", 1_795_617_069, a, option],
        lambda option: ["tag", [[TIME, a], [1_795_617_069, b]], option],
        lambda option: ["tag", [[[TIME, {"meta": 1}], a]], option],
        lambda option: ["tag", packed(a, b), option],
        lambda option: ["tag", packed(a, b), {**option, "compressed": "text"}],
        lambda option: ["tag", gzip.compress(packed(a)) + gzip.compress(packed(b)), {**option, "compressed": "gzip"}],
    ]
    with receiving(tmp_path / "store", ONE, serve_forward(lambda: None)) as here:
        peer = Peer(here.port)
        for number, message in enumerate(messages):
            peer.send(message({"chunk": f"c{number}"}))
            assert peer.hear() == {"ack": f"c{number}"}
        peer.send(["tag", packed(a)])
        peer.send(["tag", TIME, a, None])
        peer.send(["tag", packed(a), {"chunk": "last"}])
        assert peer.hear() == {"ack": "last"}
        durable = here.collector.counts.records
        peer.end()
    assert durable >= 14
    assert sorted(lines(tmp_path / "store")) == [b"a\n"] * 10 + [b"b\xff\n"] * 4


def test_bytes_of_texts_are_kept(tmp_path: Path) -> None:
    """Older senders pack texts as such whatever their bytes are."""
    entries = b"\x92\xce\x00\x00\x00\x01\x81\xa3log\xa2\xff\xfe"
    with receiving(tmp_path / "store", ONE, serve_forward(lambda: None)) as here:
        peer = Peer(here.port)
        peer.send_bytes(b"\x93\xa3tag\xdb" + struct.pack(">I", len(entries)) + entries + b"\x81\xa5chunk\xa1c")
        assert peer.hear() == {"ack": "c"}
        peer.end()
    assert lines(tmp_path / "store") == [b"\xff\xfe\n"]


def test_the_tag_is_a_field(tmp_path: Path) -> None:
    one = Receive("bits", ReceiveKind.FORWARD, "127.0.0.1:0")
    with receiving(tmp_path / "store", one, serve_forward(lambda: None)) as here:
        peer = Peer(here.port)
        peer.send(["kata.shim", packed({"log": "a"}, {"tag": "own"}), {"chunk": "c"}])
        assert peer.hear() == {"ack": "c"}
        peer.end()
    assert [json.loads(line) for line in lines(tmp_path / "store")] == [{"tag": "kata.shim", "log": "a"}, {"tag": "own"}]


@pytest.mark.parametrize(
    "sent",
    [
        b"\xc1",
        b"\x93\xa3tag",
        b"GET / HTTP/1.1\r\n\r\n",
        msgpack.packb({"a": 1}),
        msgpack.packb(["tag", b"\xc1", {"chunk": "c"}]),
        msgpack.packb(["tag", packed({"a": 1})[:-1], {"chunk": "c"}]),
        msgpack.packb(["tag", b"x", {"chunk": "c", "compressed": "gzip"}]),
        msgpack.packb(["tag", [[TIME]], {"chunk": "c"}]),
        msgpack.packb(["tag", [["now", {}]], {"chunk": "c"}]),
        msgpack.packb(["tag", float("inf"), {"a": 1}, {"chunk": "c"}]),
        msgpack.packb([b"\xff", TIME, {"a": 1}, {"chunk": "c"}]),
        b"\x91" * 100_000,
        b"\x81\x90\x01" * 3,
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_what_is_no_message_ends_its_connection_alone(here: Receiving, peer: Peer, sent: bytes) -> None:
    other = Peer(here.port)
    peer.send_bytes(sent)
    peer._socket.shutdown(socket.SHUT_WR)
    assert peer.hear() is None
    other.send(["tag", packed({"log": "a"}), {"chunk": "c"}])
    assert other.hear() == {"ack": "c"}
    other.end()


def test_too_long_a_message_is_not_read_on(here: Receiving, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    del here
    monkeypatch.setattr(forward_module, "MAX_MESSAGE_BYTES", 100_000)
    with pytest.raises(OSError, match=r"."):  # noqa: PT012 - when it is closed nobody can say
        for _ in range(100):
            peer.send_bytes(b"\xc6\x00\x7f\xff\xff" + bytes(100_000))
        while peer.hear() is not None:
            pass
        raise OSError("it is closed")


def test_the_key_opens_and_nothing_else_does(tmp_path: Path) -> None:
    with receiving(tmp_path / "store", ONE, serve_forward(lambda: "k3y")) as here:
        for key, is_in in (("wrong", False), ("k3y", True)):
            peer = Peer(here.port)
            hello = decode_hello(peer.hear())
            peer.send_bytes(encode_ping(hello, "worker", b"salt", key))
            assert peer.hear()[1] is is_in
            peer.send(["tag", packed({"log": key}), {"chunk": "c"}])
            assert peer.hear() == ({"ack": "c"} if is_in else None)
            peer.end()
        eager = Peer(here.port)
        eager.send(["tag", packed({"log": "eager"}), {"chunk": "c"}])
        assert eager.hear()[0] == "HELO"
        assert eager.hear()[:2] == ["PONG", False]
        assert eager.hear() is None
        eager.end()
    assert lines(tmp_path / "store") == [b"k3y\n"]


def test_what_our_own_exporter_sends(tmp_path: Path) -> None:
    """By TLS and the shared key, as one store hands its records to another."""
    ca, _ = certificate(tmp_path, "localhost")
    both, key = tmp_path / "server.pem", tmp_path / "key"
    key.write_text("k3y\n")
    one = Receive("central", ReceiveKind.FORWARD, "127.0.0.1:0", certificate_file=both, key_file=both)
    records = [Exported(f"lab/{at}", at, 5_000_000_000 + at, {}, {"body": f"record {at}"}) for at in range(300)]
    with receiving(tmp_path / "store", one, serve_forward(lambda: "k3y")) as here:
        to = Export("central", ExportKind.FORWARD, f"tls://localhost:{here.port}", secret_file=key, ca_file=ca)
        exporter = Forward(replace(to, allow=(LOOPBACK, IPv6Network("::1"))))
        assert exporter.export(records) == Receipt(300)
        exporter.close()
    assert [json.loads(line)["body"] for line in lines(tmp_path / "store")] == [f"record {at}" for at in range(300)]


def test_without_room_there_is_no_acknowledgement(tmp_path: Path) -> None:
    with receiving(tmp_path / "store", ONE, serve_forward(lambda: None), answer_secs=0.2) as here:
        here.paused.set()
        threading.Event().wait(0.1)
        peer = Peer(here.port)
        peer.send(["tag", packed({"log": "a"}), {"chunk": "c"}])
        assert peer.hear() is None
        peer.end()
