"""A check says what it saw, and what it cannot see never passes."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.unit.node.trees import DEFAULTS, GO_DROP_INS, KEYS, QEMU, RUST_DROP_INS, containerd, modern_files, plant

from kata_audit.cli.main import run
from kata_audit.errors import CatalogError
from kata_audit.node.check import Status
from kata_audit.node.examine import Examination, examine, load_checks
from kata_audit.node.report import as_junit, as_ocsf, as_sarif, summary
from kata_audit.node.tree import FolderTree
from kata_audit.wiring import node_checks

SYSTEMD = "systemd/journald.conf"
JOURNALD = f"etc/{SYSTEMD}"


def looked(root: Path, files: Mapping[str, str | bytes], *, version: str = "3.27.0") -> Examination:
    return examine(FolderTree(plant(root, {**modern_files(version), **files})), KEYS, node_checks())


def status(examination: Examination, check: str, subject: str = "node") -> Status:
    return next(one.answer.status for one in examination.findings if (one.check.id, one.answer.subject) == (check, subject))


def test_every_check_has_texts_and_one_that_answers_it() -> None:
    checks = node_checks()

    assert len(checks) >= 60
    assert len({check.id for check in checks}) == len(checks)
    assert all(check.title and check.why and check.remedy for check in checks)


def test_a_check_that_nothing_answers_is_refused() -> None:
    with pytest.raises(CatalogError) as caught:
        load_checks(b'[[check]]\nid = "KN-999"\ntitle = "t"\nwhy = "w"\nremedy = "r"\nseverity = "low"\n')

    assert "KN-999: nothing answers it" in caught.value.diagnostics()


@pytest.mark.parametrize(
    ("check", "drop_in", "expected"),
    [
        ("KN-040", "[agent.kata]\ndebug_console_enabled = true\n", Status.FAIL),
        ("KN-040", "[hypervisor.qemu]\nkernel_params = 'agent.debug_console'\n", Status.FAIL),
        ("KN-040", "[runtime]\nenable_debug = false\n", Status.PASS),
        ("KN-041", "[hypervisor.qemu]\nkernel_params = 'init=/bin/sh'\n", Status.FAIL),
        ("KN-041", "[hypervisor.qemu]\nkernel_params = 'systemd.unit=kata-containers.target'\n", Status.PASS),
        ("KN-020", "[hypervisor.qemu]\nkernel_params = 'agent.log=loud'\n", Status.FAIL),
        ("KN-021", "[hypervisor.qemu]\nkernel_params = 'agent.log=error'\n", Status.FAIL),
        ("KN-027", "[hypervisor.qemu]\nenable_debug = true\n", Status.WARN),
        ("KN-046", "[hypervisor.qemu]\nextra_monitor_socket = 'hmp'\n", Status.FAIL),
        ("KN-048", "[hypervisor.qemu]\nenable_annotations = ['.*']\n", Status.FAIL),
        ("KN-048", "[hypervisor.qemu]\nenable_annotations = ['(a+)+$']\n", Status.FAIL),
        ("KN-048", "[hypervisor.qemu]\nenable_annotations = ['enable_iommu']\n", Status.PASS),
        ("KN-049", "[hypervisor.qemu]\nenable_annotations = ['path']\n", Status.FAIL),
        ("KN-050", "[hypervisor.qemu]\nenable_annotations = ['kernel_params']\n", Status.WARN),
        ("KN-051", "[hypervisor.qemu]\nvalid_hypervisor_paths = ['/usr/bin/*']\n", Status.FAIL),
        ("KN-053", "[hypervisor.qemu]\nvirtio_fs_extra_args = ['--sandbox=none']\n", Status.FAIL),
        ("KN-053", "[hypervisor.qemu]\nvirtio_fs_extra_args = ['--seccomp', 'none']\n", Status.FAIL),
        ("KN-053", "[hypervisor.qemu]\nvirtio_fs_extra_args = ['--announce-submounts']\n", Status.PASS),
        ("KN-044", "[runtime]\njaeger_endpoint = 'http://traces:14268'\n", Status.FAIL),
        ("KN-059", "[runtime]\nsandbox_bind_mounts = ['/etc']\n", Status.FAIL),
        ("KN-010", "[runtime\n", Status.FAIL),
        ("KN-040", "[runtime\n", Status.BLIND),
        ("KN-011", "[runtime]\nno_such = 1\n", Status.WARN),
    ],
)
def test_a_setting_of_a_class_is_judged_where_it_decides(tmp_path: Path, check: str, drop_in: str, expected: Status) -> None:
    """A drop-in over a base that is in order changes the answer, and names itself."""
    examination = looked(tmp_path, {f"{GO_DROP_INS}/50.toml": drop_in})

    assert status(examination, check, "kata-qemu") is expected
    if expected in {Status.FAIL, Status.WARN}:
        places = [
            one.answer.evidence for one in examination.findings if (one.check.id, one.answer.subject) == (check, "kata-qemu")
        ]
        assert places[0][0].path == f"{GO_DROP_INS}/50.toml"


def test_commands_are_seen_with_the_agents_port_open_and_blind_without(tmp_path: Path) -> None:
    """runtime-rs reads the agent's log port wherever it is open, without any debug."""
    closed = looked(tmp_path / "closed", {})
    opened = looked(
        tmp_path / "open", {f"{RUST_DROP_INS}/50.toml": "[hypervisor.qemu]\nkernel_params = 'agent.log_vport=1025'\n"}
    )

    assert status(closed, "KN-002", "kata-qemu-runtime-rs") is Status.BLIND
    assert status(opened, "KN-002", "kata-qemu-runtime-rs") is Status.PASS
    assert status(opened, "KN-002", "kata-qemu") is Status.BLIND


def test_the_go_shim_relays_the_console_only_with_three_switches(tmp_path: Path) -> None:
    drop_in = "[hypervisor.qemu]\nenable_debug = true\n[runtime]\nenable_debug = true\n"
    two = looked(tmp_path / "two", {f"{GO_DROP_INS}/50.toml": drop_in})
    handlers = modern_files("3.27.0")["etc/containerd/config.toml"]
    assert isinstance(handlers, str)
    debug = {f"{GO_DROP_INS}/50.toml": drop_in, "etc/containerd/config.toml": handlers + '[debug]\nlevel = "debug"\n'}
    three = looked(tmp_path / "three", debug)

    assert status(two, "KN-005", "kata-qemu") is Status.BLIND
    assert status(three, "KN-005", "kata-qemu") is Status.PASS


@pytest.mark.parametrize(
    ("check", "files", "expected"),
    [
        ("KN-070", {}, Status.FAIL),
        ("KN-070", {"var/log/journal/x": ""}, Status.PASS),
        ("KN-070", {JOURNALD: "[Journal]\nStorage=persistent\n"}, Status.PASS),
        ("KN-070", {JOURNALD: "[Journal]\nStorage=none\n", "var/log/journal/x": ""}, Status.FAIL),
        ("KN-071", {JOURNALD: "[Journal]\nRateLimitBurst=0\n"}, Status.PASS),
        ("KN-071", {"usr/lib/systemd/journald.conf.d/a.conf": "[Journal]\nRateLimitBurst=200K\n"}, Status.PASS),
        ("KN-071", {}, Status.WARN),
        (
            "KN-070",
            {JOURNALD: "[Journal]\nStorage=none\n", f"usr/lib/{SYSTEMD}": "[Journal]\nStorage=persistent\n"},
            Status.FAIL,
        ),
        ("KN-072", {JOURNALD: "[Journal]\nLineMax=256K\n"}, Status.PASS),
        ("KN-074", {JOURNALD: "[Journal]\nMaxLevelStore=notice\n"}, Status.FAIL),
        ("KN-075", {JOURNALD: "[Journal]\nSeal=no\n"}, Status.WARN),
        ("KN-077", {JOURNALD: "[Journal]\n#ForwardToSyslog=yes\n"}, Status.PASS),
        ("KN-080", {}, Status.FAIL),
        ("KN-080", {"etc/rsyslog.d/out.conf": "*.* @@logs.example:514\n"}, Status.PASS),
        ("KN-090", {"etc/chrony/chrony.conf": "pool a iburst\nserver b\n"}, Status.PASS),
        ("KN-091", {"etc/chrony/chrony.conf": "pool a iburst\n"}, Status.WARN),
        ("KN-100", {}, Status.BLIND),
        ("KN-100", {"etc/audit/rules.d/k.rules": "-w /etc/kata-containers -p wa -k kata\n"}, Status.PASS),
        ("KN-100", {"etc/audit/rules.d/k.rules": "-w /etc/passwd -p wa\n"}, Status.FAIL),
        ("KN-104", {"etc/audit/rules.d/k.rules": "-a always,exit -F arch=b64 -S connect -F a0=40 -k vsock\n"}, Status.FAIL),
        ("KN-104", {"etc/audit/rules.d/k.rules": "-a always,exit -F arch=b64 -S socket -F a0=40 -k vsock\n"}, Status.PASS),
        ("KN-106", {"etc/audit/rules.d/k.rules": "-w /etc/passwd -p wa\n-e 2\n"}, Status.PASS),
        ("KN-110", {}, Status.BLIND),
        ("KN-030", {"etc/containerd/conf.d/x.toml": ""}, Status.PASS),
    ],
)
def test_a_setting_of_the_node_is_judged(
    tmp_path: Path, check: str, files: dict[str, str | bytes], expected: Status
) -> None:
    assert status(looked(tmp_path, files), check) is expected


POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n"
SERVER = "spec:\n  containers:\n  - command:\n    - kube-apiserver\n    - --audit-policy-file=/etc/kubernetes/policy.yaml\n"


@pytest.mark.parametrize(
    ("rules", "covers", "spares"),
    [
        ("- level: Metadata\n", Status.PASS, Status.PASS),
        ("- level: None\n", Status.FAIL, Status.PASS),
        ("- level: RequestResponse\n", Status.PASS, Status.FAIL),
        (
            "- level: None\n  resources:\n  - group: ''\n    resources: [pods/exec]\n- level: Metadata\n",
            Status.FAIL,
            Status.PASS,
        ),
        ("- level: Metadata\n  resources:\n  - group: ''\n    resources: ['pods/*']\n", Status.PASS, Status.PASS),
        ("- level: Metadata\n  users: [alice]\n", Status.FAIL, Status.PASS),
        (": : :", Status.BLIND, Status.BLIND),
    ],
)
def test_the_audit_policy_is_read_as_the_api_server_reads_it(
    tmp_path: Path, rules: str, covers: Status, spares: Status
) -> None:
    files: dict[str, str | bytes] = {
        "etc/kubernetes/manifests/kube-apiserver.yaml": SERVER + "    - --audit-log-path=/var/log/audit.log\n",
        "etc/kubernetes/policy.yaml": POLICY + rules,
    }
    examination = looked(tmp_path, files)

    assert (status(examination, "KN-110"), status(examination, "KN-111"), status(examination, "KN-112")) == (
        Status.PASS,
        covers,
        spares,
    )
    assert status(examination, "KN-001", "kata-qemu") is Status.PASS


def test_a_node_without_an_engine_is_blind_and_never_passes_for_kata(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    examination = examine(FolderTree(tmp_path), KEYS, node_checks())

    assert status(examination, "KN-007") is Status.BLIND


def test_a_file_that_may_not_be_read_is_blind(tmp_path: Path) -> None:
    """Root reads everything, so a pipe stands in for a file that cannot be read."""
    plant(
        tmp_path,
        {
            **modern_files("3.27.0"),
            "etc/containerd/config.toml": 'imports = ["conf.d/*"]\n',
            "etc/containerd/conf.d/a": "= =",
        },
    )
    examination = examine(FolderTree(tmp_path), KEYS, node_checks())

    assert status(examination, "KN-006") is Status.BLIND


def test_known_faults_are_told_for_a_known_release_and_blind_for_a_guessed_one(tmp_path: Path) -> None:
    exact = looked(tmp_path / "exact", {})
    handlers = containerd(("kata-qemu", "/opt/kata/bin/containerd-shim-kata-v2", f"/{DEFAULTS}/configuration-qemu.toml"))
    files: dict[str, str | bytes] = {"etc/containerd/config.toml": handlers, f"{DEFAULTS}/configuration-qemu.toml": QEMU}
    guessed = examine(FolderTree(plant(tmp_path / "guessed", files)), KEYS, node_checks())

    assert status(exact, "KN-018", "kata-qemu") is Status.FAIL
    assert status(guessed, "KN-018", "kata-qemu") is Status.BLIND


def test_junit_sarif_and_ocsf_carry_every_answer_that_is_no_pass(tmp_path: Path) -> None:
    examination = looked(tmp_path, {f"{GO_DROP_INS}/50.toml": "[agent.kata]\ndebug_console_enabled = true\n"})
    counts = summary(examination)
    junit = ET.fromstring(as_junit(examination))
    sarif = as_sarif(examination)["runs"][0]

    assert len(junit.findall(".//failure")) == counts["fail"]
    assert len(junit.findall(".//skipped")) == counts["blind"]
    assert len(sarif["results"]) == counts["fail"] + counts["warn"] + counts["blind"]
    assert {one["ruleId"] for one in sarif["results"]} <= {rule["id"] for rule in sarif["tool"]["driver"]["rules"]}
    assert len(as_ocsf(examination, node="c/n", time_ms=1)) == len(examination.findings)


def test_the_command_says_no_with_1_and_takes_checks_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = plant(
        tmp_path, {**modern_files("3.27.0"), f"{GO_DROP_INS}/50.toml": "[agent.kata]\ndebug_console_enabled = true\n"}
    )

    assert run(["node", "check", "--root", str(root), "--check", "KN-040", "-o", "json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert {(one["subject"], one["status"]) for one in told["findings"]} == {
        ("kata-qemu", "fail"),
        ("kata-qemu-runtime-rs", "pass"),
    }
    assert [one["handler"] for one in told["handlers"]] == ["kata-qemu", "kata-qemu-runtime-rs"]
    assert run(["node", "check", "--root", str(root), "--check", "KN-041"]) == 0
    assert run(["node", "check", "--root", str(root), "--check", "KN-40"]) == 2
    assert run(["node", "check", "--root", str(root / "absent")]) == 4


@pytest.mark.parametrize(
    ("check", "limit", "code"),
    [
        ("KN-080", "critical", 0),  # a failure of high severity
        ("KN-080", "high", 1),
        ("KN-080", "medium", 1),
        ("KN-080", "never", 0),
        ("KN-071", "info", 0),  # a warning
        ("KN-110", "info", 0),  # blind
    ],
)
def test_only_failures_as_severe_as_asked_end_with_1(tmp_path: Path, check: str, limit: str, code: int) -> None:
    root = plant(tmp_path, modern_files("3.27.0"))

    assert {one.id: str(one.severity) for one in node_checks()}["KN-080"] == "high"
    assert run(["node", "check", "--root", str(root), "--check", check, "--fail-on", limit]) == code


def test_text_of_a_node_reaches_no_terminal_raw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = plant(
        tmp_path,
        {
            **modern_files("3.27.0"),
            f"{GO_DROP_INS}/50.toml": '[runtime]\nsandbox_bind_mounts = ["\\u001b]52;c;AAAA\\u0007\\u202e"]\n',
        },
    )
    run(["node", "check", "--root", str(root), "--all"])
    shown = capsys.readouterr().out

    assert "\\x1b]52" in shown
    assert all(character.isprintable() or character == "\n" for character in shown)
