"""Judging in the pipeline: findings are in the log once, before what they rest on is sealed, however the process ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.evidence import derive, evidence

from kata_audit.clock import ManualClock
from kata_audit.detect.baseline import Baselines
from kata_audit.detect.baseline_settings import BaselineSettings
from kata_audit.detect.ruleset import Ruleset
from kata_audit.detect.sigma.reader import read_rules
from kata_audit.parse.outline import outline
from kata_audit.pipeline.derive import DERIVE_VERSION, batches
from kata_audit.pipeline.ingest import CutPolicy, Sealer
from kata_audit.pipeline.judging import Judge
from kata_audit.predicate.tree import Compare, Op
from kata_audit.schema.finding import Finding, from_attributes
from kata_audit.schema.source import Transport
from kata_audit.store.reader import EVERYTHING_IN_SCOPE, Order, open_reader
from kata_audit.store.writer import Writer, open_writer

RULES = read_rules([("one.yml", (Path(__file__).parent / "judging_rules.yml").read_bytes())])
TIME = "2026-11-24T05:59:{:02d}.000000000Z"


def line(second: int, message: str) -> bytes:
    """Spell a line of containerd."""
    return f'time="{TIME.format(second)}" level=info msg="{message}"\n'.encode()


@contextmanager
def judged(
    root: Path, *, max_records: int = 3, live: bool = False, usual: BaselineSettings | None = None
) -> Iterator[tuple[Writer, Sealer, Judge]]:
    """Open a store whose cuts are judged, and compared with what is usual where that is asked for."""
    clock = ManualClock(1_795_600_000_000_000_000)
    with open_writer(root, clock=clock, node="lab/node") as writer:
        baselines = None if usual is None else Baselines(usual, writer.origin, outline)
        lateness = 10_000_000_000 if live else 1 << 62
        ruleset = Ruleset(RULES, origin=writer.origin, lateness_ns=lateness)
        judge = Judge(ruleset, writer, clock, live=live, baselines=baselines)
        yield writer, Sealer(writer, CutPolicy(max_records=max_records), derive, clock, int, judge=judge), judge


def append(writer: Writer, sealer: Sealer, *lines: bytes) -> None:
    """Take lines in, in one group commit."""
    rows = evidence(b"".join(lines), Transport.HOST_FILE, stream=f"test?{writer.next_seq}-2-aa")
    writer.append(rows)
    sealer.appended(rows)


def findings(root: Path) -> list[tuple[int, Finding]]:
    """Read the findings of a store, with their numbers."""
    found = []
    where = Compare("receiver", Op.EQ, "kata-audit:finding")
    with open_reader(root) as reader:
        for rows in reader.scan(EVERYTHING_IN_SCOPE, where, ["seq", "attributes", "node", "tenant"], order=Order("seq")):
            for row in rows.to_pylist():
                finding = from_attributes(dict(row["attributes"]), node=row["node"], tenant=row["tenant"])
                assert finding is not None
                found.append((row["seq"], finding))
    return found


def seqs(finding: Finding) -> list[int]:
    """Give the numbers of the records that a finding rests on."""
    return [int(name.rpartition("/")[2]) for name in finding.records]


def test_a_finding_is_sealed_with_what_it_rests_on(tmp_path: Path) -> None:
    """Nobody has to wait for the next record to come."""
    with judged(tmp_path) as (writer, sealer, _):
        append(writer, sealer, line(1, "quiet"), line(2, "wanted word"), line(3, "quiet"))
        assert writer.sealed_to == writer.next_seq == 4

    ((seq, finding),) = findings(tmp_path)
    assert (seq, finding.rule_id, seqs(finding), finding.node) == (3, "KA-901", [1], "lab/node")


def test_how_a_log_is_cut_finds_nothing_else(tmp_path: Path) -> None:
    """The same findings, to the byte but for the log's name, from cuts of one record and of all."""
    lines = [line(second, "wanted word" if second % 3 else "other word") for second in range(40)]
    told = []
    for max_records in (1, 7, 1000):
        root = tmp_path / str(max_records)
        with judged(root, max_records=max_records) as (writer, sealer, _):
            for one in lines:
                append(writer, sealer, one)
            sealer.finish()
        with open_reader(root) as reader:
            where = Compare("origin", Op.EQ, "host")
            stated = [
                rows["body"].to_pylist() for rows in reader.scan(EVERYTHING_IN_SCOPE, where, ["body"], order=Order("seq"))
            ]
        bodies = [body for rows in stated for body in rows if body is not None]
        assert len([body for body in bodies if body.endswith(" word")]) == 40
        told.append([(one.rule_id, one.count, one.time_ns, len(one.records)) for _, one in findings(root)])

    assert told[0] == told[1] == told[2]
    assert [count for _, count, *_ in told[0]] == [*range(1, 11), 16]


def test_what_was_found_before_a_crash_is_not_said_again(tmp_path: Path) -> None:
    """The process ended between the finding and the seal; the next one judges the same records again."""
    with judged(tmp_path, max_records=100) as (writer, sealer, judge):
        append(writer, sealer, line(1, "wanted word"))
        found = writer.unsealed()
        assert found is not None
        judge.judge(derive(found[1]))
        assert (writer.sealed_to, writer.next_seq) == (0, 2)

    with judged(tmp_path, max_records=100) as (writer, sealer, _):
        append(writer, sealer, line(2, "wanted word"))
        sealer.finish()

    assert [(seq, seqs(one)) for seq, one in findings(tmp_path)] == [(1, [0]), (3, [2])]


@pytest.mark.parametrize("crashes", [1, 2])
def test_what_the_end_decided_is_said_once_however_often_the_process_ends(tmp_path: Path, crashes: int) -> None:
    """It is durable before any cut saves that it was decided; the cut that it is sealed with does not know that either."""
    with judged(tmp_path, max_records=100) as (writer, sealer, judge):
        append(writer, sealer, *(line(at, "counted") for at in range(3)))
        sealer.seal_all()
        assert judge.flush() == 1
        assert (writer.sealed_to, writer.next_seq) == (3, 4)
    for _ in range(crashes):
        with judged(tmp_path, max_records=100) as (writer, sealer, _):
            append(writer, sealer, line(5, "quiet"))
            sealer.seal_all()

    with judged(tmp_path, max_records=100) as (writer, sealer, _):
        assert sealer.finish() == 0

    assert [(one.rule_id, seqs(one)) for _, one in findings(tmp_path)] == [("KA-902", [0, 1, 2])]


def test_an_input_of_another_time_begins_anew(tmp_path: Path) -> None:
    """An older log is no burst at the newer one's end, and its own bursts are found."""
    for hour, secs, messages in ((5, 1, ["counted"] * 3), (1, 1200, ["counted"] * 4), (3, 1, ["counted"] * 3)):
        with judged(tmp_path, max_records=100) as (writer, sealer, _):
            times = [datetime(2026, 11, 24, hour, tzinfo=UTC) + timedelta(seconds=secs * at) for at in range(len(messages))]
            told = zip(times, messages, strict=True)
            append(
                writer, sealer, *(f'time="{at:%Y-%m-%dT%H:%M:%S}Z" level=info msg="{text}"\n'.encode() for at, text in told)
            )
            sealer.finish()

    assert [(one.rule_id, seqs(one)) for _, one in findings(tmp_path)] == [("KA-902", [0, 1, 2]), ("KA-902", [8, 9, 10])]


def test_counting_goes_on_after_a_restart(tmp_path: Path) -> None:
    """What a rule has counted is saved with the cut."""
    for start in (0, 8):
        with judged(tmp_path) as (writer, sealer, _):
            append(writer, sealer, *(line(start + at, "wanted word") for at in range(8)))
            sealer.finish()

    assert [one.count for _, one in findings(tmp_path)] == [*range(1, 11), 16]


def test_what_is_learned_outlives_a_restart(tmp_path: Path) -> None:
    """A message is new to a component that spoke on days before, in another process."""
    usual = BaselineSettings(learn_days=2)
    for day, words in ((20, "quiet night"), (21, "quiet night"), (22, "strange light")):
        with judged(tmp_path, usual=usual) as (writer, sealer, _):
            append(writer, sealer, line(1, words).replace(b"2026-11-24", f"2026-11-{day}".encode()))
            sealer.finish()

    ((_, found),) = findings(tmp_path)
    assert (found.rule_id, seqs(found), found.detail["seen"]) == ("KA-B01", [2], "the message: strange light")
    assert found.detail["days"] == "2 days from 2026-11-20 to 2026-11-21"


@pytest.mark.parametrize("broken", [b"", b"{}", b"\xff"])
def test_a_state_that_is_none_is_judging_anew(tmp_path: Path, broken: bytes) -> None:
    """The store opens, and judges."""
    with open_writer(tmp_path, clock=ManualClock(), node="lab/node") as writer:
        writer.append(evidence(line(1, "quiet"), Transport.HOST_FILE))
        cut = writer.unsealed()
        assert cut is not None
        sealing = batches(derive(cut[1]))
        writer.seal(cut[0], sealing, derive=DERIVE_VERSION, states={"detect": broken, "known": broken, "baselines": broken})

    with judged(tmp_path, usual=BaselineSettings()) as (writer, sealer, _):
        append(writer, sealer, line(2, "wanted word"))
        sealer.finish()

    assert [one.rule_id for _, one in findings(tmp_path)] == ["KA-901"]
