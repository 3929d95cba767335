"""What sources of real runs say they lost is found, all of it, with its number and its source."""

import gzip
from collections import Counter
from pathlib import Path

import pytest
from tests.evidence import column, derive, evidence

from kata_audit.parse.link import link
from kata_audit.pipeline.coverage import Coverage
from kata_audit.schema.fact import FactKind, read_gap
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import Transport

pytestmark = pytest.mark.corpus

RUNS = [
    "go-debug", "go-debug2", "go-info", "go-ratelimit", "go-stock-remote", "k8s-kata-debug", "k8s-kata-info",
    "rs-badconfig-info", "rs-hypervisors-info", "rs-qemu-debug", "rs-remote-info", "rs-remote2-info", "rs-tools-go",
    "rs-tools-rs", "rs-virtiofsd-panic-info",
]  # fmt: skip


def read(
    corpus: Path, run: str, name: str = "journal.export.gz", transport: Transport = Transport.JOURNAL_EXPORT
) -> RecordRows:
    return derive(evidence(gzip.decompress((corpus / "captures" / run / name).read_bytes()), transport))


def gaps(records: RecordRows) -> Counter[str]:
    """Add up facts of gaps by event; gaps without a number are told as `<event> unknown`."""
    found: Counter[str] = Counter()
    for fact in link(records).to_pylist():
        if fact["kind"] == FactKind.SOURCE_GAP:
            gap = read_gap(fact["object"])
            found[gap.event if gap.records is not None else f"{gap.event} unknown"] += gap.records or 1
    return found


def stated_counts(data: bytes) -> int:
    """Add up COUNT of the slog-async records of an export, by the text alone."""
    total = 0
    for block in data.split(b"\n\n"):
        fields = dict(line.partition(b"=")[::2] for line in block.split(b"\n") if b"=" in line)
        if fields.get(b"MESSAGE", b"").startswith(b"slog-async: logger dropped"):
            total += int(fields[b"COUNT"])
    return total


@pytest.mark.parametrize("run", [run for run in RUNS if run.startswith("rs-")])
def test_runtime_rs_tells_all_that_it_dropped(corpus: Path, run: str) -> None:
    """What hosts state as facts and what came by the agent's log port add up to the sum of COUNT in the journal."""
    data = gzip.decompress((corpus / "captures" / run / "journal.export.gz").read_bytes())
    records = derive(evidence(data, Transport.JOURNAL_EXPORT))
    coverage = Coverage()
    coverage.add(records)
    claimed = sum(one.records for one in coverage.losses() if one.claim)

    assert gaps(records)["loghealth.records_dropped"] + claimed == stated_counts(data)


def test_all_rs_runs_together(corpus: Path) -> None:
    """So many records of these runs are known to be missing."""
    totals = {run: gaps(read(corpus, run))["loghealth.records_dropped"] for run in RUNS if run.startswith("rs-")}

    assert {run: count for run, count in totals.items() if count} == EXPECTED_DROPPED


EXPECTED_DROPPED = {"rs-remote-info": 416, "rs-remote2-info": 432, "rs-tools-go": 39}


def test_journald_suppressed_a_storm(corpus: Path) -> None:
    """173,433 messages of containerd's unit, told once."""
    records = read(corpus, "go-ratelimit")
    facts = [fact for fact in link(records).to_pylist() if fact["kind"] == FactKind.SOURCE_GAP]

    assert [(fact["subject"], read_gap(fact["object"]).records) for fact in facts] == [("containerd.service", 173433)]


def test_a_console_that_a_tenant_blinded(corpus: Path) -> None:
    """A line of 70 KB ended the console's reader for ever: one gap from two copies; a closed console is none."""
    records = read(corpus, "go-debug2")
    bodies = column(records, "body")

    assert gaps(records)["loghealth.console_lost unknown"] == 1
    assert bodies.count("Failed to read guest console logs") == 4


@pytest.mark.parametrize("run", RUNS)
def test_only_hosts_state_and_only_named_sources_lose(corpus: Path, run: str) -> None:
    """Every gap is of a record of the host; every claim is told as one; nothing else is taken for a loss."""
    records = read(corpus, run)
    coverage = Coverage()
    coverage.add(records)
    actions, origins = column(records, "action"), column(records, "origin")
    claims = sum(action == "lose-records" and origin != "host" for action, origin in zip(actions, origins, strict=True))

    assert sum(one.statements for one in coverage.losses() if one.claim) == claims
    assert sum(one.statements for one in coverage.losses() if not one.claim) == sum(
        fact["kind"] == FactKind.SOURCE_GAP for fact in link(records).to_pylist()
    )
    assert {one.event for one in coverage.losses()} <= {
        "loghealth.records_dropped",
        "loghealth.journal_suppressed",
        "loghealth.console_lost",
        "loghealth.shim_log_copy_ended",
    }


def test_the_api_server_tells_which_audit_events_it_dropped(corpus: Path) -> None:
    """At its end it could not deliver some: each is counted, in its own log."""
    path = corpus / "captures" / "k8s-audit" / "apiserver.log.gz"
    data = gzip.decompress(path.read_bytes())
    records = derive(evidence(data, Transport.HOST_FILE, stream="/var/log/kube-apiserver.log?1-2-aa"))

    assert gaps(records)["loghealth.audit_events_dropped"] == data.count(b" affecting 1 audit events:") > 0
