"""What a store says of a simulated node is held against the truth: never a wrong sandbox or pod, and few unnamed records."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.evidence import derive
from tests.simulator import Node, Truth

from kata_audit.clock import SystemClock
from kata_audit.pipeline.ingest import CutPolicy, Sealer, take
from kata_audit.predicate.tree import Compare, Everything, Op
from kata_audit.receivers.file import FileReceiver, Place
from kata_audit.schema.source import Transport
from kata_audit.store.reader import EVERYTHING_IN_SCOPE, Reader
from kata_audit.store.writer import open_writer
from kata_audit.wiring import reading

RECORDS = 6_000
KEY = bytes(range(32))
IDENTITY = ("sandbox_id", "k8s_namespace", "k8s_pod", "k8s_pod_uid")


@pytest.fixture(scope="module")
def truth() -> list[Truth]:
    return list(Node(7).truth(RECORDS))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A store of the node's journal, sealed in several cuts."""
    folder: Path = tmp_path_factory.mktemp("node")
    journal, store, clock = folder / "journal.json", folder / "store", SystemClock()
    journal.write_bytes(b"".join(Node(7).journal_json(RECORDS)))
    with open_writer(store, clock=clock) as writer:
        sealer = Sealer(writer, CutPolicy(max_records=2_000), derive, clock, after_seal=lambda: None)
        place = Place("simulated/node", "default", Transport.JOURNAL_JSON)
        with FileReceiver(str(journal), place, clock=clock, key=KEY) as receiver:
            for _ in take(receiver, writer, sealer, key=KEY):
                pass
        sealer.seal_all()
    with reading(store) as opened:
        yield opened


@pytest.fixture(scope="module")
def told(reader: Reader) -> list[dict[str, Any]]:
    """Every record's identity as the store tells it."""
    batches = list(reader.scan(EVERYTHING_IN_SCOPE, Everything(), ["seq", *IDENTITY]))
    return sorted(pa.Table.from_batches(batches).to_pylist(), key=lambda row: row["seq"])


def test_every_record_is_there_once(told: list[dict[str, Any]]) -> None:
    assert [row["seq"] for row in told] == list(range(RECORDS))


@pytest.mark.parametrize("name", IDENTITY)
def test_no_identity_is_wrong(told: list[dict[str, Any]], truth: list[Truth], name: str) -> None:
    """A record may stay unnamed; it never gets another sandbox's name, and the node's own lines get none."""
    wrong = [row["seq"] for row, one in zip(told, truth, strict=True) if row[name] not in (None, getattr(one.sandbox, name))]

    assert wrong == []


def test_most_records_are_named(told: list[dict[str, Any]], truth: list[Truth]) -> None:
    """Nine in ten records of a sandbox are found by its id, and more than eight in ten by its pod."""
    owned = [row for row, one in zip(told, truth, strict=True) if one.sandbox.sandbox_id is not None]

    assert sum(row["sandbox_id"] is not None for row in owned) > 0.88 * len(owned)
    assert sum(row["k8s_pod"] is not None for row in owned) > 0.8 * len(owned)


def test_a_search_by_sandbox_finds_what_the_truth_allows(reader: Reader, truth: list[Truth]) -> None:
    """Asking for one sandbox gives records of that one alone."""
    busiest = Counter(one.sandbox.sandbox_id for one in truth if one.sandbox.sandbox_id).most_common(1)[0][0]
    owned = {one.ordinal for one in truth if one.sandbox.sandbox_id == busiest}

    rows = reader.scan(EVERYTHING_IN_SCOPE, Compare("sandbox_id", Op.EQ, busiest), ["seq"])
    found = {seq for batch in rows for seq in batch.column("seq").to_pylist()}

    assert found
    assert found <= owned
