"""Records come to Loki once each, as lines of few streams; what it refuses is found, and never costs another record."""

import base64
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.loki_double import LokiDouble, ToLoki
from tests.loopback import LOOPBACK, Http, Reply, certificate, closed_port

from kata_audit.clock import ManualClock
from kata_audit.exporters.export_settings import Export, ExportKind, mistakes_of_export
from kata_audit.exporters.loki_entry import AHEAD_NS, BEHIND_NS, MAX_LINE_BYTES, MAX_METADATA, MAX_METADATA_BYTES, entry_of
from kata_audit.exporters.post import UNTRUSTED
from kata_audit.exporters.records import Receipt
from kata_audit.schema.exported import Exported
from kata_audit.schema.fieldset import FieldSetName, spell_record
from kata_audit.wire.loki import Entry, decode_push
from kata_audit.wiring_export import fieldset

NOW = 1_795_000_000_000_000_000
SECOND = 1_000_000_000
OPENED: list[ToLoki] = []


def record(seq: int, **columns: Any) -> Exported:
    """A record of the schema, as it leaves."""
    values: dict[str, Any] = {"seq": seq, "observed_timestamp": NOW + seq, "timestamp": NOW + seq - SECOND, "node": "lab/w1"}
    values |= {"component": "agent", "origin": "guest", "class": "audit", "body": f"line {seq}", "k8s_pod": "web"} | columns
    record = {name: value for name, value in values.items() if value is not None}
    name = f"kata-audit/lab/1/{seq}"
    document = spell_record(fieldset(FieldSetName.OTEL), record, name)
    return Exported(name, seq, record.get("timestamp", record["observed_timestamp"]), record, document)


@pytest.fixture
def double() -> LokiDouble:
    return LokiDouble()


@pytest.fixture
def server(double: LokiDouble) -> Iterator[Http]:
    with Http().running() as running:
        running.reply = double.reply
        yield running


def loki(server: Http | None, **settings: Any) -> ToLoki:
    url = None if server is None else f"http://127.0.0.1:{server.port}"
    values = {"url": url, "allow": (LOOPBACK,), "plaintext": True, **settings}
    OPENED.append(ToLoki(Export("loki", ExportKind.LOKI, **values), ManualClock(NOW)))
    return OPENED[-1]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Let the connections of a test go."""
    yield
    while OPENED:
        OPENED.pop().close()


def all_of(exporter: ToLoki, records: list[Exported]) -> dict[int, str]:
    """Hand over until all is done with, as the pipeline does; give what was refused."""
    done, refused = 0, dict[int, str]()
    while done < len(records):
        receipt = exporter.export(records[done:])
        assert receipt.taken > 0, receipt
        assert receipt.problem is None
        refused |= {records[done + one.at].seq: one.reason for one in receipt.rejected}
        assert all(one.at < receipt.taken for one in receipt.rejected)
        done += receipt.taken
    return refused


def test_a_record_is_a_line_of_a_stream() -> None:
    """Labels are what is few, the rest is beside the line, its name first and its level in a word."""
    entry = entry_of(record(7, severity_number=17, attributes={"a.b": "c"}, raw="frame"))

    assert dict(entry.labels) == {
        "class": "audit",
        "cluster": "lab",
        "component": "agent",
        "job": "kata-audit",
        "node": "w1",
        "origin": "guest",
    }
    assert (entry.time_ns, entry.line) == (NOW + 7 - SECOND, "line 7")
    assert next(iter(entry.metadata)) == "log_record_uid"
    assert entry.metadata["log_record_uid"] == "kata-audit/lab/1/7"
    assert entry.metadata["k8s_pod_name"] == "web"
    assert entry.metadata["level"] == "error"
    assert entry.metadata["kata_attributes_a_b"] == "c"
    assert "body" not in entry.metadata


def test_a_record_without_text_is_its_document() -> None:
    """As JSON, so that a line is never empty."""
    assert '"log.record.uid":"kata-audit/lab/1/1"' in entry_of(record(1, body=None)).line


@pytest.mark.parametrize(
    ("away", "is_own"), [(-BEHIND_NS, True), (-BEHIND_NS - 1, False), (AHEAD_NS, True), (AHEAD_NS + 1, False)]
)
def test_a_clock_that_is_years_off_moves_nobody_else(away: int, *, is_own: bool) -> None:
    """A record far from its receipt is sent with the time of that, and says its own beside."""
    entry = entry_of(record(0, timestamp=NOW + away))

    assert entry.time_ns == (NOW + away if is_own else NOW)
    assert entry.metadata.get("kata_sent_time") == (None if is_own else "observed")
    assert "timestamp" in entry.metadata


def test_hostile_names_and_values_cost_no_more_than_themselves() -> None:
    """Label values hold no sentence, names are ones that Loki takes, numbers and bytes have bounds, the name is there."""
    attributes = {"_": "1", "": "2", "日本": "3", "a__b": "4", "a.b": "5", "9": "6", **{f"k{n}": "v" for n in range(500)}}
    node = "lab/x' timestamp too old: é" + "y" * 500
    entry = entry_of(record(0, node=node, body="é" * 200_000, attributes=attributes, k8s_pod="p" * 70_000))
    labels = dict(entry.labels)

    assert labels["node"].startswith("x__timestamp_too_old:")
    assert all(len(value) <= 128 for value in labels.values())
    assert len(entry.metadata) <= MAX_METADATA
    assert sum(len(name) + len(value.encode()) for name, value in entry.metadata.items()) <= MAX_METADATA_BYTES + 200
    assert all(name.isidentifier() and name.isascii() and "__" not in name for name in entry.metadata)
    assert entry.metadata["log_record_uid"] == "kata-audit/lab/1/0"
    assert len(entry.line.encode()) <= MAX_LINE_BYTES
    assert entry.metadata["kata_line_bytes"] == "400000"
    assert int(entry.metadata["kata_left_out"]) > 300


def test_names_that_become_one_stay_two() -> None:
    """No attribute hides another."""
    metadata = entry_of(record(0, attributes={"a.b": "1", "a_b": "22"})).metadata

    assert (metadata["kata_attributes_a_b"], metadata["kata_attributes_a_b_2"]) == ("1", "22")


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["a.b", "a_b", "a", "a_b_2", "level", "_", "é"]), st.text(max_size=3)), max_size=4
    )
)
def test_what_is_remembered_of_a_shape_changes_no_entry(all_attributes: list[dict[str, str]]) -> None:
    """Whatever came before a record: each of its values is there, under one name that others of its shape have too."""
    for attributes in all_attributes:
        metadata = entry_of(record(0, attributes=attributes)).metadata
        sent = [value for name, value in metadata.items() if name.startswith("kata_attributes")]
        assert sorted(sent) == sorted(filter(None, attributes.values()))
        assert metadata.keys() <= entry_of(record(0, attributes=dict.fromkeys(attributes, "full"))).metadata.keys()


@pytest.mark.parametrize("packed", [True, False])
def test_all_is_taken_and_sent_again_is_there_once(server: Http, double: LokiDouble, *, packed: bool) -> None:
    """The second sending is equal to the first."""
    records = [record(seq) for seq in range(50)]
    exporter = loki(server, gzip=packed)

    assert exporter.export(records) == exporter.export(records) == Receipt(50)
    assert sorted(double.names()) == sorted(one.name for one in records)
    assert double.again == 50
    assert server.requests[0].path == "/loki/api/v1/push"


@pytest.mark.parametrize(
    "fault", [Reply(503), Reply(429), Reply(400), Reply(503, missing=5)], ids=["503", "429", "400", "broken"]
)
def test_many_go_in_two_requests_and_one_that_fails_costs_nothing(server: Http, double: LokiDouble, fault: Reply) -> None:
    """Each stream in one of them; then one at a time, until all has gone well."""
    records = [record(seq, component=f"part{seq % 5}") for seq in range(600)]
    exporter, failing = loki(server, max_records=600), [fault]
    assert exporter.export(records) == Receipt(600)
    assert len(server.requests) == 2
    streams = [{one.labels for one in decode_push(gzip.decompress(request.body))} for request in server.requests]
    assert sorted(map(len, streams)) == [2, 3]
    assert streams[0].isdisjoint(streams[1])

    double.fault = lambda _number, entries: failing.pop() if failing and len(entries) > 300 else None
    done, more = 0, [record(600 + seq, component=f"part{seq % 5}") for seq in range(600)]
    while done < len(more):
        done += exporter.export(more[done:]).taken
    assert sorted(double.names()) == sorted(one.name for one in records + more)
    for first in (1200, 1800):
        before = len(server.requests)
        assert exporter.export([record(first + seq, component=f"part{seq % 5}") for seq in range(600)]).taken == 600
    assert len(server.requests) == before + 2


def test_the_tenant_and_the_secret_are_said(server: Http, tmp_path: Path) -> None:
    """A token as bearer, a user's secret as password; read anew for each attempt."""
    secret = tmp_path / "secret"
    secret.write_text("one\n")
    loki(server, into="team-a", secret_file=secret).export([record(0)])
    loki(server, user="anna", secret_file=secret).export([record(1)])
    token, basic = (request.headers for request in server.requests)

    assert (token["X-Scope-OrgID"], token["Authorization"]) == ("team-a", "Bearer one")
    assert "X-Scope-OrgID" not in basic
    assert basic["Authorization"] == f"Basic {base64.b64encode(b'anna:one').decode()}"
    secret.unlink()
    assert "cannot be read" in str(loki(server, secret_file=secret).export([record(2)]).problem)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"no org id", "`into`"),
        (403, b"", "secret_file"),
        (404, b"", "stands before"),
        (302, b"", "redirects"),
        (260, b"ingestion blocked", "blocked"),
        (200, b"", "is it Loki"),
        (429, b"ingestion rate limit exceeded", "ingestion_rate_mb"),
        (429, b"maximum active stream limit exceeded", "max_global_streams_per_user"),
        (500, b"no space left on device", "full disk"),
        (503, b"", "not ready"),
        (400, b"stream '{}' includes structured metadata, but this feature is disallowed", "allow_structured_metadata"),
        (400, b"missing required labels 'a' for user", "enforced_labels"),
    ],
)
def test_what_a_person_mends_refuses_no_record(
    server: Http, double: LokiDouble, status: int, body: bytes, words: str
) -> None:
    """It is said in one sentence, and tried again."""
    double.fault = lambda _number, _entries: Reply(status, {"Retry-After": "9"}, body)
    receipt = loki(server).export([record(0), record(1)])

    assert receipt[:2] == (0, ())
    assert words in str(receipt.problem)
    assert "\n" not in str(receipt.problem)
    assert receipt.retry_after_secs == 9
    assert len(server.requests) == 1


def test_nobody_there_and_a_wrong_certificate(tmp_path: Path) -> None:
    """Each in words of ours."""
    gone = loki(None, url=f"http://127.0.0.1:{closed_port()}")
    assert gone.export([record(0)]).problem == "it cannot be connected to"
    _, context = certificate(tmp_path, "other.example")
    with Http(context).running() as server:
        other = loki(server, url=f"https://127.0.0.1:{server.port}", plaintext=False)
        assert other.export([record(0)]).problem == UNTRUSTED


def sentence_of_age(limit_ns: int) -> Any:
    spelled = datetime.fromtimestamp(limit_ns // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def refuses(one: Entry) -> str | None:
        told = f"entry for stream '{{}}' has timestamp too old: {spelled}, oldest acceptable timestamp is: {spelled}"
        return told if one.time_ns < limit_ns else None

    return refuses


def test_a_limit_that_is_named_finds_all_at_once(server: Http, double: LokiDouble) -> None:
    """A backlog that is too old costs two requests, not two for each record."""
    double.refuses = sentence_of_age(NOW - 5 * SECOND)
    old = dict.fromkeys(range(0, 200, 2), NOW - 60 * SECOND)
    records = [record(seq, timestamp=old.get(seq, NOW)) for seq in range(200)]
    refused = all_of(loki(server), records)

    assert set(refused) == set(old)
    assert "reject_old_samples_max_age" in refused[0]
    assert len(double.held) == 100
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("entry with timestamp x ignored, reason: 'entry too far behind, entry timestamp is: x'", "max_chunk_age"),
        ("entry out of order", "unordered_writes"),
        ("stream '{}' has structured metadata too large: '9' bytes", "max_structured_metadata_size"),
        ("something that nobody foresaw", "HTTP status 400"),
    ],
)
def test_what_is_refused_is_found_in_halves(server: Http, double: LokiDouble, sentence: str, words: str) -> None:
    """Some, none, all: each is refused with its reason, the others are there, and it comes to an end."""
    for bad in (set(), {0}, {99}, {3, 4, 50}, set(range(100))):
        double.held.clear()
        double.refuses = lambda one, bad=bad: sentence if int(one.line.split()[1]) in bad else None  # type: ignore[misc]
        records = [record(seq) for seq in range(100)]
        refused = all_of(loki(server), records)

        assert set(refused) == bad
        assert all(words in reason for reason in refused.values())
        assert len(double.held) == 100 - len(bad)


def test_halves_stop_at_a_fault_and_lose_nothing(server: Http, double: LokiDouble) -> None:
    """What was found before stands; the rest is tried again."""
    double.refuses = lambda one: "no" if one.line == "line 1" else None
    double.fault = lambda number, _: Reply(503) if number == 6 else None
    records = [record(seq) for seq in range(16)]
    exporter = loki(server)
    receipt = exporter.export(records)

    assert 0 < receipt.taken < 16
    assert "503" in str(receipt.problem)
    rest = all_of(exporter, records[receipt.taken :])
    assert [one.at for one in receipt.rejected] + list(rest) == [1]
    assert len(double.held) == 15


def test_a_request_above_the_burst_becomes_smaller(server: Http, double: LokiDouble) -> None:
    """Loki never takes it whole; halves it does, and later whole ones again."""
    double.fault = lambda _, entries: Reply(429) if len(entries) > 30 else None
    records = [record(seq) for seq in range(100)]
    exporter, done = loki(server, max_records=100), 0
    for _ in range(40):
        done += exporter.export(records[done:]).taken

    assert done == 100
    assert len(double.held) == 100


def test_what_is_larger_than_any_request_is_refused_alone(server: Http, double: LokiDouble) -> None:
    """413 for as long as it is among them."""
    double.fault = lambda _, entries: Reply(413) if any(len(one.line) > 1000 for one in entries) else None
    records = [record(seq, body=f"line {seq}" + "x" * (2000 * (seq == 5))) for seq in range(20)]

    assert set(all_of(loki(server), records)) == {5}
    assert len(double.held) == 19


def test_a_time_to_come_is_refused_and_a_slow_clock_there_is_waited_for(server: Http, double: LokiDouble) -> None:
    """Which of both clocks is wrong is told by ours."""
    double.refuses = lambda one: "has timestamp too new: x" if one.time_ns >= NOW else None
    records = [record(0), record(1, timestamp=NOW + SECOND), record(2)]

    assert list(all_of(loki(server), records)) == [1]
    late = loki(server).export([record(3, timestamp=NOW)])
    assert late.taken == 0
    assert "clock" in str(late.problem)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"url": None}, "url"),
        ({"url": "https://loki.example/loki/api/v1/push"}, "url"),
        ({"url": "https://loki.example/?a=1"}, "url"),
        ({"url": "http://loki.example"}, "url"),
        ({"into": "a|b"}, "into"),
        ({"into": ".."}, "into"),
        ({"into": "a\r\nX: y"}, "into"),
        ({"user": "a:b"}, "user"),
    ],
)
def test_mistakes_are_told_with_their_key(settings: dict[str, Any], key: str) -> None:
    """Before anything is sent."""
    values = {"url": "https://loki.example", "into": "team-a", "user": "anna", **settings}

    assert [found for found, _ in mistakes_of_export(Export("loki", ExportKind.LOKI, **values))] == [key]
