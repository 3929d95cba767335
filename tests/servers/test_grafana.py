"""Every query of the dashboards, asked of the real Loki and read by promtool; Grafana itself is not here."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.exports import source
from tests.loki_double import ToLoki
from tests.loopback import LOOPBACK
from tests.servers.loki_server import MISSING, Running, can_run, loki
from tests.servers.packed import packed
from tests.stores import captured_store

from kata_audit.clock import ManualClock, SystemClock
from kata_audit.exporters.export_settings import Export, ExportKind

RECORDS: dict[str, Any] = json.loads(packed("grafana", "kata-audit-records.json"))
HEALTH: dict[str, Any] = json.loads(packed("grafana", "kata-audit-health.json"))
SECOND = 1_000_000_000
EMPTY = {"Findings", "Denied"}
"""Panels for which a captured store has nothing: it was not judged, and no outcome in it is `denied`."""


def queries(dashboard: dict[str, Any]) -> list[tuple[str, str]]:
    """Give each query with its panel's title, the variables as a fresh dashboard has them."""
    values = {"$__rate_interval": "5m", "$__interval": "1h", "$node": ".*", "$instance": ".*"}
    values |= {f"${one['name']}": one["query"] for one in dashboard["templating"]["list"] if one["type"] == "textbox"}
    found = []
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            text = target["expr"]
            for name in sorted(values, key=len, reverse=True):
                text = text.replace(name, values[name])
            assert "$" not in text
            found.append((panel["title"], text))
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, int]]:
    folder, now = tmp_path_factory.mktemp("loki"), time.time_ns()
    captured_store(folder / "store", clock=ManualClock(now))
    with source(folder / "store").read(0) as parts:
        records = [one for part in parts for one in part.records]
    with loki(folder / "server", limits="  max_query_series: 5000\n") as running:
        one = Export("loki", ExportKind.LOKI, url=running.url, allow=(LOOPBACK,), plaintext=True)
        exporter = ToLoki(one, SystemClock())
        assert exporter.export(records).taken == len(records)
        exporter.close()
        yield running, now


@pytest.mark.servers_all(can_run())
@pytest.mark.skipif(not can_run(), reason=MISSING)
@pytest.mark.parametrize(("title", "query"), queries(RECORDS))
def test_loki_answers_every_query(server: tuple[Running, int], title: str, query: str) -> None:
    """And has something for it, where the store has."""
    running, now = server
    found = running.ask(query, start=str(now - 3600 * SECOND), end=str(now + 3600 * SECOND), step="3600")
    assert bool(found) != (title in EMPTY)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here; `make servers` installs it")
def test_promtool_reads_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{at}", "expr": query} for at, (_, query) in enumerate(queries(HEALTH))]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_numbers_are_ours() -> None:
    """Each that a panel asks for is one that a process of ours writes."""
    sources = (Path(__file__).resolve().parents[2] / "src" / "kata_audit").rglob("*.py")
    ours = {name for path in sources for name in re.findall(r'"(kata_audit_[a-z_]+)": \(', path.read_text())}
    asked = {name for _, query in queries(HEALTH) for name in re.findall(r"kata_audit_[a-z_]+", query)}
    assert len(asked) > 15
    assert asked <= ours


@pytest.mark.parametrize("dashboard", [RECORDS, HEALTH])
def test_a_dashboard_is_whole(dashboard: dict[str, Any]) -> None:
    """Panels have numbers of their own and do not overlap, and each asks a source that the dashboard lets one choose."""
    panels = dashboard["panels"]
    assert len({one["id"] for one in panels}) == len(panels)
    cells = [
        (x, y)
        for one in panels
        for at in [one["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    chosen = {f"${{{one['name']}}}" for one in dashboard["templating"]["list"] if one["type"] == "datasource"}
    assert {target["datasource"]["uid"] for one in panels for target in one["targets"]} == chosen
