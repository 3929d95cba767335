"""Syslog in streams and datagrams: a message is a line, whatever stands in it."""

import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from tests.loopback import certificate
from tests.receiving import NODE, receiving, said, sealed

from kata_audit.receivers.listen import Datagrams
from kata_audit.receivers.receive_settings import Receive, ReceiveKind
from kata_audit.receivers.syslog import message_of, serve_syslog
from kata_audit.schema.source import Transport

LINES = (
    b"<30>1 2026-11-25T10:00:00.5Z worker-1 containerd 412 - - starting containerd",
    b"<13>Nov 25 10:00:01 worker-1 kubelet[7]: hello",
    b"no header at all",
)
STREAM = Receive("nodes", ReceiveKind.SYSLOG, "127.0.0.1:0", transport=Transport.HOST_FILE, node_field="hostname")


def send(port: int, data: bytes, trust: ssl.SSLContext | None = None) -> None:
    with socket.create_connection(("127.0.0.1", port)) as plain:
        peer = trust.wrap_socket(plain, server_hostname="central.example") if trust else plain
        peer.sendall(data)
        if isinstance(peer, ssl.SSLSocket):
            peer = peer.unwrap()
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(1024):
            pass
        peer.close()


@pytest.mark.parametrize("is_counted", [True, False])
def test_messages_of_a_stream_are_lines_of_their_nodes(tmp_path: Path, *, is_counted: bool) -> None:
    one = b"".join(b"%d %b" % (len(line), line) for line in LINES[:2]) if is_counted else b"\n".join(LINES)
    with receiving(tmp_path / "store", STREAM, serve_syslog) as here:
        send(here.port, one)
    rows = sealed(tmp_path / "store")
    assert [(row["node"], row["raw"]) for row in rows] == [
        ("lab/worker-1", LINES[0] + b"\n"),
        ("lab/worker-1", LINES[1] + b"\n"),
        *([] if is_counted else [(NODE, LINES[2] + b"\n")]),
    ]
    assert [row["origin"] for row in rows[:2]] == ["host", "host"]
    assert rows[0]["receiver"] == "syslog:host-file"
    assert rows[0]["body"] == "starting containerd"


def test_a_message_cannot_hold_another_line(tmp_path: Path) -> None:
    """What a guest said may be in it, line ends and all."""
    message = b"<30>1 2026-11-25T10:00:00Z w kata 1 - - said\n<30>1 2026-11-25T10:00:00Z w containerd 1 - - forged"
    with receiving(tmp_path / "store", STREAM, serve_syslog) as here:
        send(here.port, b"%d %b" % (len(message), message))
    [row] = sealed(tmp_path / "store")
    assert row["raw"] == message.replace(b"\n", b"#012") + b"\n"


def test_only_the_text_and_its_identifier_as_an_entry_of_the_journal(tmp_path: Path) -> None:
    one = Receive(
        "nodes",
        ReceiveKind.SYSLOG,
        "127.0.0.1:0",
        transport=Transport.JOURNAL_JSON,
        message_field="message",
        identifier_field="app_name",
    )
    text = b'time="2026-11-25T10:00:00Z" level=info msg="created" name=containerd-shim-v2 pid=7 source=containerd'
    with receiving(tmp_path / "store", one, serve_syslog) as here:
        send(here.port, b"<30>1 2026-11-25T10:00:00Z w kata 7 - - " + text + b"\n")
    [row] = sealed(tmp_path / "store")
    assert row["receiver"] == "syslog:journal-json"
    assert row["body"] == "created"


def test_tls(tmp_path: Path) -> None:
    ca, _ = certificate(tmp_path, "central.example")
    both = tmp_path / "server.pem"
    one = Receive("nodes", ReceiveKind.SYSLOG, "127.0.0.1:0", certificate_file=both, key_file=both)
    with receiving(tmp_path / "store", one, serve_syslog) as here:
        with pytest.raises(ssl.SSLCertVerificationError):
            send(here.port, b"", ssl.create_default_context())
        send(here.port, LINES[0] + b"\n", ssl.create_default_context(cafile=str(ca)))
        for _ in range(400):
            if here.collector.counts.records >= 2:  # a TLS connection is closed before what it brought is read
                break
            threading.Event().wait(0.05)
    assert [row["receiver"] for row in sealed(tmp_path / "store")] == ["syslog:bare"]


def test_a_stream_is_not_read_faster_than_the_disk_takes_it(tmp_path: Path) -> None:
    """The sender's queue is the buffer: what the collector does not take stays there."""
    line = b"<13>1 - - - - - - " + b"x" * 1000 + b"\n"
    with receiving(tmp_path / "store", STREAM, serve_syslog, room_bytes=100_000) as here:
        here.paused.set()
        time.sleep(0.1)
        with socket.create_connection(("127.0.0.1", here.port)) as peer:
            peer.setblocking(False)
            sent, stuck = 0, 0
            while stuck < 20:
                try:
                    sent += peer.send(line * 64)
                    stuck = 0
                except BlockingIOError:
                    stuck += 1
                    time.sleep(0.02)
                assert sent < 64 << 20, "nothing holds the sender up"
            here.paused.clear()


def test_datagrams_are_taken_where_there_is_room_and_counted_otherwise(tmp_path: Path) -> None:
    one = Receive("nodes", ReceiveKind.SYSLOG_UDP, "127.0.0.1:0", transport=Transport.HOST_FILE)
    with (
        receiving(tmp_path / "store", one, Datagrams(message_of), room_bytes=64) as here,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        here.paused.set()
        time.sleep(0.1)
        for line in (*LINES, b"", b"\xff\x00"):
            peer.sendto(line, ("127.0.0.1", here.port))
        time.sleep(0.3)
        here.paused.clear()
        for _ in range(200):
            if here.collector.counts.lost:
                break
            threading.Event().wait(0.05)
    assert [row["raw"] for row in sealed(tmp_path / "store")] == [LINES[0] + b"\n"]
    lost = [row for row in said(tmp_path / "store") if row["event_name"] == "collect.lost"]
    assert len(lost) == 1
    assert b'"log.records.lost":"4"' in lost[0]["raw"]
