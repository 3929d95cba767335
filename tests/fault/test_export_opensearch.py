"""A hundred thousand records come to a real OpenSearch, all of them and once, whatever fails on the way."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.fault.exporting import RECORDS, Made, export_all, faulty
from tests.loopback import LOOPBACK, Http, Reply, Request
from tests.servers.opensearch_server import can_run, opensearch

from kata_audit.exporters.elastic import DEFAULT_INDEX, Elastic
from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.schema.fieldset import FieldSetName

pytestmark = [pytest.mark.torture, pytest.mark.servers_all(can_run())]


def through(url: Callable[[], str]) -> Callable[[Request], Reply]:
    """Pass requests on to wherever the server is now."""

    def reply(request: Request) -> Reply:
        method = "PUT" if request.path.startswith("/_index_template/") else "POST"
        kept = {name: value for name, value in request.headers.items() if name in ("Content-Type", "Content-Encoding")}
        try:
            answer = httpx.request(
                method, f"{url()}{request.path}", content=request.body, headers=kept, trust_env=False, timeout=60
            )
        except httpx.TransportError:
            return Reply(503)
        return Reply(answer.status_code, {}, answer.content)

    return reply


def test_all_come_to_one_that_fails_in_every_way(tmp_path: Path) -> None:
    """429, 5xx before and after it took them, connections that break, restarts of both sides."""
    chance, half = random.Random(11), RECORDS // 2
    now = time.time_ns()
    with Http().running() as proxy:
        one = Export(
            "siem",
            ExportKind.OPENSEARCH,
            url=f"http://127.0.0.1:{proxy.port}",
            allow=(LOOPBACK,),
            plaintext=True,
            max_records=500,
        )
        for end in (half, RECORDS):
            with opensearch(tmp_path / "data") as server:  # the second life finds what the first one left, if it is durable
                place = server.url
                proxy.reply = faulty(through(lambda place=place: place), chance)  # type: ignore[misc]
                said = export_all(one, lambda: Elastic(one), Made(now, end, FieldSetName.ECS), tmp_path, chance)
                assert said
                assert server.count(DEFAULT_INDEX) == end
