"""Against the reference captures: every line of hypervisors and their helpers is read, alone and inside the shims."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from tests.evidence import OBSERVED_NS, column, derive, evidence

from kata_audit.parse.split import Held, finish, split
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import Chunk, Source, Transport

pytestmark = pytest.mark.corpus

FILES = (
    ("guest-qemu-errors/*.stderr.gz", "qemu", 40, 34),
    ("guest-vm-*/qemu.*.gz", "qemu", 4, 2),
    ("guest-vm-*/qmp.jsonl.gz", "qmp", 67, 67),
    ("guest-virtiofsd-errors/*.log.gz", "virtiofsd", 48, 39),
    ("guest-vm-*/virtiofsd.log.gz", "virtiofsd", 957, 957),
    ("guest-cloud-hypervisor/*.gz", "cloud-hypervisor", 443, 362),
)
"""Files, their dialect, their lines, and how many of these are read where nobody names the dialect: the others are second
lines of an error, usage texts, blank lines, and pieces of events spread over lines."""
LEVELS = {"debug": "DEBUG", "info": "INFO", "warning": "WARN", "error": "ERROR"}
OURS = {"cloud-hypervisor", "firecracker", "dragonball", "virtiofsd", "runtime-rs"}


def read_as(path: Path, dialect: str | None) -> RecordRows:
    """Read a file of the host as one dialect, as `--as` declares it."""
    data = gzip.decompress(path.read_bytes())
    chunk = Chunk(Source("file", "lab/node", "default", Transport.HOST_FILE, dialect), "test?1-2-aa", 0, data, OBSERVED_NS)
    held, rows = split(Held(), chunk)
    table = pa.Table.from_batches([rows, finish(held, chunk)]).combine_chunks()
    return derive(table.set_column(0, "seq", pa.array(range(len(table)), pa.uint64())).to_batches()[0])


@pytest.mark.parametrize(("pattern", "dialect", "lines", "recognised"), FILES)
def test_every_line_of_a_declared_file_is_read(
    corpus: Path, pattern: str, dialect: str, lines: int, recognised: int
) -> None:
    """Declared, every line is the program's; undeclared, those that no other program writes are."""
    paths = sorted((corpus / "captures").glob(pattern))
    declared = [status for path in paths for status in column(read_as(path, dialect), "parse_status")]
    alone = [status for path in paths for status in column(read_as(path, None), "parse_status")]

    assert Counter(declared) == {"parsed": lines}
    assert Counter(alone)["parsed"] == recognised


def test_what_qemu_said_through_the_go_shim_is_qemus(corpus: Path) -> None:
    """Each copy of a record of its standard error, at QEMU's own level and in the sandbox that the shim names."""
    data = gzip.decompress((corpus / "captures/go-debug2/journal.json.gz").read_bytes())
    records = derive(evidence(data, Transport.JOURNAL_JSON))
    rows = [row for row, component in enumerate(column(records, "component")) if component == "qemu"]

    messages = [str(json.loads(line).get("MESSAGE")) for line in data.splitlines()]
    relays = [row for row, text in enumerate(messages) if " level=error msg=" in text and " qemuPid=" in text]

    assert (rows, len(rows)) == (relays, 66)
    assert {column(records, "origin")[row] for row in rows} == {"host"}
    assert all(len(column(records, "sandbox_id")[row]) == 64 for row in rows)


@pytest.mark.parametrize(
    ("run", "components"),
    [
        ("rs-qemu-debug", {"qemu": 4, "virtiofsd": 18}),
        ("rs-hypervisors-info", {"virtiofsd": 9, "cloud-hypervisor": 1}),
        ("rs-virtiofsd-panic-info", {"virtiofsd": 1}),
    ],
)
def test_what_runtime_rs_relays_is_its_writers(corpus: Path, run: str, components: dict[str, int]) -> None:
    """Standard error of QEMU, Cloud Hypervisor and virtiofsd in the journal."""
    data = gzip.decompress((corpus / "captures" / run / "journal.json.gz").read_bytes())
    records = derive(evidence(data, Transport.JOURNAL_JSON))
    counts = Counter(column(records, "component"))

    assert {
        name: counts[name] for name in ("qemu", "virtiofsd", "cloud-hypervisor", "firecracker") if counts[name]
    } == components
    relayed = [row for row, component in enumerate(column(records, "component")) if component in components]
    assert {column(records, "parse_status")[row] for row in relayed} == {"parsed"}
    assert {column(records, "origin")[row] for row in relayed} == {"host"}


def test_public_lines_of_hypervisors_are_read(corpus: Path) -> None:
    """All but the tail of one line that another overwrote."""
    lines = [
        one for line in (corpus / "real.jsonl").read_text().splitlines() if (one := json.loads(line))["component"] in OURS
    ]
    records = derive(evidence("".join(one["line"] + "\n" for one in lines).encode(), Transport.HOST_FILE))
    read = Counter(
        (one["component"], component)
        for one, component in zip(lines, column(records, "component"), strict=True)
        if one["component"] in {"cloud-hypervisor", "firecracker", "virtiofsd"}
    )

    assert read == {
        ("firecracker", "firecracker"): 256,
        ("firecracker", None): 1,
        ("cloud-hypervisor", "cloud-hypervisor"): 108,
        ("virtiofsd", "virtiofsd"): 3,
    }


def test_each_public_line_says_what_was_written_down_by_hand(corpus: Path) -> None:
    """Message, level, time, process, sandbox and place in the source."""
    truth = [json.loads(line) for line in (corpus / "truth.jsonl").read_text().splitlines()]
    ours = [one for one in truth if one["expect"]["component"] in OURS]
    records = derive(evidence("".join(one["line"] + "\n" for one in ours).encode(), Transport.HOST_FILE))
    names = ("component", "body", "severity_text", "timestamp", "pid", "sandbox_id", "attributes")
    found = [
        dict(zip(names, values, strict=True)) for values in zip(*(column(records, name) for name in names), strict=True)
    ]

    assert len(ours) == 21
    for one, record in zip(ours, found, strict=True):
        expect, stated = one["expect"], dict(record["attributes"])
        place = ":".join(stated[name] for name in ("code.file.path", "code.line.number") if name in stated)
        pid = record["pid"] or int(stated.get("relay.pid", 0))
        [time] = pa.array([expect["timestamp"]]).cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_pylist()

        assert record["component"] == expect["component"]
        assert record["body"] == expect["message"]
        assert record["severity_text"] == LEVELS[expect["level"]]
        assert record["timestamp"] == time
        assert (pid or None, record["sandbox_id"]) == (expect.get("pid"), expect.get("sandbox_id"))
        assert place == expect.get("caller", place)
