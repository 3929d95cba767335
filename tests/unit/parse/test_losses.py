"""What sources say they lost is an event of the record, and a fact where the host says it."""

import json

import pyarrow as pa
import pytest
from tests.evidence import column, derive, evidence

from kata_audit.parse.link import link
from kata_audit.parse.losses import count_lost
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import Transport

SANDBOX = "d8ab47d43d0ba61dcd35272b876d8c7a77a3259adc7cea577aeb32be68074e76"
DROPPED = "slog-async: logger dropped messages due to channel overflow"
SUPPRESSED = "Suppressed 173433 messages from containerd.service"


def entry(message: str, identifier: str, **fields: str) -> str:
    always = {"__CURSOR": "c", "__REALTIME_TIMESTAMP": "1795414671449476", "_BOOT_ID": "b"}
    return json.dumps({**always, "SYSLOG_IDENTIFIER": identifier, "MESSAGE": message, **fields}) + "\n"


def journal(*entries: str) -> RecordRows:
    return derive(evidence("".join(entries).encode(), Transport.JOURNAL_JSON))


def console_lost(error: str, *, identifier: str, time: str) -> str:
    text = (
        f'time="2026-11-23T06:13:26.{time}Z" level=error msg="Failed to read guest console logs" console-protocol=unix'
        f' error="{error}" name=containerd-shim-v2 pid=319 sandbox={SANDBOX} source=virtcontainers subsystem=sandbox'
    )
    return entry(text, identifier)


def runtime_rs(message: str, subsystem: str, **fields: str) -> str:
    native = {"_TRANSPORT": "journal", "NAME": "kata-runtime", "SOURCE": SANDBOX, "SUBSYSTEM": subsystem}
    return entry(message, "kata", PRIORITY="3", **native, **fields)


def gaps(records: RecordRows) -> list[tuple[str, str]]:
    facts = link(records).to_pylist()
    return [(fact["subject"], fact["object"].rpartition(";")[0]) for fact in facts if fact["kind"] == "source.gap"]


def said(records: RecordRows, row: int = 0) -> tuple[object, ...]:
    attributes = dict(column(records, "attributes")[row] or [])
    return (*(column(records, name)[row] for name in ("action", "object", "class")), attributes.get("log.records.lost"))


def test_journald_names_the_unit_that_lost() -> None:
    """Whose messages, and how many."""
    records = journal(entry(SUPPRESSED, "systemd-journald", _TRANSPORT="driver", N_DROPPED="173433"))

    assert said(records) == ("lose-records", "containerd.service", "security", "173433")
    assert gaps(records) == [("containerd.service", "173433;loghealth.journal_suppressed")]


def test_a_shim_says_what_it_dropped_and_a_guest_claims_it() -> None:
    """Both are counted, and only the host's becomes a fact."""
    agent = json.dumps({"msg": DROPPED, "level": "ERRO", "ts": "2026-11-23T06:03:39Z", "name": "kata-agent", "count": "21"})
    records = journal(runtime_rs(DROPPED, "service", COUNT="69"), runtime_rs(agent, "agent"))

    assert said(records) == ("lose-records", f"runtime-rs {SANDBOX}", "security", "69")
    assert said(records, 1)[0::3] == ("lose-records", "21")
    assert column(records, "origin") == ["host", "guest"]
    assert gaps(records) == [(f"runtime-rs {SANDBOX}", "69;loghealth.records_dropped")]


def test_a_forwarded_line_of_a_guest_is_no_loss_of_the_host() -> None:
    """The very words, written by a guest through the shim, make no fact."""
    records = journal(runtime_rs(DROPPED, "agent", COUNT="69"), runtime_rs(SUPPRESSED, "agent"))

    assert column(records, "origin") == ["guest", "guest"]
    assert gaps(records) == []


def test_a_console_that_nobody_reads_any_more() -> None:
    """A line too long ends it for ever; a console that went with its machine is none. Copies of a record are one gap."""
    copies = [
        console_lost("bufio.Scanner: token too long", identifier=name, time=time)
        for name, time in (("containerd", "120000000"), ("kata", "12"))
    ]
    records = journal(*copies)
    closed = "read unix @->/run/vc/vm/x/console.sock: use of closed network connection"

    assert said(records) == ("lose-records", f"console {SANDBOX}", said(records)[2], None)
    assert gaps(records) == [(f"console {SANDBOX}", "unknown;loghealth.console_lost")]
    assert gaps(journal(console_lost(closed, identifier="kata", time="1"))) == []


def test_equal_gaps_are_as_many_as_were_said() -> None:
    """Two records that say the same are two gaps."""
    records = journal(*[runtime_rs(DROPPED, "service", COUNT="5")] * 2)

    assert len(gaps(records)) == 2


@pytest.mark.parametrize(
    ("transport", "line", "source", "count"),
    [
        (Transport.HOST_FILE, 'time="2026-11-23T06:11:31Z" level=error msg="copy shim log" error="file already closed"', "shim log", None),
        (Transport.HOST_FILE, "Nov 23 06:11:31 a systemd-journald[7]: Missed 12 kernel messages", "kernel", "12"),
        (Transport.HOST_FILE, "Nov 23 06:11:31 a kernel: audit: audit_lost=7 audit_rate_limit=0", "host-kernel audit", None),
        (Transport.HOST_FILE, "Nov 23 06:11:31 a kernel: ** 44 printk messages dropped **", "host-kernel", "44"),
        (Transport.HOST_FILE, "Nov 23 06:11:31 a kernel: net_ratelimit: 3 callbacks suppressed", "host-kernel", "3"),
        (Transport.HOST_FILE, "Nov 23 06:11:31 a rsyslogd[5]: imjournal: 9 messages lost due to rate-limiting", "rsyslog", "9"),
        (Transport.HOST_FILE, 'Nov 23 06:11:31 a containerd[5]: time="2026-11-23T06:11:31Z" level=error msg="copy shim log"', "shim log", None),
    ],
)  # fmt: skip
def test_other_sources(transport: Transport, line: str, source: str, count: str | None) -> None:
    """Each names what lost, and how many where it says so."""
    records = derive(evidence(f"{line}\n".encode(), transport))

    assert said(records)[1] == (source)
    assert said(records)[3] == count


def test_a_field_named_like_what_we_say_of_a_cut_line_is_no_loss() -> None:
    """Where nobody declared the file, a record of an agent may be anybody's."""
    line = json.dumps({"msg": "x", "level": "INFO", "name": "kata-agent", "journal.line_break": "line-max"})

    assert said(derive(evidence(f"{line}\n".encode(), Transport.BARE)))[:2] == (None, None)


def test_output_of_a_container_declares_nothing() -> None:
    """A workload that prints such words is no source of logs."""
    line = f"2026-11-23T06:11:31.1Z stdout F imjournal: 9 messages lost due to rate-limiting\n2026-11-23T06:11:31.1Z stdout F {SUPPRESSED}\n"
    records = derive(evidence(line.encode(), Transport.CRI))

    assert column(records, "action") == [None, None]


def test_a_line_whose_end_never_came_is_a_gap() -> None:
    """journald cut it, and the rest is not there."""
    records = journal(entry("x" * 99, "containerd", _TRANSPORT="stdout", _STREAM_ID="s", _LINE_BREAK="line-max"))

    assert gaps(records) == [("lines of containerd", "unknown;loghealth.line_cut")]


def test_numbers_are_read_as_they_are_stated() -> None:
    """A number beside the text, inside it, or none; one that no counter has is none."""
    assert count_lost(DROPPED, [("COUNT", "37")]) == 37
    assert count_lost(SUPPRESSED, []) == 173433
    assert count_lost(DROPPED, [("count", "9" * 30)]) == 0
    assert count_lost(f"he said: {DROPPED}", []) is None


def test_facts_of_records_without_attributes_say_unknown() -> None:
    """Where only few columns were read the gap is still listed."""
    records = journal(entry(SUPPRESSED, "systemd-journald", _TRANSPORT="driver"))
    table = pa.Table.from_batches([records]).drop_columns(["attributes"]).to_batches()[0]

    assert gaps(table) == [("containerd.service", "unknown;loghealth.journal_suppressed")]
