"""`why` against captured failures: the right layer and cause for what was done, and nothing for what did not fail.

The table says what each scenario must be answered with. It was written from what the drivers of the runs did and what their
callers were told (`what`, `failed_calls` and `facts` of the scenarios), before the answers were looked at; two rows where the
records showed more than the scenario says are marked.
"""

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.evidence import derive
from tests.stores import KEY

from kata_audit.clock import ManualClock
from kata_audit.parse.link import link
from kata_audit.pipeline.ingest import CutPolicy, Sealer, take
from kata_audit.pipeline.why_gather import Answer, Answers, gather
from kata_audit.predicate.tree import Everything
from kata_audit.receivers.file import FileReceiver, Place
from kata_audit.schema.source import Transport
from kata_audit.store.reader import EVERYTHING_IN_SCOPE, Reader, open_reader
from kata_audit.store.writer import Writer, open_writer
from kata_audit.wiring import causes

pytestmark = pytest.mark.corpus

NO_VSOCK = ("host", "host-no-vhost-vsock")
NOTHING = ("none", None)
KILLED = ("container", "container-killed")
LOST = ("agent", "agent-lost")
UNREACHABLE = ("agent", "agent-unreachable")
SILENT = ("agent", "agent-unresponsive")
SHIM = ("shim", "shim-lost")
PATH = ("configuration", "config-path-missing")
VALUE = ("configuration", "config-bad-value")
REFUSED = ("hypervisor", "remote-hypervisor-refused")
ABSENT = ("hypervisor", "remote-hypervisor-absent")
MACHINE_TYPE = ("configuration", "config-machine-type")
TAP = ("network", "network-tap-failed")
NO_VHOST_NET = ("host", "host-no-vhost-net")
BAD_POLICY = [("policy", "policy-invalid"), ("policy", "policy-not-base64")]
BAD_CONFIG = [
    NO_VSOCK,
    PATH,
    ("configuration", "config-syntax"),
    ("configuration", "config-unknown-hypervisor"),
    VALUE,
    ("configuration", "config-file-missing"),
]

EXPECTED: dict[tuple[str, str], Sequence[tuple[str, str | None]]] = {
    ("go-debug", "s04_oom"): [("container", "container-oom")],
    ("go-debug", "s05_policy_broken"): BAD_POLICY,
    ("go-debug", "s06_hv_faults"): [REFUSED, REFUSED, ABSENT],
    ("go-debug", "s07_badconfig"): BAD_CONFIG,
    ("go-debug", "s11_qemu"): [NO_VSOCK] * 4,
    ("go-debug", "s10_shim_killed"): [SHIM],
    ("go-debug", "s06_agent_killed"): [LOST],
    ("go-debug", "s06_agent_stopped"): [SILENT],
    # The second pod's container ends with 7 of its own meanwhile; the scenario does not say so, the records do.
    ("go-debug", "s10_containerd_restart"): [NOTHING, ("container", "container-exited")],
    ("go-info", "s04_oom"): [KILLED],
    ("go-info", "s05_policy_broken"): BAD_POLICY,
    ("go-info", "s06_hv_faults"): [REFUSED, REFUSED, ABSENT],
    ("go-info", "s06_stopvm_error"): [NOTHING],
    ("go-info", "s06_agent_abrt"): [LOST, LOST],
    ("go-info", "s07_badconfig"): BAD_CONFIG,
    ("go-info", "s11_qemu"): [NO_VSOCK] * 4,
    ("go-info", "s10_shim_killed"): [SHIM],
    ("go-info", "s06_agent_killed"): [LOST],
    ("go-info", "s06_agent_stopped"): [SILENT],
    ("go-info", "s10_containerd_restart"): [NOTHING, ("container", "container-exited")],
    ("go-debug2", "s06_stopvm_error"): [NOTHING],
    ("go-debug2", "s06_agent_abrt"): [LOST, LOST],
    ("go-ratelimit", "s19_dial"): [UNREACHABLE],
    ("go-stock-remote", "s20_stock"): [("agent", "agent-copy-file-failed")] * 2,
    ("rs-virtiofsd-panic-info", "virtiofsd-exits-early"): [("virtiofsd", "virtiofsd-exited")],
    ("rs-hypervisors-info", "qemu-no-vhost-vsock"): [NO_VSOCK],
    ("rs-hypervisors-info", "qemu-retry"): [NO_VSOCK],
    ("rs-hypervisors-info", "clh-binary-absent"): [PATH],
    ("rs-hypervisors-info", "fc-binary-absent"): [PATH],
    ("rs-hypervisors-info", "remote-no-service"): [ABSENT],
    ("rs-hypervisors-info", "fc-fake-binary-exits"): [PATH],
    ("rs-remote-info", "oom"): [KILLED],
    ("rs-remote-info", "kill-container-process"): [KILLED],
    ("rs-remote-info", "kill-agent"): [NOTHING],  # it hit no process
    ("rs-remote-info", "kill-shim"): [SHIM],
    ("rs-remote-info", "vm-create-fails"): [REFUSED],
    ("rs-remote-info", "vm-start-fails"): [REFUSED],
    ("rs-remote-info", "vm-no-socket"): [("hypervisor", "remote-hypervisor-no-agent-socket")],
    ("rs-remote-info", "vm-agent-never-up"): [UNREACHABLE],
    ("rs-remote2-info", "kill-agent"): [LOST],
    ("rs-remote2-info", "policy-broken"): [UNREACHABLE],
    ("rs-badconfig-info", "config-bad-unknown-key"): [LOST],
    ("rs-badconfig-info", "config-bad-unknown-hv-key"): [NO_VSOCK],
    ("rs-badconfig-info", "config-bad-unknown-agent-key"): [("configuration", "config-unknown-key")],
    ("rs-badconfig-info", "config-bad-type"): [("configuration", "config-bad-type")],
    ("rs-badconfig-info", "config-bad-type-bool"): [("configuration", "config-bad-type")],
    ("rs-badconfig-info", "config-bad-syntax"): [("configuration", "config-syntax")],
    ("rs-badconfig-info", "config-bad-value"): [VALUE],
    ("rs-badconfig-info", "config-bad-model"): [VALUE],
    ("rs-badconfig-info", "config-bad-hvname"): [("configuration", "config-unknown-hypervisor")],
    ("rs-badconfig-info", "config-bad-path"): [PATH],
    ("rs-badconfig-info", "config-bad-kernel"): [PATH],
    ("rs-badconfig-info", "config-bad-runtime-name"): [VALUE],
    ("rs-badconfig-info", "config-bad-empty"): [("configuration", "config-no-runtime")],
    ("rs-badconfig-info", "config-kata-missing"): [("configuration", "config-file-missing")],
    ("rs-qemu-debug", "qemu-vhost-vsock-broken"): [("hypervisor", "qemu-firmware-missing")],
    ("rs-qemu-debug", "qemu-no-kvm"): [("host", "host-no-kvm")],
    ("rs-qemu-debug", "qemu-oom-memory"): [("hypervisor", "qemu-memory-invalid")],
}
"""Layer and cause for each sandbox of a scenario, in the scenario's order."""
REPEATED: dict[str, Sequence[tuple[str, str | None]]] = {
    "2026-11-23T06:11:31": [TAP, MACHINE_TYPE, TAP, TAP, TAP, TAP, TAP, PATH],
    "2026-11-23T06:12:53": [NO_VHOST_NET, MACHINE_TYPE, *[NO_VHOST_NET] * 5, PATH],
    "2026-11-23T06:13:18": [
        ("host", "host-vhost-vsock-unusable"),
        MACHINE_TYPE,
        ("hypervisor", "kvm-internal-error"),
        ("hypervisor", "qemu-cpu-model"),
        ("hypervisor", "qemu-property-unknown"),
        PATH,
    ],
}
"""The three times that go-debug2 ran s17_qemu_real, by their start."""
WITH_AGENTS: dict[tuple[str, str], Sequence[tuple[str, str | None]]] = {
    ("rs-remote2-info", "policy-broken"): [("policy", "guest-policy-invalid")]
}
"""What the agents' own lines add to what the host could see."""
PODS = {
    ("rs-hypervisors-info", "shop/web-5c8b7d6f9-fghij"): ("hypervisor", "cloud-hypervisor-boot-failed"),
    ("k8s-kata-info", "shop/crasher"): ("container", "container-exited"),
    ("k8s-kata-info", "shop/hog"): KILLED,
    ("k8s-kata-info", "shop/vmfail"): NO_VSOCK,
    ("k8s-kata-info", "shop/noimage"): ("image", "image-missing"),
    ("k8s-kata-info", "shop/badann"): ("configuration", "annotation-refused"),
    ("k8s-kata-info", "payments/vault"): NOTHING,
    ("k8s-audit", "payments/lost"): ("kubernetes", "runtime-class-missing"),
    ("k8s-audit", "strict/priv"): ("kubernetes", "admission-refused"),
    ("k8s-audit", "strict/over"): ("kubernetes", "admission-refused"),
}
"""Failures that are asked for by the pod; the first one is of `clh-fake-binary-exits`, whose scenario lists no sandbox."""
NOT_CLEAN = {
    ("go-debug2", "s18_monitor"),
    ("go-debug", "s12_client_errors"),
    ("go-info", "s12_client_errors"),
    ("rs-remote-info", "exit-codes"),
}
"""Benign by intent, and yet something failed: a shim that vanished, and containers asked for with no image or no program."""
OWN = {"container-exited", "container-killed"}
"""How a container's own end is told."""


class Scenario(NamedTuple):
    run: str
    name: str
    kind: str
    start: str
    sandboxes: tuple[str, ...]


@cache
def scenarios(captures: Path) -> tuple[Scenario, ...]:
    told = [json.loads(line) for line in (captures / "scenarios.jsonl").read_text().splitlines()]
    return tuple(Scenario(one["run"], one["scenario"], one["kind"], one["start"], tuple(one["sandboxes"])) for one in told)


def expected(scenario: Scenario, *, agents: bool) -> Sequence[tuple[str, str | None]]:
    if scenario.name == "s17_qemu_real":
        return REPEATED[scenario.start[:19]]
    key = (scenario.run, scenario.name)
    return WITH_AGENTS.get(key, EXPECTED[key]) if agents else EXPECTED[key]


def ingest(writer: Writer, paths: list[tuple[Path, Transport]]) -> None:
    clock = ManualClock()
    sealer = Sealer(writer, CutPolicy(), derive, clock, int)
    for path, transport in paths:
        with FileReceiver(str(path), Place("lab/node", "default", transport), clock=clock, key=KEY) as receiver:
            for _ in take(receiver, writer, sealer, key=KEY):
                pass
    sealer.seal_all()


def sources(run: Path, folder: Path, *, agents: bool) -> list[tuple[Path, Transport]]:
    """Give a run's journal, containerd's log where the journal has not got it, and the agents' files where asked for."""
    if run.name == "k8s-audit":
        return [(run / "audit.log.gz", Transport.HOST_FILE)]
    found = [(run / "journal.export.gz", Transport.JOURNAL_EXPORT)]
    if run.name.startswith("rs-"):
        found.append((run / "containerd.log.gz", Transport.HOST_FILE))
    if agents and (run / "agents.tar.gz").exists():
        with tarfile.open(fileobj=io.BytesIO((run / "agents.tar.gz").read_bytes())) as archive:
            archive.extractall(folder, filter="data")
        found += [(path, Transport.CONSOLE) for path in sorted(folder.rglob("*.jsonl"))]
    return found


Stores = Callable[..., Reader]


@pytest.fixture(scope="module")
def stores(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Give the store of a run, made once: of the host's sources, or with the agents' files too."""
    with ExitStack() as opened:

        @cache
        def store(run: str, *, agents: bool = False) -> Reader:
            root = tmp_path_factory.mktemp(run)
            with open_writer(root / "store", clock=ManualClock(), node="lab/node") as writer:
                ingest(writer, sources(corpus / "captures" / run, root / "agents", agents=agents))
            return opened.enter_context(open_reader(root / "store", link=link))

        yield store


def ask(reader: Reader, name: str) -> Answers:
    return gather(reader, EVERYTHING_IN_SCOPE, causes(), name, Everything())


def told(answer: Answer) -> tuple[str, str | None]:
    verdict = answer.verdict
    return str(verdict.layer), verdict.cause.id if verdict.cause else None


def judged(
    stores: Stores, captures: Path, *, agents: bool
) -> Iterator[tuple[Scenario, str, tuple[str, str | None], Answer]]:
    """Ask for every sandbox of every fault and configuration scenario."""
    for scenario in scenarios(captures):
        if scenario.kind not in {"fault", "config"} or not scenario.sandboxes:
            continue
        if agents and not (captures / scenario.run / "agents.tar.gz").exists():
            continue
        wanted = expected(scenario, agents=agents)
        assert len(wanted) == len(scenario.sandboxes), scenario
        for sandbox, want in zip(scenario.sandboxes, wanted, strict=True):
            yield scenario, sandbox, want, ask(stores(scenario.run, agents=agents), sandbox).answers[0]


@pytest.mark.parametrize("agents", [False, True], ids=["host", "host and agents"])
def test_every_failure_has_its_layer_and_its_cause(stores: Stores, corpus: Path, agents: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    """Of all failed sandboxes the layer is right for 95 of 100 and the cause for 90, with and without the agents' lines."""
    wrong_layers, wrong_causes, total = [], [], 0
    for scenario, sandbox, want, answer in judged(stores, corpus / "captures", agents=agents):
        got, total = told(answer), total + 1
        if got[0] != want[0]:
            wrong_layers.append((scenario.run, scenario.name, sandbox[:12], want, got))
        if got[1] != want[1]:
            wrong_causes.append((scenario.run, scenario.name, sandbox[:12], want, got))

    assert total > (100 if not agents else 80)
    assert len(wrong_layers) <= total * 0.05, wrong_layers
    assert len(wrong_causes) <= total * 0.10, wrong_causes


@pytest.mark.parametrize(("run", "pod"), PODS, ids=lambda value: value)
def test_a_pod_is_asked_for_by_its_name(stores: Stores, run: str, pod: str) -> None:
    """Whoever knows only the pod gets the answer of its newest failed sandbox, the kubelet's records among its evidence."""
    answers = ask(stores(run), pod)

    assert told(answers.answers[0]) == PODS[run, pod]
    assert all(not later.verdict.failed for later in answers.answers[1:] if not answers.answers[0].verdict.failed)


def test_clean_lives_did_not_fail(stores: Stores, corpus: Path) -> None:
    """Where nothing was done to a pod, at most a container's own end is told, for 95 of 100 sandboxes."""
    failed, total = [], 0
    for scenario in scenarios(corpus / "captures"):
        if scenario.kind != "benign" or (scenario.run, scenario.name) in NOT_CLEAN or "tools" in scenario.run:
            continue
        for sandbox in scenario.sandboxes:
            got, total = told(ask(stores(scenario.run), sandbox).answers[0]), total + 1
            if got[1] not in {None, *OWN}:
                failed.append((scenario.run, scenario.name, sandbox[:12], got))

    assert total > 25
    assert len(failed) <= total * 0.05, failed


def test_what_the_sources_lack_is_said(stores: Stores, corpus: Path) -> None:
    """Where a guest ran and none of its lines are in the sources, the answer says so; with its lines it does not."""
    for scenario in scenarios(corpus / "captures"):
        if (scenario.run, scenario.name) == ("go-info", "s06_agent_killed"):
            sandbox = scenario.sandboxes[0]
    layers = {one.layer for one in ask(stores("go-info"), sandbox).answers[0].blind}
    with_agents = {one.layer for one in ask(stores("go-info", agents=True), sandbox).answers[0].blind}

    assert layers >= {"agent", "guest-kernel", "kubelet", "kube-apiserver"}
    assert layers - with_agents == {"agent"}
    assert not layers & {"cri", "shim"}


def test_declared_losses_are_said(stores: Stores, corpus: Path) -> None:
    """journald suppressed most of a storm's messages: the answer for its sandbox names that as a blind spot."""
    storm = next(one for one in scenarios(corpus / "captures") if one.name == "s19_dial")
    blind = ask(stores("go-ratelimit"), storm.sandboxes[0]).answers[0].blind

    assert any("records were lost" in one.reason for one in blind)


def test_noise_and_quoted_words_of_failures_are_no_cause(stores: Stores, corpus: Path) -> None:
    """Text that tenants put into names, arguments and annotations to look like failures makes nothing fail."""
    for scenario in scenarios(corpus / "captures"):
        if scenario.name in {"s10_injection", "s10_secrets", "s02_exec", "s14_intrusion"} and scenario.run == "go-info":
            for sandbox in scenario.sandboxes:
                assert told(ask(stores("go-info", agents=True), sandbox).answers[0])[1] in {None, *OWN}
