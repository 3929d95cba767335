"""What is planned for the journal: only what is not good enough, only where it will come out so, and back byte for byte."""

import json
from functools import partial
from pathlib import Path

import pytest
import yaml
from tests.unit.node.test_plan import dying_at, node, snapshot
from tests.unit.node.trees import plant

from kata_audit.cli.main import run
from kata_audit.node.apply import apply_plan
from kata_audit.node.gitops import as_ansible, as_helm_values, as_machineconfig, as_toml
from kata_audit.node.host import read_systemd
from kata_audit.node.journald import PATH
from kata_audit.node.plan import JournaldPlan
from kata_audit.node.tree import FolderTree
from kata_audit.wiring import apply_node, examine_node, plan_node, revert_changes

CONF = "etc/systemd/journald.conf"
WHOLE = {
    "Storage": "persistent",
    "RateLimitBurst": "100000",
    "LineMax": "256K",
    "SystemMaxUse": "4G",
    "SystemMaxFileSize": "128M",
}
"""What production sets where nothing is set; `MaxLevelStore` is debug by default."""
CHECKS = ("KN-070", "KN-071", "KN-072", "KN-073", "KN-074")


def with_journal(root: Path, text: str = "", **more: str | bytes) -> Path:
    files: dict[str, str | bytes] = {CONF: f"[Journal]\n{text}", "var/log/journal/x/y.journal": "", **more}
    if "Storage=" not in text:
        del files["var/log/journal/x/y.journal"]
    return node(root, files)


def planned(root: Path, profile: str = "production") -> JournaldPlan:
    found = plan_node(root, profile).journald
    assert found is not None
    return found


def effective(root: Path) -> dict[str, str]:
    settings = read_systemd(FolderTree(root), "journald.conf", section="Journal").settings
    return {key: stated.value for key, stated in settings.items()}


def test_a_journal_of_which_nothing_is_set_gets_what_the_checks_ask_for(tmp_path: Path) -> None:
    """After it they pass, and the same plan is nothing new."""
    root = with_journal(tmp_path)
    before = {one.check.id: one.answer.status for one in examine_node(root, only=CHECKS).findings}
    plan = planned(root)
    assert {key: after for key, _, after in plan.changes} == WHOLE
    assert (plan.path, plan.takes_effect, plan.refused) == (PATH, "restart of systemd-journald", None)
    assert [act.done for act in apply_node(root, "production", unmanaged=True)] == ["written", "written"]

    assert effective(root) == WHOLE
    after = {one.check.id: one.answer.status for one in examine_node(root, only=CHECKS).findings}
    assert set(after.values()) == {"pass"} != set(before.values())
    assert [act.done for act in apply_node(root, "production", unmanaged=True)] == ["unchanged", "unchanged"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Storage=persistent", "Storage"),
        ("RateLimitBurst=0", "RateLimitBurst"),
        ("RateLimitBurst=200K", "RateLimitBurst"),
        ("RateLimitIntervalSec=0", "RateLimitBurst"),
        ("LineMax=1M", "LineMax"),
        ("SystemKeepFree=10G", "SystemMaxUse"),
        ("SystemMaxUse=100M", "SystemMaxFileSize"),
    ],
)
def test_what_is_as_good_or_somebodys_choice_stays(tmp_path: Path, text: str, left: str) -> None:
    plan = planned(with_journal(tmp_path, f"{text}\n"))

    assert left not in {key for key, _, _ in plan.changes}


def test_a_journal_in_memory_is_made_to_last_and_one_with_its_folder_lasts(tmp_path: Path) -> None:
    volatile = planned(with_journal(tmp_path / "a", "Storage=volatile\n"))
    folder = planned(node(tmp_path / "b", {CONF: "[Journal]\n", "var/log/journal/x/y.journal": ""}))

    assert ("Storage", "volatile", "persistent") in volatile.changes
    assert "Storage" not in {key for key, _, _ in folder.changes}


@pytest.mark.parametrize(("text", "changed"), [("MaxLevelStore=warning", True), ("MaxLevelStore=6", False), ("", False)])
def test_records_at_info_are_stored(tmp_path: Path, text: str, *, changed: bool) -> None:
    changes = planned(with_journal(tmp_path, f"{text}\n")).changes

    assert (("MaxLevelStore", "warning", "debug") in changes) is changed


def test_a_key_that_a_later_file_sets_is_refused_with_that_file(tmp_path: Path) -> None:
    """Of whatever directory: they are read in the order of their names."""
    late = "usr/lib/systemd/journald.conf.d/90-vendor.conf"
    plan = planned(node(tmp_path, {CONF: "", late: "[Journal]\nLineMax=8K\n"}))

    assert plan.path is None
    assert plan.refused == f"{late} is read behind the drop-in and sets LineMax: change it there"


def test_a_node_without_systemd_and_one_that_hides_its_settings_are_refused(tmp_path: Path) -> None:
    assert "no settings" in str(planned(node(tmp_path / "a")).refused)
    linked = node(tmp_path / "c", {"etc/systemd": "-> ../elsewhere", "elsewhere/journald.conf": ""})
    assert "behind a link" in str(planned(linked).refused)
    assert revert_changes(tmp_path / "a") == revert_changes(linked) == []
    loop = planned(node(tmp_path / "b", {CONF: "-> journald.conf"}))
    assert "cannot be read" in str(loop.refused)


def test_where_classes_are_named_the_journal_is_left_alone(tmp_path: Path) -> None:
    root = with_journal(tmp_path)

    assert plan_node(root, "production", classes=["kata-qemu"]).journald is None
    assert [act.handler for act in apply_node(root, "production", classes=["kata-qemu-runtime-rs"], unmanaged=True)] == [
        "kata-qemu-runtime-rs"
    ]


@pytest.mark.parametrize("theirs", [None, "[Journal]\nLineMax=1K\n"], ids=["free", "taken"])
def test_a_revert_restores_byte_for_byte_and_a_death_at_any_call_leaves_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: str | None
) -> None:
    """Before or after, never in between: every file of journald's is as it was or as it was planned."""
    files: dict[str, str | bytes] = {CONF: "[Journal]\nSync=x\n"}
    if theirs:
        files[PATH] = theirs
    number, lived = 0, {"apply": False, "revert": False}
    while not all(lived.values()):
        number += 1
        for act in [act for act, done in lived.items() if not done]:
            root = plant(tmp_path / f"{act}{number}", files)
            before = snapshot(root)
            plan = plan_node(root, "production")
            if act == "revert":
                apply_plan(root, plan)
            lived[act] = dying_at(
                monkeypatch, number, partial(revert_changes, root) if act == "revert" else partial(apply_plan, root, plan)
            )
            held = (root / PATH).read_text() if (root / PATH).exists() else None
            assert held in {theirs, planned_text(plan.journald)}
            revert_changes(root)
            revert_changes(root)
            assert snapshot(root) == before, (act, number)
    assert number > 10


def planned_text(plan: JournaldPlan | None) -> str | None:
    assert plan is not None
    return plan.text


def test_another_profile_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    root = with_journal(tmp_path)
    apply_node(root, "development", unmanaged=True)
    assert effective(root)["RateLimitBurst"] == "0"
    apply_node(root, "production", unmanaged=True)

    assert effective(root) == WHOLE


def test_what_an_administrator_sets_meanwhile_takes_ours_back(tmp_path: Path) -> None:
    """What is good without us is not set by us: the next apply leaves a drop-in that sets nothing."""
    root = with_journal(tmp_path)
    apply_node(root, "production", unmanaged=True)
    (root / CONF).write_text("[Journal]\n" + "".join(f"{key}={value}\n" for key, value in WHOLE.items()))
    apply_node(root, "production", unmanaged=True)

    assert (root / PATH).read_text().count("\n") == 1
    assert planned(root).changes == ()


def test_every_form_that_can_carry_it_does(tmp_path: Path) -> None:
    """kata-deploy's chart cannot, and journald's file is no TOML."""
    plan = plan_node(with_journal(tmp_path), "production")
    assert plan.journald is not None
    machine = yaml.safe_load(as_machineconfig(plan))["spec"]["config"]["storage"]["files"]
    ansible = yaml.safe_load(as_ansible(plan))

    assert [one["path"] for one in machine][1:] == [f"/{PATH}"]
    assert ansible[-1]["ansible.builtin.copy"] == {"dest": f"/{PATH}", "content": plan.journald.text, "mode": "0644"}
    assert "journald" not in as_helm_values(plan) + as_toml(plan)


def test_the_command_shows_it_as_text_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = with_journal(tmp_path, "LineMax=\x1b[31m8K\n")
    assert run(["node", "plan", "--root", str(root)]) == 0
    text = capsys.readouterr().out
    assert run(["node", "plan", "--root", str(root), "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["journald"]

    assert "\x1b[31m8K" not in text
    assert "+ LineMax=256K" in text
    assert "restart of systemd-journald" in " ".join(text.split())
    assert {"key": "Storage", "before": None, "after": "persistent"} in told["changes"]
