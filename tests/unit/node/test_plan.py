"""A plan offers only what the runtime accepts; an apply is whole or not at all; a revert restores byte for byte."""

import base64
import os
import re
import stat
import tarfile
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.node.trees import DEFAULTS, GO_DROP_INS, KEYS, QEMU, RUST_DROP_INS, containerd, modern_files, plant, read

from kata_audit.cli.main import run
from kata_audit.errors import UsageError
from kata_audit.node import apply
from kata_audit.node.apply import apply_plan, revert_node
from kata_audit.node.gitops import as_ansible, as_helm_values, as_machineconfig, as_toml
from kata_audit.node.layout import RuntimeClass
from kata_audit.node.overlay import DROP_IN
from kata_audit.node.plan import Plan, is_installed
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
    (os, "link"),
    (os, "rename"),
    (os, "mkdir"),
    (os, "unlink"),
    (os, "rmdir"),
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
    """Whatever is left, the class loads; the same apply goes on, and a revert, then or at once, restores byte for byte."""
    files: dict[str, str | bytes] = {RUST_PATH: "[runtime]\nenable_debug = true\n"} if taken else {}
    number = points = 0
    lived = {"apply": False, "apply, not again": False, "revert": False}
    while not all(lived.values()):
        number += 1
        for act in [act for act, done in lived.items() if not done]:
            root = node(tmp_path / f"{act}{number}", files)
            before = snapshot(root)
            plan = plan_node(root, "production")
            if act == "revert":
                apply_plan(root, plan)
            lived[act] = dying_at(
                monkeypatch, number, partial(revert, root) if act == "revert" else partial(apply_plan, root, plan)
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


def test_every_call_that_changes_a_node_is_one_of_those_at_which_a_death_is_tried() -> None:
    named = set(re.findall(r"\bos\.([a-z]+)\(", Path(apply.__file__).read_text()))

    assert named - {"close", "stat", "fdopen"} == {name for _, name in CALLS}
    assert not re.search(r"\.(?:write_|touch|symlink_to|hardlink_to|replace\(|chmod)", Path(apply.__file__).read_text())


def test_our_bytes_are_durable_before_they_have_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real_sync, real_rename = os.fsync, os.rename

    def sync(descriptor: int) -> None:
        calls.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_sync(descriptor)

    def rename(*arguments: Any, **named: Any) -> None:
        calls.append("rename")
        real_rename(*arguments, **named)

    root = node(tmp_path)
    plan = plan_node(root, "production")
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "rename", rename)
    apply_plan(root, plan)

    assert calls[-4:] == ["file", "rename", "directory", "directory"]


def test_a_parameter_that_the_class_has_with_another_value_is_replaced(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        f"{RUST_DROP_INS}/30.toml": "[hypervisor.qemu]\nkernel_params = 'a agent.log_vport=9 b'\n"
    }
    change = of(plan_node(node(tmp_path, files), "production"), "kata-qemu-runtime-rs").changes[0]

    assert change.after == "a b agent.log_vport=1025"


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_what_stood_in_our_place_keeps_its_mode_and_nobody_else_can_read_its_backup(tmp_path: Path, mode: int) -> None:
    """A drop-in may hold a password of Jaeger's."""
    root = node(tmp_path, {RUST_PATH: "[runtime]\njaeger_password = 'x'\n"})
    (root / RUST_PATH).chmod(mode)
    owner = (root / RUST_PATH).stat().st_ino
    apply_node(root, "production", unmanaged=True)
    backup = (root / RUST_DROP_INS).parent / ".kata-audit-backup"

    assert backup.stat().st_mode & 0o777 == mode
    revert(root)
    assert ((root / RUST_PATH).stat().st_mode & 0o777, (root / RUST_PATH).stat().st_ino) == (mode, owner)


def test_a_file_that_somebody_put_in_our_place_is_kept_by_a_revert(tmp_path: Path) -> None:
    root = node(tmp_path, {RUST_PATH: "[runtime]\nenable_debug = true\n"})
    apply_node(root, "production", unmanaged=True)
    (root / RUST_PATH).unlink()
    (root / RUST_PATH).write_text("# mine\n")

    assert [act.done for act in revert(root)] == ["kept"]
    assert (root / RUST_PATH).read_text() == "# mine\n"
    apply_node(root, "production", unmanaged=True)
    assert [act.done for act in revert(root)] == ["restored"]
    assert (root / RUST_PATH).read_text() == "# mine\n"


def test_what_stood_in_our_place_comes_back_though_an_installer_took_the_directory_away(tmp_path: Path) -> None:
    root = node(tmp_path, {RUST_PATH: "# theirs\n"})
    apply_node(root, "production", unmanaged=True)
    (root / RUST_PATH).unlink()
    (root / RUST_DROP_INS).rmdir()

    assert [act.done for act in revert(root)] == ["restored"]
    assert (root / RUST_PATH).read_text() == "# theirs\n"


@pytest.mark.parametrize("act", ["apply", "revert"])
@pytest.mark.parametrize("swapped", [RUST_DROP_INS, str(Path(RUST_DROP_INS).parent), "opt/kata", "opt"])
def test_a_directory_that_became_a_link_out_of_the_root_is_not_followed(tmp_path: Path, act: str, swapped: str) -> None:
    """The plan was made before, as it is when somebody wins the race."""
    root = node(tmp_path / "root", {RUST_PATH: "# theirs\n"})
    plan = plan_node(root, "production")
    if act == "revert":
        apply_plan(root, plan)
    outside = tmp_path / "outside"
    (root / swapped).rename(outside)
    (root / swapped).symlink_to(outside)
    before = snapshot(outside)

    with pytest.raises(UsageError, match="is a link"):
        apply_plan(root, plan) if act == "apply" else revert(root)
    assert snapshot(outside) == before


def test_a_class_whose_directory_is_a_link_is_no_obstacle_to_a_revert_of_another(tmp_path: Path) -> None:
    root = node(tmp_path, {GO_DROP_INS: "-> /elsewhere"})
    apply_node(root, "production", classes=["kata-qemu-runtime-rs"], unmanaged=True)

    assert [act.done for act in revert(root)] == ["removed"]


def test_the_lock_makes_nothing_that_was_not_there_and_follows_no_link(tmp_path: Path) -> None:
    root, outside = node(tmp_path / "root"), tmp_path / "outside"
    outside.mkdir()
    apply_node(root, "production", unmanaged=True)
    assert not (root / "run").exists()
    (root / "run").symlink_to(outside)
    revert(root)

    assert list(outside.iterdir()) == []


def test_two_that_change_one_node_do_not_do_it_at_once(tmp_path: Path) -> None:
    for name in ("without", "with"):
        root = node(tmp_path / name, {"run/x": ""} if name == "with" else None)
        plan = plan_node(root, "production")
        with apply._locked(root), pytest.raises(UsageError, match="Another change"):
            apply_plan(root, plan)


def test_an_archive_is_not_changed_and_the_next_step_is_said(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "n.tar", "w") as archive:
        archive.add(node(tmp_path / "n"), arcname=".")

    with pytest.raises(UsageError, match="Only a folder") as caught:
        apply_node(tmp_path / "n.tar", "production", unmanaged=True)
    assert "plan -o toml" in caught.value.diagnostics()


def test_another_profile_takes_the_place_of_the_one_before_and_the_original_comes_back(tmp_path: Path) -> None:
    """Production changes nothing on a bare Go class; debug of the profile before must not stay."""
    root = node(tmp_path, {f"{GO_DROP_INS}/{DROP_IN}": "# theirs\n"})
    before = snapshot(root)
    apply_node(root, "development", unmanaged=True)
    assert by_name(root)["kata-qemu"].effective["agent.enable_debug"].value is True
    apply_node(root, "production", unmanaged=True)

    assert by_name(root)["kata-qemu"].effective["agent.enable_debug"].value is False
    assert of(plan_node(root, "production"), "kata-qemu").path is None
    revert(root)
    assert snapshot(root) == before


def test_a_measured_line_that_only_our_own_drop_in_held_is_not_taken_back_unasked(tmp_path: Path) -> None:
    name = "kata-qemu-snp-runtime-rs"
    base = f"{DEFAULTS}/runtime-rs/runtimes/snp/configuration.toml"
    handlers = containerd((name, "/opt/kata/runtime-rs/bin/containerd-shim-kata-v2", f"/{base}"))
    root = plant(tmp_path, {"opt/kata/VERSION": "3.27.0", "etc/containerd/config.toml": handlers, base: QEMU})
    apply_plan(root, plan_node(root, "production", confirmed=True))

    assert of(plan_node(root, "confidential"), name).measured == ("agent.log_vport=1025", "")
    assert of(plan_node(root, "confidential"), name).refused is not None
    assert of(plan_node(root, "production"), name).refused is None


def test_a_key_that_a_later_drop_in_sets_is_not_promised(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"{GO_DROP_INS}/90-site.toml": "[agent.kata]\ndebug_console_enabled = true\n"}
    one = of(plan_node(node(tmp_path, files), "production"), "kata-qemu")

    assert (one.path, "90-site.toml is read behind" in one.refused) == (None, True)


HOSTILE = 'a"b# c\\d \\U0001f600 {{lookup("pipe","id")}} \u202e\u2028\x85\x1b]0;x\x07'


def test_hostile_values_come_out_of_every_form_as_they_went_in(tmp_path: Path) -> None:
    """Quotes, backslashes, comments, templates, line ends and escapes in a value change neither the value nor the form."""
    stated = "".join(f"\\U{ord(character):08x}" for character in HOSTILE)
    files: dict[str, str | bytes] = {f"{RUST_DROP_INS}/30.toml": f'[hypervisor.qemu]\nkernel_params = "{stated}"\n'}
    plan = plan_node(node(tmp_path, files), "production")
    one = of(plan, "kata-qemu-runtime-rs")

    assert one.text.isascii()
    assert one.text.replace("\n", "").isprintable()
    value = tomllib.loads(one.text)["hypervisor"]["qemu"]["kernel_params"]
    assert value.split() == [*HOSTILE.split(), "agent.log_vport=1025"]
    assert tomllib.loads(as_toml(plan)) == tomllib.loads(one.text)
    assert yaml.safe_load(as_helm_values(plan))["shims"]["qemu-runtime-rs"]["dropIn"] == one.text
    source = yaml.safe_load(as_machineconfig(plan))["spec"]["config"]["storage"]["files"][0]["contents"]["source"]
    assert base64.b64decode(source.partition(",")[2]).decode() == one.text
    assert "content: !unsafe" in as_ansible(plan)
    assert yaml.safe_load(as_ansible(plan).replace("!unsafe", "!!str"))[1]["ansible.builtin.copy"]["content"] == one.text


def test_a_hostile_name_of_a_hypervisor_opens_no_other_table(tmp_path: Path) -> None:
    name = '\\"]\\n[runtime.x'
    base = QEMU.replace("[hypervisor.qemu]", f'[hypervisor."{name}"]')
    path = f"{RUST_DROP_INS.removesuffix('/config.d')}/configuration-qemu-runtime-rs.toml"
    one = of(plan_node(node(tmp_path, {path: base}), "production"), "kata-qemu-runtime-rs")

    assert set(tomllib.loads(one.text)) == {"hypervisor"} | set(tomllib.loads(one.text)) - {"runtime"}
    assert list(tomllib.loads(one.text)["hypervisor"]) == ['"]\n[runtime.x']


def test_a_drop_in_whose_name_is_no_utf_8_stops_no_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = node(tmp_path, {f"{RUST_DROP_INS}/\udcff.toml": "[runtime]\nlog_level = 'warn'\n"})

    for form in ("text", "json", "toml", "helm-values", "machineconfig", "ansible"):
        assert run(["node", "plan", "--root", str(root), "-o", form]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("path", "installed"),
    [
        ("opt/kata/x", True),
        ("opt/kata-b/x", True),
        ("var/lib/opt/kata/x", True),
        ("opt/katabase/x", False),
        ("usr/share/x", False),
    ],
)
def test_what_kata_deploy_lays_out_is_known_at_any_prefix(path: str, *, installed: bool) -> None:
    assert is_installed(path) is installed


def by_name(root: Path) -> dict[str, RuntimeClass]:
    return {one.handler.name: one for one in read(root).classes}


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
