"""Against the reference captures: every line is a row, identities are right, and an independent parser agrees."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from tests.evidence import column, derive, evidence

from kata_audit.parse.link import link
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import Transport

pytestmark = pytest.mark.corpus

JOURNALS = [
    "go-debug2", "go-info", "go-stock-remote", "k8s-kata-info", "rs-badconfig-info", "rs-hypervisors-info", "rs-qemu-debug",
    "rs-remote-info", "rs-remote2-info", "rs-tools-go", "rs-tools-rs", "rs-virtiofsd-panic-info",
]  # fmt: skip
RUNS = [
    "go-info",
    "go-debug",
    "go-debug2",
    "rs-remote-info",
    "rs-remote2-info",
    "rs-badconfig-info",
    "rs-qemu-debug",
    "rs-hypervisors-info",
    "rs-virtiofsd-panic-info",
]
POD_COLUMNS = ("k8s_namespace", "k8s_pod", "k8s_pod_uid")


def read(path: Path, transport: Transport) -> tuple[bytes, RecordRows]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return data, derive(evidence(data, transport))


@pytest.mark.parametrize("run", JOURNALS)
def test_every_line_of_a_journal_is_a_row_in_order(corpus: Path, run: str) -> None:
    data, records = read(corpus / "captures" / run / "journal.json.gz", Transport.JOURNAL_JSON)

    assert column(records, "raw") == data.splitlines(keepends=True)
    assert Counter(column(records, "parse_status")).keys() <= {"parsed", "envelope"}


@pytest.mark.parametrize("run", [*JOURNALS, "go-debug", "go-ratelimit", "k8s-kata-debug"])
def test_every_block_of_an_export_is_a_row_in_order(corpus: Path, run: str) -> None:
    data, records = read(corpus / "captures" / run / "journal.export.gz", Transport.JOURNAL_EXPORT)

    assert b"".join(column(records, "raw")) == data
    assert records.num_rows == data.count(b"\n__CURSOR=") + data.startswith(b"__CURSOR=")
    assert Counter(column(records, "parse_status")).keys() <= {"parsed", "envelope"}


def test_every_public_line_is_a_row_in_order(corpus: Path) -> None:
    data, records = read(corpus / "real.log", Transport.BARE)

    assert (
        column(records, "raw") == data.splitlines(keepends=True)
        if b"\r" not in data
        else b"".join(column(records, "raw")) == data
    )
    assert records.num_rows == data.count(b"\n")


def host_facts(captures: Path, run: str) -> list[dict[str, str]]:
    """Collect the facts of a run's journal, and of containerd's own log where the journal has not got it."""
    _, records = read(captures / run / "journal.export.gz", Transport.JOURNAL_EXPORT)
    facts: list[dict[str, str]] = link(records).to_pylist()
    log = captures / run / "containerd.log.gz"
    if run.startswith("rs-") and log.exists():
        facts += link(read(log, Transport.HOST_FILE)[1]).to_pylist()
    return facts


@pytest.mark.parametrize("run", RUNS)
def test_facts_give_every_sandbox_its_pod_and_no_other(corpus: Path, run: str) -> None:
    captures = corpus / "captures"
    said: dict[tuple[str, str], set[str]] = {}
    for fact in host_facts(captures, run):
        said.setdefault((fact["kind"], fact["subject"]), set()).add(fact["object"])
    truth = [
        one for line in (captures / "identities.jsonl").read_text().splitlines() if (one := json.loads(line))["run"] == run
    ]

    assert truth
    for sandbox in truth:
        for name in POD_COLUMNS:
            assert said[(f"sandbox.{name}", sandbox["sandbox_id"])] == {sandbox[name]}
        for container in sandbox["containers"]:
            if ("container.sandbox_id", container) in said:
                assert said[("container.sandbox_id", container)] == {sandbox["sandbox_id"]}


@pytest.mark.parametrize("run", ["go-info", "go-debug", "go-debug2"])
def test_katas_own_parser_reads_the_same(corpus: Path, run: str) -> None:
    _, records = read(corpus / "captures" / run / "kata-syslog.log.gz", Transport.HOST_FILE)
    parser = corpus / "captures" / run / "kata-log-parser.jsonl.gz"
    theirs = [json.loads(line) for line in gzip.decompress(parser.read_bytes()).splitlines()]
    rows = [their["Line"] - 1 for their in theirs]
    ours = {name: column(records, name) for name in ("body", "severity_text", "sandbox_id", "pid", "timestamp")}
    console_text = [
        row for row, dialect in enumerate(column(records, "dialect")) if not dialect.endswith(("logrus", "json"))
    ]
    console_text += [row for row, status in enumerate(column(records, "parse_status")) if status != "parsed"]

    times = pa.array([their["Time"] for their in theirs]).cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_pylist()
    words = {"debug": "DEBUG", "info": "INFO", "warning": "WARN", "error": "ERROR", "fatal": "FATAL"}
    assert [ours["timestamp"][row] for row in rows] == times
    named = column(records, "component")
    assert [ours["body"][row] for row in rows] == [
        their["Msg"].removeprefix("qemu-system-x86_64: ") if named[row] == "qemu" else their["Msg"]
        for row, their in zip(rows, theirs, strict=True)
    ], "QEMU's lines without its name"
    stated = [
        (ours["sandbox_id"][row], their["Sandbox"]) for row, their in zip(rows, theirs, strict=True) if their["Sandbox"]
    ]
    assert [our for our, _ in stated] == [their for _, their in stated], "we may know more sandboxes, never others"
    differing = {
        row
        for row, their in zip(rows, theirs, strict=True)
        if (ours["severity_text"][row], ours["pid"][row] or 0) != (words[their["Level"]], their["Pid"])
    }
    assert differing <= set(console_text), "console text has neither level nor pid of its own; theirs are the relay's"
