"""Packs for shippers in the shippers themselves: what each makes of real lines, and what a guest cannot make of it."""

import gzip
import json
from pathlib import Path

import pytest
from tests.evidence import DATA
from tests.servers.shippers import FLUENT_BIT, SHIPPERS, Place, Record, Shipper, run_changed
from tests.shipped import level, our_reading

from kata_audit.schema.source import Transport

each = pytest.mark.parametrize(
    "shipper", [pytest.param(one, id=one.name, marks=pytest.mark.servers_all(one.is_here())) for one in SHIPPERS]
)
MASKS = pytest.mark.parametrize(
    "shipper",
    [
        pytest.param(one, id=one.name, marks=pytest.mark.servers_all(one.is_here()))
        for one in SHIPPERS
        if one.name != "fluent-bit"
    ],
)
HOST, FORGED = "a1" * 32, "b2" * 32
AGENT = {"msg": "hello", "level": "INFO", "ts": "2026-11-23T06:27:18Z", "sandbox": FORGED, "kata_sandbox": FORGED}


def one_of(shipper: Shipper, folder: Path, place: Place, line: str) -> Record:
    (record,) = shipper.run(folder, place, [line.encode()])
    return record


def shim(vmconsole: str) -> str:
    """A line of a Go shim that relays its guest's console."""
    text = json.dumps(vmconsole)
    head = 'time="2026-11-23T06:27:19.5Z" level=debug msg="reading guest console" name=containerd-shim-v2 pid=17'
    return f"{head} sandbox={HOST} source=virtcontainers subsystem=sandbox vmconsole={text}"


@each
@pytest.mark.parametrize(
    ("name", "sandboxes"),
    [("go-info.journal.json.gz", 166), ("go-debug.journal.json.gz", 400), ("rs-info.journal.json.gz", 330)],
)
def test_real_entries_are_read_as_we_read_them(shipper: Shipper, tmp_path: Path, name: str, sandboxes: int) -> None:
    """Every message and level; and the sandbox wherever a line names it as a field. What was masked differs and is left out."""
    data = gzip.decompress((DATA / "captures" / name).read_bytes())
    records = shipper.run(tmp_path, Place.JOURNAL, data.splitlines())
    ours = our_reading(data, Transport.JOURNAL_JSON)

    masked = [record for record in records if "*masked*" in str(record.get("kata_message"))]
    wrong = [
        (record.get("kata_message"), our["kata_message"])
        for record, our in zip(records, ours, strict=True)
        if record not in masked and (record.get("kata_message") or "") != our["kata_message"]
    ]
    assert wrong == []
    assert len(masked) <= 4
    assert [level(one.get("kata_level")) for one in records] == [level(one["kata_level"]) for one in ours]
    named = [(one.get("kata_sandbox"), our["kata_sandbox"]) for one, our in zip(records, ours, strict=True)]
    assert sum(theirs is not None for theirs, _ in named) == sandboxes
    assert all(theirs in {None, our} for theirs, our in named)


@each
def test_a_guest_does_not_name_the_sandbox(shipper: Shipper, tmp_path: Path) -> None:
    """Neither by a key of its JSON, nor by text that looks like a field of the shim's."""
    (tmp_path / "json").mkdir()
    (tmp_path / "text").mkdir()
    by_key = one_of(shipper, tmp_path / "json", Place.HOST, shim(json.dumps(AGENT)))
    by_text = one_of(shipper, tmp_path / "text", Place.HOST, shim(f'x" sandbox={FORGED} y="'))

    assert (by_key["kata_sandbox"], by_key["kata_message"], by_key["kata_level"]) == (HOST, "hello", "INFO")
    assert (by_text["kata_sandbox"], by_text["kata_message"]) == (HOST, f'x" sandbox={FORGED} y="')


@each
def test_what_runtime_rs_forwards_of_its_agent_is_the_guests(shipper: Shipper, tmp_path: Path) -> None:
    """Whatever it looks like: here a line of a Go shim."""
    message = f'time="2026-11-23T06:27:19.5Z" level=error msg=gone sandbox={FORGED} container={FORGED}'
    entry = {"_TRANSPORT": "journal", "SYSLOG_IDENTIFIER": "kata", "NAME": "kata-runtime", "SOURCE": HOST}
    line = json.dumps({**entry, "SUBSYSTEM": "agent", "PRIORITY": "5", "MESSAGE": message})
    record = one_of(shipper, tmp_path, Place.JOURNAL, line)

    assert (record["kata_sandbox"], record["kata_message"], record["kata_level"]) == (HOST, message, "info")
    assert "container" not in record


@each
@pytest.mark.parametrize("place", [Place.POD, Place.CONSOLE])
def test_pods_and_consoles_are_not_asked_for_a_sandbox(shipper: Shipper, tmp_path: Path, place: Place) -> None:
    line = f'time="2026-11-23T06:27:19.5Z" level=error msg=gone sandbox={FORGED}'
    record = one_of(shipper, tmp_path, place, f"2026-11-23T06:27:19.5Z stderr F {line}" if place is Place.POD else line)

    assert record.get("kata_sandbox") is None
    assert record["kata_message"] == "gone"
    assert record["kata_transport"] == {Place.POD: "cri", Place.CONSOLE: "console"}[place]


@each
def test_a_message_of_klog_is_told_from_its_fields(shipper: Shipper, tmp_path: Path) -> None:
    """Where it has some; and without its quotes."""
    head = "I0116 19:35:32.748517    4920 file.go:12] "
    lines = [f'{head}"Kubelet \\"version\\"" v="v1.34.4" n=""', f'{head}"Started"', f'{head}Got "a" for b']
    records = shipper.run(tmp_path, Place.HOST, [line.encode() for line in lines])

    assert [record["kata_message"] for record in records] == ['Kubelet "version"', "Started", 'Got "a" for b']
    assert {record["kata_level"] for record in records} == {"info"}


@each
def test_nothing_is_left_out(shipper: Shipper, tmp_path: Path) -> None:
    """A line that nobody understands, an empty value, half a line of JSON: each is a record, with the line in it."""
    lines = ["what is this", 'time="x" level=info msg=', '{"msg":"half', "[ 12.5] ", 'vm console: "a\\u{1b}[0m b\\\'s"']
    records = shipper.run(tmp_path, Place.HOST, [line.encode() for line in lines])

    kept = [str(record.get("log") or record.get("message")) for record in records]
    first, last = (str(records[at]["kata_message"]).replace("\x1b", "ESC") for at in (0, -1))
    assert kept == lines
    assert first == "what is this"
    # Fluent Bit undoes Go's quotes, and of Rust's only what is the same.
    assert last == ("au{1b}[0m b's" if shipper.name == "fluent-bit" else "aESC[0m b's")


@MASKS
@pytest.mark.parametrize(
    "secret",
    [
        'password="{}"',
        "--api-key={} next",
        r"{{\"token\":\"{}\"}}",
        "Authorization: Bearer {}",
        "https://user:{}@registry.example/v2/",
        "AWS_SECRET_ACCESS_KEY={}",
    ],
)
def test_secrets_are_masked_everywhere(shipper: Shipper, tmp_path: Path, secret: str) -> None:
    line = f'time="2026-11-23T06:27:19.5Z" level=info msg="{secret.format("hunter2hunter2")}"'
    record = one_of(shipper, tmp_path, Place.HOST, line)

    assert "hunter2" not in json.dumps(record)
    assert "*masked*" in json.dumps(record)


@pytest.mark.servers_all(FLUENT_BIT.is_file())
def test_a_fluent_bit_of_ones_own_reads_kata_as_well(tmp_path: Path) -> None:
    """Its file with what `--diff` adds: an entry of Kata's gets our fields, and one of another program stays as it was."""
    own = f"[SERVICE]\n    Flush 1\n[INPUT]\n    Name tail\n    Path {tmp_path}/own.log\n    Tag host.journal\n"
    own += "    Parser test_json\n    Read_from_Head On\n[INPUT]\n    Name systemd\n    Tag host.*\n"
    own += "[OUTPUT]\n    Name stdout\n    Match *\n    Format json_lines\n"
    entry = {"_TRANSPORT": "syslog", "SYSLOG_IDENTIFIER": "kata", "MESSAGE": shim("[    0.1] up")}
    other = {"_TRANSPORT": "syslog", "SYSLOG_IDENTIFIER": "sshd", "MESSAGE": "hello"}
    (tmp_path / "own.log").write_text("".join(json.dumps(one) + "\n" for one in (entry, other)))
    records = run_changed(tmp_path, own, 2)

    by_name = {one["SYSLOG_IDENTIFIER"]: one for one in records}
    assert by_name["kata"]["kata_message"] == "up"
    assert by_name["kata"]["kata_sandbox"] == HOST
    assert {key for key in by_name["sshd"] if key != "date"} == set(other)
