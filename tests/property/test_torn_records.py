"""Agent records torn by kernel lines at any place: each is read whole or its row is marked, and none is made up."""

import json

from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import column, derive, evidence

from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import Transport

RECORDS = [
    r'{"msg":"get_value_from_cgroup file: \"/sys/fs/cgroup/memory.events\", content: low 0\nhigh 0\nmax 2\noom 0\n","level":"INFO","ts":"2026-11-23T06:12:25.341691576Z","source":"agent","subsystem":"cgroups_notifier","version":"0.1.0","pid":"1","name":"kata-agent"}',
    r'{"msg":"rpc call from shim to agent: \"wait_process\"","level":"INFO","ts":"2026-11-23T06:27:26.477926265Z","version":"0.1.0","name":"kata-agent","pid":"1","source":"agent","subsystem":"rpc"}',
    r'{"msg":"wait_status","level":"INFO","ts":"2026-11-23T06:27:26.546431651Z","source":"agent","version":"0.1.0","name":"kata-agent","subsystem":"signals","pid":"1","wait_status result":"Signaled(Pid(134), SIGSEGV, false)"}',
    r'{"msg":"event.wd: WatchDescriptor { id: 1, fd: (Weak) }","level":"INFO","ts":"2026-11-23T06:12:25.341523954Z","source":"agent","version":"0.1.0","subsystem":"cgroups_notifier","name":"kata-agent","pid":"1"}',
]
KERNEL = [
    "[    5.550160] crash invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
    "[    5.551632] CPU: 0 PID: 117 Comm: crash Not tainted 6.1.0-56-cloud-amd64 #1  Debian 6.1.192-2",
    "[    6.911191] crash[134]: segfault at 0 ip 0000000000401707 sp 00007fffc0ca9760 error 6 in crash[401000+79000] likely on CPU 0 (core 0, socket 0)",
    "[   12.096569] reboot: Power down",
]
SHIM = (
    'time="2026-11-23T06:12:26.{:06d}Z" level=debug msg="reading guest console" name=containerd-shim-v2 pid=7'
    " sandbox=" + "ab" * 32 + " source=virtcontainers subsystem=sandbox vmconsole={}"
)


def written(records: list[str], tears: list[tuple[float, str]]) -> bytes:
    """Write records as the agent does, and kernel lines whole wherever the agent happened to be."""
    stream = "".join(record + "\r\n" for record in records)
    out, place = "", 0
    for share, line in sorted(tears):
        cut = int(share * len(stream))
        out += stream[place:cut] + line + "\r\n"
        place = cut
    return (out + stream[place:]).encode()


def said_by_agent(records: RecordRows) -> list[str]:
    rows = zip(*(column(records, name) for name in ("body", "dialect", "parse_status")), strict=True)
    return [body for body, dialect, status in rows if (dialect or "").endswith("slog-json") and status == "parsed"]


TEARS = st.lists(st.tuples(st.floats(0, 1), st.sampled_from(KERNEL)), max_size=4)


@given(st.lists(st.sampled_from(RECORDS), min_size=1, max_size=6), TEARS)
def test_torn_records_are_read_or_marked_and_none_is_made_up(records: list[str], tears: list[tuple[float, str]]) -> None:
    """What is read as the agent's is what it wrote, in order; what is missing is marked; every kernel line is kept."""
    data = written(records, tears)
    rows = derive(evidence(data, Transport.CONSOLE))
    messages = [json.loads(record)["msg"] for record in records]

    read = said_by_agent(rows)
    later = iter(messages)
    assert all(message in later for message in read), "made up, or out of order"
    marked = {
        group
        for group, status in zip(column(rows, "frame_group"), column(rows, "parse_status"), strict=True)
        if status == "fragment"
    }
    joined = {
        group
        for group, status in zip(column(rows, "frame_group"), column(rows, "parse_status"), strict=True)
        if group and status == "parsed"
    }
    assert len(read) + len(marked - joined) >= len(messages)
    kept = column(rows, "body") + [value for said in column(rows, "attributes") for value in dict(said or []).values()]
    assert all(any(line.partition("] ")[2] in text for text in kept) for _, line in tears)
    assert b"".join(column(rows, "raw")) == data


@given(st.integers(0, len(RECORDS[0])), st.sampled_from(KERNEL))
def test_a_record_torn_once_is_always_read(cut: int, line: str) -> None:
    """One kernel line at any place in a record: the record stands on its last piece, the kernel's line on its own row."""
    rows = derive(evidence((RECORDS[0][:cut] + line + "\r\n" + RECORDS[0][cut:] + "\r\n").encode(), Transport.CONSOLE))

    assert said_by_agent(rows) == [json.loads(RECORDS[0])["msg"]]
    if 0 < cut < len(RECORDS[0]):
        assert column(rows, "parse_status") == ["fragment", "parsed"]
        assert column(rows, "component") == ["guest-kernel", "agent"]
        assert column(rows, "body")[0] == line.partition("] ")[2]
        assert dict(column(rows, "attributes")[0])["console.torn"] == RECORDS[0][:cut]
        assert column(rows, "frame_group")[0] == column(rows, "frame_group")[1] is not None


@given(st.integers(1, len(RECORDS[0]) - 1), st.permutations(["a1", "b1", "a2", "b2"]))
def test_copies_of_torn_lines_are_joined_with_their_own(cut: int, order: list[str]) -> None:
    """The Go shim's lines come twice, in any order of the copies that keeps each copy's own."""
    first, last = RECORDS[0][:cut] + KERNEL[0], RECORDS[0][cut:]
    lines = {
        f"{copy}{number}": SHIM.format(number * 10, json.dumps(text))
        for copy in "ab"
        for number, text in ((1, first), (2, last))
    }
    order = sorted(order, key=lambda one: (one[0], one[1])) if order.index("a2") < order.index("a1") else order
    order = order if order.index("b1") < order.index("b2") else ["a1", "a2", "b1", "b2"]
    rows = derive(evidence("".join(lines[one] + "\n" for one in order).encode(), Transport.HOST_FILE))

    assert said_by_agent(rows) == [json.loads(RECORDS[0])["msg"]] * 2
    assert sorted(column(rows, "parse_status")) == ["fragment", "fragment", "parsed", "parsed"]


def test_a_record_torn_where_rows_are_parsed_apart_is_read() -> None:
    """Rows are parsed some hundred at once; a record torn at such an edge is read like any other."""
    torn = RECORDS[0][:100] + KERNEL[0] + "\r\n" + KERNEL[1] + "\r\n" + RECORDS[0][100:] + "\r\n"
    for before in (509, 510, 511, 512, 1021, 1022, 1023):
        data = (KERNEL[3] + "\r\n") * before + torn + (KERNEL[3] + "\r\n") * 600
        rows = derive(evidence(data.encode(), Transport.CONSOLE))

        assert said_by_agent(rows) == [json.loads(RECORDS[0])["msg"]]
        assert rows.num_rows == data.count("\n")


def test_rows_of_another_sandbox_are_no_rest() -> None:
    """The rest of a record is looked for on the same console only."""
    lines = [
        SHIM.format(1, json.dumps(RECORDS[0][:90] + KERNEL[0])),
        SHIM.format(2, json.dumps(RECORDS[0][90:])).replace("ab" * 32, "cd" * 32),
    ]
    rows = derive(evidence("".join(line + "\n" for line in lines).encode(), Transport.HOST_FILE))

    assert said_by_agent(rows) == []
    assert column(rows, "parse_status") == ["fragment", "envelope"]
