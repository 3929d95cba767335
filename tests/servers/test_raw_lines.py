"""Raw lines through our ingest pipelines in the real servers, by their simulate API, beside what was read by hand."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from tests.evidence import DATA
from tests.servers.packed import packed
from tests.servers.search_server import ELASTICSEARCH, OPENSEARCH, Product, Running, search_server

PRODUCTS = [
    pytest.param(one, id=one.name, marks=pytest.mark.servers_all(one.can_run())) for one in (OPENSEARCH, ELASTICSEARCH)
]
LEVELS = {"warning": "warn", "critical": "fatal"}
YAML = {"Content-Type": "application/yaml", "Accept": "application/json"}


@pytest.fixture(scope="module", params=PRODUCTS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    product: Product = request.param
    with search_server(product, tmp_path_factory.mktemp(product.name) / "data") as running:
        for name in ("kata-line", "kata-raw"):
            put(running, f"/_ingest/pipeline/{name}", packed(product.name, f"{name}.pipeline.yml"))
        yield running


def put(server: Running, path: str, text: str) -> None:
    answer = httpx.put(f"{server.url}{path}", content=text.encode(), headers=YAML, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text


def simulated(server: Running, lines: list[str]) -> list[dict[str, Any]]:
    """Give the documents that lines become."""
    asked = {"docs": [{"_source": {"message": line}} for line in lines]}
    docs = server.ask("POST", "/_ingest/pipeline/kata-raw/_simulate", asked)["docs"]
    return [one["doc"]["_source"] for one in docs]


def nanoseconds(text: str) -> int:
    return int(pa.array([text]).cast(pa.timestamp("ns", "UTC")).cast(pa.int64())[0].as_py())


def differences(document: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Name what is not as a person read it; the same questions as those that our own parser is asked."""
    level, kata = expected["level"], document["kata"]
    checks = {
        "message": document.get("message") == expected["message"],
        "level": document.get("log", {}).get("level") == (LEVELS.get(level, level) if level else None),
        "timestamp": expected["timestamp"] is None
        or nanoseconds(document["@timestamp"]) == nanoseconds(expected["timestamp"]),
        "pid": "pid" not in expected or document.get("process", {}).get("pid") == expected["pid"],
        "container": not expected.get("container_id") or document["container"]["id"] == expected["container_id"],
        "sandbox": not expected.get("sandbox_id") or kata.get("sandbox_id") == expected["sandbox_id"],
    }
    return [name for name, holds in checks.items() if not holds]


@pytest.mark.corpus
def test_every_public_line_is_read_as_it_was_meant(server: Running, corpus: Path) -> None:
    """All sixty; our own parser reads them all too, one of them with a status of systemd taken out of its message."""
    lines = [json.loads(text) for text in (corpus / "truth.jsonl").read_text().splitlines()]
    documents = simulated(server, [one["line"] for one in lines])
    wrong = {
        one["line"]: found
        for one, document in zip(lines, documents, strict=True)
        if (found := differences(document, one["expect"]))
    }
    assert len(lines) == 60
    assert wrong == {}


def test_what_a_guest_says_is_marked_and_names_no_sandbox(server: Running) -> None:
    """Whatever stands in its console: ids, keys of the host's, and half a record."""
    sandbox = "a" * 64
    evil = 'sandbox=bbbb pid=1 \\" sandbox=cccc level=error'
    head = 'time="2026-11-23T06:07:28.910496255Z" level=debug msg="reading guest console"'
    line = f'{head} vmconsole="{evil}" sandbox={sandbox} source=virtcontainers'
    inner = json.dumps(
        {"msg": "x", "level": "INFO", "ts": "2026-11-23T06:07:28Z", "source": "dddd" * 16, "sandbox": "e" * 64}
    )
    console = f"{head} vmconsole={json.dumps(inner)} sandbox={sandbox}"
    first, second = simulated(server, [line, console])
    assert {one["kata"]["sandbox_id"] for one in (first, second)} == {sandbox}
    assert {one["kata"]["origin"] for one in (first, second)} == {"guest"}
    assert first["message"] == evil.replace("\\", "")
    assert (second["message"], second["log"]["level"]) == ("x", "info")


@pytest.mark.parametrize(
    "line", ["", " ", "{", '{"msg":', 'time="', 'time="x" a="\\', 'time="x" a="\\x', '{"msg": 7, "level": 9}', "%%"]
)
def test_what_no_pattern_knows_is_kept(server: Running, line: str) -> None:
    """Its text is there, whatever went wrong."""
    (document,) = simulated(server, [line])
    assert document["event"]["original"] == line
    assert "@timestamp" in document


def test_real_lines_of_a_node_fail_nowhere(server: Running) -> None:
    """Messages of a whole captured journal."""
    entries = [
        json.loads(line)
        for line in gzip.decompress((DATA / "captures" / "go-debug.journal.json.gz").read_bytes()).splitlines()
    ]
    lines = [one["MESSAGE"] for one in entries if isinstance(one.get("MESSAGE"), str)]
    documents = simulated(server, lines)
    assert len(documents) == len(lines) > 300
    assert not [one["kata"]["failure"] for one in documents if "failure" in one["kata"]]
    assert sum(one.get("message") is not None for one in documents) > 0.9 * len(lines)


def test_a_shipper_writes_into_a_data_stream(server: Running) -> None:
    """Through the template, which names the pipeline; that Elasticsearch has no data streams."""
    if server.product is ELASTICSEARCH:
        return
    put(server, "/_index_template/kata-raw", packed("opensearch", "kata-raw.template.yml"))
    line = (
        'time="2026-11-23T06:07:28.910496255Z" level=error msg="it failed" name=containerd-shim-v2 pid=7 sandbox=' + "f" * 64
    )
    server.ask("POST", "/logs-kata_raw-default/_doc?op_type=create", {"message": line, "@timestamp": "2026-11-23T06:07:28Z"})
    (found,) = server.search("logs-kata_raw-default", {"term": {"kata.sandbox_id": "f" * 64}})["hits"]["hits"]
    assert (found["_source"]["message"], found["_source"]["service"]["name"]) == ("it failed", "runtime-go")
