"""Identities from containerd's CRI lines of 1.6 to 2.x, cgroups, command lines and dumps."""

import pytest

from kata_audit.parse.identity import from_cgroups, from_command_lines, from_dumps, from_words, read_cri

SID, CID = "a1" * 32, "b2" * 32
POD = {"k8s_pod": "web-0", "k8s_pod_uid": "eddb1e0c-43d4", "k8s_namespace": "shop"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('RunPodSandbox for name:"web-0"  uid:"eddb1e0c-43d4"  namespace:"shop"', POD),
        ('RunPodSandbox for name:"web-0" uid:"eddb1e0c-43d4" namespace:"shop" attempt:2', POD),
        (
            f'RunPodSandbox for name:"web-0"  uid:"eddb1e0c-43d4"  namespace:"shop" returns sandbox id "{SID}"',
            {**POD, "sandbox_id": SID},
        ),
        (
            f'RunPodSandbox for &PodSandboxMetadata{{Name:web-0,Uid:eddb1e0c-43d4,Namespace:shop,Attempt:0,}} returns sandbox id "{SID}"',
            {**POD, "sandbox_id": SID},
        ),
        (
            f'CreateContainer within sandbox "{SID}" for name:"web" returns container id "{CID}"',
            {"sandbox_id": SID, "container_id": CID, "k8s_container": "web"},
        ),
        (
            f'CreateContainer within sandbox "{SID}" for container &ContainerMetadata{{Name:web,Attempt:0,}}',
            {"sandbox_id": SID, "k8s_container": "web"},
        ),
        (
            f'CreateContainer within sandbox "{SID}" for &ContainerMetadata{{Name:web,Attempt:0,}} returns container id "{CID}"',
            {"sandbox_id": SID, "container_id": CID, "k8s_container": "web"},
        ),
        (f'StartContainer for "{CID}" returns successfully', {"container_id": CID}),
        (f'ExecSync for "{CID}" failed', {"container_id": CID}),
        (f'StopPodSandbox for "{SID}"', {"sandbox_id": SID}),
        (f'Forcibly stopping sandbox "{SID}"', {"sandbox_id": SID}),
        (f"connecting to shim {SID}", {"container_id": SID}),
        (
            f'Use OCI runtime {{Type:io.containerd.kata-qemu.v2 IOType:}} for sandbox "{SID}" and container "{CID}"',
            {"runtime_class": "kata-qemu", "sandbox_id": SID, "container_id": CID},
        ),
        ("use OCI runtime {Type:io.containerd.kata-qemu.v2 Path:/opt/kata Snapshotter:}", {"runtime_class": "kata-qemu"}),
        (f'somebody said StopPodSandbox for "{SID}"', {}),
        ('RunPodSandbox for name:"unclosed', {}),
        ("", {}),
    ],
)
def test_a_cri_message_states_what_it_says(body: str, expected: dict[str, str]) -> None:
    assert read_cri(body) == expected


def test_a_failed_pod_names_its_sandbox_in_front_of_the_shims_words() -> None:
    body = 'RunPodSandbox for name:"web-0"  uid:"eddb1e0c-43d4"  namespace:"shop" failed, error'
    error = (
        f'rpc error: code = Unknown desc = failed to start sandbox "{SID}": failed to create shim task: sandbox "{CID}": x'
    )

    assert read_cri(body, error) == {**POD, "sandbox_id": SID}
    assert read_cri(body, f'something else: failed to start sandbox "{SID}": x') == POD


def test_a_cgroup_states_pod_and_sandbox() -> None:
    uid = "5ac46ca5-eb33-4867-9595-3daa3e5f1aa8"
    stated = from_cgroups(
        [
            f"/kubepods/burstable/pod{uid}/{SID}",
            f"/kubepods.slice/kubepods-pod{uid.replace('-', '_')}.slice/cri-containerd-{SID}.scope",
            f"/kata_overhead/{SID}",
            "/system.slice/containerd.service",
            None,
            7,
        ]
    )

    assert stated.rows == [0, 1, 2]
    assert stated.identities == [{"sandbox_id": SID, "k8s_pod_uid": uid}] * 2 + [{"sandbox_id": SID}]


def test_a_shims_command_line_states_its_sandbox() -> None:
    lines = [f"/opt/kata/bin/containerd-shim-kata-qemu-v2 -namespace k8s.io -id {SID} -debug", "/usr/bin/evil -id x", None]

    assert from_command_lines(lines, [0, 1, 2]).identities == [{"sandbox_id": SID}]


def test_a_dump_states_the_pod_but_not_what_an_annotation_quotes() -> None:
    body = (
        'OCI Spec Spec { annotations: Some({"note": "\\"io.kubernetes.cri.sandbox-name\\": \\"forged\\"", '
        '"io.kubernetes.cri.sandbox-name": "web-0", "io.kubernetes.cri.sandbox-namespace": "shop"}) }'
    )

    assert from_dumps([body], [0]).identities == [{"k8s_pod": "web-0", "k8s_namespace": "shop"}]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"collecting metrics for {CID}", {"container_id": CID}),
        (f'TearDown network for sandbox "{SID}" successfully', {"sandbox_id": SID}),
        (f'received container exit event container_id:"{CID}"  id:"{SID}"', {"container_id": CID}),
        (f'received sandbox container exit event sandbox_id:"{SID}"', {"sandbox_id": SID}),
        (f"Ensure that sandbox {SID} in task-service has been cleanup successfully", {"sandbox_id": SID}),
        (f'RemovePodSandbox "{SID}" returns successfully', {"sandbox_id": SID}),
        (f'Stop container "{CID}" with signal terminated', {"container_id": CID}),
        (f'Dialing remote sock: "/run/peerpod/pods/{SID}/agent.ttrpc"', {"sandbox_id": SID}),
        (f"container rootfs: /run/containerd/io.containerd.runtime.v2.task/k8s.io/{CID}/rootfs", {"container_id": CID}),
        (f'Generated exec id "{SID}" for container "{CID}"', {"container_id": CID, "exec_id": SID}),
        (f'Exec process "{SID}" exits with exit code 0 and error <nil>', {"exec_id": SID}),
        (f'Container exec "{SID}" stdin closed', {"exec_id": SID}),
        (f'Finish piping "stdout" of container exec "{SID}"', {"exec_id": SID}),
        (f'Generated exec id "{SID}"', None),
        (f'PullImage "evil sandbox {SID}"', None),
        (f"see /etc/run/vc/vm/{SID}", None),
        (f"{SID} alone", None),
    ],
)
def test_the_first_id_after_a_messages_own_words(body: str, expected: dict[str, str] | None) -> None:
    assert from_words([body], [0]).identities == ([] if expected is None else [expected])
