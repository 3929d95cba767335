"""The story of a pod of a real cluster: who did what, and where the guest's own log stands in it."""

import tarfile
from pathlib import Path

import pytest
from tests.evidence import derive
from tests.stores import KEY

from kata_audit.clock import ManualClock
from kata_audit.pipeline.ingest import CutPolicy, Sealer, take
from kata_audit.pipeline.moments import COLUMNS, Moment
from kata_audit.pipeline.timeline import Summary, Told, tell, ways
from kata_audit.predicate.tree import Compare, OneOf, Op, all_of, any_of
from kata_audit.receivers.file import FileReceiver, Place
from kata_audit.schema.source import Transport
from kata_audit.store.reader import EVERYTHING_IN_SCOPE
from kata_audit.store.writer import open_writer
from kata_audit.wiring import reading

pytestmark = pytest.mark.corpus

SANDBOX = "112948fe73f00771e2454cd82599e4d17db9f7f713a2a422a0d414be3c7f30c4"


def story_of(capture: Path, folder: Path, *, with_relays: bool) -> tuple[Summary, list[Told]]:
    """Tell the story of one sandbox from the node's journal, the audit log, and the file that its agent wrote itself."""
    with tarfile.open(capture / "agents.tar.gz") as archive:
        member = archive.extractfile(f"agent-{SANDBOX}.jsonl")
        assert member is not None
        agent = folder / f"agent-{SANDBOX}.jsonl"
        agent.write_bytes(member.read())
    sources = [(capture / "audit.log.gz", Transport.HOST_FILE), (agent, Transport.CONSOLE)]
    if with_relays:
        sources.append((capture / "journal.export.gz", Transport.JOURNAL_EXPORT))
    clock, root = ManualClock(), folder / "store"
    with open_writer(root, clock=clock, node="lab/worker-a") as writer:
        sealer = Sealer(writer, CutPolicy(max_records=4_000), derive, clock, int)
        for path, transport in sources:
            with FileReceiver(str(path), Place("lab/worker-a", "default", transport), clock=clock, key=KEY) as file:
                for _ in take(file, writer, sealer, key=KEY):
                    pass
        sealer.seal_all()
    asked = {"component": "kube-apiserver", "k8s_namespace": "payments", "k8s_pod": "api"}
    requests = all_of(*(Compare(field, Op.EQ, value) for field, value in asked.items()))
    where, summary = any_of(OneOf("sandbox_id", frozenset({SANDBOX})), requests), Summary()
    with reading(root) as reader:
        for rows in reader.scan(EVERYTHING_IN_SCOPE, where, COLUMNS):
            summary.add(rows)
        answers = [list(reader.scan(EVERYTHING_IN_SCOPE, all_of(where, way), COLUMNS)) for way in ways(summary)]
        return summary, list(tell(answers, summary.clocks))


def test_the_agents_own_file_folds_into_what_the_shim_relayed(corpus: Path, tmp_path: Path) -> None:
    """Both have one record once, at the host's time; the clocks of one machine are told to be one."""
    summary, told = story_of(corpus / "captures" / "k8s-kata-debug", tmp_path, with_relays=True)
    moments = [one for one in told if isinstance(one, Moment)]
    agent = [one for one in moments if one.component == "agent"]
    (skew,) = summary.clocks.known()[SANDBOX].skews()

    assert 0 <= skew.low_ns < 1_000_000
    assert summary.guest_timed[SANDBOX] == 300
    assert sum(one.band_ns == 0 for one in agent) > 0.9 * len(agent)
    assert moments == sorted(moments, key=lambda one: one.timestamp_ns)
    assert {one.body for one in agent if one.band_ns is None} == {"kata-agent shutdown complete"}


def test_an_exec_is_one_line_with_its_user(corpus: Path, tmp_path: Path) -> None:
    """Three stages of a request are one moment, and alice's exec of `date` is told as hers."""
    _, told = story_of(corpus / "captures" / "k8s-kata-debug", tmp_path, with_relays=True)
    acts = [(one.act, one.steps) for one in told if isinstance(one, Moment) and one.component == "kube-apiserver"]
    execs = [(act.object, act.actor, steps) for act, steps in acts if act is not None and act.action == "exec"]

    assert ('["date"]', "alice", 3) in execs


def test_without_a_relay_no_time_of_a_guest_is_placed(corpus: Path, tmp_path: Path) -> None:
    """The agent's file alone tells its own time, and claims no order against the host's."""
    summary, told = story_of(corpus / "captures" / "k8s-kata-debug", tmp_path, with_relays=False)
    agent = [one for one in told if isinstance(one, Moment) and one.component == "agent"]

    assert summary.clocks.known() == {}
    assert agent
    assert all(one.band_ns is None and one.is_unordered for one in agent)
