"""Records come to a receiver of logs; what it refuses is found, and each of its answers is one sentence with a next step."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from tests.loopback import LOOPBACK, Http, Reply, Request, certificate, closed_port

from kata_audit.exporters.export_settings import Export, ExportKind, mistakes_of_export
from kata_audit.exporters.otlp import Otlp, url_of
from kata_audit.exporters.post import UNTRUSTED
from kata_audit.exporters.records import Receipt
from kata_audit.schema.exported import Exported
from kata_audit.schema.fieldset import FieldSetName
from kata_audit.wire.otlp import Group, Log, decode_logs, encode_reply, groups_of

NOW = 1_795_000_000_123_456_789


def record(seq: int, node: str = "w1") -> Exported:
    """A record as it leaves."""
    document = {"log.record.uid": f"lab/{seq}", "timestamp": "2026", "body": "hello", "k8s.node.name": node}
    return Exported(f"lab/{seq}", seq, NOW, {"timestamp": NOW}, document)


def sent(port: int, count: int, scheme: str = "http", **settings: Any) -> Receipt:
    """Send records over a connection of their own."""
    values = {"allow": (LOOPBACK,), "plaintext": True, **settings}
    exporter = Otlp(Export("otel", ExportKind.OTLP, f"{scheme}://127.0.0.1:{port}", **values))
    try:
        return exporter.export([record(seq) for seq in range(count)])
    finally:
        exporter.close()


def uids(request: Request) -> list[str]:
    """Read which records came."""
    return [log.attributes["log.record.uid"] for one in decode_logs(gzip.decompress(request.body)) for log in one.logs]


def test_records_are_grouped_by_node_and_nothing_is_said_twice() -> None:
    """Each resource has its own records, and what has a field of its own is no attribute."""
    assert groups_of((one.record, one.document) for one in (record(1), record(2, "w2"), record(3))) == [
        Group({"k8s.node.name": "w1"}, [Log({"log.record.uid": f"lab/{n}"}, NOW, body="hello") for n in (1, 3)]),
        Group({"k8s.node.name": "w2"}, [Log({"log.record.uid": "lab/2"}, NOW, body="hello")]),
    ]


def test_all_is_taken(tmp_path: Path) -> None:
    """One request with a token holds all records."""
    secret = tmp_path / "token"
    secret.write_text("t0ken\n")
    with Http().running() as server:
        assert sent(server.port, 3, secret_file=secret) == Receipt(3)

    assert [(one.path, one.headers["Authorization"]) for one in server.requests] == [("/v1/logs", "Bearer t0ken")]
    assert uids(server.requests[0]) == ["lab/0", "lab/1", "lab/2"]


@pytest.mark.parametrize("status", [200, 400, 413])
def test_the_refused_record_is_found(status: int) -> None:
    """Called again for what is left, it refuses that record and no other."""

    def reply(request: Request) -> Reply:
        bad = uids(request).count("lab/0")
        return Reply(status if bad else 200, body=encode_reply(bad))

    with Http().running() as server:
        server.reply = reply
        receipt = sent(server.port, 9)

    assert (receipt.taken, [one.at for one in receipt.rejected], receipt.problem) == (2, [0], None)


@pytest.mark.parametrize("status", [200, 400, 413])
def test_a_receiver_that_takes_nothing_is_itself_what_is_wrong(status: int) -> None:
    """No record of a whole log becomes a dead letter because of it."""
    with Http().running() as server:
        server.reply = lambda request: Reply(status, body=encode_reply(len(uids(request))))
        receipt = sent(server.port, 300)

    assert (receipt.taken, list(receipt.rejected)) == (0, [])
    assert "it refuses each record alone" in (receipt.problem or "")
    assert len(server.requests) < 30


def test_several_bad_records_are_told_from_a_bad_receiver() -> None:
    """One further on is taken; each of the bad ones is refused in its turn."""
    with Http().running() as server:
        server.reply = lambda request: Reply(400 if any(int(one[4:]) < 3 for one in uids(request)) else 200)
        exporter = Otlp(
            Export("otel", ExportKind.OTLP, f"http://127.0.0.1:{server.port}", allow=(LOOPBACK,), plaintext=True)
        )
        left, refused = [record(seq) for seq in range(20)], list[str]()
        while left:
            receipt = exporter.export(left)
            assert receipt.problem is None
            refused += [left[one.at].name for one in receipt.rejected]
            left = left[receipt.taken :]
        exporter.close()

    assert refused == ["lab/0", "lab/1", "lab/2"]


def test_one_record_alone_is_refused_where_others_were_taken() -> None:
    """The next one that is refused in the same way is a question to a person."""
    with Http().running() as server:
        exporter = Otlp(
            Export("otel", ExportKind.OTLP, f"http://127.0.0.1:{server.port}", allow=(LOOPBACK,), plaintext=True)
        )
        assert exporter.export([record(0)]) == Receipt(1)
        server.reply = lambda _: Reply(400)
        assert [one.at for one in exporter.export([record(1)]).rejected] == [0]
        assert exporter.export([record(2)]).taken == 0
        exporter.close()


def test_a_failure_while_it_is_looked_for_leaves_all_to_be_sent_again() -> None:
    """Nothing is refused on a guess."""
    replies = [Reply(400), Reply(400), Reply(503, {"Retry-After": "3"})]
    with Http().running() as server:
        server.reply = lambda _: replies.pop(0)
        receipt = sent(server.port, 2)

    assert (receipt.taken, list(receipt.rejected), receipt.retry_after_secs) == (0, [], 3.0)


def test_a_half_that_is_taken_is_taken() -> None:
    """The bad record lies behind it."""
    with Http().running() as server:
        server.reply = lambda request: Reply(body=encode_reply(uids(request).count("lab/7")))
        assert sent(server.port, 8) == Receipt(4)


@pytest.mark.parametrize("status", [301, 401, 404, 415, 429, 500, 502, 503, 504])
def test_other_answers_are_tried_again(status: int) -> None:
    """Nothing is taken, and it waits as long as it was asked to."""
    with Http().running() as server:
        server.reply = lambda _: Reply(status, {"Retry-After": "7"}, b"<script>")
        receipt = sent(server.port, 2)

    assert (receipt.taken, list(receipt.rejected), receipt.retry_after_secs) == (0, [], 7.0)
    assert receipt.problem is not None
    assert "script" not in receipt.problem


def test_a_page_of_a_proxy_confirms_nothing() -> None:
    """Status 200 alone is no answer of this protocol."""
    with Http().running() as server:
        server.reply = lambda _: Reply(body=b"<html>")
        assert sent(server.port, 1) == Receipt(0, problem="what answered is no OTLP receiver; look what `url` leads to")


def test_a_wrong_certificate_and_a_closed_port_are_told(tmp_path: Path) -> None:
    """Both are tried again."""
    _, tls = certificate(tmp_path, "elsewhere.example")
    with Http(tls).running() as server:
        assert sent(server.port, 1, scheme="https") == Receipt(0, problem=UNTRUSTED)
    assert sent(closed_port(), 1) == Receipt(0, problem="it cannot be connected to")


def test_a_wrong_token_is_told_and_the_right_one_is_read_anew(tmp_path: Path) -> None:
    """The file is read for each request: no restart is needed once it is mended."""
    secret = tmp_path / "token"
    secret.write_text("wrong\n")

    def reply(request: Request) -> Reply:
        return Reply(200 if request.headers["Authorization"] == "Bearer right" else 401, body=b"{}")

    with Http().running() as server:
        server.reply = reply
        assert "does not take the secret" in (sent(server.port, 1, secret_file=secret).problem or "")
        secret.write_text("right\n")
        assert sent(server.port, 1, secret_file=secret) == Receipt(1)


def test_a_connection_that_breaks_or_drags_confirms_nothing() -> None:
    """Reset before the answer, cut off in it, and an answer that takes longer than it may; the next request is a new one."""

    def reset(_: Request) -> Reply:
        raise ConnectionResetError

    with Http().running() as server:
        exporter = Otlp(
            Export("otel", ExportKind.OTLP, f"http://127.0.0.1:{server.port}", allow=(LOOPBACK,), plaintext=True),
            limit_secs=1,
        )
        said = []
        for reply in (reset, lambda _: Reply(body=b'{"par', missing=9), lambda _: Reply(body=b"{}" * 99, drip_secs=0.2)):
            server.reply = reply
            receipt = exporter.export([record(0)])
            assert receipt.taken == 0
            said.append(receipt.problem)
        server.reply = lambda _: Reply()
        assert exporter.export([record(0)]) == Receipt(1)
        exporter.close()

    assert said == ["the connection broke off", "the connection broke off", "it took longer than 1 seconds"]


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("https://a:4318", "https://a:4318/v1/logs"),
        ("https://a/", "https://a/v1/logs"),
        ("https://a/otlp/v1/logs", "https://a/otlp/v1/logs"),
    ],
)
def test_a_path_is_kept(url: str, whole: str) -> None:
    """Some receivers have theirs elsewhere."""
    assert url_of(url) == whole


def test_mistakes_are_named() -> None:
    """All of them at once."""
    one = Export("otel", ExportKind.OTLP, "https://a?x", fields=FieldSetName.ECS, into="x", user="a:b")

    assert {key for key, _ in mistakes_of_export(one)} >= {"fields", "into", "url", "user"}
