"""Each record becomes one document, whatever the server says and whenever it breaks off."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.bulk_double import Bulk
from tests.loopback import LOOPBACK, Http, Reply, Request, closed_port

from kata_audit.exporters.elastic import DEFAULT_INDEX, Elastic
from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.records import Receipt
from kata_audit.schema.exported import Exported
from kata_audit.schema.own import spell_time

RECORDS = [
    Exported(
        f"log/{seq}", seq, 1_795_000_000_000_000_000 + seq, {"seq": seq}, {"message": f"m{seq}", "event": {"sequence": seq}}
    )
    for seq in range(10)
]


def to(url: str, kind: ExportKind = ExportKind.ELASTICSEARCH, **settings: Any) -> Elastic:
    return Elastic(Export("siem", kind, url=url, plaintext=True, allow=(LOOPBACK,), **settings))


def sent(reply: Callable[[Request], Reply], **settings: Any) -> tuple[Receipt, list[Request]]:
    """Send all records to a server that replies so; give what came of it, and what the server got."""
    with Http().running() as server:
        server.reply = reply
        exporter = to(f"http://127.0.0.1:{server.port}", **settings)
        receipt = exporter.export(RECORDS)
        exporter.close()
    return receipt, server.requests


@pytest.mark.parametrize("gzip", [True, False])
def test_a_record_is_a_document_by_its_name(*, gzip: bool) -> None:
    bulk = Bulk()
    receipt, requests = sent(bulk.reply, gzip=gzip)

    assert receipt == Receipt(10)
    assert bulk.documents == {one.name: {"@timestamp": spell_time(one.time_ns), **one.document} for one in RECORDS}
    assert [("Content-Encoding" in request.headers) for request in requests] == [False, gzip]


def test_a_record_that_is_sent_again_is_there_once() -> None:
    bulk = Bulk()
    with Http().running() as server:
        server.reply = bulk.reply
        exporter = to(f"http://127.0.0.1:{server.port}")
        assert [exporter.export(RECORDS).taken, exporter.export(RECORDS).taken] == [10, 10]
        exporter.close()

    assert len(bulk.documents) == 10
    assert len(bulk.templates) == 1


def test_what_does_not_fit_is_refused_alone() -> None:
    def verdict(name: str, _: dict[str, Any]) -> tuple[int, str | None]:
        return (400, "mapper_parsing_exception") if name in ("log/2", "log/7") else (201, None)

    receipt, _ = sent(Bulk(verdict).reply)
    assert (receipt.taken, [one.at for one in receipt.rejected], receipt.problem) == (10, [2, 7], None)
    assert receipt.rejected[0].reason == "its fields do not fit the index (mapper_parsing_exception)"


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (429, "es_rejected_execution_exception", "its queue is full"),
        (429, "cluster_block_exception", "its disk is full"),
        (403, "security_exception", "may not do it"),
        (503, "unavailable_shards_exception", "or its disk is full"),
        (503, "master_not_discovered_exception", "or a disk is full"),
        (500, "i_o_exception", "its disk is full"),
        (503, "process_cluster_event_timeout_exception", "it is given time"),
        (400, "illegal_argument_exception", "alias without a write index"),
        (500, "<script>", "its own log says why (status 500)"),
    ],
)
def test_what_may_be_taken_later_ends_what_is_done_with(status: int, error: str, said: str) -> None:
    """What stands before it counts; what is behind it is sent again, though the server may have some of it."""

    def verdict(name: str, _: dict[str, Any]) -> tuple[int, str | None]:
        return (status, error) if name == "log/4" else (201, None)

    receipt, _ = sent(Bulk(verdict).reply)
    assert (receipt.taken, list(receipt.rejected)) == (4, [])
    assert said in str(receipt.problem)
    assert "<script>" not in str(receipt.problem)


def test_a_request_that_is_too_large_is_made_smaller() -> None:
    """Down to one record, which is refused alone where it does not fit either."""
    bulk = Bulk(most_bytes=300)
    with Http().running() as server:
        server.reply = bulk.reply
        exporter = to(f"http://127.0.0.1:{server.port}", gzip=False)
        left = list(RECORDS)
        while left:
            receipt = exporter.export(left)
            assert receipt.problem is None
            left = left[receipt.taken :]
        assert len(bulk.documents) == 10
        bulk.most_bytes = 10
        receipt = exporter.export(RECORDS)
        exporter.close()

    assert [one.at for one in receipt.rejected] == list(range(receipt.taken))
    assert "larger than a request may be" in receipt.rejected[0].reason


@pytest.mark.parametrize("fault", [Reply(503), Reply(missing=5)], ids=["failed", "broke off"])
def test_of_requests_at_the_same_time_those_before_the_first_that_failed_count(fault: Reply) -> None:
    """What a later one held is there already when it is sent again."""
    bulk, failing = Bulk(), [True]

    def reply(request: Request) -> Reply:
        if b'"log/300"' in request.body and failing:
            failing.pop()
            return fault
        return bulk.reply(request)

    records = [one._replace(name=f"log/{seq}") for seq, one in enumerate(RECORDS * 100)]
    with Http().running() as server:
        server.reply = reply
        exporter = to(f"http://127.0.0.1:{server.port}", gzip=False)
        first = exporter.export(records)
        second = exporter.export(records[first.taken :])
        exporter.close()

    assert (first.taken, list(first.rejected)) == (250, [])
    assert first.problem is not None
    assert second == Receipt(750)
    assert bulk.documents.keys() == {one.name for one in records}


@pytest.mark.parametrize(
    ("refused", "has"),
    [
        (lambda _: False, {"data_stream", "flattened"}),
        (lambda asked: "flattened" in json.dumps(asked), {"data_stream"}),
        (lambda asked: "data_stream" in asked, {"flattened"}),
        (lambda asked: "data_stream" in asked or "flattened" in json.dumps(asked), set()),
    ],
)
def test_the_template_is_the_best_that_the_server_takes(refused: Callable[[dict[str, Any]], bool], has: set[str]) -> None:
    bulk = Bulk()
    bulk.takes_template = lambda asked: not refused(asked)
    receipt, _ = sent(bulk.reply)
    (template,) = bulk.templates

    assert receipt.taken == 10
    assert {word for word in ("data_stream", "flattened") if word in json.dumps(template)} == has
    assert template["index_patterns"] == [DEFAULT_INDEX]


def test_who_we_are_is_a_key_or_a_user(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    for settings, header in (({}, "ApiKey s3cret"), ({"user": "kata"}, "Basic a2F0YTpzM2NyZXQ=")):
        _, requests = sent(Bulk().reply, secret_file=tmp_path / "secret", **settings)
        assert {request.headers["Authorization"] for request in requests} == {header}


def test_a_wrong_secret_is_told_with_the_next_step() -> None:
    bulk = Bulk()
    bulk.status = 401
    receipt, _ = sent(bulk.reply)
    assert receipt == Receipt(0, problem="it does not let us in (HTTP status 401); check `user` and the secret")


def test_a_secret_that_is_not_there_sends_nothing(tmp_path: Path) -> None:
    receipt, requests = sent(Bulk().reply, secret_file=tmp_path / "none")
    assert receipt.taken == 0
    assert "cannot be read" in str(receipt.problem)
    assert requests == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"items":[]}', b'{"items":[1,2]}', b'{"items":[{"create":{}}]}', b"\xff" * 99]
)
def test_an_answer_that_is_none_takes_nothing(body: bytes) -> None:
    receipt, _ = sent(lambda _: Reply(200, {}, body))
    assert receipt == Receipt(0, problem="its answer is none of the bulk API; is `url` that of Elasticsearch or OpenSearch?")


def test_nobody_there_is_said() -> None:
    assert to(f"http://127.0.0.1:{closed_port()}").export(RECORDS) == Receipt(0, problem="it cannot be connected to")


@pytest.mark.parametrize("kind", [ExportKind.OPENSEARCH, ExportKind.ELASTICSEARCH])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda held: {"kata": {"attributes": held, "origin": "guest"}},
        lambda held: {"unmapped": {"attributes": held, "origin": "guest"}},
        lambda held: {"kata.attributes": held, "kata.origin": "guest"},
    ],
    ids=["ecs", "ocsf", "otel"],
)
def test_a_long_attribute_hides_no_record(kind: ExportKind, wrap: Callable[[dict[str, str]], dict[str, Any]]) -> None:
    """OpenSearch would refuse the whole record for it: there it is cut, and says so, in the words of each field set."""
    attributes = {"long": "x" * 40_000, "short": "y"}
    one = RECORDS[0]._replace(document={"@timestamp": "2026-11-23T06:07:28Z", **wrap(attributes)})
    bulk = Bulk()
    with Http().running() as server:
        server.reply = bulk.reply
        exporter = to(f"http://127.0.0.1:{server.port}", kind)
        assert exporter.export([one]).taken == 1
        exporter.close()

    cut = {"long": "x" * 8_000 + "…", "short": "y"} if kind is ExportKind.OPENSEARCH else attributes
    assert bulk.documents[one.name] == {"@timestamp": "2026-11-23T06:07:28Z", **wrap(cut)}
