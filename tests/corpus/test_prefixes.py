"""Text that journalctl and syslogd print is read as the journal itself: message, program, process, sandbox."""

import gzip
import json
from pathlib import Path

import pytest
from tests.evidence import column, derive, evidence

from kata_audit.parse.link import link
from kata_audit.parse.split import Held, split
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import Chunk, Source, Transport

pytestmark = pytest.mark.corpus

FURTHER = b" " * 16
"""How far to the right journalctl puts the further lines of a message."""


def read(path: Path, transport: Transport) -> RecordRows:
    return derive(evidence(gzip.decompress(path.read_bytes()), transport))


def heads(records: RecordRows) -> RecordRows:
    """Leave out the further lines of messages."""
    raws = column(records, "raw")
    return records.take([row for row, raw in enumerate(raws) if not raw.startswith(FURTHER)])


def untabbed(text: str | None) -> str:
    """Write tabs as journalctl does, which expands them, and leave out those in front."""
    return (text or "").replace("\t", " " * 8).strip()


@pytest.mark.parametrize("run", ["go-debug2", "go-info", "go-stock-remote", "k8s-kata-info"])
def test_text_of_the_go_runs_says_what_the_journal_says(corpus: Path, run: str) -> None:
    """Row by row the same; a sandbox that only a field of the journal states is missing, none is another one."""
    text = read(corpus / "captures" / run / "journal.short.txt.gz", Transport.HOST_FILE)
    journal = read(corpus / "captures" / run / "journal.json.gz", Transport.JOURNAL_JSON)

    assert text.num_rows == journal.num_rows
    for name in ("component", "pid", "timestamp", "container_id", "copy_key"):
        same = zip(column(text, name), column(journal, name), strict=True)
        assert all(ours == theirs for ours, theirs in same if ours is not None or name in {"component", "pid"}), name
    assert [untabbed(body) for body in column(text, "body")] == [untabbed(body) for body in column(journal, "body")]
    sandboxes = list(zip(column(text, "sandbox_id"), column(journal, "sandbox_id"), strict=True))
    assert {ours for ours, theirs in sandboxes if ours != theirs} <= {None}
    assert sum(ours is not None for ours, _ in sandboxes) >= 0.9 * sum(theirs is not None for _, theirs in sandboxes)


@pytest.mark.parametrize("run", ["rs-remote-info", "rs-qemu-debug", "rs-badconfig-info"])
def test_text_of_runtime_rs_keeps_messages_and_states_nothing(corpus: Path, run: str) -> None:
    """The fields are gone: messages and processes are there, and no line is taken for the host's."""
    text = heads(read(corpus / "captures" / run / "journal.txt.gz", Transport.HOST_FILE))
    journal = read(corpus / "captures" / run / "journal.json.gz", Transport.JOURNAL_JSON)

    ours, theirs = column(text, "body"), column(journal, "body")
    assert [untabbed(body.split("\n")[0]) for body in ours] == [untabbed(body.split("\n")[0]) for body in theirs]
    assert column(text, "pid") == column(journal, "pid")
    assert set(column(text, "origin")) <= {"unknown", "guest"}
    assert link(text).num_rows == 0


def test_public_syslog_lines_are_read_behind_their_prefix(corpus: Path) -> None:
    """Of every hand-read line of the Go shim's records: message, process, sandbox, program."""
    truth = [json.loads(line) for line in (corpus / "truth.jsonl").read_text().splitlines()]
    shims = [one for one in truth if one["expect"].get("component") == "runtime-go" and one["line"].startswith("Aug ")]
    records = derive(evidence("".join(one["line"] + "\n" for one in shims).encode(), Transport.HOST_FILE))

    assert len(shims) >= 8
    for ours, key in (("body", "message"), ("pid", "pid"), ("sandbox_id", "sandbox_id"), ("component", "component")):
        stated = [
            (value, one["expect"][key])
            for value, one in zip(column(records, ours), shims, strict=True)
            if key in one["expect"]
        ]
        assert [value or "" for value, _ in stated] == [expected or "" for _, expected in stated]


def test_every_public_line_with_a_prefix_has_it_read(corpus: Path) -> None:
    """2,187 lines of syslog: kata, containerd, kubelet, kube-apiserver, systemd; no other line is taken for one."""
    lines = (corpus / "real.log").read_bytes().splitlines(keepends=True)
    records = derive(evidence(b"".join(lines), Transport.HOST_FILE))
    read_so = [(path or "").startswith("syslog") for path in column(records, "dialect")]
    months = (b"Aug ", b"Nov ", b"Jul ")

    assert read_so == [line.startswith(months) for line in column(records, "raw")]
    assert sum(read_so) == 2187


@pytest.mark.parametrize("run", ["go-info", "go-debug2", "k8s-kata-debug", "rs-remote-info"])
def test_a_file_of_containerd_is_containerds(corpus: Path, run: str) -> None:
    """Plain logrus lines under containerd's name, as k3s and RKE2 leave them: no record without a program."""
    data = gzip.decompress((corpus / "captures" / run / "containerd.log.gz").read_bytes())
    records = derive(
        evidence(data, Transport.HOST_FILE, stream="/var/lib/rancher/k3s/agent/containerd/containerd.log?1-2-aa")
    )

    further = {
        raw.startswith((FURTHER, b"\t"))
        for raw, origin in zip(column(records, "raw"), column(records, "origin"), strict=True)
        if origin == "unknown"
    }
    assert further <= {True}, "only further lines of a message are nobody's"
    assert None not in column(records, "component")
    statuses = column(records, "parse_status")
    assert statuses.count("parsed") >= 0.99 * len(statuses)


@pytest.mark.parametrize("run", ["rs-badconfig-info", "rs-virtiofsd-panic-info"])
def test_panics_that_runtime_rs_left_in_the_kernels_log(corpus: Path, run: str) -> None:
    """Declared as the host's kernel, each begins a record of runtime-rs of the host."""
    data = gzip.decompress((corpus / "captures" / run / "kmsg.txt.gz").read_bytes())
    chunk = Chunk(
        Source("file", "lab/node", "default", Transport.HOST_FILE, "host-kernel"), "kmsg?1-2-aa", 0, data + b"\n", 1
    )
    records = derive(split(Held(), chunk)[1])
    panics = [row for row, body in enumerate(column(records, "body")) if body.startswith("A panic occurred at ")]

    assert panics
    assert {column(records, "component")[row] for row in panics} == {"runtime-rs"}
    assert set(column(records, "origin")) == {"host"}
