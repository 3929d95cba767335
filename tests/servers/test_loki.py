"""The real Loki holds every record of a store once, finds them as a user would, and refuses what it is known to refuse."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.exports import source
from tests.loki_double import ToLoki
from tests.loopback import LOOPBACK
from tests.servers.loki_server import MISSING, Running, can_run, loki
from tests.stores import captured_store

from kata_audit.clock import ManualClock, SystemClock
from kata_audit.exporters.export_settings import Export, ExportKind
from kata_audit.exporters.records import Receipt
from kata_audit.schema.exported import Exported
from kata_audit.schema.fieldset import FieldSetName, spell_record
from kata_audit.wiring_export import fieldset

pytestmark = [pytest.mark.servers_all(can_run()), pytest.mark.skipif(not can_run(), reason=MISSING)]
SECOND = 1_000_000_000
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "export-to-loki.md"
Wants = Callable[[Mapping[str, Any]], bool]


def record(seq: int, now: int, **columns: Any) -> Exported:
    """A record of the schema, as it leaves."""
    values: dict[str, Any] = {"seq": seq, "observed_timestamp": now, "timestamp": now, "node": "lab/made"}
    values |= {"component": "runtime-rs", "origin": "host", "class": "audit", "body": f"line {seq}"} | columns
    name = f"kata-audit/lab/made/{seq}"
    return Exported(name, seq, values["timestamp"], values, spell_record(fieldset(FieldSetName.OTEL), values, name))


def push(server: Running, records: list[Exported], **settings: Any) -> Receipt:
    """Hand over once."""
    exporter = ToLoki(
        Export("loki", ExportKind.LOKI, url=server.url, allow=(LOOPBACK,), plaintext=True, **settings), SystemClock()
    )
    try:
        return exporter.export(records)
    finally:
        exporter.close()


def names(server: Running, query: str, now: int, tenant: str | None = None) -> list[str]:
    """Ask for lines; give the names of the records."""
    asked = {"start": str(now - 3600 * SECOND), "end": str(now + 3600 * SECOND)}
    return [stream["stream"]["log_record_uid"] for stream in server.ask(query, tenant, **asked) for _ in stream["values"]]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, list[Exported], int]]:
    """A Loki that was sent a captured store, and three records that no capture has, twice."""
    folder, now = tmp_path_factory.mktemp("loki"), time.time_ns()
    captured_store(folder / "store", clock=ManualClock(now))
    with source(folder / "store").read(0) as parts:
        records = [one for part in parts for one in part.records]
    records += [
        record(0, now, action="exec", actor="alice", k8s_pod="web-0", event_name="exec.start"),
        record(1, now, action="exec", actor="mallory", k8s_pod="web-0", event_name="exec.start"),
        record(2, now, action="exec", actor="mallory", event_name="exec.denied", outcome="denied"),
    ]
    with loki(folder / "server") as server:
        assert push(server, records) == Receipt(len(records))
        assert push(server, records) == Receipt(len(records))
        yield server, records, now


def test_all_records_are_there_once(held: tuple[Running, list[Exported], int]) -> None:
    """Each under its name, although all were sent twice; and counted as often as they are."""
    server, records, now = held

    assert sorted(names(server, '{job="kata-audit"}', now)) == sorted(one.name for one in records)
    (counted,) = server.ask('sum(count_over_time({job="kata-audit"}[1h]))', time=str(now + SECOND))
    assert int(counted["value"][1]) == len(records)


SEARCHES: list[tuple[str, Wants]] = [
    ('| k8s_pod_name="evade-1"', lambda one: one.get("k8s_pod") == "evade-1"),
    ('| k8s_namespace_name="payments"', lambda one: one.get("k8s_namespace") == "payments"),
    ('| kata_action="exec" | user_name="mallory"', lambda one: (one.get("action"), one.get("actor")) == ("exec", "mallory")),
    ('| kata_outcome="denied"', lambda one: one.get("outcome") == "denied"),
    (
        '| event_name="loghealth.records_dropped"',
        lambda one: one.get("event_name") == "loghealth.records_dropped",
    ),
    ('| kata_outcome="failure"', lambda one: one.get("outcome") == "failure"),
    ('| level=~"error|fatal"', lambda one: one.get("severity_number", 0) >= 17),
    ('| event_name="mount.volume"', lambda one: one.get("event_name") == "mount.volume"),
    ('| kata_action="attach-device"', lambda one: one.get("action") == "attach-device"),
    ('|= "stop to copy stream"', lambda one: "stop to copy stream" in one.get("body", "")),
]


@pytest.mark.parametrize(("stages", "wants"), SEARCHES)
def test_searches_of_a_user_find_their_records(held: tuple[Running, list[Exported], int], stages: str, wants: Wants) -> None:
    """By pod, namespace, exec of an actor, denial, gap, failure, level, event and text: exactly those, as many as the page says."""
    server, records, now = held
    wanted = sorted(one.name for one in records if wants(one.record))

    assert wanted
    assert sorted(names(server, f'{{job="kata-audit"}} {stages}', now)) == wanted
    assert f'{{job="kata-audit"}} {stages}  # {len(wanted)}' in PAGE.read_text().splitlines()


@pytest.mark.parametrize(
    ("selector", "wants"),
    [
        ('{job="kata-audit", class="security"}', lambda one: one.get("class") == "security"),
        ('{job="kata-audit", origin="guest"}', lambda one: one.get("origin") == "guest"),
        ('{job="kata-audit", component="runtime-rs"}', lambda one: one.get("component") == "runtime-rs"),
    ],
)
def test_streams_are_chosen_by_labels(held: tuple[Running, list[Exported], int], selector: str, wants: Wants) -> None:
    """What says that something is lost or found, what a guest claims, what a component wrote."""
    server, records, now = held
    wanted = sorted(one.name for one in records if wants(one.record))

    assert wanted
    assert sorted(names(server, selector, now)) == wanted


def test_a_sandbox_and_a_record_are_found(held: tuple[Running, list[Exported], int]) -> None:
    """All of one sandbox by its id, one record by its name."""
    server, records, now = held
    sandbox = next(one.record["sandbox_id"] for one in records if "sandbox_id" in one.record)
    wanted = sorted(one.name for one in records if one.record.get("sandbox_id") == sandbox)

    assert sorted(names(server, f'{{job="kata-audit"}} | kata_sandbox_id="{sandbox}"', now)) == wanted
    assert names(server, f'{{job="kata-audit"}} | log_record_uid="{records[5].name}"', now) == [records[5].name]


def test_hostile_records_come_in_and_harm_no_other(tmp_path: Path) -> None:
    """Names and values that no label, metadata or line is made of."""
    now = time.time_ns()
    attributes = {"_": "1", "": "2", "日本": "3", "9": "\0\ufffd", **{f"k{n}": "v" * 900 for n in range(300)}}
    hostile = [
        record(0, now, node='lab/{"é}\n' * 40, attributes=attributes, body="\0é\u2028" * 100_000),
        record(1, now, node="", body=""),
        record(2, now, timestamp=1),
        record(3, now, timestamp=2**62),
        record(4, now),
    ]
    with loki(tmp_path / "server") as server:
        assert push(server, hostile) == Receipt(5)
        assert sorted(names(server, '{job="kata-audit"}', now)) == [one.name for one in hostile]


def test_what_it_refuses_is_found_and_the_rest_is_there(tmp_path: Path) -> None:
    """Too old, too long, too far behind the stream, ahead of the clock: those, by their reasons, and no other."""
    now = time.time_ns()
    hour = 3600 * SECOND
    with loki(tmp_path / "server", limits="  max_line_size: 2000\n") as server:
        assert push(server, [record(0, now, node="lab/b")]) == Receipt(1)
        old = dict.fromkeys((3, 40, 41), now - 200 * hour)
        behind = dict.fromkeys((7, 8), now - 3 * hour)
        ahead = {9: now + 5 * hour}
        records = [
            record(
                seq,
                (old | behind | ahead).get(seq, now),
                node="lab/b" if seq in behind else "lab/a",
                body=f"line {seq}" + "x" * (3000 * (seq in (20, 21))),
            )
            for seq in range(1, 60)
        ]
        refused, done = dict[int, str](), 0
        while done < len(records):
            receipt = push(server, records[done:])
            assert receipt.taken, receipt
            refused |= {records[done + one.at].seq: one.reason for one in receipt.rejected}
            done += receipt.taken
        there = names(server, '{job="kata-audit"}', now)

    assert {seq: reason.split("`")[1] if "`" in reason else "clock" for seq, reason in refused.items()} == {
        **dict.fromkeys(old, "reject_old_samples_max_age"),
        **dict.fromkeys(behind, "max_chunk_age"),
        **dict.fromkeys(ahead, "clock"),
        **dict.fromkeys((20, 21), "max_line_size"),
    }
    assert sorted(there) == sorted(f"kata-audit/lab/made/{seq}" for seq in range(60) if seq not in refused)


def test_tenants_are_apart_and_none_is_told(tmp_path: Path) -> None:
    """A Loki with several asks which; what one holds no other sees."""
    now = time.time_ns()
    with loki(tmp_path / "server", auth=True) as server:
        nameless = push(server, [record(0, now)])
        assert push(server, [record(0, now)], into="team-a") == Receipt(1)

        assert "`into`" in str(nameless.problem)
        assert names(server, '{job="kata-audit"}', now, "team-a") == ["kata-audit/lab/made/0"]
        assert names(server, '{job="kata-audit"}', now, "team-b") == []


def test_a_setting_that_a_person_mends_refuses_nothing(tmp_path: Path) -> None:
    """No structured metadata is said with the setting, and waited for."""
    with loki(tmp_path / "server", metadata=False) as server:
        receipt = push(server, [record(0, time.time_ns())])

    assert "allow_structured_metadata" in str(receipt.problem)
    assert receipt[:2] == (0, ())


def test_a_rate_is_kept_and_all_comes_through(tmp_path: Path) -> None:
    """More than its burst at once is taken in smaller requests, and what was taken before is there once."""
    now = time.time_ns()
    records = [record(seq, now + seq, body=f"line {seq} " + "x" * 1000) for seq in range(1000)]
    limits = "  ingestion_rate_mb: 0.5\n  ingestion_burst_size_mb: 0.5\n"
    with loki(tmp_path / "server", limits=limits) as server:
        exporter = ToLoki(Export("loki", ExportKind.LOKI, url=server.url, allow=(LOOPBACK,), plaintext=True), SystemClock())
        done, problems = 0, []
        while done < len(records):
            receipt = exporter.export(records[done:])
            done += receipt.taken
            problems += [receipt.problem] if receipt.problem else []
            time.sleep(0.5 * bool(receipt.problem))
        exporter.close()

        assert sorted(names(server, '{job="kata-audit"}', now)) == sorted(one.name for one in records)
    assert "ingestion_rate_mb" in problems[0]
