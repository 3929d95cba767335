"""A hundred thousand records come to a real OpenSearch and Elasticsearch, all of them and once, whatever fails on the way."""

import random
import time
from pathlib import Path

import pytest
from tests.fault.exporting import RECORDS, Made, export_all, faulty, killed_now_and_then, through
from tests.loopback import LOOPBACK, Http
from tests.servers.search_server import ELASTICSEARCH, OPENSEARCH, Product, search_server

from kata_audit.exporters.elastic import DEFAULT_INDEX, Elastic
from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.schema.fieldset import FieldSetName

pytestmark = [pytest.mark.torture, pytest.mark.timeout(3600)]
PRODUCTS = [
    pytest.param(one, id=one.name, marks=pytest.mark.servers_all(one.can_run())) for one in (OPENSEARCH, ELASTICSEARCH)
]


@pytest.mark.parametrize("product", PRODUCTS)
def test_all_come_to_one_that_fails_in_every_way(tmp_path: Path, product: Product) -> None:
    """429, 5xx before and after it took them, connections that break, restarts of ours, and itself killed in between."""
    chance, made = random.Random(11), Made(time.time_ns(), RECORDS, FieldSetName.ECS)
    with (
        Http().running() as proxy,
        killed_now_and_then(lambda: search_server(product, tmp_path / "data"), chance, 3) as (server, perhaps),
        through(lambda: server().url) as reply,
    ):
        proxy.reply = faulty(reply, chance)
        url = f"http://127.0.0.1:{proxy.port}"
        one = Export("siem", ExportKind(product.name), url=url, allow=(LOOPBACK,), plaintext=True)
        said = export_all(one, lambda: Elastic(one), made, tmp_path, chance, between=perhaps)
        assert said
        assert server().count(DEFAULT_INDEX) == RECORDS
        print(f"{RECORDS} records are there once; {len(said)} times something was said")
