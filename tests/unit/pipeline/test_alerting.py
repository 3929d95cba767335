"""Records of a store become alerts: read back in order, whoever reads, and gone on with from a text."""

import dataclasses
from pathlib import Path

import pyarrow as pa
from tests.evidence import derive
from tests.findings import ACT, FINDING, HOUR, START_NS, own_rows

from kata_audit.clock import ManualClock
from kata_audit.config import Alerting as Settings
from kata_audit.config import parse_config
from kata_audit.detect.alert_records import SAID_COLUMNS, SAID_KINDS, read_said
from kata_audit.pipeline.alerting import Alerting
from kata_audit.pipeline.ingest import CutPolicy, Sealer
from kata_audit.schema import act, finding
from kata_audit.schema.alert import Status
from kata_audit.schema.record import RecordRows
from kata_audit.store.tail import Tail
from kata_audit.store.writer import open_writer

FOUND = finding.to_line(FINDING)


def rows(*said: tuple[str, bytes], first: int = 0, said_ns: int = START_NS) -> RecordRows:
    """Records of kinds and lines, numbered."""
    parts = [own_rows(kind, [line], said_ns=said_ns + at) for at, (kind, line) in enumerate(said)]
    table = pa.Table.from_batches([derive(part) for part in parts]).combine_chunks()
    numbers = pa.array(range(first, first + len(said)), pa.uint64())
    return table.set_column(0, "seq", numbers).select(list(SAID_COLUMNS)).to_batches()[0]


def test_only_what_we_said_ourselves_is_read() -> None:
    """A kind of ours that is neither is passed over; what cannot be read is counted."""
    acted = act.to_line(ACT)
    read = read_said(rows(("finding", FOUND), ("node", FOUND), ("finding", acted), ("act", acted), ("act", b"torn\n")))

    assert [(one.seq, one.said_ns, one.finding) for one in read.findings] == [(0, START_NS, FINDING)]
    assert [(one.seq, one.act) for one in read.acts] == [(3, ACT)]
    assert read.unread == 2


def test_it_goes_on_from_a_text() -> None:
    """A state that was written down goes on as if nothing had been in between; one that cannot be read is the beginning."""
    acted = act.to_line(dataclasses.replace(ACT, target="0" * 16))
    first, second = rows(("finding", FOUND)), rows(("act", acted), first=1, said_ns=START_NS + HOUR)
    whole, later = Alerting(Settings()), Alerting(Settings())
    notices = [*whole.fold(first, START_NS), *whole.fold(second, START_NS + 2 * HOUR)]
    again = Alerting(Settings())
    told = list(again.fold(first, START_NS))
    later.resume(again.state())
    told += later.fold(second, START_NS + 2 * HOUR)

    assert told == notices
    assert [one.kind for one in notices] == ["fired", "escalated", "escalated"]
    assert later.state() == whole.state()
    assert whole.alerts.ignored == 1
    later.resume("{}")
    assert (later.alerts.alerts, later.fold(None, 0)) == ({}, ())


def test_who_keeps_the_state_for_long_lets_closed_alerts_go() -> None:
    """Not before nothing can open them again: then a finding begins another alert for whoever forgot and whoever did not."""
    forgetful, other = Alerting(Settings(), forgets=True), Alerting(Settings())
    for one in (forgetful, other):
        one.fold(rows(("finding", FOUND)), START_NS)
        [alert] = one.alerts.alerts.values()
        closing = dataclasses.replace(ACT, kind=act.ActKind.CLOSE, target=alert.alert_id, verdict=act.Verdict.BENIGN)
        one.fold(rows(("act", act.to_line(closing)), first=1, said_ns=START_NS + HOUR), START_NS + HOUR)
        assert [alert.status for alert in one.alerts.alerts.values()] == [Status.CLOSED]
        one.fold(None, START_NS + 25 * HOUR)
    assert len(forgetful.alerts.alerts) == 1
    for one in (forgetful, other):
        one.fold(None, START_NS + 26 * HOUR)
    assert (len(forgetful.alerts.alerts), len(other.alerts.alerts)) == (0, 1)
    later = rows(("finding", finding.to_line(dataclasses.replace(FINDING, count=9))), first=2, said_ns=START_NS + 27 * HOUR)
    assert forgetful.fold(later, START_NS) == other.fold(later, START_NS)


def test_a_store_is_followed_while_it_grows(tmp_path: Path) -> None:
    """Findings and acts come out of the store in their order, each once, over many cuts."""
    clock, alerting = ManualClock(START_NS), Alerting(Settings())
    with open_writer(tmp_path / "store", clock=clock) as writer:
        sealer = Sealer(writer, CutPolicy(), derive, clock, after_seal=writer.compact)
        tail = Tail(tmp_path / "store", SAID_KINDS, 0)
        for number in range(20):
            found = dataclasses.replace(FINDING, count=number + 1, records=(f"log/{number}",))
            writer.append(own_rows("finding", [finding.to_line(found)], said_ns=START_NS + number))
            writer.append(own_rows("collect", [FOUND], said_ns=START_NS + number))
            sealer.seal_all()
            while (step := tail.step()) is not None:
                alerting.fold(step.rows, 0)
            [alert] = alerting.alerts.alerts.values()
            assert (alert.count, len(alert.finding_ids), alerting.unread) == (number + 1, number + 1, 0)


def test_the_configuration_sets_every_limit() -> None:
    text = "[alerts]\nshadow_days = 0\nescalate_high_minutes = 5\ngroup_nodes = 9\nrunbook_url = 'https://r/{rule_id}'\n"
    alerts = parse_config(text, name="c.toml").alerts

    assert (alerts.shadow_days, alerts.group_nodes, alerts.runbook_url) == (0.0, 9, "https://r/{rule_id}")
    assert alerts.escalate_ns(finding.Level.HIGH) == HOUR // 12
