"""The volume source: what it writes is valid, its truth is right, and its sandboxes are strangers."""

import itertools
import json
import re
from collections import defaultdict
from typing import Any

import pytest
from tests.evidence import evidence
from tests.simulator import Block, Node, Truth, main

from kata_audit.schema.source import Transport

RECORDS = 6_000
STARTED_US = 1_796_000_000_000_000
CAPTURED = re.compile(rb"worker-[ab]\b|(?<![0-9])17954[0-9]{11}(?![0-9])|2026-11-2[34]T")


@pytest.fixture(scope="module")
def blocks() -> list[Block]:
    """The beginning of one node's journal, with its truth."""
    return list(Node(7).blocks(RECORDS))


@pytest.fixture(scope="module")
def entries(blocks: list[Block]) -> list[dict[str, Any]]:
    return [json.loads(line) for block in blocks for line in block.lines]


@pytest.fixture(scope="module")
def truth(blocks: list[Block]) -> list[Truth]:
    return [Truth(block.first + index, *owner) for block in blocks for index, owner in enumerate(block.owners)]


def text(entry: dict[str, Any]) -> str:
    message = entry.get("MESSAGE") or ""
    return bytes(message).decode("utf-8", "replace") if isinstance(message, list) else str(message)


def test_it_writes_as_many_records_as_asked(entries: list[dict[str, Any]], truth: list[Truth]) -> None:
    assert len(entries) == len(truth) == RECORDS
    assert [one.ordinal for one in truth] == list(range(RECORDS))


def test_every_line_is_one_json_object(blocks: list[Block]) -> None:
    """One object, one line end, and no mark of a slot left over."""
    lines = [line for block in blocks for line in block.lines]

    assert all(line.endswith(b"}\n") and line.count(b"\n") == 1 and b"\x00" not in line for line in lines)


def test_times_and_cursors_only_grow(entries: list[dict[str, Any]]) -> None:
    """Journald counts and stamps in the order of arrival."""
    times = [int(entry["__REALTIME_TIMESTAMP"]) for entry in entries]
    places = [int(entry["__CURSOR"].split(";i=")[1].split(";")[0], 16) for entry in entries]

    assert times == sorted(times)
    assert times[0] >= STARTED_US
    assert places == list(range(1, RECORDS + 1))


def test_the_cursor_repeats_the_entrys_times(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        found = dict(part.split("=", 1) for part in entry["__CURSOR"].split(";"))

        assert int(found["t"], 16) == int(entry["__REALTIME_TIMESTAMP"])
        assert int(found["m"], 16) == int(entry["__MONOTONIC_TIMESTAMP"])
        assert found["b"] == entry["_BOOT_ID"]


def test_nothing_of_the_captured_node_is_left(blocks: list[Block]) -> None:
    lines = b"".join(line for block in blocks for line in block.lines if b"kubelet" not in line)

    assert CAPTURED.findall(lines) == []


def test_an_entry_names_only_its_own_sandbox(entries: list[dict[str, Any]], truth: list[Truth]) -> None:
    """Ids of one sandbox stand in no entry of another one."""
    owner: dict[str, int] = {}
    for one in truth:
        for name in (one.sandbox.sandbox_id, one.sandbox.k8s_pod_uid, one.sandbox.k8s_pod, *one.sandbox.containers):
            if name is not None:
                assert owner.setdefault(name, one.sandbox.number) == one.sandbox.number
    names = re.compile("|".join(map(re.escape, owner)))
    for entry, one in zip(entries, truth, strict=True):
        named = {owner[name] for name in names.findall(json.dumps(entry) + text(entry))}

        assert named <= {one.sandbox.number}


def test_the_container_of_the_truth_stands_in_the_entry(entries: list[dict[str, Any]], truth: list[Truth]) -> None:
    containers = [(entry, one.container_id) for entry, one in zip(entries, truth, strict=True) if one.container_id]

    assert len(containers) > 100
    assert all(
        container in text(entry) + entry.get("CONTAINER_ID", "") + json.dumps(entry) for entry, container in containers
    )


def test_long_identifiers_belong_to_one_sandbox(entries: list[dict[str, Any]], truth: list[Truth]) -> None:
    """What looks like an id and is none of an image or of the node never occurs in two sandboxes."""
    seen = defaultdict(set)
    for entry, one in zip(entries, truth, strict=True):
        for name in re.findall(r"(?<!sha256:)(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", text(entry)):
            seen[name].add(one.sandbox.number)

    assert len(seen) > 50
    assert {name: numbers for name, numbers in seen.items() if len(numbers) > 1} == {}


def test_a_shim_serves_one_sandbox(entries: list[dict[str, Any]], truth: list[Truth]) -> None:
    served = defaultdict(set)
    for entry, one in zip(entries, truth, strict=True):
        if entry["SYSLOG_IDENTIFIER"] == "kata":
            served[entry["_PID"]].add(one.sandbox.sandbox_id)

    assert len(served) > 10
    assert all(len(sandboxes) == 1 for sandboxes in served.values())


def test_sandboxes_live_at_the_same_time(truth: list[Truth]) -> None:
    """Neighbouring records belong to different sandboxes more often than one life after another would allow."""
    changes = sum(one.sandbox.number != after.sandbox.number for one, after in itertools.pairwise(truth))

    assert changes > 10 * len({one.sandbox.number for one in truth})


def test_the_same_seed_gives_the_same_bytes() -> None:
    once, again, other = (list(Node(seed).journal_json(records=500)) for seed in (7, 7, 8))

    assert once == again
    assert once != other


def test_fewer_records_are_the_beginning_of_more(blocks: list[Block]) -> None:
    assert list(Node(7).journal_json(records=100)) == blocks[0].lines[:100]


def test_export_holds_the_same_fields_as_json(entries: list[dict[str, Any]]) -> None:
    """Both forms tell the same: values are compared field by field, binary ones with their length."""
    for block, entry in zip(Node(7).journal_export(records=2_000), entries, strict=False):
        fields: dict[str, bytes] = {}
        rest = block
        while rest != b"\n":
            line, rest = rest.split(b"\n", 1)
            name, equals, value = line.partition(b"=")
            if not equals:
                size = int.from_bytes(rest[:8], "little")
                value, rest = rest[8 : 8 + size], rest[9 + size :]
            fields[name.decode()] = value

        whole = {name: bytes(value) if isinstance(value, list) else value.encode() for name, value in entry.items()}
        assert fields == whole


def test_our_own_splitter_finds_each_record() -> None:
    """The stream in each form is cut into exactly the records that were written."""
    for transport, lines in (
        (Transport.JOURNAL_JSON, list(Node(3).journal_json(records=1_000))),
        (Transport.JOURNAL_EXPORT, list(Node(3).journal_export(records=1_000))),
    ):
        assert evidence(b"".join(lines), transport).column("raw").to_pylist() == lines


def test_long_fields_are_null_where_journalctl_was_not_asked_for_all() -> None:
    """Around the limit new names may make a field a little longer or shorter than the captured one."""
    short = [json.loads(line) for line in Node(7, long_fields=False).journal_json(records=4_000)]
    whole = [json.loads(line) for line in Node(7).journal_json(records=4_000)]
    kept = {len(text(full).encode()) for entry, full in zip(short, whole, strict=True) if entry["MESSAGE"] is not None}
    nulled = {len(text(full).encode()) for entry, full in zip(short, whole, strict=True) if entry["MESSAGE"] is None}

    assert nulled
    assert max(kept) < 4_400
    assert min(nulled) > 3_800
    assert all(
        entry["__REALTIME_TIMESTAMP"] == full["__REALTIME_TIMESTAMP"] for entry, full in zip(short, whole, strict=True)
    )


def test_byte_arrays_occur() -> None:
    """A panic of runtime-rs holds carriage returns: journald gives its message as numbers."""
    assert any(isinstance(json.loads(line)["MESSAGE"], list) for line in Node(7).journal_json(records=20_000))


def test_container_logs_are_cri_lines_of_known_sandboxes() -> None:
    logs = list(Node(7).container_logs(records=3_000))
    line = re.compile(rb"2026-1[0-9-]{4}T[0-9:]{8}\.[0-9]{9}Z (?:stdout|stderr) [FP] ")

    assert logs
    for one in logs:
        assert one.path.startswith(f"{one.sandbox.k8s_namespace}_{one.sandbox.k8s_pod}_{one.sandbox.k8s_pod_uid}/")
        assert one.container_id in one.sandbox.containers
        assert all(line.match(row) for row in one.data.splitlines())


def test_the_command_writes_truth_beside_the_journal(tmp_path: Any) -> None:
    main(["--records", "50", "--seed", "7", "--out", str(tmp_path / "a.json"), "--truth", str(tmp_path / "a.jsonl")])

    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_bytes().splitlines()]
    assert (tmp_path / "a.json").read_bytes() == b"".join(Node(7).journal_json(records=50))
    assert [row["sandbox_id"] for row in rows] == [one.sandbox.sandbox_id for one in Node(7).truth(records=50)]
