"""Each question of an auditor is answered by what decides it: a switch, a level, a machine elsewhere, a file nobody reads."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.unit.node.trees import (
    DEFAULTS,
    GO_DROP_INS,
    KEYS,
    QEMU,
    RUST_DROP_INS,
    containerd,
    modern_files,
    plant,
    refuse_to_read,
)

from kata_audit.node.check import Status
from kata_audit.node.examine import Examination, examine
from kata_audit.node.tree import FolderTree
from kata_audit.wiring import node_checks

GO, RUST = "kata-qemu", "kata-qemu-runtime-rs"
WHAT, DENIED, WHY, GUEST = "KN-002", "KN-003", "KN-004", "KN-005"
PORT = "[hypervisor.qemu]\nkernel_params = 'agent.log_vport=1025{}'\n"
SWITCHES = "[hypervisor.{0}]\nenable_debug = true\n[runtime]\nenable_debug = true\n"


def asked(root: Path, files: Mapping[str, str | bytes] = {}, *, engine: str = "", version: str = "4.1.0") -> Examination:
    """Examine a node of two classes, with more files and with more lines of containerd's own."""
    given = modern_files(version)
    text = given["etc/containerd/config.toml"]
    assert isinstance(text, str)
    planted = plant(root, {**given, "etc/containerd/config.toml": engine + text, **files})
    return examine(FolderTree(planted), KEYS, node_checks())


def status(examination: Examination, check: str, handler: str) -> Status:
    return next(one.answer.status for one in examination.findings if (one.check.id, one.answer.subject) == (check, handler))


def level(name: str) -> str:
    return f"debug.level = '{name}'\n"


@pytest.mark.parametrize(
    ("drop_in", "expected"),
    [
        (PORT.format(""), Status.PASS),
        (PORT.format(" agent.log=error"), Status.BLIND),
        (PORT.format(" agent.log=error agent.log=info"), Status.PASS),
        (PORT.format("") + "[agent.kata]\nlog_level = 'warn'\n", Status.BLIND),
    ],
)
def test_an_agent_that_is_told_to_be_quiet_is_not_heard(tmp_path: Path, drop_in: str, expected: Status) -> None:
    examination = asked(tmp_path, {f"{RUST_DROP_INS}/50.toml": drop_in})

    assert {check: status(examination, check, RUST) for check in (WHAT, GUEST)} == dict.fromkeys((WHAT, GUEST), expected)


@pytest.mark.parametrize(
    ("runtime", "engine", "switches", "expected"),
    [
        ("", "info", "", (Status.BLIND, Status.BLIND)),
        ("", "debug", "", (Status.PASS, Status.BLIND)),
        ("", "debug", SWITCHES.format("remote"), (Status.PASS, Status.WARN)),
        ("runtime-rs/", "info", "", (Status.WARN, Status.WARN)),
        ("runtime-rs/", "info", "[hypervisor.remote]\nkernel_params = 'agent.log_vport=1025'\n", (Status.WARN, Status.WARN)),
        ("runtime-rs/", "debug", "", (Status.PASS, Status.WARN)),
    ],
)
def test_what_a_machine_elsewhere_says_no_file_of_the_node_decides(
    tmp_path: Path, runtime: str, engine: str, switches: str, expected: tuple[Status, Status]
) -> None:
    """But for a Go shim that is not at debug: it would not relay what came."""
    base = f"{DEFAULTS}/remote/configuration-remote.toml"
    files = {
        "etc/containerd/config.toml": level(engine)
        + containerd(("kata-remote", f"/opt/kata/{runtime}bin/containerd-shim-kata-v2", f"/{base}")),
        base: QEMU.replace("hypervisor.qemu", "hypervisor.remote"),
        f"{DEFAULTS}/remote/config.d/50.toml": switches,
    }
    examination = asked(tmp_path, files)

    assert (status(examination, WHAT, "kata-remote"), status(examination, GUEST, "kata-remote")) == expected


@pytest.mark.parametrize(
    ("engine", "denied", "rust", "go"),
    [
        (level("info"), Status.PASS, Status.PASS, Status.PASS),
        (level("error"), Status.PASS, Status.PASS, Status.PASS),
        (level("fatal"), Status.BLIND, Status.BLIND, Status.PASS),
        ("imports = ['conf.d/x.toml']\n", Status.BLIND, Status.BLIND, Status.PASS),
    ],
)
def test_what_stands_in_the_engines_log_only_is_lost_with_it(
    tmp_path: Path, engine: str, denied: Status, rust: Status, go: Status
) -> None:
    """A file of the engine that cannot be read may hold its level."""
    examination = asked(tmp_path, {"etc/containerd/conf.d/x.toml": "= ="}, engine=engine)

    assert {status(examination, DENIED, name) for name in (GO, RUST)} == {denied}
    assert (status(examination, WHY, RUST), status(examination, WHY, GO)) == (rust, go)


@pytest.mark.parametrize(
    ("drop_in", "engine", "expected"),
    [
        ("[agent.kata]\nno_such = 1\n", "info", Status.PASS),
        ("= =", "info", Status.PASS),
        ("[runtime]\nenable_debug = 'yes'\n", "info", Status.PASS),
        ("[runtime]\nenable_debug = 'yes'\n", "panic", Status.BLIND),
    ],
)
def test_a_configuration_that_a_runtime_refuses_is_a_cause_that_the_engine_writes(
    tmp_path: Path, drop_in: str, engine: str, expected: Status
) -> None:
    examination = asked(tmp_path, {f"{d}/50.toml": drop_in for d in (GO_DROP_INS, RUST_DROP_INS)}, engine=level(engine))

    assert {status(examination, WHY, name) for name in (GO, RUST)} == {expected}
    assert {status(examination, check, GO) for check in (WHAT, DENIED, GUEST)} == {Status.BLIND}


def test_a_file_that_was_not_found_is_a_warning_and_one_that_cannot_be_read_is_blind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_read(monkeypatch, GO_DROP_INS)
    rust = f"{DEFAULTS}/runtime-rs/runtimes/qemu-runtime-rs/configuration-qemu-runtime-rs.toml"
    examination = asked(tmp_path, {f"{GO_DROP_INS}/50.toml": "", rust: "-> /gone"})

    assert (status(examination, WHY, GO), status(examination, WHY, RUST)) == (Status.BLIND, Status.WARN)


def test_before_4_0_a_go_shim_warns_only_unless_it_is_at_debug(tmp_path: Path) -> None:
    debug = {f"{GO_DROP_INS}/50.toml": "[runtime]\nenable_debug = true\n"}

    assert status(asked(tmp_path / "a", version="3.27.0"), WHY, GO) is Status.WARN
    assert status(asked(tmp_path / "b", debug, engine=level("debug"), version="3.27.0"), WHY, GO) is Status.PASS


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, Status.BLIND),
        ("[[journal]]\n", Status.BLIND),
        ("[[agent]]\n", Status.PASS),
        ('[[agent]]\npath = "/run/vc/firecracker/*/*/kata.hvsock"\n', Status.PASS),
        ('[[agent]]\npath = "/elsewhere/*/kata.hvsock"\n', Status.BLIND),
        ("[[agent]]\ncid = 42\n", Status.BLIND),
        ("agent = 1\n", Status.BLIND),
        ("[[agent\n", Status.BLIND),
    ],
)
def test_a_log_port_that_nothing_in_kata_reads_is_heard_where_our_collector_does(
    tmp_path: Path, config: str | None, expected: Status
) -> None:
    """Firecracker under the Go runtime, without debug: its agent's port is open."""
    base = f"{DEFAULTS}/runtimes/fc/configuration-fc.toml"
    handlers = containerd(("kata-fc", "/opt/kata/bin/containerd-shim-kata-v2", f"/{base}"))
    files: dict[str, str | bytes] = {
        "opt/kata/VERSION": "4.1.0",
        "etc/containerd/config.toml": handlers,
        base: QEMU.replace("hypervisor.qemu", "hypervisor.firecracker"),
    }
    if config is not None:
        files["etc/kata-audit/config.toml"] = config
    examination = examine(FolderTree(plant(tmp_path, files)), KEYS, node_checks())

    assert status(examination, GUEST, "kata-fc") == expected
