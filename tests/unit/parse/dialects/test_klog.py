"""klog lines: the message, its pairs, and the pod and container that they state."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence import column, derive, evidence
from tests.mutations import pair_mutations

from kata_audit.parse.dialects.klog import DIALECT
from kata_audit.schema.source import Transport

PLEG, POLICY, OLD = DIALECT.about.examples
KILL = (
    'I1123 08:05:16.055436     303 kuberuntime_container.go:866] "Killing container with a grace period" pod="payments/api"'
    ' podUID="4b1aa41a-4a5b-4ae8-b76c-b5a4f3503a8a" containerName="api"'
    ' containerID="containerd://ba53050b5e45c7c2c57f607baef817e848eba513c9972859f76c53a3917b37ec" gracePeriod=2'
)
UPDATE = 'I1123 08:05:11.416836     303 kubelet.go:2522] "SyncLoop UPDATE" source="api" pods=["payments/api"]'
OLD_PLEG = (
    'I0116 19:35:32.748517    4920 kubelet.go:2092] "SyncLoop (PLEG): event for pod" pod="shop/web"'
    " event=&{ID:d888162e-cd00-4609-a2a4-19b2c62304ba Type:ContainerStarted"
    " Data:13926bd769f79f8383cc8a00124db28b2c6587079c26f2c134530219bdb9752c}"
)
POD = ("k8s_namespace", "k8s_pod", "k8s_pod_uid", "k8s_container", "container_id", "exec_id", "sandbox_id", "component")


def identity(line: str, transport: Transport = Transport.HOST_FILE) -> dict[str, str]:
    records = derive(evidence((line + "\n").encode(), transport))
    found = {name: column(records, name)[0] for name in POD}
    return {name: value for name, value in found.items() if value is not None}


def test_a_pleg_event_names_pod_and_id_in_both_forms() -> None:
    """Whether the id is a container's or a sandbox's it does not say, so no sandbox is stated."""
    assert identity(PLEG) == {
        "k8s_namespace": "payments", "k8s_pod": "api", "k8s_pod_uid": "4b1aa41a-4a5b-4ae8-b76c-b5a4f3503a8a",
        "container_id": "ba53050b5e45c7c2c57f607baef817e848eba513c9972859f76c53a3917b37ec", "component": "kubelet",
    }  # fmt: skip
    assert identity(OLD_PLEG) == {
        "k8s_namespace": "shop", "k8s_pod": "web", "k8s_pod_uid": "d888162e-cd00-4609-a2a4-19b2c62304ba",
        "container_id": "13926bd769f79f8383cc8a00124db28b2c6587079c26f2c134530219bdb9752c", "component": "kubelet",
    }  # fmt: skip


def test_the_kubelets_keys_are_identities() -> None:
    """A runtime's scheme before the id is no part of it; a list of one pod names it."""
    assert identity(KILL) == {
        "k8s_namespace": "payments", "k8s_pod": "api", "k8s_pod_uid": "4b1aa41a-4a5b-4ae8-b76c-b5a4f3503a8a",
        "k8s_container": "api", "component": "kubelet",
        "container_id": "ba53050b5e45c7c2c57f607baef817e848eba513c9972859f76c53a3917b37ec",
    }  # fmt: skip
    assert identity(UPDATE) == {"k8s_namespace": "payments", "k8s_pod": "api", "component": "kubelet"}
    assert identity(UPDATE.replace('"]', '","shop/web"]')) == {"component": "kubelet"}


def test_an_exec_that_failed_to_stream_names_its_container() -> None:
    """The only host record of an exec that the guest's policy refused, at default log levels."""
    records = derive(evidence((POLICY + "\n").encode(), Transport.HOST_FILE))

    assert column(records, "exec_id") == ["502572e30128db67223f6ebf20314e10ccee9e2543864f3269e1e0831bc6ff4a"]
    assert column(records, "container_id") == ["160f516c8a09d8adc329406c4ecdcbb16061b4c73ba175422623b833cf00b33c"]
    assert column(records, "body") == ["Unhandled Error"]
    assert column(records, "severity_text") == ["ERROR"]
    assert dict(column(records, "attributes")[0])["err"].endswith('desc = "ExecProcessRequest is blocked by policy: "')


def test_a_line_has_no_year_so_the_time_is_not_its_own() -> None:
    records = derive(evidence((OLD + "\n").encode(), Transport.HOST_FILE))

    assert column(records, "timestamp_basis") == ["observed"]
    assert dict(column(records, "attributes")[0]) == {
        "code.file.path": "server.go", "code.line.number": "150", "time.local": "11-23T07:38:03.862661",
    }  # fmt: skip
    assert (column(records, "body"), column(records, "pid")) == (["Version: v1.34.4"], [27173])


def test_a_guest_that_prints_a_line_states_nothing() -> None:
    """L7: neither pod nor container nor a host's program."""
    assert identity(KILL, Transport.CONSOLE).keys() <= {"component"}
    assert identity(KILL, Transport.CONSOLE).get("component") in (None, "other")


@given(st.text(max_size=60))
def test_text_in_quotes_is_never_a_pair(text: str) -> None:
    """An error's text may hold anything, pairs of another pod among it."""
    line = f'E1123 08:04:45.698037 303 a.go:7] "Failed" err={json.dumps(text + chr(34) + " pod=" + chr(34) + "evil/x")} pod="shop/web"'

    scan = DIALECT.scan([line], [False])

    assert scan.malformed == []
    assert scan.columns["k8s_pod"] == ["web"]


@pytest.mark.parametrize("line", [PLEG, POLICY, KILL, UPDATE, OLD_PLEG, OLD])
def test_mutations_are_read_right_or_marked(line: str) -> None:
    """More pairs and blanks change nothing that was read; what is torn in a value is marked and states nothing."""
    plain = DIALECT.scan([line], [False])
    for kind, text in pair_mutations(line, seed=6):
        scan = DIALECT.scan([text], [False])
        columns = {name: scan.columns[name][0] for name in POD if name in scan.columns}
        if kind == "torn":
            assert scan.malformed == [0] or all(value in (None, plain.columns[name][0]) for name, value in columns.items())
        elif line != OLD:
            assert scan.malformed == []
            assert columns == {name: plain.columns[name][0] for name in columns}, kind
            assert scan.attributes[0].items() >= plain.attributes[0].items()
            assert scan.columns["body"] == plain.columns["body"]


@pytest.mark.parametrize("text", [' a="' * 20_000, " a={[" * 20_000, " a=<\n\t" * 20_000, ' a="x" ' * 20_000, " " * 100_000])
def test_hostile_pairs_take_linear_time(text: str) -> None:
    """Whatever is opened and not closed: marked, and at once."""
    scan = DIALECT.scan([f'I1123 08:04:45.698037 303 a.go:7] "m"{text}'], [False])

    assert scan.malformed in ([0], [])
