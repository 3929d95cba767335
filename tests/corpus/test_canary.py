"""The canary against real runs: what each configuration lets arrive, and the layer whose source is left out."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.captures import Log, logs, read_log

from kata_audit.node.canary import Verdict, Watch
from kata_audit.schema.source import Transport
from kata_audit.wiring import canary_table

pytestmark = pytest.mark.corpus


def judged(sources: Iterable[Log]) -> Verdict:
    """Judge the newest sandbox of some logs."""
    watch = Watch(canary_table())
    for log in sources:
        watch.add(log.records())
    return watch.judge(watch.newest())


def journal(folder: Path) -> Log:
    return read_log(folder / "journal.export.gz", Transport.JOURNAL_EXPORT)


def node_logs(folder: Path) -> list[Log]:
    """Give what a node's collector reads: no file that a guest wrote itself."""
    return [log for log in logs(folder) if log.transport is not Transport.CONSOLE]


def statuses(verdict: Verdict) -> dict[str, str]:
    return {one.layer: str(one.status) for one in verdict.findings}


def test_a_healthy_node_at_info(corpus: Path) -> None:
    """Go shim at its defaults: both copies arrive, and nothing of the guest can."""
    verdict = judged([journal(corpus / "captures" / "go-info")])

    assert statuses(verdict) == {
        "cri": "pass",
        "shim-stream": "pass",
        "shim-syslog": "pass",
        "agent": "blind",
        "console": "blind",
        "hypervisor": "blind",
        "kubelet": "blind",
        "kube-apiserver": "blind",
    }
    assert not verdict.has_failed


def test_a_node_at_debug(corpus: Path) -> None:
    """With debug everywhere the guest's console comes through, and the agent's lines in it."""
    verdict = judged([journal(corpus / "captures" / "go-debug")])

    assert statuses(verdict) | {"agent": "pass", "console": "pass"} == statuses(verdict)
    assert {"console-watched", "shim-debug"} <= set(verdict.facts)


def test_a_node_of_runtime_rs(corpus: Path) -> None:
    """runtime-rs, with containerd's own file beside the journal."""
    verdict = judged(node_logs(corpus / "captures" / "rs-remote-info"))

    assert statuses(verdict) == {
        "cri": "pass",
        "shim-journal": "pass",
        "agent": "pass",
        "console": "blind",
        "hypervisor": "pass",
        "kubelet": "blind",
        "kube-apiserver": "blind",
    }


def test_a_whole_cluster(corpus: Path) -> None:
    """Kubelet and API server are proven by what they say of the pod, in the time of its sandbox."""
    folder = corpus / "captures" / "k8s-kata-info"
    verdict = judged([journal(folder), read_log(folder / "audit.log.gz", Transport.HOST_FILE)])

    assert statuses(verdict) | {"kubelet": "pass", "kube-apiserver": "pass"} == statuses(verdict)
    assert not verdict.has_failed


@pytest.mark.parametrize(
    ("run", "missing", "step"),
    [
        pytest.param("rs-remote-info", {"cri"}, "journalctl -u containerd", id="without containerd's log"),
        pytest.param("go-info", {"shim-syslog"}, "SYSLOG_IDENTIFIER=kata", id="without the journal"),
    ],
)
def test_the_layer_whose_source_is_left_out_is_named(corpus: Path, run: str, missing: set[str], step: str) -> None:
    """Exactly that layer fails, and its next step says what to collect."""
    folder = corpus / "captures" / run
    kept = [journal(folder)] if run.startswith("rs") else [read_log(folder / "containerd.log.gz", Transport.HOST_FILE)]
    failed = {one.layer: one for one in judged(kept).findings if one.status == "fail"}

    assert set(failed) == missing
    assert all(step in (one.next or "") for one in failed.values())


def test_a_configuration_that_opens_the_port_expects_the_agent(corpus: Path) -> None:
    """runtime-rs with Firecracker sets agent.log_vport itself, as its shim writes down."""
    watch = Watch(canary_table())
    watch.add(journal(corpus / "captures" / "rs-hypervisors-info").records())
    verdict = watch.judge(watch.of_sandbox("a09ad011"))

    assert {"log-port", "firecracker", "config-seen"} <= set(verdict.facts)
