"""The canary's pod is made, executed in and taken away, whatever goes wrong; against a program in kubectl's place."""

import json
from pathlib import Path

import pytest
from tests.unit.node.stand_in import calls_in, path_with, put_kubectl

from kata_audit.errors import ClusterError
from kata_audit.node.canary_run import Asked, Ran, run_pod

ASKED = Asked("shop", "kata-qemu", "registry.example/busybox:1", "worker-a", 7)
SANDBOX = "2c" * 32


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    kept = put_kubectl(tmp_path / "bin", tmp_path / "containerd.log", SANDBOX)
    monkeypatch.setenv("PATH", path_with(tmp_path / "bin"))
    return kept


def test_a_pod_is_made_executed_in_and_deleted(calls: Path) -> None:
    """Four calls, each by its arguments, with the marker in the pod's name and in the exec."""
    told: list[str] = []
    ran = run_pod(ASKED, told.append)
    made, *others = calls_in(calls)

    assert ran == Ran("shop", ran.pod, f"{ran.pod}-exec")
    assert ran.pod.startswith("kata-audit-canary-")
    assert made["arguments"] == ["create", "--namespace=shop", "--filename=-"]
    assert [one["arguments"] for one in others] == [
        ["wait", "--namespace=shop", "--for=condition=Ready", "--timeout=7s", f"pod/{ran.pod}"],
        ["exec", "--namespace=shop", ran.pod, "--", "echo", f"{ran.pod}-exec"],
        ["delete", "pod", "--namespace=shop", "--ignore-not-found", "--wait=true", "--timeout=60s", ran.pod],
    ]
    assert len(told) == 1


def test_the_pod_may_do_nothing(calls: Path) -> None:
    """It runs in the class, on the node, with the image that were asked for, with no right and no token, and ends by itself."""
    run_pod(ASKED, lambda _: None)
    spec = json.loads(calls_in(calls)[0]["text"])["spec"]

    assert (spec["runtimeClassName"], spec["containers"][0]["image"]) == (ASKED.runtime_class, ASKED.image)
    assert spec["nodeSelector"] == {"kubernetes.io/hostname": "worker-a"}
    assert spec["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["automountServiceAccountToken"] is False
    assert spec["activeDeadlineSeconds"] > 2 * ASKED.timeout_secs


@pytest.mark.parametrize(
    ("verb", "verbs", "executed"),
    [("wait", ["create", "wait", "delete"], False), ("exec", ["create", "wait", "exec", "delete"], True)],
)
def test_a_pod_in_trouble_is_deleted_and_told(
    calls: Path, monkeypatch: pytest.MonkeyPatch, verb: str, verbs: list[str], *, executed: bool
) -> None:
    """A pod that is not ready, or refuses the exec, is still worth looking at: its records say why."""
    monkeypatch.setenv("STAND_IN_FAILS", verb)
    told: list[str] = []
    ran = run_pod(ASKED, told.append)

    assert [one["arguments"][0] for one in calls_in(calls)] == verbs
    assert (ran.marker is not None) is executed
    assert "Forbidden" in told[-1]


def test_a_refused_pod_is_an_error_and_is_deleted(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster said no; whether something came to be nobody knows, so it is deleted all the same."""
    monkeypatch.setenv("STAND_IN_FAILS", "create")
    with pytest.raises(ClusterError, match="refused"):
        run_pod(ASKED, lambda _: None)

    assert [one["arguments"][0] for one in calls_in(calls)] == ["create", "delete"]


def test_a_pod_that_cannot_be_deleted_is_told(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked hears which pod may be left."""
    monkeypatch.setenv("STAND_IN_FAILS", "delete")
    told: list[str] = []
    ran = run_pod(ASKED, told.append)

    assert calls.exists()
    assert f"shop/{ran.pod} may still be there" in told[-1]


def test_without_kubectl_nothing_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is said before anything is done."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="not on the PATH"):
        run_pod(ASKED, lambda _: None)
