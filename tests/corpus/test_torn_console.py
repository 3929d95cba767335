"""Guest consoles against what the agents wrote: every record is read or marked, and none is made up."""

import gzip
import json
import re
import tarfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from tests.evidence import column, derive, evidence

from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import Transport

pytestmark = pytest.mark.corpus

MACHINES = {
    # lines, of the kernel, of the agent, malformed, fragments, plain
    "bad-loglevel": (441, 391, 0, 0, 0, 5),
    "bad-policy": (402, 388, 11, 0, 0, 3),
    "bad-server-addr": (411, 363, 44, 0, 1, 3),
    "debug": (1050, 370, 676, 2, 0, 0),
    "info": (516, 1, 508, 2, 0, 3),
    "initdata": (488, 371, 113, 0, 0, 2),
    "no-init": (364, 360, 0, 0, 0, 4),
    "no-vsock-device": (474, 360, 111, 0, 0, 3),
    "oom": (651, 432, 212, 0, 0, 5),
    "panic-sysrq": (550, 430, 117, 0, 0, 3),
    "qemu-killed": (571, 366, 202, 0, 0, 3),
    "qmp": (1078, 850, 222, 0, 0, 6),
    "virtiofs": (1056, 371, 679, 2, 0, 2),
    "virtiofs-info": (1054, 370, 679, 2, 0, 1),
}
PLAIN = re.compile(r"|[0-9a-f.-]{1,30}|SeaBIOS .*|Machine UUID .*|Booting from ROM\.\.\.|early console in setup code")
"""What nothing reads: firmware, its rests where the capture began in mid-line, empty lines, and free text in a panic."""


def console(corpus: Path, machine: str) -> tuple[bytes, RecordRows]:
    data = gzip.decompress((corpus / "captures" / f"guest-vm-{machine}" / "console.log.gz").read_bytes())
    return data, derive(evidence(data, Transport.CONSOLE))


@pytest.mark.parametrize("machine", MACHINES)
def test_every_line_of_a_machines_console_is_read_or_named(corpus: Path, machine: str) -> None:
    """Kernel lines all, agent records all; the agent's own records that name `msg` twice are malformed; firmware is plain."""
    data, rows = console(corpus, machine)
    status = Counter(column(rows, "parse_status"))
    dialects = Counter(zip(column(rows, "dialect"), column(rows, "parse_status"), strict=True))

    counts = (
        rows.num_rows,
        dialects["kernel", "parsed"],
        dialects["slog-json", "parsed"],
        status["malformed"],
        status["fragment"],
        status["plain"],
    )
    assert counts == MACHINES[machine]
    assert b"".join(column(rows, "raw")) == data
    begun = data.count(b'{"msg"')
    assert begun == dialects["slog-json", "parsed"] + status["malformed"] + status["fragment"]
    for raw, body, one in zip(*(column(rows, name) for name in ("raw", "body", "parse_status")), strict=True):
        assert one != "plain" or PLAIN.fullmatch(body), body
        assert one != "malformed" or raw.count(b'"msg":') == 2


@pytest.mark.parametrize("machine", MACHINES)
def test_what_a_console_gives_for_the_agents_stands_in_its_bytes(corpus: Path, machine: str) -> None:
    """Each record read as the agent's is one object of the console's bytes, message and time as written."""
    data, rows = console(corpus, machine)
    objects: Counter[tuple[str, int]] = Counter()
    text = data.decode("utf-8", "replace")
    for match in re.finditer(r'\{"msg"', text):
        try:
            record, _ = json.JSONDecoder().raw_decode(text, match.start())
        except ValueError:
            continue
        objects[record["msg"], nanoseconds(record["ts"])] += 1

    read = agent_records(rows)
    assert read <= objects
    assert (objects - read).total() == MACHINES[machine][3], "but for those that name msg twice, and are malformed"


def nanoseconds(time: str) -> int:
    return int(pa.scalar(time).cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).as_py())


def agent_records(rows: RecordRows) -> Counter[tuple[str, int]]:
    stated = zip(*(column(rows, name) for name in ("body", "guest_timestamp", "component", "parse_status")), strict=True)
    return Counter(
        (body, time)
        for body, time, component, status in stated
        if component == "agent" and status == "parsed" and time is not None
    )


def complete_logs(path: Path) -> dict[str, tuple[Counter[tuple[str, int]], dict[tuple[str, int], str]]]:
    """Read what each agent of a run wrote, by sandbox: its records, and their times as written."""
    logs = {}
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                sandbox = member.name.partition("agent-")[2].partition(".")[0]
                records = [json.loads(line) for line in file if line.startswith(b"{")]
                named = [(record["msg"], nanoseconds(record["ts"])) for record in records]
                logs[sandbox] = Counter(named), dict(zip(named, (record["ts"] for record in records), strict=True))
    return logs


@pytest.mark.parametrize("run", ["go-debug", "go-debug2", "k8s-kata-debug"])
def test_vmconsole_gives_each_agent_record_twice_and_no_other(corpus: Path, run: str) -> None:
    """The Go shim writes each line of a console twice, as the agent wrote it; what is missing is nowhere in the journal."""
    captures = corpus / "captures" / run
    data = gzip.decompress((captures / "journal.export.gz").read_bytes())
    rows = derive(evidence(data, Transport.JOURNAL_EXPORT))
    complete = 0
    for sandbox, (records, times) in complete_logs(captures / "agents.tar.gz").items():
        read = agent_records(rows.filter(pa.compute.equal(rows.column("sandbox_id"), sandbox)))
        twice = Counter({record: 2 * count for record, count in records.items()})
        assert read <= twice, "nothing is made up"
        assert not any(times[record].encode() in data for record in twice - read)
        complete += read == twice
    assert complete == {"go-debug": 29, "go-debug2": 6, "k8s-kata-debug": 8}[run]
    assert Counter(column(rows, "parse_status")).keys() <= {"parsed", "envelope"}


def test_every_public_line_of_a_guests_kernel_is_read(corpus: Path) -> None:
    """The body is what follows the time; the guest's component is told only where the position is the guest's."""
    public = [json.loads(line) for line in (corpus / "real.jsonl").read_text().splitlines()]
    rows = derive(evidence("".join(one["line"] + "\n" for one in public).encode(), Transport.BARE))
    bodies, dialects, components = (column(rows, name) for name in ("body", "dialect", "component"))
    read = 0
    for row, one in enumerate(public):
        if one["component"] != "guest-kernel":
            continue
        quoted = one["line"].partition("vmconsole=")[2]
        text = json.loads(quoted) if quoted else one["line"]
        message = re.sub(r"^\[ *[0-9.]+\] ", "", text)
        assert bodies[row] == message
        assert dialects[row].endswith("kernel")
        assert components[row] in {"guest-kernel", "guest-systemd", None if one["wrapper"] == "none" else "guest-kernel"}
        read += 1
    assert read == 660


def test_public_records_torn_by_cloud_hypervisor_stay_torn(corpus: Path) -> None:
    """It mixes with the agent character by character: what is torn so is marked, and nothing is put together."""
    public = [json.loads(line) for line in (corpus / "real.jsonl").read_text().splitlines()]
    lines = [one["line"] for one in public if one["component"] == "agent" or "vmconsole=" in one["line"]]
    rows = derive(evidence("".join(line + "\n" for line in lines).encode(), Transport.BARE))

    for raw, body, status in zip(*(column(rows, name) for name in ("raw", "body", "parse_status")), strict=True):
        if rb'vmconsole="{\"msg' in raw:
            assert (status == "parsed") == raw.endswith(b'\\"}"\n'), body
