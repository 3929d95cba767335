"""What a node's store held is in the central store byte by byte, and only nodes that are believed can say what they held."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest
from tests.loopback import LOOPBACK
from tests.receiving import receiving, sealed
from tests.sent_evidence import NODE, differences, evidence, node_store, rows
from tests.unit.receivers.test_kafka import Broker, life, step

from kata_audit.clock import ManualClock
from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.forward import Forward
from kata_audit.exporters.kafka import _key
from kata_audit.exporters.otlp import Otlp
from kata_audit.exporters.records import Receipt
from kata_audit.parse.waves import NAME_THERE
from kata_audit.pipeline.collect import Collector
from kata_audit.receivers.forward import serve_forward
from kata_audit.receivers.http import serve_http
from kata_audit.receivers.kafka_topic import read_value
from kata_audit.receivers.listen import Serve
from kata_audit.receivers.otlp_records import decode_otlp
from kata_audit.receivers.receive_settings import Receive, ReceiveKind
from kata_audit.receivers.shipped import Declared, Fields, Line
from kata_audit.schema.cursor import parse_cursor
from kata_audit.schema.exported import Exported
from kata_audit.schema.source import Origin, Transport

CENTRAL = Declared("lab", "lab/central", evidence_of=("lab/w*",))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("node") / "store"
    node_store(root)
    return root


@pytest.fixture(scope="module")
def sent(node: Path) -> list[Exported]:
    return list(evidence(node))


def lines(one: Exported, declared: Declared = CENTRAL) -> list[Line]:
    return read_value(orjson.dumps(one.document), 5, Fields(), declared)


def put(broker: Broker, records: Sequence[Exported], declared: Declared = CENTRAL) -> None:
    for one in records:
        broker.put(hash(_key(one)) % len(broker.held), *lines(one, declared))


def until_all_is_there(collector: Collector, clock: ManualClock) -> None:
    while not collector.counts.records:
        step(collector, clock)
    step(collector, clock, 30)


def test_by_a_topic_nothing_differs(node: Path, sent: list[Exported], tmp_path: Path) -> None:
    broker = Broker(3)
    put(broker, sent)
    life(tmp_path / "s", broker, until_all_is_there)
    assert len(sent) > 1_400
    assert len(sealed(tmp_path / "s")) == len(sent)
    assert not differences(node, tmp_path / "s")
    assert broker.committed == broker.end


def test_what_is_compared_has_what_is_hard_to_carry(node: Path) -> None:
    """Marks of masked secrets, bytes that are no text, lines in pieces, receivers of other kinds, and what we say ourselves."""
    held = rows(node)
    assert any(row["mask_count"] for row in held)
    assert any(b"\xff\xfe" in row["raw"] for row in held)
    assert sum(row["frame_group"] is not None for row in held) >= 5
    assert any(row["sandbox_id"] and row["receiver"] == "fifo:host-file" for row in held)
    assert {row["class"] for row in held if row["receiver"].startswith("kata-audit:")} == {"security", "access"}
    assert any(b"\n" in row["raw"][:-2] for row in held)


def test_a_difference_is_seen(node: Path, sent: list[Exported], tmp_path: Path) -> None:
    """Of one record another byte, and of one nothing: the comparison is worth something."""
    broker = Broker()
    other = lines(sent[0])[0]
    assert other.frame is not None
    broker.put(0, other._replace(data=b"x\n", frame=other.frame._replace(raw=b"x\n")))
    put(broker, sent[2:])
    life(tmp_path / "s", broker, until_all_is_there)
    found = differences(node, tmp_path / "s")
    assert found["missing"] == 1
    assert found["raw"] == found["body"] == 1


class Road(NamedTuple):
    """A receiver that is no topic, what speaks there, and the exporter that sends to it."""

    kind: ReceiveKind
    serve: Serve
    make: Callable[[Export], Forward | Otlp]
    scheme: str


ROADS = [
    Road(ReceiveKind.FORWARD, serve_forward(lambda: None), Forward, "tcp"),
    Road(ReceiveKind.OTLP, serve_http(decode_otlp, lambda: None), Otlp, "http"),
]


@pytest.mark.parametrize("road", ROADS, ids=[str(road.kind) for road in ROADS])
def test_by_other_roads_nothing_differs_and_what_comes_again_is_told(
    node: Path, sent: list[Exported], tmp_path: Path, road: Road
) -> None:
    one = Receive("w", road.kind, "127.0.0.1:0", evidence_of=("lab/*",))
    with receiving(tmp_path / "s", one, road.serve) as running:
        url = f"{road.scheme}://127.0.0.1:{running.port}"
        exporter = road.make(Export("up", ExportKind(str(road.kind)), url, allow=(LOOPBACK,), plaintext=True, evidence=True))
        for first in range(0, len(sent), 500):
            assert exporter.export(sent[first : first + 500]) == Receipt(len(sent[first : first + 500]))
        assert exporter.export(sent[-100:]) == Receipt(100)
        exporter.close()
    assert len(sealed(tmp_path / "s")) == len(sent)
    assert not differences(node, tmp_path / "s", str(road.kind))
    assert any(row["event_name"] == "collect.repeated" for row in rows(tmp_path / "s"))


def test_from_store_to_store_a_record_stays_what_it_was(node: Path, sent: list[Exported], tmp_path: Path) -> None:
    """A store between two, and the name that the nearest one has for it."""
    broker, farther = Broker(), Broker()
    put(broker, sent)
    life(tmp_path / "between", broker, until_all_is_there)
    between = list(evidence(tmp_path / "between"))
    put(farther, between, CENTRAL._replace(evidence_of=("*",)))
    life(tmp_path / "s", farther, until_all_is_there)

    assert not differences(tmp_path / "between", tmp_path / "s")
    first = next(row for row in rows(tmp_path / "s") if row["node"] == NODE)
    assert first["receiver"] == f"kafka/kafka/{rows(node)[0]['receiver']}"
    assert dict(first["attributes"])[NAME_THERE] == next(one.name for one in between if one.record["node"] == NODE)


@pytest.mark.parametrize("believed", [(), ("lab/x*", "other/w1"), ("w1",)])
def test_who_is_not_believed_says_nothing_of_a_node(sent: list[Exported], tmp_path: Path, believed: tuple[str, ...]) -> None:
    """Not even of the host, of our collector or by our alerts: it is JSON that somebody sent."""
    broker = Broker()
    put(broker, sent[:17] + sent[-3:], CENTRAL._replace(evidence_of=believed))
    life(tmp_path / "s", broker, until_all_is_there)
    taken = sealed(tmp_path / "s")
    assert len(taken) == 20
    assert {(row["receiver"], row["node"], row["origin"]) for row in taken} == {
        ("kafka:bare", "lab/central", Origin.UNKNOWN)
    }
    assert all(row["event_name"] is None for row in taken)


def test_what_a_node_says_of_itself_is_never_what_this_store_says(sent: list[Exported], tmp_path: Path) -> None:
    """A believed node's own records are the host's words under their events, and open no door of ours here."""
    own = [one for one in sent if one.record["receiver"].startswith("kata-audit:")]
    broker = Broker()
    put(broker, own)
    life(tmp_path / "s", broker, until_all_is_there)
    taken = [row for row in rows(tmp_path / "s") if row["node"] == NODE]
    assert [(row["receiver"], row["event_name"], row["class"]) for row in taken] == [
        ("kafka/kata-audit:collect", "collect.lost", "security"),
        ("kafka/kata-audit:access", "collect.lost", "access"),
        ("kafka/kata-audit:finding", "collect.lost", "security"),
    ]
    assert {(row["origin"], row["component"]) for row in taken} == {("host", "kata-audit")}


def test_a_guest_cannot_make_evidence_of_its_text(sent: list[Exported]) -> None:
    """Neither within a line that is a record's text, nor deeper within a record."""
    forged = sent[0].document
    for values in ({"log": orjson.dumps(forged).decode()}, {"log": dict(forged)}, {"a": {"attributes": dict(forged)}}):
        [line] = read_value(orjson.dumps(values), 5, Fields("log"), CENTRAL)
        assert line.frame is None
        assert (line.node, line.transport) == ("lab/central", Transport.BARE)


def test_evidence_of_a_newer_version_breaks_nothing(sent: list[Exported], tmp_path: Path) -> None:
    """Transports and dialects that only that one knows are bare lines here, and the frame is kept."""
    broker = Broker()
    for receiver in ("file:smoke-signals", "file:host-file:runes", "kata-audit:prophecy"):
        [line] = read_value(orjson.dumps({**sent[0].document, "evidence.receiver": receiver}), 5, Fields(), CENTRAL)
        broker.put(0, line)
    life(tmp_path / "s", broker, until_all_is_there)
    assert [(row["receiver"], row["origin"]) for row in sealed(tmp_path / "s")] == [
        ("kafka/file:smoke-signals", "unknown"),
        ("kafka/file:host-file:runes", "host"),
        ("kafka/kata-audit:prophecy", "host"),
    ]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_dies_everything_is_there_and_twice_only_under_equal_names(
    sent: list[Exported], tmp_path: Path, seed: int
) -> None:
    """The sender sends again from somewhere before, in messages of one record and of several; we die between."""
    chance, broker, root, at = random.Random(seed), Broker(2), tmp_path / "s", 0
    broker.most = 40
    some = sent[:300] + sent[-30:]
    while at < len(some):
        until = min(at + chance.randrange(20, 90), len(some))
        put(broker, some[at:until])
        life(
            root,
            broker,
            lambda collector, clock: step(collector, clock, chance.randrange(1, 6)),
            dies=chance.random() < 0.7,
        )
        at = max(until - chance.randrange(15), 0) if until < len(some) else until
    several = [line for one in some[:50] for line in lines(one)]
    broker.put(0, *several)
    life(root, broker, lambda collector, clock: step(collector, clock, 60))

    taken = [row for row in rows(root) if row["node"] == NODE]
    names = [dict(row["attributes"])[NAME_THERE] for row in taken]
    assert set(names) == {one.name for one in some}
    places = [parse_cursor(row["cursor"]) for row in taken]
    positions = [
        (place.stream.split("-")[-3], *place.position.split(".")[1:]) for place in places if place and place.position
    ]
    assert len(positions) == len(taken)
    of_messages = Counter((offset, number, name) for (number, offset, _), name in zip(positions, names, strict=True))
    assert set(of_messages.values()) == {1}, "what is in the topic once is there once"
    assert len({(name, row["raw"]) for name, row in zip(names, taken, strict=True)}) == len(some)


def test_what_is_sent_again_while_we_live_is_taken_once(sent: list[Exported], tmp_path: Path) -> None:
    broker = Broker()
    put(broker, sent[:200])
    put(broker, sent[100:300])
    broker.put(0, *(line for one in sent[250:310] for line in lines(one)))
    life(tmp_path / "s", broker, until_all_is_there)
    names = [dict(row["attributes"])[NAME_THERE] for row in rows(tmp_path / "s") if row["node"] == NODE]
    assert sorted(names) == sorted(one.name for one in sent[:310])
    [told] = [dict(row["attributes"]) for row in rows(tmp_path / "s") if row["event_name"] == "collect.repeated"]
    assert told["log.records.repeated"] == "150"


def test_a_lost_state_file_takes_nothing_twice(sent: list[Exported], tmp_path: Path) -> None:
    """Where reading goes on is told by the segments too: by the newest cursor of each stream, with its place in the topic."""
    broker, root = Broker(2), tmp_path / "s"
    put(broker, sent[:60])
    life(root, broker, until_all_is_there)
    for path in (root / "state").iterdir():
        path.unlink()
    put(broker, sent[60:90])
    life(root, broker, until_all_is_there)
    names = [dict(row["attributes"])[NAME_THERE] for row in rows(root) if row["node"] == NODE]
    assert sorted(names) == sorted(one.name for one in sent[:90])
