"""Our rules in LogQL, asked of the real Loki: they find in what was exported what our own rules find, and its ruler takes them."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import yaml
from tests.loki_double import ToLoki
from tests.loopback import LOOPBACK
from tests.servers.loki_server import MISSING, Running, can_run, loki
from tests.servers.packed import packed
from tests.servers.sampled import RULES, Held, Sampled, held, is_joined, is_mixed_up

from kata_audit.clock import SystemClock
from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.integrations.loki_rules import log_query, loki_rules
from kata_audit.predicate.printing import CannotPrintError
from kata_audit.schema.exported import Exported
from kata_audit.schema.fieldset import FieldSetName
from kata_audit.wiring_export import fieldset

pytestmark = [pytest.mark.servers_all(can_run()), pytest.mark.skipif(not can_run(), reason=MISSING)]
WORDS = fieldset(FieldSetName.OTEL)
CONVERTED = loki_rules(RULES.values(), WORDS)
QUERIES = {one.rule.rule_id: one.query for one in CONVERTED.done}
SECOND, DAY = 1_000_000_000, 86_400_000_000_000
LIMITS = "  max_query_series: 5000\n  unordered_writes: true\n  reject_old_samples: false\n  max_query_length: 0\n  split_queries_by_interval: 0\n"


class Asked(NamedTuple):
    """A Loki that has everything, what that is, and when it was pushed."""

    server: Running
    held: Held
    now: int

    def names(self, query: str) -> set[str]:
        """Ask for lines; give the names of the records."""
        asked = {"start": str(self.now - DAY), "end": str(self.now + DAY)}
        streams = self.server.ask(query, **asked)
        return {stream["stream"]["log_record_uid"] for stream in streams}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder, now = tmp_path_factory.mktemp("loki"), time.time_ns()
    there = held(folder / "store", WORDS, now)
    with loki(folder / "server", limits=LIMITS) as server:
        push(server, there.records)
        yield Asked(server, there, now)


def push(server: Running, records: list[Exported]) -> None:
    one = Export("loki", ExportKind.LOKI, url=server.url, allow=(LOOPBACK,), plaintext=True)
    exporter = ToLoki(one, SystemClock())
    for first in range(0, len(records), 500):
        some = records[first : first + 500]
        receipt = exporter.export(some)
        assert (receipt.taken, list(receipt.rejected), receipt.problem) == (len(some), [], None)
    exporter.close()


@pytest.mark.parametrize("rule_id", [rule_id for rule_id, rule in RULES.items() if not is_joined(rule)])
def test_a_rule_on_one_record_finds_there_what_it_finds_here(asked: Asked, rule_id: str) -> None:
    """The very records, of all samples of all rules and of a captured store."""
    try:
        query = log_query(RULES[rule_id], WORDS)
    except CannotPrintError:
        assert rule_id not in QUERIES
        return
    mixed = {one.name for one in asked.held.records if is_mixed_up(one, rule_id)}
    expected = asked.held.holds[rule_id] - mixed
    assert expected
    assert asked.names(query) - mixed == expected


JOINED = sorted(rule_id for rule_id in QUERIES if is_joined(RULES[rule_id]))


@pytest.mark.parametrize("rule_id", JOINED)
def test_a_rule_that_counts_fires_there_where_it_does_here(asked: Asked, rule_id: str) -> None:
    """At the moment of some record of each sample that it finds something in, and of no other."""
    samples = [one for one in asked.held.samples if one.rule_id == rule_id]
    fired = {one.node: fires(asked, rule_id, one) for one in samples}
    assert any(fired.values())
    assert fired == {one.node: one.found for one in samples}


def fires(asked: Asked, rule_id: str, sample: Sampled) -> bool:
    """Ask of one sample's records alone, at each of their times."""
    node = sample.node.partition("/")[2]
    query = QUERIES[rule_id].replace('{job="kata-audit"', f'{{job="kata-audit", node="{node}"')
    return any(asked.server.ask(query, time=str(at)) for at in {one.time_ns for one in sample.records})


def test_all_that_it_can_say_is_converted() -> None:
    """How many, and that each other is named with a reason."""
    loud = {rule_id for rule_id, rule in RULES.items() if not rule.silent}
    assert QUERIES.keys() | CONVERTED.left_out.keys() == loud
    assert len(QUERIES) >= 90
    text = packed("loki", "kata-audit.rules.yml")
    assert all(f"# {rule_id}: {why}" in text for rule_id, why in CONVERTED.left_out.items())


def test_the_ruler_evaluates_every_rule(tmp_path: Path, asked: Asked) -> None:
    """Each is there, was evaluated, and failed with nothing; an alert has the labels that Alertmanager's routes ask for."""
    folder = tmp_path / "server" / "rules" / "fake"
    folder.mkdir(parents=True)
    (folder / "kata-audit.rules.yml").write_text(
        packed("loki", "kata-audit.rules.yml").replace("interval: 1m", "interval: 10s")
    )
    some = [record for one in asked.held.samples if one.rule_id in ("KA-001", "KA-008") for record in one.records]
    with loki(tmp_path / "server", limits=LIMITS) as server:
        push(server, sorted(some, key=lambda one: one.time_ns))
        url = f"{server.url}/prometheus/api/v1"

        def rules() -> list[dict[str, object]]:
            groups = httpx.get(f"{url}/rules", trust_env=False, timeout=60).json()["data"]["groups"]
            return [rule for group in groups for rule in group["rules"]]

        def told() -> set[tuple[str, str, str]]:
            alerts = httpx.get(f"{url}/alerts", trust_env=False, timeout=60).json()["data"]["alerts"]
            return {(one["labels"]["alertname"], one["labels"]["severity"], one["labels"]["claim"]) for one in alerts}

        server.wait_for(lambda: bool(rules()) and all(rule["health"] != "unknown" for rule in rules()))
        assert {(rule["name"], rule["health"], rule.get("lastError", "")) for rule in rules()} == {
            (rule_id, "ok", "") for rule_id in QUERIES
        }
        server.wait_for(lambda: told() >= {("KA-008", "high", "false"), ("KA-001", "critical", "true")})


def test_it_is_yaml_as_people_read_it(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(packed("loki", "kata-audit.rules.yml"))
    (group,) = yaml.safe_load(path.read_text())["groups"]
    assert [rule["alert"] for rule in group["rules"]] == sorted(QUERIES)
    assert {rule["alert"]: rule["expr"] for rule in group["rules"]} == QUERIES
