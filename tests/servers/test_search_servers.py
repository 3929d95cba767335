"""OpenSearch and Elasticsearch themselves take what is exported, keep each record once, and answer what a user would ask."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.evidence import DATA
from tests.exports import source
from tests.loopback import LOOPBACK
from tests.servers.search_server import ELASTICSEARCH, OPENSEARCH, Product, Running, search_server
from tests.stores import fill

from kata_audit.clock import ManualClock
from kata_audit.exporters.elastic import DEFAULT_INDEX, Elastic
from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.schema.exported import Exported
from kata_audit.schema.fieldset import FieldSetName
from kata_audit.store.writer import open_writer

PRODUCTS = [
    pytest.param(one, id=one.name, marks=pytest.mark.servers_all(one.can_run())) for one in (OPENSEARCH, ELASTICSEARCH)
]
INDEX = DEFAULT_INDEX
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "export-to-elasticsearch.md"


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Exported]:
    root = tmp_path_factory.mktemp("records") / "store"
    with open_writer(root, clock=ManualClock(), node="lab/node") as writer:
        fill(writer, sorted((DATA / "captures").glob("*.gz")))
    with source(root, words=FieldSetName.ECS).read(0) as parts:
        return [one for part in parts for one in part.records]


@pytest.fixture(scope="module", params=PRODUCTS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    product: Product = request.param
    with search_server(product, tmp_path_factory.mktemp(product.name) / "data") as running:
        yield running


@pytest.fixture(scope="module")
def filled(server: Running, records: Sequence[Exported]) -> Running:
    """A server that was sent everything, and half of it again."""
    exporter = to(server)
    send(exporter, records)
    send(exporter, records[: len(records) // 2])
    exporter.close()
    return server


def to(server: Running, **settings: Any) -> Elastic:
    values = {"url": server.url, "plaintext": True, "allow": (LOOPBACK,), **settings}
    return Elastic(Export("siem", ExportKind(server.product.name), **values))


def send(exporter: Elastic, records: Sequence[Exported]) -> None:
    for first in range(0, len(records), 500):
        some = records[first : first + 500]
        receipt = exporter.export(some)
        assert (receipt.taken, list(receipt.rejected), receipt.problem) == (len(some), [], None)


def test_every_record_is_there_once(filled: Running, records: Sequence[Exported]) -> None:
    """By its name, in a data stream where the server knows any, else in an index of that name."""
    assert filled.count(INDEX) == len(records)
    if filled.product is OPENSEARCH:
        assert filled.ask("GET", f"/_data_stream/{INDEX}")["data_streams"][0]["name"] == INDEX
    else:
        assert list(filled.ask("GET", f"/{INDEX}")) == [INDEX]
    one = records[len(records) // 3]
    (found,) = filled.search(INDEX, {"ids": {"values": [one.name]}})["hits"]["hits"]
    assert found["_source"] == one.document
    assert found["_source"]["event"]["id"] == one.name


ASKED: dict[str, tuple[dict[str, Any], Callable[[Mapping[str, Any]], bool]]] = {
    "a pod": ({"term": {"orchestrator.resource.name": "web-0"}}, lambda one: one.get("k8s_pod") == "web-0"),
    "a sandbox": (
        {"prefix": {"kata.sandbox_id": "de4eeed96592"}},
        lambda one: one.get("sandbox_id", "").startswith("de4eeed96592"),
    ),
    "a namespace": ({"term": {"orchestrator.namespace": "payments"}}, lambda one: one.get("k8s_namespace") == "payments"),
    "errors": ({"terms": {"log.level": ["error", "fatal"]}}, lambda one: one.get("severity_text") in ("ERROR", "FATAL")),
    "what a guest said": ({"term": {"kata.origin": "guest"}}, lambda one: one.get("origin") == "guest"),
    "exec by actor": (
        {"bool": {"filter": [{"term": {"event.code": "api.exec"}}, {"term": {"user.name": "bob"}}]}},
        lambda one: one.get("event_name") == "api.exec" and one.get("actor") == "bob",
    ),
    "a layer": ({"term": {"service.name": "agent"}}, lambda one: one.get("component") == "agent"),
    "words of a message": (
        {"match_phrase": {"message": "shim disconnected"}},
        lambda one: "shim disconnected" in one["body"],
    ),
    "gaps": (
        {"term": {"event.code": "loghealth.records_dropped"}},
        lambda one: one.get("event_name") == "loghealth.records_dropped",
    ),
    "denials": ({"term": {"kata.outcome": "denied"}}, lambda one: one.get("outcome") == "denied"),
}


@pytest.mark.parametrize("asked", ASKED)
def test_a_search_finds_what_the_store_has(filled: Running, records: Sequence[Exported], asked: str) -> None:
    query, holds = ASKED[asked]
    found = filled.search(INDEX, query, size=10_000, _source=False)["hits"]["hits"]

    expected = {one.name for one in records if holds(one.record)}
    assert expected
    assert {one["_id"] for one in found} == expected
    assert (query, len(found)) in documented()


def documented() -> list[tuple[dict[str, Any], int]]:
    """Read the searches of the page for users, each with how many it found."""
    rows = re.findall(r"^\| [^|]+ \| `(\{.*\})` \| ([0-9]+) \|$", PAGE.read_text(), re.MULTILINE)
    return [(json.loads(query), int(found)) for query, found in rows]


def test_what_a_record_states_beyond_the_schema_makes_no_field(filled: Running, records: Sequence[Exported]) -> None:
    """And is found by its key and value, where the server has a field type for that; else it is kept and shown."""
    (index,) = filled.ask("GET", f"/{INDEX}/_mapping").values()
    attributes = index["mappings"]["properties"]["kata"]["properties"]["attributes"]
    if filled.product is ELASTICSEARCH:
        assert attributes == {"type": "object", "enabled": False}
        return
    assert attributes == {"type": "flat_object"}
    one = next(one for one in records if "relay.source" in one.record.get("attributes", {}))
    value = one.record["attributes"]["relay.source"]
    found = filled.search(INDEX, {"term": {"kata.attributes.relay.source": value}})["hits"]["total"]["value"]
    assert found == sum(each.record.get("attributes", {}).get("relay.source") == value for each in records)


def test_a_document_that_does_not_fit_is_refused_alone(server: Running, records: Sequence[Exported]) -> None:
    """The others are taken, and the refusal says why."""
    some = list(records[:5])
    some[2] = some[2]._replace(document={**some[2].document, "@timestamp": "yesterday"})
    exporter = to(server, into="mapping")
    receipt = exporter.export(some)
    exporter.close()

    assert (receipt.taken, receipt.problem) == (5, None)
    assert [(one.at, one.reason) for one in receipt.rejected] == [
        (2, "its fields do not fit the index (mapper_parsing_exception)")
    ]
    assert server.count("mapping") == 4


def test_a_full_disk_there_takes_nothing_and_is_told(server: Running, records: Sequence[Exported]) -> None:
    """The block that flood stage sets; once it is taken away, all go."""
    exporter = to(server, into="full")
    send(exporter, records[:5])
    server.ask("PUT", "/full/_settings", {"index.blocks.read_only_allow_delete": True})
    receipt = exporter.export(records[5:10])
    assert (receipt.taken, list(receipt.rejected)) == (0, [])
    assert "its disk is full" in str(receipt.problem)
    server.ask("PUT", "/full/_settings", {"index.blocks.read_only_allow_delete": None})
    send(exporter, records[5:10])
    exporter.close()

    assert server.count("full") == 10


@pytest.mark.parametrize("words", [FieldSetName.OTEL, FieldSetName.OCSF, FieldSetName.CIM])
def test_other_words_are_taken_too(server: Running, tmp_path: Path, words: FieldSetName) -> None:
    """A data stream asks for `@timestamp`, which only one field set has by itself."""
    with open_writer(tmp_path / "store", clock=ManualClock(), node="lab/node") as writer:
        fill(writer, sorted((DATA / "captures").glob("go-info*.gz")))
    with source(tmp_path / "store", words=words).read(0) as parts:
        some = [one for part in parts for one in part.records]
    exporter = to(server, into=f"words-{words}")
    send(exporter, some)
    exporter.close()
    assert server.count(f"words-{words}") == len(some)
