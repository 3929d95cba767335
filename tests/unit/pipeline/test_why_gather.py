"""An answer is made of all that is known of a sandbox, and of nothing that is of another."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.evidence import derive
from tests.stores import KEY
from tests.unit.pipeline.why_lines import AGENT, CONTAINERD, LOST_AGENT, NO_AGENT, NO_DEVICE, OOM, SHIM

from kata_audit.clock import ManualClock
from kata_audit.errors import UsageError
from kata_audit.parse.link import link
from kata_audit.pipeline import why_gather
from kata_audit.pipeline.ingest import CutPolicy, Sealer, take
from kata_audit.pipeline.why_gather import Answers, gather
from kata_audit.predicate.tree import Compare, Everything, Op, Predicate
from kata_audit.receivers.file import FileReceiver, Place
from kata_audit.schema.source import Transport
from kata_audit.store.reader import EVERYTHING_IN_SCOPE, Reader, Scope, open_reader
from kata_audit.store.writer import open_writer
from kata_audit.wiring import causes


def make(root: Path, files: dict[str, tuple[str, Transport]]) -> Path:
    """Make a store of files with these texts."""
    with open_writer(root / "store", clock=ManualClock(), node="lab/node") as writer:
        sealer = Sealer(writer, CutPolicy(), derive, ManualClock(), int)
        for name, (text, transport) in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            with FileReceiver(str(path), Place("lab/node", "default", transport), clock=ManualClock(), key=KEY) as receiver:
                for _ in take(receiver, writer, sealer, key=KEY):
                    pass
        sealer.seal_all()
    return root / "store"


@pytest.fixture(name="reader")
def _reader(tmp_path: Path) -> Iterator[Reader]:
    store = make(tmp_path, {"containerd.log": (CONTAINERD, Transport.HOST_FILE)})
    with open_reader(store, link=link) as opened:
        yield opened


def ask(reader: Reader, name: str, when: Predicate | None = None, scope: Scope = EVERYTHING_IN_SCOPE) -> Answers:
    return gather(reader, scope, causes(), name, when or Everything())


@pytest.mark.parametrize("name", ["default/bad-qemu-nokernel", "bad-qemu-nokernel", NO_DEVICE, NO_DEVICE[:6]])
def test_any_name_of_a_sandbox_gets_its_answer(reader: Reader, name: str) -> None:
    """A pod, its namespace with it, an id or its beginning mean the same."""
    (answer,) = ask(reader, name).answers

    assert answer.verdict.sandbox_id == NO_DEVICE
    assert answer.verdict.cause is not None
    assert answer.verdict.cause.id == "host-no-vhost-vsock"
    assert answer.verdict.named["k8s_pod"] == "bad-qemu-nokernel"


def test_a_pod_without_a_sandbox_is_answered_from_what_names_it(reader: Reader) -> None:
    """A request that was refused before there was a sandbox is still an answer."""
    answers = ask(reader, "shop/web-0")

    assert answers.sandboxes == 0
    assert answers.answers[0].verdict.sandbox_id is None
    assert answers.answers[0].verdict.cause is not None
    assert answers.answers[0].verdict.cause.id == "cri-name-reserved"


def test_a_name_that_nothing_has_is_said(reader: Reader) -> None:
    """No answer is made up."""
    with pytest.raises(UsageError):
        ask(reader, "shop/web-1")


def test_a_scope_hides_other_namespaces(reader: Reader) -> None:
    """Who may see one namespace gets no answer of another."""
    with pytest.raises(UsageError):
        ask(reader, "default/bad-qemu-nokernel", scope=Scope(None, frozenset({"shop"})))


def test_time_limits_what_is_judged(reader: Reader) -> None:
    """Outside the asked time nothing is known, and that is no failure."""
    before = Compare("timestamp", Op.LT, 1_795_414_076_400_000_000)

    assert ask(reader, NO_DEVICE).answers[0].verdict.failed
    assert not ask(reader, NO_DEVICE, before).answers[0].verdict.failed


def test_the_kubelet_is_heard_in_the_time_of_the_sandbox(tmp_path: Path) -> None:
    """A source of the node that is there is no blind spot; one that is not, is."""
    store = make(tmp_path, {"containerd.log": (CONTAINERD, Transport.HOST_FILE)})
    with open_reader(store, link=link) as reader:
        layers = [one.layer for one in ask(reader, OOM).answers[0].blind]

    assert "kubelet" in layers
    assert "cri" not in layers


@pytest.mark.parametrize("name", [f"agent-{NO_AGENT}.jsonl", f"agent-{NO_AGENT[:12]}.jsonl"])
def test_a_file_named_after_the_sandbox_adds_the_guests_words(tmp_path: Path, name: str) -> None:
    """The agent's own line explains, as a claim, why the host could not reach it."""
    files = {"containerd.log": (CONTAINERD, Transport.HOST_FILE), name: (AGENT, Transport.CONSOLE)}
    with open_reader(make(tmp_path, files), link=link) as reader:
        verdict = ask(reader, NO_AGENT).answers[0].verdict

    assert verdict.cause is not None
    assert verdict.cause.id == "guest-policy-invalid"
    assert verdict.first is not None
    assert verdict.first.is_claim
    assert verdict.outside is not None
    assert verdict.outside[0].id == "agent-unreachable"


def test_a_file_of_another_sandbox_adds_nothing(tmp_path: Path) -> None:
    """A guest speaks for itself only."""
    files = {
        "containerd.log": (CONTAINERD, Transport.HOST_FILE),
        f"agent-{NO_DEVICE[:12]}.jsonl": (AGENT, Transport.CONSOLE),
    }
    with open_reader(make(tmp_path, files), link=link) as reader:
        verdict = ask(reader, NO_AGENT).answers[0].verdict

    assert verdict.cause is not None
    assert verdict.cause.id == "agent-unreachable"


def test_files_that_nobody_declared_are_no_evidence(tmp_path: Path) -> None:
    """A line of a shim from a file of nobody makes nothing fail (law L7), and the answer says what to do about it."""
    with open_reader(make(tmp_path, {"lines.log": (SHIM, Transport.BARE)}), link=link) as reader:
        (answer,) = ask(reader, LOST_AGENT).answers

    assert not answer.verdict.failed
    assert "undeclared" in {one.layer for one in answer.blind}


def test_the_same_line_of_a_declared_file_is_evidence(tmp_path: Path) -> None:
    """What was declared counts."""
    with open_reader(make(tmp_path, {"lines.log": (SHIM, Transport.HOST_FILE)}), link=link) as reader:
        (answer,) = ask(reader, LOST_AGENT).answers

    assert answer.verdict.failed
    assert "undeclared" not in {one.layer for one in answer.blind}


def test_a_name_of_several_pods_is_no_answer(tmp_path: Path) -> None:
    """A pod's name in two namespaces is a mistake that lists both, not a mixed answer."""
    other = CONTAINERD.replace(NO_DEVICE, "ab" * 32).replace('namespace:\\"default', 'namespace:\\"other')
    with (
        open_reader(make(tmp_path, {"containerd.log": (CONTAINERD + other, Transport.HOST_FILE)}), link=link) as reader,
        pytest.raises(UsageError) as caught,
    ):
        ask(reader, "bad-qemu-nokernel")

    assert len(caught.value.problems) == 2


def test_of_several_sandboxes_the_newest_failed_one_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that was tried again is answered by its last try, and the others are counted."""
    later = CONTAINERD.replace(NO_DEVICE, "ab" * 32).replace("06:07:56", "06:08:56")
    both = "".join(
        line
        for text in (CONTAINERD, later)
        for line in text.splitlines(keepends=True)
        if "bad-qemu" in line or "shim dis" in line
    )
    with open_reader(make(tmp_path, {"containerd.log": (both, Transport.HOST_FILE)}), link=link) as reader:
        answers = ask(reader, "default/bad-qemu-nokernel")
        monkeypatch.setattr(why_gather, "MOST", 1)
        fewer = ask(reader, "default/bad-qemu-nokernel")

    assert answers.sandboxes == fewer.sandboxes == 2
    assert [one.verdict.sandbox_id for one in fewer.answers] == ["ab" * 32]
    assert [one.verdict.sandbox_id for one in answers.answers] == ["ab" * 32, NO_DEVICE]


def test_a_guests_clock_brings_no_other_attempt_in(tmp_path: Path) -> None:
    """What was asked of the pod days before is not of this sandbox, whatever time a guest claims (law L7)."""
    asked = next(line for line in CONTAINERD.splitlines(keepends=True) if "bad-qemu" in line)
    guest = AGENT.replace("2026-11-23T06:08:27", "2026-11-20T06:07:50")
    console = f"run/vc/vm/{NO_DEVICE}/console.log"
    alone = {"containerd.log": (CONTAINERD, Transport.HOST_FILE), console: (guest, Transport.CONSOLE)}
    more = {**alone, "old.log": (asked.replace("2026-11-23", "2026-11-20"), Transport.HOST_FILE)}
    found = []
    for name, files in (("alone", alone), ("more", more)):
        with open_reader(make(tmp_path / name, files), link=link) as reader:
            (answer,) = ask(reader, NO_DEVICE).answers
        found.append(answer.verdict)

    assert "agent" in found[0].heard
    assert found[0] == found[1]


def test_a_refused_request_is_of_another_attempt(tmp_path: Path) -> None:
    """A request of the same pod that got no sandbox says nothing of the one that did."""
    refused = next(line for line in CONTAINERD.splitlines(keepends=True) if "web-0" in line)
    for name, of in (("web-0", "bad-qemu-nokernel"), ("shop", "default"), ("06:08:29", "06:07:50")):
        refused = refused.replace(name, of)
    refused = refused.replace("78025ff1-b46a-4057-98bb-dbb59ba3729e", "09957903-574a-4a83-af18-491fb069aa52")
    found = []
    for name, text in (("alone", CONTAINERD), ("more", refused + CONTAINERD)):
        with open_reader(make(tmp_path / name, {"containerd.log": (text, Transport.HOST_FILE)}), link=link) as reader:
            found.append(ask(reader, NO_DEVICE).answers[0].verdict)

    assert found[0].records == found[1].records
