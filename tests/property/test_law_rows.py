"""L2: mask and parse keep one row per frame, in order, whatever the bytes; evidence passes through parse untouched."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import derive, evidence

from kata_audit.schema.record import EVIDENCE_SCHEMA, RECORD_SCHEMA
from kata_audit.schema.source import Transport

TEXT = st.text(max_size=40)
LOGRUS = st.builds(
    lambda msg, key, value: f'time="2026-11-23T06:06:45.1Z" level=info msg={json.dumps(msg)} {key}={value}', TEXT, TEXT, TEXT
)
SLOG = st.builds(
    lambda extra, ts: json.dumps({"msg": "m", "level": "INFO", "ts": ts, **extra}),
    st.dictionaries(TEXT, st.one_of(TEXT, st.integers(), st.none(), st.lists(st.integers()))),
    st.one_of(TEXT, st.just("2026-11-23T06:06:45.1Z")),
)
INNER = st.one_of(TEXT, LOGRUS, SLOG, LOGRUS.map(lambda line: f"{line} vmconsole={json.dumps(line)}"))
VALUE = st.one_of(INNER, st.none(), st.integers(), st.lists(st.integers(-1, 300), max_size=9), st.lists(TEXT, max_size=3))
JOURNAL = st.builds(
    lambda fields, message: json.dumps({"__CURSOR": "s", **fields, "MESSAGE": message}),
    st.dictionaries(
        st.sampled_from(
            ["__REALTIME_TIMESTAMP", "_BOOT_ID", "_PID", "PRIORITY", "NAME", "SOURCE", "SUBSYSTEM", "_TRANSPORT", "_CMDLINE", "PID",
             "_SYSTEMD_CGROUP", "SYSLOG_IDENTIFIER", "CONTAINER_ID", "EXEC_ID"]
        ),
        st.one_of(VALUE, st.sampled_from(["kata-runtime", "journal", "agent", "-5", "9" * 40])),
    ),
    VALUE,
)  # fmt: skip
CRI = st.builds(lambda tag, text: f"2026-11-23T06:08:00.6Z stdout {tag} {text}", st.sampled_from("PF"), INNER)
LINE = st.one_of(
    st.binary(max_size=60),
    st.one_of(INNER, JOURNAL, CRI).map(lambda text: text.encode("utf-8", "surrogatepass")),
)


@pytest.mark.parametrize("transport", list(Transport))
@given(lines=st.lists(LINE, max_size=12))
def test_parse_keeps_every_row_in_order(transport: Transport, lines: list[bytes]) -> None:
    rows = evidence(b"\n".join(lines), transport)

    records = derive(rows)

    assert records.schema == RECORD_SCHEMA
    assert records.select(EVIDENCE_SCHEMA.names).equals(rows)
    records.validate(full=True)
    assert None not in records.column("parse_status").to_pylist()
    assert None not in records.column("class").to_pylist()


def test_parse_of_nothing_is_nothing() -> None:
    assert derive(evidence(b"", Transport.BARE)).num_rows == 0
