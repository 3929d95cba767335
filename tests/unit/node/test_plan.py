"""A plan offers only what the runtime accepts; an apply is whole or not at all; a revert restores byte for byte."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.node.trees import DEFAULTS, GO_DROP_INS, KEYS, QEMU, RUST_DROP_INS, containerd, modern_files, plant, read

from kata_audit.errors import UsageError
from kata_audit.node.apply import apply_plan, revert_node
from kata_audit.node.gitops import as_ansible, as_helm_values, as_machineconfig
from kata_audit.node.plan import DROP_IN, Plan
from kata_audit.node.tree import FolderTree
from kata_audit.wiring import apply_node, plan_node

RUST_PATH = f"{RUST_DROP_INS}/{DROP_IN}"


def node(root: Path, files: dict[str, str | bytes] | None = None, *, version: str = "3.27.0") -> Path:
    return plant(root, {**modern_files(version), **(files or {})})


def snapshot(root: Path) -> dict[str, bytes | str]:
    """Read every file, link and directory below a root, but the lock."""
    found: dict[str, bytes | str] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if not name.startswith("run"):
            found[name] = (
                f"-> {path.readlink()}" if path.is_symlink() else path.read_bytes() if path.is_file() else "directory"
            )
    return found


def of(plan: Plan, handler: str) -> Any:
    return next(one for one in plan.classes if one.handler == handler)


def test_the_agents_lines_are_let_out_behind_what_the_class_has(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        f"{RUST_DROP_INS}/30-kernel-params.toml": "[hypervisor.qemu]\nkernel_params = 'quiet x=1'\n"
    }
    one = of(plan_node(node(tmp_path, files), "production"), "kata-qemu-runtime-rs")

    assert one.path == RUST_PATH
    assert 'kernel_params = "quiet x=1 agent.log_vport=1025"' in one.text
    assert one.takes_effect == "next sandbox"


def test_a_class_that_is_as_it_should_be_is_left_alone(tmp_path: Path) -> None:
    assert of(plan_node(node(tmp_path), "production"), "kata-qemu").path is None


def test_no_key_is_written_that_the_release_or_the_runtime_does_not_read(tmp_path: Path) -> None:
    """A filter of runtime-rs in a drop-in of the Go runtime stops every pod of the class."""
    drop_in: dict[str, str | bytes] = {f"{GO_DROP_INS}/50.toml": "[hypervisor.qemu]\nenable_debug = true\n"}
    plan = plan_node(node(tmp_path, drop_in), "production")

    assert "enable_debug = false" in of(plan, "kata-qemu").text
    assert "log_level" not in of(plan, "kata-qemu").text


@pytest.mark.parametrize(
    ("files", "version", "why"),
    [
        ({f"{RUST_DROP_INS}/50.toml": "= ="}, "3.27.0", "does not load"),
        ({}, "2.9.0", "reads no drop-ins"),
        ({f"{RUST_DROP_INS}/50.toml": "[hypervisor.clh]\npath = ''\n"}, "3.27.0", "not settled"),
    ],
)
def test_what_cannot_be_done_safely_is_refused_with_the_reason(
    tmp_path: Path, files: dict[str, str | bytes], version: str, why: str
) -> None:
    one = of(plan_node(node(tmp_path, files, version=version), "production"), "kata-qemu-runtime-rs")

    assert one.path is None
    assert why in one.refused


def test_a_directory_that_others_read_is_refused_with_the_offer_of_an_own_class(tmp_path: Path) -> None:
    shim = "/opt/kata/bin/containerd-shim-kata-v2"
    names = ("kata-qemu", "kata-clh")
    handlers = containerd(*((name, shim, f"/{DEFAULTS}/configuration-{name[5:]}.toml") for name in names))
    files: dict[str, str | bytes] = {
        "opt/kata/VERSION": "3.20.0",
        "etc/containerd/config.toml": handlers,
        f"{DEFAULTS}/configuration-qemu.toml": QEMU.replace("kernel_params", "enable_debug = true\nkernel_params"),
        f"{DEFAULTS}/configuration-clh.toml": "[hypervisor.clh]\n",
    }
    one = of(plan_node(plant(tmp_path, files), "production"), "kata-qemu")

    assert (one.path, one.reaches) == (None, ("kata-clh", "kata-qemu"))
    assert "a class of its own" in one.refused


def test_a_measured_guest_is_changed_only_when_it_is_confirmed(tmp_path: Path) -> None:
    base = f"{DEFAULTS}/runtime-rs/runtimes/qemu-snp-runtime-rs"
    handlers = containerd(
        ("kata-qemu-snp-runtime-rs", "/opt/kata/runtime-rs/bin/containerd-shim-kata-v2", f"/{base}/c.toml")
    )
    root = plant(tmp_path, {"opt/kata/VERSION": "3.27.0", "etc/containerd/config.toml": handlers, f"{base}/c.toml": QEMU})

    refused = of(plan_node(root, "production"), "kata-qemu-snp-runtime-rs")
    confirmed = of(plan_node(root, "production", confirmed=True), "kata-qemu-snp-runtime-rs")

    assert (refused.path, refused.measured) == (None, ("", "agent.log_vport=1025"))
    assert confirmed.path is not None


def test_a_class_that_does_not_exist_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="kata-nope"):
        plan_node(node(tmp_path), "production", classes=["kata-nope"])


def test_apply_again_changes_nothing_and_revert_restores_byte_for_byte(tmp_path: Path) -> None:
    root = node(tmp_path)
    before = snapshot(root)
    first = apply_node(root, "production", unmanaged=True)
    again = apply_node(root, "production", unmanaged=True)

    assert [act.done for act in first] == ["written"]
    assert [act.done for act in again] == ["unchanged"]
    assert [act.done for act in revert(root)] == ["removed"]
    assert snapshot(root) == before
    assert revert(root) == []


def test_what_stood_in_our_place_comes_back(tmp_path: Path) -> None:
    root = node(tmp_path, {RUST_PATH: "[runtime]\nenable_debug = true\n"})
    before = snapshot(root)
    apply_node(root, "production", unmanaged=True)

    assert snapshot(root) != before
    assert [act.done for act in revert(root)] == ["restored"]
    assert snapshot(root) == before


def test_where_an_installer_deletes_our_files_apply_asks_first(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="kata-deploy"):
        apply_node(node(tmp_path), "production")


def test_a_link_in_place_of_the_directory_or_of_our_file_is_refused(tmp_path: Path) -> None:
    root = node(tmp_path)
    elsewhere = root / "elsewhere"
    elsewhere.mkdir()
    (root / RUST_DROP_INS).symlink_to(os.path.relpath(elsewhere, (root / RUST_DROP_INS).parent))

    with pytest.raises(UsageError, match="is a link"):
        apply_node(root, "production", unmanaged=True)
    assert list(elsewhere.iterdir()) == []


def revert(root: Path) -> list[Any]:
    return revert_node(root, [("kata-qemu-runtime-rs", RUST_PATH), ("kata-qemu", f"{GO_DROP_INS}/{DROP_IN}")])


class Died(BaseException):
    """The process ended here."""


CALLS: tuple[tuple[Any, str], ...] = (
    (os, "open"),
    (os, "write"),
    (os, "fsync"),
    (Path, "rename"),
    (Path, "mkdir"),
    (Path, "unlink"),
    (Path, "rmdir"),
)


def dying_at(monkeypatch: pytest.MonkeyPatch, number: int, run: Callable[[], object]) -> bool:
    """Run something that dies before its system call of a number; say whether it lived to the end."""
    seen = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == number:
                raise Died
            return real(*arguments, **named)

        return call

    with monkeypatch.context() as patched:
        for owner, name in CALLS:
            patched.setattr(owner, name, counted(getattr(owner, name)))
        try:
            run()
        except Died:
            return False
    return True


@pytest.mark.parametrize("taken", [False, True], ids=["free", "taken"])
def test_a_death_at_any_system_call_leaves_the_class_as_before_or_as_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, taken: bool
) -> None:
    """Whatever is left, the class loads; the same apply goes on, and a revert then restores byte for byte."""
    files: dict[str, str | bytes] = {RUST_PATH: "[runtime]\nenable_debug = true\n"} if taken else {}
    number = points = 0
    lived = {"apply": False, "revert": False}
    while not all(lived.values()):
        number += 1
        for act in ("apply", "revert"):
            if lived[act]:
                continue
            root = node(tmp_path / f"{act}{number}", files)
            before = snapshot(root)
            plan = plan_node(root, "production")
            if act == "revert":
                apply_plan(root, plan)
            lived[act] = dying_at(
                monkeypatch, number, partial(apply_plan, root, plan) if act == "apply" else partial(revert, root)
            )
            points += not lived[act]
            layout = read(root)
            rust = next(one for one in layout.classes if one.handler.name == "kata-qemu-runtime-rs")
            assert rust.loads, (act, number)
            assert rust.effective["hypervisor.kernel_params"].value in {"", "agent.log_vport=1025"}
            if act == "apply":
                apply_plan(root, plan)
                assert FolderTree(root).data(RUST_PATH).endswith(b'kernel_params = "agent.log_vport=1025"\n')
            revert(root)
            revert(root)
            assert snapshot(root) == before, (act, number)
    print(f"{points} points")
    assert points > 20


def test_helm_values_machineconfig_and_ansible_carry_the_same_bytes(tmp_path: Path) -> None:
    plan = plan_node(node(tmp_path), "production")
    text = of(plan, "kata-qemu-runtime-rs").text
    helm = yaml.safe_load(as_helm_values(plan))
    machine = yaml.safe_load(as_machineconfig(plan))
    ansible = yaml.safe_load(as_ansible(plan))

    assert helm["shims"]["qemu-runtime-rs"]["dropIn"] == text
    assert machine["spec"]["config"]["storage"]["files"][0]["path"] == f"/{RUST_PATH}"
    assert ansible[1]["ansible.builtin.copy"] == {"dest": f"/{RUST_PATH}", "content": text, "mode": "0644"}


@pytest.mark.parametrize("profile", ["development", "production", "security-sensitive", "confidential"])
def test_every_profile_loads_on_both_runtimes_and_plans_nothing_after_itself(tmp_path: Path, profile: str) -> None:
    files: dict[str, str | bytes] = {f"{GO_DROP_INS}/50.toml": "[agent.kata]\ndebug_console_enabled = true\n"}
    root = node(tmp_path, files, version="4.1.0")
    apply_plan(root, plan_node(root, profile))

    assert all(one.loads for one in read(root).classes)
    assert {act.done for act in apply_plan(root, plan_node(root, profile))} <= {"unchanged"}
    assert KEYS.audited
