"""What parsing makes of real records, and of records that no producer wrote."""

import json
from collections import Counter

import pytest
from tests.evidence import OBSERVED_NS, capture, column, derive, evidence

from kata_audit.parse.mask import mask
from kata_audit.schema.record import RecordRows
from kata_audit.schema.source import Transport

SID = "a1" * 32


def parsed(text: str | bytes, transport: Transport) -> RecordRows:
    data = text if isinstance(text, bytes) else text.encode()
    return derive(evidence(data + b"\n", transport))


def only(records: RecordRows, *names: str) -> dict[str, object]:
    assert records.num_rows == 1
    return {name: column(records, name)[0] for name in names}


def attributes(records: RecordRows) -> dict[str, str]:
    return dict(column(records, "attributes")[0] or [])


def test_a_shim_record_in_the_journal() -> None:
    record = derive(capture("go-info.journal.json.gz")).slice(2, 1)

    assert only(record, "body", "component", "severity_text", "pid", "sandbox_id", "timestamp", "timestamp_basis", "origin", "dialect") == {
        "body": "loaded configuration",
        "component": "runtime-go",
        "severity_text": "INFO",
        "pid": 270,
        "sandbox_id": "b06c14f9467f8952a0ebe6f2bfdf106d0af701abc7031f950dc6c10ce6fad98f",
        "timestamp": 1795414005321416746,
        "timestamp_basis": "host",
        "origin": "host",
        "dialect": "journal/logrus",
    }  # fmt: skip
    assert attributes(record)["file"] == "/etc/kata-containers/configuration-remote.toml"


def test_the_two_copies_of_a_shim_record_share_a_key() -> None:
    text = 'level=info msg="x" name=containerd-shim-v2 pid=1 sandbox=s source=virtcontainers'
    lines = f'time="2026-11-23T06:06:45.120000000Z" {text}\ntime="2026-11-23T06:06:45.12Z" {text}\ntime="2026-11-23T06:06:45.121Z" {text}'

    keys = column(parsed(lines, Transport.HOST_FILE), "copy_key")

    assert keys[0] == keys[1] != keys[2]


def test_an_agent_record_that_the_shim_relays_is_the_guests() -> None:
    records = derive(capture("go-debug.journal.json.gz"))
    rows = [row for row, path in enumerate(column(records, "dialect")) if path == "journal/logrus/slog-json"]
    record = records.slice(rows[0], 1)

    assert len(rows) > 50
    assert only(record, "origin", "component", "body", "timestamp_basis") == {
        "origin": "guest",
        "component": "agent",
        "body": "announce",
        "timestamp_basis": "host",
    }
    assert column(record, "guest_timestamp")[0] < column(record, "timestamp")[0]
    assert attributes(record)["relay.body"] == "reading guest console"
    assert attributes(record)["relay.severity_number"] == "5"


def test_runtime_rs_records_of_the_journal() -> None:
    records = derive(capture("rs-info.journal.json.gz"))

    assert Counter(column(records, "parse_status")) == {"parsed": 330}
    assert {"runtime-rs", "agent", "virtiofsd"} == set(column(records, "component"))
    assert {subsystem for subsystem, origin in zip(column(records, "subsystem"), column(records, "origin"), strict=True) if origin == "host"}.isdisjoint({"agent"})  # fmt: skip
    assert None not in column(records, "sandbox_id")


def test_export_and_json_of_one_journal_give_the_same_records() -> None:
    exported = derive(capture("rs-info.journal.export.gz", Transport.JOURNAL_EXPORT))
    as_json = derive(capture("rs-info.journal.json.gz")).slice(0, exported.num_rows)
    derived = [
        name for name in exported.schema.names if name not in {"seq", "receiver", "cursor", "raw", "observed_timestamp"}
    ]

    assert exported.num_rows == 120
    for name in derived:
        assert column(exported, name) == column(as_json, name), name


def test_four_levels_deep() -> None:
    agent = json.dumps(
        {"msg": "inner most", "level": "WARN", "ts": "2026-11-23T06:06:45.5Z", "name": "kata-agent", "source": "agent"}
    )
    relayed = json.dumps(
        {"msg": agent, "level": "INFO", "ts": "2026-11-23T06:06:45.4Z", "name": "kata-agent", "source": "agent"}
    )
    shim = f'time="2026-11-23T06:06:46Z" level=debug msg=x name=containerd-shim-v2 sandbox={SID} vmconsole={json.dumps(relayed)}'
    entry = json.dumps({"__CURSOR": "s", "__REALTIME_TIMESTAMP": "1", "SYSLOG_IDENTIFIER": "kata", "MESSAGE": shim})

    record = parsed(entry, Transport.JOURNAL_JSON)

    assert only(record, "body", "dialect", "severity_text", "sandbox_id", "origin") == {
        "body": "inner most",
        "dialect": "journal/logrus/slog-json/slog-json",
        "severity_text": "WARN",
        "sandbox_id": SID,
        "origin": "guest",
    }


def test_a_message_as_an_array_of_bytes() -> None:
    text = b'A panic occurred \xff\r\n"quoted"'
    entry = {
        "__REALTIME_TIMESTAMP": "1",
        "NAME": "kata-runtime",
        "_TRANSPORT": "journal",
        "SOURCE": SID,
        "PRIORITY": "3",
        "MESSAGE": list(text),
    }

    record = parsed(json.dumps(entry), Transport.JOURNAL_JSON)

    assert only(record, "body", "severity_text") == {"body": 'A panic occurred \\xff\r\n"quoted"', "severity_text": "ERROR"}


def test_container_output_is_the_guests_and_its_path_states_the_pod() -> None:
    stream = "/var/log/pods/shop_web-0_eddb1e0c-43d4-4b1e-84cc-95ff56052634/web/0.log?1-2-aa"
    lines = (
        b"2026-11-23T06:08:00.1Z stdout P one \n2026-11-23T06:08:00.2Z stderr F other\n2026-11-23T06:08:00.3Z stdout F two\n"
    )

    records = derive(evidence(lines, Transport.CRI, stream=stream))

    assert column(records, "body") == [None, "other", "one two"]
    assert column(records, "parse_status") == ["fragment", "envelope", "envelope"]
    groups = column(records, "frame_group")
    assert groups[0] == groups[2]
    assert groups[1] is None
    assert set(column(records, "origin")) == {"guest"}
    assert set(column(records, "class")) == {"workload"}
    assert set(column(records, "k8s_pod")) == {"web-0"}
    assert set(column(records, "k8s_container")) == {"web"}


def test_pieces_of_a_longer_line_keep_their_rows_and_the_last_holds_the_record() -> None:
    body = "x" * 300_000
    entry = json.dumps({"__REALTIME_TIMESTAMP": "1000", "SYSLOG_IDENTIFIER": "kata", "MESSAGE": body})

    records = parsed(entry, Transport.JOURNAL_JSON)

    assert column(records, "parse_status") == ["fragment", "envelope"]
    assert column(records, "body") == [None, body]
    assert len(set(column(records, "frame_group"))) == 1


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"[" * 100_000, "malformed"),
        (b'{"a":' * 50_000, "malformed"),
        (b"\xff\xfe\x00\x80", "malformed"),
        (b'{"MESSAGE":"\\ud800 lone"}', "envelope"),
        (b'{"MESSAGE":5,"_PID":{"a":[1]},"__REALTIME_TIMESTAMP":[1]}', "envelope"),
        (b'{"MESSAGE":null}', "envelope"),
        (b"{}", "envelope"),
        (b"17", "malformed"),
        (b'{"MESSAGE":"a","MESSAGE":"b"}', "envelope"),
        ('{"MESSAGE":"nel\x85 ls\u2028 bidi\u202e"}'.encode(), "envelope"),
        (b'{"MESSAGE":"x","__REALTIME_TIMESTAMP":"99999999999999999999999"}', "envelope"),
        (b'{"MESSAGE":"x","__REALTIME_TIMESTAMP":"-1"}', "envelope"),
    ],
)
def test_a_journal_line_that_no_journald_wrote_is_a_row(line: bytes, status: str) -> None:
    record = parsed(line, Transport.JOURNAL_JSON)

    assert only(record, "parse_status") == {"parse_status": status}
    assert column(record, "raw") == [line + b"\n"]


@pytest.mark.parametrize(
    ("written", "nanoseconds"),
    [
        ("1969-12-31T23:59:59Z", -1_000_000_000),
        ("2106-02-07T06:28:16.000000001Z", 4_294_967_296_000_000_001),
        ("2026-11-23T14:06:45.5+08:00", 1_795_414_005_500_000_000),
        ("2026-11-23T06:06:45Z", 1_795_414_005_000_000_000),
        ("9999-01-01T00:00:00Z", OBSERVED_NS),
        ("yesterday", OBSERVED_NS),
        ("", OBSERVED_NS),
    ],
)
def test_clocks_that_are_far_off(written: str, nanoseconds: int) -> None:
    record = parsed(f'time="{written}" level=info msg=x', Transport.HOST_FILE)

    assert column(record, "timestamp") == [nanoseconds]


def test_an_agent_object_that_says_a_name_twice_is_malformed() -> None:
    record = parsed('{"msg":"one","level":"INFO","ts":"2026-11-23T06:06:45Z","msg":"two"}', Transport.CONSOLE)

    assert only(record, "parse_status") == {"parse_status": "malformed"}


def test_a_logrus_line_that_goes_on_otherwise_is_malformed_and_keeps_what_it_said() -> None:
    record = parsed('time="2026-11-23T06:06:45Z" level=info msg="x" a=1" trailing', Transport.HOST_FILE)

    assert only(record, "parse_status", "body") == {"parse_status": "malformed", "body": "x"}


def test_keys_with_spaces_and_empty_values() -> None:
    record = parsed(
        'time="2026-11-23T06:06:45Z" level=info default cpu=0 vm path= `odd`=y name=containerd-shim-v2', Transport.HOST_FILE
    )

    assert attributes(record) == {"default cpu": "0", "vm path": "", "`odd`": "y", "name": "containerd-shim-v2"}
    assert only(record, "body") == {"body": ""}


@pytest.mark.parametrize("before", [500, 510, 511, 512, 1023])
def test_a_containers_long_line_is_whole_where_rows_are_parsed_apart(before: int) -> None:
    """Rows are parsed some hundred at once; the pieces of a long line at such an edge are joined like any others."""
    head = "2026-11-23T06:06:46.1Z stdout "
    pieces = [head + f"P piece{number}-" for number in range(20)]
    lines = [head + "F short"] * before + [*pieces, head + "F end"] + [head + "F short"] * 30
    records = derive(evidence("".join(line + "\n" for line in lines).encode(), Transport.CRI))

    assert column(records, "parse_status")[before : before + 21] == ["fragment"] * 20 + ["envelope"]
    assert column(records, "body")[before + 20] == "".join(f"piece{number}-" for number in range(20)) + "end"
    assert records.num_rows == len(lines)


def test_masked_secrets_are_counted_in_every_form_that_they_are_written_in() -> None:
    """As text, in the numbers of a byte array, and in hexadecimal digits; in slices of rows too."""
    secrets = "password=hunter21 token=abc123def"
    lines = [
        secrets,
        f'{{"m": {json.dumps(list(secrets.encode()))}, "t": "password=hunter21"}}',
        f"type=PROCTITLE msg=audit(1795414671.449:1): proctitle={secrets.encode().hex().upper()}",
        f"[42, 109]{[*b'masked:']} 2A6D61736B65643",
    ]
    masked = mask(evidence("\n".join(lines).encode() + b"\n", Transport.HOST_FILE), b"k")[0]

    assert b"hunter21" not in b"".join(column(masked, "raw"))
    assert column(derive(masked), "mask_count") == [2, 3, 2, 0]
    assert column(derive(masked.slice(1)), "mask_count") == [3, 2, 0]


def test_marks_are_counted_where_their_first_character_stands_everywhere() -> None:
    """Each frame's own marks count, in a text of nothing but stars too."""
    lines = ("*" * 5000 + "*masked:a*", "a *masked:b* *masked:c*", "*", "42,109,97,115,107,101,100,58,1")
    records = parsed("\n".join(lines), Transport.HOST_FILE)
    assert column(records, "mask_count") == [1, 2, 0, 1]
