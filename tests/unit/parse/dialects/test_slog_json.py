"""slog JSON: who wrote it, and objects that are not as they should be."""

import pytest
from tests.evidence import column, derive, evidence
from tests.mutations import json_mutations

from kata_audit.parse.dialects.registry import route
from kata_audit.parse.dialects.slog_json import DIALECT
from kata_audit.schema.source import Transport

AGENT = r'{"msg":"rpc call from shim to agent: \"exec_process\"","level":"INFO","ts":"2026-11-23T06:07:28.903288304Z","name":"kata-agent","source":"agent","subsystem":"rpc","version":"0.1.0","pid":"46"}'
CTL = '{"msg":"check CPU: x86_64","level":"INFO","ts":"2026-11-23T06:20:28.38705979Z","name":"kata-ctl","pid":"17401","source":"kata-ctl","subsystem":"x86_64","version":"0.1.0"}'
FORWARDER = '{"msg":"announce","level":"INFO","ts":"2026-11-23T06:20:28Z","name":"kata-trace-forwarder","pid":"9","source":"forwarder","subsystem":"root","version":"0.1.0"}'
NAMELESS = '{"msg":"announce","level":"INFO","ts":"2026-11-23T06:20:28Z","pid":"9","version":"0.1.0"}'
TWICE = '{"msg":"mounting storage","level":"INFO","ts":"2026-11-24T06:00:00.07093731Z","pid":"1","storage-type":"ephemeral","version":"0.1.0","subsystem":"storage","msg":"updating tmpfs storage","source":"agent","name":"kata-agent","mount-fstype":"tmpfs"}'


@pytest.mark.parametrize(
    ("line", "host", "guest"),
    [
        (AGENT, "agent", "agent"),
        (CTL, "kata-ctl", "other"),
        (FORWARDER, "trace-forwarder", "other"),
        (NAMELESS, "other", "other"),
    ],
)
def test_a_name_tells_the_program_of_its_side_only(line: str, host: str, guest: str) -> None:
    """In a guest only the agent can be meant; without a name nobody is."""
    components = [
        column(derive(evidence((line + "\n").encode(), transport)), "component")
        for transport in (Transport.HOST_FILE, Transport.CONSOLE)
    ]

    assert components == [[host], [guest]]


def test_of_an_object_that_says_a_key_twice_the_first_is_read() -> None:
    """The agent writes such records; they are marked, for another reader may take the last."""
    rows = derive(evidence((TWICE + "\n").encode(), Transport.CONSOLE))

    assert column(rows, "parse_status") == ["malformed"]
    assert column(rows, "body") == ["mounting storage"]
    assert column(rows, "component") == ["agent"]
    assert column(rows, "guest_timestamp") == [1_795_500_000_070_937_310]


@pytest.mark.parametrize("line", [AGENT, CTL])
def test_a_record_of_the_next_version_is_read_or_marked(line: str) -> None:
    """New keys and another order change no column; a torn object is malformed and stays whole."""
    whole = DIALECT.scan([line], [False])
    for kind, text in json_mutations(line, seed=31, keep_first=3):
        scan = DIALECT.scan([text], [False])
        if kind == "torn":
            assert "slog-json" not in route([text]) or (scan.malformed == [0] and scan.columns["body"] == [text])
        else:
            assert scan.malformed == []
            assert scan.columns == whole.columns


@pytest.mark.parametrize(
    "text", ['{"msg":1}', '{"msg":"a"} {"msg":"b"}', '{"msg":"a","level":"INFO"', "{" * 100_000 + '"msg"']
)
def test_what_is_no_record_stays_whole(text: str) -> None:
    """It claims the form and breaks it."""
    scan = DIALECT.scan([text], [True])

    assert (scan.malformed, scan.columns["body"], scan.columns["component"]) == ([0], [text], [None])


@pytest.mark.parametrize("key", ["k", "level", "ts", "cid"])
def test_a_guest_that_nests_deep_stops_nothing(key: str) -> None:
    """No value is too deep to be a row."""
    deep = '{"a":' * 1_005 + "1" + "}" * 1_005
    text = f'{{"msg":"m","level":"INFO", "ts":"x","{key}":{deep}}}'
    records = derive(evidence(f"{text}\n{AGENT}\n".encode(), Transport.CONSOLE))

    assert column(records, "origin") == ["guest", "guest"]
    assert column(records, "component")[1] == "agent"


@pytest.mark.parametrize(("source", "basis"), [(',"source":"s-1"', "source"), (',"source":""', None), ("", None)])
def test_a_record_without_a_sandbox_states_no_identity(source: str, basis: str | None) -> None:
    """Only where the shim names its sandbox is its word the basis of one."""
    records = derive(evidence(f'{{"msg":"m","level":"INFO","name":"kata-runtime"{source}}}\n'.encode(), Transport.HOST_FILE))

    assert column(records, "component") == ["runtime-rs"]
    assert column(records, "sandbox_id") == ["s-1" if basis else None]
    assert column(records, "identity_basis") == [basis]
