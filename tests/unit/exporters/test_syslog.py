"""Records come to a syslog server as messages, and are taken when it has read all of them and closed."""

import ssl
from ipaddress import IPv6Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.loopback import LOOPBACK, certificate, closed_port
from tests.syslog_double import Fault, SyslogDouble

from kata_audit.exporters.export_settings import Export, ExportKind, mistakes_of_export
from kata_audit.exporters.post import UNTRUSTED
from kata_audit.exporters.records import Receipt
from kata_audit.exporters.syslog import MAX_BYTES, Syslog, spell
from kata_audit.schema.exported import Exported
from kata_audit.schema.visible import is_visible
from kata_audit.wire.syslog import FACILITIES, Grammar, Message, Severity, decode_message, header_of

NOW = 1_795_000_000_123_456_000
LOCAL0 = FACILITIES.index("local0")


def record(seq: int, **columns: Any) -> Exported:
    """A record as it leaves."""
    values = {"seq": seq, "node": "lab/w1", "component": "agent", "severity_number": 13, "body": f"line {seq}", **columns}
    return Exported(f"kata-audit/lab/1/{seq}", seq, NOW + seq * 1000, values, {"id": seq})


RECORDS = [record(seq) for seq in range(20)]
NAMES = [one.name for one in RECORDS]
MANY = [record(seq, body="x" * 4000) for seq in range(4000)]
"""More than the kernels on both sides hold of one connection."""


def syslog(port: int, *, limit_secs: float = 5, patience_secs: float = 60, url: str = "", **settings: Any) -> Syslog:
    values = {"allow": (LOOPBACK, IPv6Network("::1")), "plaintext": True, **settings}
    one = Export("siem", ExportKind.SYSLOG, url or f"tcp://127.0.0.1:{port}", **values)
    return Syslog(one, limit_secs=limit_secs, patience_secs=patience_secs)


def sent(port: int, records: list[Exported] = RECORDS, **settings: Any) -> Receipt:
    exporter = syslog(port, **settings)
    try:
        return exporter.export(records)
    finally:
        exporter.close()


def test_a_record_is_a_message() -> None:
    """Its name and what it is searched by stand in structured data."""
    one = record(
        7, event_name="exec.start", pid=42, k8s_pod="web", actor="system:admin", observed_timestamp=NOW, exec_id="e"
    )
    raw = spell(one, LOCAL0, is_raw=False)

    assert decode_message(raw)._replace(structured=(), raw=b"") == Message(
        *(LOCAL0, Severity.WARNING, NOW + 7000, "w1", "agent", "42", "exec.start", (), b"line 7"),
        *(Grammar.RFC5424, "2026-11-18T11:06:40.123463Z"),
    )
    assert decode_message(raw).structured == (
        (
            "kata@32473",
            (
                ("name", "kata-audit/lab/1/7"),
                ("observed", "2026-11-18T11:06:40.123456000Z"),
                ("node", "lab/w1"),
                ("k8s_pod", "web"),
                ("actor", "system:admin"),
                ("exec_id", "e"),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("number", "severity"),
    [(1, 7), (4, 7), (5, 7), (9, 6), (13, 4), (17, 3), (21, 2), (24, 2), (0, 6), (25, 6), (None, 6)],
)
def test_severities_are_those_of_syslog(number: int | None, severity: int) -> None:
    assert decode_message(spell(record(1, severity_number=number), 0, is_raw=False)).severity == severity


def test_the_text_is_the_message_the_frame_or_all_that_is_known() -> None:
    one = record(1, raw="raw \x1b[2J\n")

    assert decode_message(spell(one, 0, is_raw=False)).text == b"line 1"
    assert decode_message(spell(one, 0, is_raw=True)).text == b"raw \\x1b[2J"
    assert decode_message(spell(record(1, body=None), 0, is_raw=False)).text == b'{"id":1}'


def test_a_long_text_is_cut_and_says_so() -> None:
    """Never in a character; what it says is the length of the whole."""
    whole = "é" * 5000
    raw = spell(record(1, body=whole), 0, is_raw=False)
    read = decode_message(raw)

    assert MAX_BYTES - 32 < len(raw) <= MAX_BYTES
    assert whole.startswith(read.text.decode())
    assert header_of(read)["kata@32473.cut"] == "10000"


HOSTILE = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=50) | st.sampled_from(
    ['"]\\' * 300, "\n<13>1 - - - - - forged", "\0" * 9000, "x" * 9000, "\u202e]", "-"]
)


@given(st.dictionaries(st.sampled_from(["body", "object", "actor", "k8s_pod", "event_name", "component", "node"]), HOSTILE))
def test_hostile_text_is_one_message_that_can_be_read_and_shown(columns: dict[str, str]) -> None:
    """Whatever a guest says: one line, in the limits, all of it visible, its name in its place."""
    raw = spell(record(3, **columns), 0, is_raw=False)
    read = decode_message(raw)

    assert len(raw) <= MAX_BYTES
    assert is_visible(raw.decode())
    assert read.structured[0][0] == "kata@32473"
    assert read.structured[0][1][0] == ("name", "kata-audit/lab/1/3")
    assert len(read.structured) == 1


def test_all_records_are_taken_in_order() -> None:
    """Each request has a connection of its own."""
    double = SyslogDouble()
    with double.running() as port:
        exporter = syslog(port, into="local0")
        assert [exporter.export(RECORDS) for _ in range(3)] == [Receipt(20)] * 3
        exporter.close()

    assert double.names() == NAMES * 3
    assert (double.connections, {one.facility for one in double.messages}) == (3, {LOCAL0})


@pytest.mark.parametrize("does", ["reset", "close"])
@pytest.mark.parametrize("after", [0, 1, 1000, 200_000])
def test_what_was_not_read_to_its_end_is_not_taken(after: int, does: str) -> None:
    """A server that resets, or closes with bytes unread; the next attempt has all of it again."""
    double = SyslogDouble()
    double.fault = lambda number: Fault(after, does) if number == 0 else None
    records = [record(seq, body="x" * 1000) for seq in range(500)]
    with double.running() as port:
        exporter = syslog(port)
        receipt = exporter.export(records)
        assert receipt.taken == 0
        assert str(receipt.problem).startswith("the connection broke off")
        assert exporter.export(records) == Receipt(500)
        exporter.close()

    names = double.names()
    assert names[-500:] == [one.name for one in records]
    assert set(names) == set(names[-500:])


def test_a_slow_server_is_waited_for_and_is_sent_nothing_twice() -> None:
    """Also where more records have come meanwhile."""
    double = SyslogDouble()
    double.fault = lambda number: Fault(1000, "sleep") if number == 0 else None
    with double.running() as port:
        exporter = syslog(port, limit_secs=0.2)
        receipt = exporter.export(MANY[:3000])
        assert receipt == Receipt(
            0, problem="it is slow to read and is waited for; look at its queues, and at the disk behind them"
        )
        double.wake.set()
        exporter._limit_secs = 60
        exporter._connection._limit_secs = 60  # type: ignore[union-attr]
        assert exporter.export(MANY) == Receipt(3000)
        assert exporter.export(MANY[3000:]) == Receipt(1000)
        exporter.close()

    assert double.names() == [one.name for one in MANY]


def test_other_records_are_not_waited_for() -> None:
    """Whoever begins elsewhere, after a restart say, has what he hands over sent."""
    double = SyslogDouble()
    double.fault = lambda number: Fault(0, "sleep") if number == 0 else None
    with double.running() as port:
        exporter = syslog(port, limit_secs=0.2)
        assert exporter.export(MANY).taken == 0
        exporter._limit_secs = 5
        assert exporter.export(RECORDS) == Receipt(20)
        exporter.close()

    assert [one.text for one in double.messages if one.text.startswith(b"line")] == [b"line %d" % seq for seq in range(20)]


def test_a_server_that_reads_nothing_is_not_waited_for_forever() -> None:
    """What it was sent is sent over a new connection."""
    double = SyslogDouble()
    double.fault = lambda number: Fault(0, "sleep") if number == 0 else None
    with double.running() as port:
        exporter = syslog(port, limit_secs=0.2, patience_secs=0)
        problems = [exporter.export(RECORDS).problem or "" for _ in range(2)]
        assert "waited for" in problems[0]
        assert "sent over a new connection" in problems[1]
        exporter._limit_secs = 5
        assert exporter.export(RECORDS) == Receipt(20)
        exporter.close()


@pytest.mark.parametrize("says_end", [True, False])
def test_tls_is_checked(tmp_path: Path, *, says_end: bool) -> None:
    """A name's own certificate is trusted where it is named, and nowhere else."""
    public, context = certificate(tmp_path, "localhost")
    double = SyslogDouble(context, says_end=says_end)
    with double.running() as port:
        url = f"tls://localhost:{port}"
        assert sent(port, url=url).problem == UNTRUSTED
        assert sent(port, url=f"tls://127.0.0.1:{port}", ca_file=public).problem == UNTRUSTED
        assert sent(port, url=url, ca_file=public, plaintext=False) == Receipt(20)
        assert sent(port, MANY, url=url, ca_file=public, limit_secs=60) == Receipt(len(MANY))

    assert double.names() == [*NAMES, *(one.name for one in MANY)]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_asks_for_a_certificate_is_shown_ours(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """One that it does not trust, or none, is said; nothing was taken."""
    public, context = certificate(tmp_path, "localhost")
    other = tmp_path / "other"
    other.mkdir()
    certificate(other, "someone")
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(public)
    double = SyslogDouble(context)
    with double.running() as port:
        url = f"tls://localhost:{port}"
        for secret in (None, other / "server.pem"):
            receipt = sent(port, url=url, ca_file=public, secret_file=secret)
            assert receipt.taken == 0
            assert str(receipt.problem).startswith(("it wants a certificate of ours", "the connection broke off"))
        assert "in PEM and not encrypted" in str(sent(port, url=url, ca_file=public, secret_file=public).problem)
        assert sent(port, url=url, ca_file=public, secret_file=tmp_path / "server.pem") == Receipt(20)

    assert double.names() == NAMES


def test_a_connection_that_is_none_is_said(tmp_path: Path) -> None:
    """Nobody listens; the machine itself is not allowed; what answers speaks no TLS."""
    assert sent(closed_port()).problem == "it cannot be connected to"
    assert "private" in (sent(closed_port(), allow=()).problem or "")
    with SyslogDouble().running() as port:
        public, _ = certificate(tmp_path, "localhost")
        receipt = sent(port, url=f"tls://localhost:{port}", ca_file=public, limit_secs=0.3)
        assert receipt == Receipt(0, problem="it took longer than 0.3 seconds")


def test_mistakes_of_settings_are_named() -> None:
    """Each with its key."""

    def keys(url: str = "tls://siem:6514", **settings: Any) -> list[str]:
        return [key for key, _ in mistakes_of_export(Export("x", ExportKind.SYSLOG, url, **settings))]

    assert keys() == []
    assert keys("tcp://siem:6514", plaintext=True) == []
    for url in ("tls://siem", "syslog+tls://siem:1", "tls://siem:1/x", "tcp://siem:1"):
        assert keys(url) == ["url"]
    assert keys(into="local8", user="x", secret_env="Y") == ["into", "user", "secret_env"]
    assert keys("tcp://siem:6514", plaintext=True, secret_file=Path("x")) == ["secret_file"]
