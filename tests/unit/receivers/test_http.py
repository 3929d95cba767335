"""POSTs are answered when they are durable, and whatever else a peer does harms nobody else."""

import gzip
import json
import socket
import ssl
import time
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from tests.loopback import certificate
from tests.receiving import NODE, Receiving, receiving, said, sealed

from kata_audit.errors import ReceiverError, UsageError
from kata_audit.receivers import http as http_module
from kata_audit.receivers import listen as listen_module
from kata_audit.receivers.http import Body, RefusedError, decompress, is_shown, serve_http
from kata_audit.receivers.http_records import decode_body
from kata_audit.receivers.listen import Serve, Share, is_allowed
from kata_audit.receivers.receive_settings import Receive, ReceiveKind
from kata_audit.schema.source import Transport

ONE = Receive("nodes", ReceiveKind.HTTP, "127.0.0.1:0", text_field="log", transport_field="transport")


ONE_OF_TLS = partial(Receive, "nodes", ReceiveKind.HTTP, "127.0.0.1:0", text_field="log")


def speaking(one: Receive = ONE, secret: str | None = None) -> Serve:
    return serve_http(partial(decode_body, one.transport), lambda: secret)


def post(port: int, body: bytes, **headers: str) -> httpx.Response:
    return httpx.post(f"http://127.0.0.1:{port}/", content=body, headers=headers, timeout=30, trust_env=False)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Receiving]:
    with receiving(tmp_path / "store", ONE, speaking()) as made:
        yield made


def test_what_was_answered_for_is_durable(tmp_path: Path) -> None:
    body = b'{"log":"a","transport":"host-file"}\n{"log":"b","transport":"host-file"}\nplain\n'
    with receiving(tmp_path / "store", ONE, speaking()) as here:
        answer = post(here.port, body)
        durable = here.collector.counts.records
    assert (answer.status_code, answer.json()) == (200, {})
    assert durable >= 3
    rows = sealed(tmp_path / "store")
    assert [(row["receiver"], row["raw"], row["node"]) for row in rows] == [
        ("http:host-file", b"a\n", NODE),
        ("http:host-file", b"b\n", NODE),
        ("http:bare", b"plain\n", NODE),
    ]
    assert [row["origin"] for row in rows] == ["host", "host", "unknown"]
    told = [json.loads(row["raw"]) for row in said(tmp_path / "store") if row["event_name"] == "collect.received"]
    assert [one["attributes"]["log.transport"] for one in told] == ["host-file", "bare"]
    assert {one["attributes"]["completeness"] for one in told} == {"unproven"}


def test_secrets_are_masked_before_the_disk(tmp_path: Path) -> None:
    with receiving(tmp_path / "store", ONE, speaking()) as here:
        assert post(here.port, b'{"log":"password=hunter2hunter2"}').status_code == 200
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"hunter2" in path.read_bytes()]


def test_an_array_and_compressed_bodies(here: Receiving) -> None:
    body = b'[{"log":"a"},{"log":"b"}]'
    encodings = {"gzip": gzip.compress(body), "deflate": zlib.compress(body), "identity": body}
    for name, data in encodings.items():
        assert post(here.port, data, **{"Content-Encoding": name}).status_code == 200
    assert (
        post(here.port, gzip.compress(body[:9]) + gzip.compress(body[9:]), **{"Content-Encoding": "gzip"}).status_code == 200
    )
    assert here.collector.counts.records >= 8


def test_a_body_of_the_audit_webhook(tmp_path: Path) -> None:
    one = Receive("api", ReceiveKind.HTTP, "127.0.0.1:0", transport=Transport.AUDIT_EVENTLIST)
    event = {"level": "Metadata", "auditID": "a", "stage": "ResponseComplete", "requestURI": "/api", "verb": "get"}
    body = {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": [event, event]}
    with receiving(tmp_path / "store", one, speaking(one)) as here:
        assert post(here.port, json.dumps(body, separators=(",", ":")).encode() + b"\n").status_code == 200
        assert post(here.port, b"\n").status_code == 200
    rows = sealed(tmp_path / "store")
    assert [row["dialect"].rpartition("/")[2] for row in rows].count("kube-audit") == 2
    assert {row["origin"] for row in rows} == {"host"}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"x", {"Content-Encoding": "br"}, 415),
        (b"x", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"x" * 100, mtime=0)[:-9], {"Content-Encoding": "gzip"}, 400),
        (b"", {}, 200),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(here: Receiving, body: bytes, headers: dict[str, str], status: int) -> None:
    answer = post(here.port, body, **headers)
    assert answer.status_code == status
    assert json.loads(answer.content) == {} or set(answer.json()) == {"error"}
    assert post(here.port, b'{"log":"a"}').status_code == 200


def test_a_body_that_becomes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "MAX_RECORD_BYTES", 1000)
    assert len(decompress(gzip.compress(b"x" * 1000), "gzip")) == 1000
    for bomb in (gzip.compress(b"x" * 1001), gzip.compress(b"x" * 600) * 2):
        with pytest.raises(RefusedError, match="longer than 1000"):
            decompress(bomb, "gzip")


def test_too_many_bodies_at_once_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "MAX_BODY_BYTES", 8)
    share = Share(most=10)
    with share.begin() as one, share.begin() as other:
        first, second = Body(one), Body(other)
        first.add(b"x" * 8)
        with pytest.raises(RefusedError) as refused:
            second.add(b"x" * 3)
        assert refused.value.status == 503
        with pytest.raises(RefusedError) as refused:
            first.add(b"x")
        assert refused.value.status == 413
    assert share.left == 10


def test_a_long_body_is_refused_before_it_is_sent(here: Receiving) -> None:
    with socket.create_connection(("127.0.0.1", here.port)) as peer:
        peer.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n")
        assert peer.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_who_waits_to_be_asked_is_asked(here: Receiving) -> None:
    with socket.create_connection(("127.0.0.1", here.port)) as peer:
        peer.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert peer.recv(65536).startswith(b"HTTP/1.1 100 ")
        peer.sendall(b"{}")
        assert peer.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_secret_must_be_shown(tmp_path: Path) -> None:
    with receiving(tmp_path / "store", ONE, speaking(secret="s3cret")) as here:
        shown = ["", "Bearer wrong", "Bearer", "Basic !", "Basic czNjcmV0", "Digest s3cret", "Bearer s3cretx"]
        for header in shown:
            answer = post(here.port, b'{"log":"a"}', Authorization=header)
            assert answer.status_code == 401, header
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert post(here.port, b'{"log":"b"}', Authorization="Bearer s3cret").status_code == 200
        assert post(here.port, b'{"log":"c"}', Authorization="Basic YW55OnMzY3JldA==").status_code == 200
        time.sleep(1.2)  # new sources are looked for once a second
    assert [row["raw"] for row in sealed(tmp_path / "store")] == [b"b\n", b"c\n"]
    [refused] = [row for row in said(tmp_path / "store") if row["event_name"] == "collect.refused"]
    assert json.loads(refused["raw"])["attributes"] | {"source": "", "count": ""} == {
        "source": "",
        "client.address": "127.0.0.1",
        "error.message": "the secret is missing or wrong",
        "count": "",
    }


def test_a_secret_that_cannot_be_read_and_a_defect_end_one_connection(tmp_path: Path) -> None:
    """Both are told in words of ours, and neither prints what came; the next sender is served."""
    troubles: list[Exception] = [UsageError("gone"), ZeroDivisionError("hostile \x1b[31m")]

    def secret() -> str | None:
        if troubles:
            raise troubles.pop(0)
        return None

    with receiving(tmp_path / "store", ONE, serve_http(partial(decode_body, None), secret)) as here:
        for _ in range(2):
            with pytest.raises(httpx.TransportError):
                post(here.port, b'{"log":"a"}')
        assert post(here.port, b'{"log":"a"}').status_code == 200
        time.sleep(1.2)  # new sources are looked for once a second
    told = [
        json.loads(row["raw"])["attributes"] for row in said(tmp_path / "store") if row["event_name"] == "collect.refused"
    ]
    assert [one["error.message"] for one in told] == [
        "the secret that it must show cannot be read here",
        "this is a defect of ours: ZeroDivisionError",
    ]


@pytest.mark.parametrize(
    ("header", "holds"),
    [
        ("bearer s", True),
        ("BEARER  s ", True),
        ("Basic OnM=", True),
        ("Basic cw==", False),
        ("s", False),
        ("Basic //8=", False),
    ],
)
def test_how_a_secret_is_shown(header: str, *, holds: bool) -> None:
    assert is_shown(header, "s") is holds
    assert not is_shown("Bearer \xff", "s")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000,
        b"\r\n" * 50_000,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n{",
        b"",
    ],
)
def test_a_peer_that_breaks_the_protocol_ends_alone(here: Receiving, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", here.port)) as peer:
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        peer.settimeout(20)
        answer = b""
        try:
            while part := peer.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert post(here.port, b'{"log":"a"}').status_code == 200


def test_one_connection_takes_many_requests(here: Receiving) -> None:
    with httpx.Client(trust_env=False, timeout=30) as client:
        answers = [client.post(f"http://127.0.0.1:{here.port}/", content=b'{"log":"a"}').status_code for _ in range(20)]
    assert answers == [200] * 20


def test_no_connection_more_than_there_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen_module, "MOST_CONNECTIONS", 2)
    with receiving(tmp_path / "store", ONE, speaking()) as here:
        peers = [socket.create_connection(("127.0.0.1", here.port)) for _ in range(2)]
        for peer in peers:
            peer.sendall(b"POST / HTTP/1.1\r\n")
        time.sleep(0.2)
        with socket.create_connection(("127.0.0.1", here.port)) as third:
            third.settimeout(20)
            assert third.recv(10) == b""
        for peer in peers:
            peer.close()
        for _ in range(100):
            try:
                assert post(here.port, b'{"log":"a"}').status_code == 200
                break
            except httpx.TransportError:
                time.sleep(0.05)
        else:
            pytest.fail("no connection was free again")


def test_only_named_networks_may_send(tmp_path: Path) -> None:
    from ipaddress import ip_network

    other = Receive("nodes", ReceiveKind.HTTP, "127.0.0.1:0", allow=(ip_network("10.0.0.0/8"),))
    with receiving(tmp_path / "store", other, speaking()) as here, pytest.raises(httpx.TransportError):
        post(here.port, b'{"log":"a"}')
    allowed = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert is_allowed(("10.1.1.1", 5), allowed)
    assert is_allowed(("::ffff:10.1.1.1", 5, 0, 0), allowed)
    assert is_allowed(("fd00::1%eth0", 5, 0, 0), allowed)
    assert not is_allowed(("::1", 5, 0, 0), allowed)
    assert not is_allowed(None, allowed)
    assert is_allowed(None, ())


def test_tls_and_certificates_of_senders(tmp_path: Path) -> None:
    folders = tmp_path / "ours", tmp_path / "theirs"
    for folder in folders:
        folder.mkdir()
    ours, theirs = certificate(folders[0], "central.example")[0], certificate(folders[1], "node.example")[0]
    both = folders[0] / "server.pem"
    one = ONE_OF_TLS(certificate_file=both, key_file=both, client_ca_file=theirs)
    with receiving(tmp_path / "store", one, speaking()) as here:
        trust = ssl.create_default_context(cafile=str(ours))
        with pytest.raises(httpx.TransportError):
            post_by_tls(here.port, trust)
        with pytest.raises(httpx.TransportError):
            post(here.port, b"{}")
        trust.load_cert_chain(folders[1] / "server.pem")
        assert post_by_tls(here.port, trust) == 200
    with (
        pytest.raises(ReceiverError, match="cannot be read"),
        receiving(tmp_path / "store", ONE_OF_TLS(certificate_file=ours, key_file=ours), speaking()),
    ):
        pass


def post_by_tls(port: int, trust: ssl.SSLContext) -> int:
    with httpx.Client(verify=trust, trust_env=False) as client:
        extensions = {"sni_hostname": "central.example"}
        return client.post(f"https://127.0.0.1:{port}/", content=b'{"log":"a"}', extensions=extensions).status_code


def test_an_address_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        one = Receive("nodes", ReceiveKind.HTTP, f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ReceiverError, match="cannot listen"), receiving(tmp_path / "store", one, speaking()):
            pass


def test_where_the_disk_has_no_room_senders_come_again(tmp_path: Path) -> None:
    with receiving(tmp_path / "store", ONE, speaking(), answer_secs=0.3, room_bytes=8) as here:
        here.paused.set()
        time.sleep(0.1)
        first = post(here.port, b'{"log":"aaaaaaaaaa"}')
        second = post(here.port, b'{"log":"b"}')
        assert [(one.status_code, one.headers["retry-after"]) for one in (first, second)] == [(503, "5")] * 2
        here.paused.clear()
        for _ in range(100):
            if post(here.port, b'{"log":"b"}').status_code == 200:
                break
    assert [row["raw"] for row in sealed(tmp_path / "store")] == [b"aaaaaaaaaa\n", b"b\n"]
