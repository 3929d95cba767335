"""Records come to a collector as events; what it refuses is found, and each of its answers is one sentence with a next step."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.hec_double import HecDouble
from tests.loopback import LOOPBACK, Http, Reply, Request, certificate, closed_port

from kata_audit.exporters.export_settings import Export, ExportKind, mistakes_of_export
from kata_audit.exporters.post import UNTRUSTED
from kata_audit.exporters.records import Receipt
from kata_audit.exporters.splunk import Splunk, event_of
from kata_audit.schema.exported import Exported
from kata_audit.wire.hec import EVENT_PATH, Code, HecEvent

NOW = 1_795_000_000_123_456_789


def record(seq: int, **columns: Any) -> Exported:
    """A record as it leaves."""
    values = {"seq": seq, "node": "lab/w1", "receiver": "journal", "component": "agent", "origin": "guest", **columns}
    name = f"kata-audit/lab/1/{seq}"
    return Exported(name, seq, NOW + seq, values, {"id": name, "description": f"line {seq}", **columns})


@pytest.fixture
def double() -> HecDouble:
    return HecDouble()


@pytest.fixture
def server(double: HecDouble) -> Iterator[Http]:
    with Http().running() as running:
        running.reply = double.reply
        yield running


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("t0ken\n")
    return path


def splunk(port: int, secret: Path, *, ack_secs: float = 5.0, scheme: str = "http", **settings: Any) -> Splunk:
    values = {"allow": (LOOPBACK,), "plaintext": True, "secret_file": secret, **settings}
    return Splunk(Export("splunk", ExportKind.SPLUNK, f"{scheme}://127.0.0.1:{port}", **values), ack_secs=ack_secs)


def sent(port: int, secret: Path, records: list[Exported], **settings: Any) -> Receipt:
    """Send records over a connection of their own."""
    exporter = splunk(port, secret, **settings)
    try:
        return exporter.export(records)
    finally:
        exporter.close()


def names(events: list[HecEvent]) -> list[str]:
    return [one.fields["kata_name"] for one in events]


def test_a_record_is_an_event() -> None:
    """What Splunk knows every event by is from the record, and the document is the event."""
    one = record(7, sandbox_id="s1", k8s_pod="web", event_name="exec.start")

    assert event_of(one, "kata") == HecEvent(
        one.document,
        NOW + 7,
        "w1",
        "journal",
        "kata:agent",
        "kata",
        {
            "kata_name": one.name,
            "kata_sandbox": "s1",
            "kata_pod": "web",
            "kata_event": "exec.start",
            "kata_origin": "guest",
        },
    )


@pytest.mark.parametrize("gzip", [True, False])
@pytest.mark.parametrize("acks", [True, False])
def test_all_records_are_taken_in_order(double: HecDouble, server: Http, secret: Path, *, acks: bool, gzip: bool) -> None:
    """With and without acknowledgement, packed and not."""
    double.acks = acks
    records = [record(seq) for seq in range(20)]

    assert sent(server.port, secret, records, gzip=gzip, into="kata") == Receipt(20)
    assert names(double.events) == [one.name for one in records]
    assert {one.into for one in double.events} == {"kata"}


def test_nothing_is_taken_before_it_is_indexed(double: HecDouble, server: Http, secret: Path) -> None:
    """We ask again until it is, and give up at some time."""
    double.polls_until_indexed = 3
    assert sent(server.port, secret, [record(1)]) == Receipt(1)
    assert sum("/ack" in one.path for one in server.requests) == 3

    double.polls_until_indexed = 10**9
    receipt = sent(server.port, secret, [record(1)], ack_secs=0.1)
    assert receipt.taken == 0
    assert receipt.problem == "it did not index the records within 0.1 seconds; look at its indexing queues"


@pytest.mark.parametrize("acks", [True, False])
@pytest.mark.parametrize("code", [Code.INVALID_DATA_FORMAT, Code.EVENT_REQUIRED, Code.EVENT_BLANK, Code.INDEXED_FIELDS])
def test_a_refused_record_costs_no_other(double: HecDouble, server: Http, secret: Path, *, acks: bool, code: Code) -> None:
    """It is found by its number; those before it and behind it are there, and indexed where that is asked for."""
    double.acks = acks
    records = [record(seq) for seq in range(10)]
    double.refuse = lambda one: code if one.fields["kata_name"] in (records[0].name, records[4].name) else None
    exporter = splunk(server.port, secret)
    done, refused = 0, []
    while done < len(records):
        receipt = exporter.export(records[done:])
        assert (receipt.taken > 0, receipt.problem) == (True, None)
        refused += [done + one.at for one in receipt.rejected]
        done += receipt.taken
    exporter.close()

    assert refused == [0, 4]
    assert set(names(double.events)) == {one.name for one in records} - {records[0].name, records[4].name}


def test_what_is_too_large_is_sent_in_parts(double: HecDouble, server: Http, secret: Path) -> None:
    """A record that is too large alone is refused."""
    double.fault = lambda request: Reply(413) if len(request.body) > 2_000 else None
    records = [record(seq) for seq in range(30)]

    receipt = sent(server.port, secret, records, gzip=False)
    assert 0 < receipt.taken < 30
    assert names(double.events) == [one.name for one in records[: receipt.taken]]
    receipt = sent(server.port, secret, [record(1, body="x" * 3_000)], gzip=False)
    assert (receipt.taken, [one.reason for one in receipt.rejected]) == (1, ["Splunk says that it is too large"])


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (403, b'{"code":1}', "token is disabled there; enable it"),
        (401, b'{"code":2}', "wants a token; put"),
        (401, b'{"code":3}', "token's form; put"),
        (403, b'{"code":4}', "does not know the token; put"),
        (403, b"<html>", "does not take the token; put"),
        (400, b'{"code":7,"invalid-event-number":0}', "may not write into that index, or there is none; allow"),
        (400, b'{"code":10}', "channel and got none; look"),
        (400, b'{"code":6,"invalid-event-number":99}', "HTTP status 400; look"),
        (500, b'{"code":8}', "failed inside; look"),
        (503, b'{"code":9}', "is busy; look"),
        (429, b"", "is busy; look"),
        (404, b"evil \x1b[2J", "nothing answers as HTTP Event Collector there; give"),
        (302, b"", "redirects are not followed, so give"),
        (200, b"ok", "no HTTP Event Collector; look"),
        (200, b'{"code":0,"ackId"', "no HTTP Event Collector; look"),
    ],
)
def test_each_answer_is_a_sentence_with_a_next_step(
    double: HecDouble, server: Http, secret: Path, *, status: int, body: bytes, says: str
) -> None:
    """None of them takes or refuses a record, and nothing that the server wrote is repeated."""
    double.fault = lambda _: Reply(status, {"Retry-After": "7"}, body)
    receipt = sent(server.port, secret, [record(1), record(2)])

    assert receipt[:2] == (0, ())
    assert says in (receipt.problem or "")
    assert "evil" not in (receipt.problem or "")
    assert receipt.retry_after_secs == 7


def test_the_real_refusals_of_the_double_are_read(double: HecDouble, server: Http, secret: Path) -> None:
    """A wrong token and an index that the token may not write into."""
    assert "index" in (sent(server.port, secret, [record(1)], into="other").problem or "")
    secret.write_text("wrong")
    assert "does not know the token" in (sent(server.port, secret, [record(1)]).problem or "")
    secret.write_text("two words")
    assert "no Splunk token" in (sent(server.port, secret, [record(1)]).problem or "")
    assert double.events == []


def test_a_connection_that_is_none_is_said(tmp_path: Path, secret: Path) -> None:
    """Nobody listens; the certificate is another's."""
    assert sent(closed_port(), secret, [record(1)]).problem == "it cannot be connected to"
    _, context = certificate(tmp_path, "splunk.example")
    with Http(context).running() as server:
        receipt = sent(server.port, secret, [record(1)], scheme="https", plaintext=False)
    assert receipt == Receipt(0, problem=UNTRUSTED)


def test_mistakes_of_settings_are_named() -> None:
    """All of them, each with its key."""
    one = Export("splunk", ExportKind.SPLUNK, "https://splunk:8088/services/collector", user="admin")

    assert [key for key, _ in mistakes_of_export(one)] == ["secret_file", "user", "url"]


@pytest.mark.torture
def test_a_hundred_thousand_records_with_faults_and_restarts(double: HecDouble, server: Http, secret: Path) -> None:
    """Busy, failing, broken off, half an answer; both sides restarted, one with what it had not indexed: all are there."""
    chance = random.Random(7)

    def fault(request: Request) -> Reply | None:
        match chance.randrange(24):
            case 0:
                return Reply(429)
            case 1:
                return Reply(503, body=b'{"code":9}')
            case 2:
                return Reply(500)
            case 3:
                raise ConnectionResetError
            case 4 if EVENT_PATH in request.path:
                double._checked(request)  # taken, and the answer is cut off
                return Reply(200, body=b'{"text":"Suc')
            case 5:
                double._waiting.clear()  # a restart
        return None

    double.fault = fault
    records = [record(seq, k8s_pod=f"pod-{seq % 7}") for seq in range(100_000)]
    exporter, done, attempts = splunk(server.port, secret, ack_secs=0.3), 0, 0
    while done < len(records):
        receipt = exporter.export(records[done : done + 1_000])
        assert receipt.rejected == ()
        done += receipt.taken
        attempts += 1
        if chance.randrange(20) == 0:
            exporter.close()
            exporter = splunk(server.port, secret, ack_secs=0.3)
    exporter.close()

    got = names(double.events)
    print(f"{len(got)} events for {len(records)} records in {attempts} attempts")
    assert list(dict.fromkeys(got)) == [one.name for one in records]
