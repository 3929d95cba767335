"""Our rules as queries, asked of the real OpenSearch and Elasticsearch: they find in what was exported what our own rules find."""

import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from tests.loopback import LOOPBACK
from tests.servers.packed import packed
from tests.servers.sampled import RULES, Held, held, is_joined, is_mixed_up
from tests.servers.search_server import ELASTICSEARCH, OPENSEARCH, Product, Running, search_server

from kata_audit.exporters.elastic import DEFAULT_INDEX, Elastic
from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.schema.fieldset import FieldSetName
from kata_audit.wiring_export import fieldset

PRODUCTS = [
    pytest.param(one, id=one.name, marks=pytest.mark.servers_all(one.can_run())) for one in (OPENSEARCH, ELASTICSEARCH)
]


class Asked(NamedTuple):
    """A server that has everything, what that is, and the rules that are converted for it."""

    server: Running
    held: Held
    queries: dict[str, dict[str, Any]]


def converted(target: str) -> list[dict[str, Any]]:
    """Read the file of `integrate`, a rule a line."""
    return [json.loads(line) for line in packed(target, "kata-audit.rules.ndjson").splitlines()]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Held:
    return held(tmp_path_factory.mktemp("held") / "store", fieldset(FieldSetName.ECS), time.time_ns())


@pytest.fixture(scope="module", params=PRODUCTS)
def asked(request: pytest.FixtureRequest, there: Held, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    product: Product = request.param
    queries = {one["rule"]: one["query"] for one in converted(product.name) if "query" in one}
    with search_server(product, tmp_path_factory.mktemp(product.name) / "data") as server:
        settings = Export("siem", ExportKind(product.name), url=server.url, allow=(LOOPBACK,), plaintext=True)
        exporter = Elastic(settings)
        for first in range(0, len(there.records), 500):
            some = there.records[first : first + 500]
            receipt = exporter.export(some)
            assert (receipt.taken, list(receipt.rejected), receipt.problem) == (len(some), [], None)
        exporter.close()
        yield Asked(server, there, queries)


@pytest.mark.parametrize("rule_id", sorted(one["rule"] for one in converted("opensearch") if "query" in one))
def test_a_rule_finds_there_what_it_finds_here(asked: Asked, rule_id: str) -> None:
    """The very records, of all samples of all rules and of a captured store."""
    if asked.server.product is ELASTICSEARCH and (
        rule_id not in asked.queries or "kata.attributes" in str(asked.queries[rule_id])
    ):
        return  # that one has no `flattened`, so that attributes cannot be asked
    hits = asked.server.search(DEFAULT_INDEX, asked.queries[rule_id], size=10_000, _source=False)["hits"]["hits"]
    mixed = {one.name for one in asked.held.records if is_mixed_up(one, rule_id)}
    expected = asked.held.holds[rule_id] - mixed
    assert expected
    assert {one["_id"] for one in hits} - mixed == expected


@pytest.mark.parametrize(("target", "least"), [("opensearch", 80), ("elasticsearch", 35)])
def test_each_rule_is_there_or_left_out_with_a_reason(target: str, least: int) -> None:
    rows = converted(target)
    loud = {rule_id for rule_id, rule in RULES.items() if not rule.silent}
    assert {one["rule"] for one in rows} == loud
    assert sum("query" in one for one in rows) >= least
    assert all(one["lost_here"] if "query" in one else one["left_out"] for one in rows)
    assert all("query" not in one or not is_joined(RULES[one["rule"]]) for one in rows)


def test_a_monitor_asks_the_same_of_the_last_minutes(asked: Asked) -> None:
    """Its search as the alerting plugin fills it in; the plugin itself is not here."""
    if asked.server.product is ELASTICSEARCH:
        return
    now = str(time.time_ns() // 1_000_000 + 1000)
    (monitor,) = [one["monitor"] for one in converted("opensearch") if one["rule"] == "KA-008"]
    (found,) = monitor["inputs"]
    search = json.loads(json.dumps(found["search"]["query"]).replace("{{period_end}}", now))
    asked.server.ask("POST", f"/{found['search']['indices'][0]}/_search", search)
