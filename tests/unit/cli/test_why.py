"""`why` answers on one screen and as objects, and sends nothing of a log to the terminal as it is."""

import json
from pathlib import Path

import pytest
from tests.unit.pipeline.why_lines import AGENT, CONTAINERD, NO_AGENT, NO_DEVICE

from kata_audit.cli import main

HOSTILE = (
    r'time="2026-11-23T06:10:00.000000000Z" level=error msg="RunPodSandbox for name:\"evil\"  uid:\"u-1\"  namespace:\"shop\" '
    r'failed, error" error="rpc error: code = Unknown desc = failed to start sandbox \"' + "ef" * 32 + r"\": "
    'the \x1b]52;c;AAAA\x07 moon \\u202e is full"\n'
)


@pytest.fixture(autouse=True)
def _store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("KATA_AUDIT_STORE", str(tmp_path / "trail"))
    monkeypatch.setenv("KATA_AUDIT_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.delenv("KATA_AUDIT_KEYS", raising=False)
    (tmp_path / "containerd.log").write_text(CONTAINERD + HOSTILE)
    (tmp_path / f"agent-{NO_AGENT}.jsonl").write_text(AGENT)
    assert main.run(["ingest", "--transport", "host-file", str(tmp_path / "containerd.log")]) == 0
    assert main.run(["ingest", "--transport", "console", str(tmp_path / f"agent-{NO_AGENT}.jsonl")]) == 0
    capsys.readouterr()


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main.run(["why", *arguments]) == 0
    return capsys.readouterr().out


def test_the_answer_is_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    """Layer, record, innermost text, remedy and blind spots stand in 80 columns and 24 lines."""
    lines = answer(capsys, "default/bad-qemu-nokernel", "--width", "80").splitlines()

    assert len(lines) <= 24
    assert all(len(line) <= 80 for line in lines)
    assert lines[0] == "Pod      default/bad-qemu-nokernel, uid 09957903-574a-4a83-af18-491fb069aa52"
    assert "Failed   host: The node has no /dev/vhost-vsock" in lines
    assert any(line.startswith("Through  failed to start sandbox") for line in lines)
    assert any(line.startswith("Do       Load it (`modprobe vhost_vsock`)") for line in lines)
    assert any(line.startswith("Blind    ") for line in lines)


def test_the_answer_is_an_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A program reads the same answer, with the record by its number."""
    (row,) = json.loads(answer(capsys, NO_DEVICE[:8], "-o", "json"))

    assert (row["failed"], row["layer"], row["cause"]["id"]) == (True, "host", "host-no-vhost-vsock")
    assert row["first"]["seq"] == 5
    assert row["first"]["claim"] is False
    assert row["first"]["links"][-1] == "no such file or directory"
    assert {one["layer"] for one in row["blind"]} >= {"kubelet", "kube-apiserver"}
    assert "seen_by_host" not in row


def test_a_claim_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    """What only the guest says is called that, beside what the host saw."""
    text = answer(capsys, "payments/vault-4", "--width", "0")
    (row,) = json.loads(answer(capsys, "payments/vault-4", "-o", "json"))

    assert "Failed   policy: The agent could not load its policy, as the guest claims" in text
    assert "» " in text
    assert "Host     The agent never answered" in text
    assert row["first"]["claim"] is True
    assert row["seen_by_host"]["cause"] == "agent-unreachable"


def test_an_unknown_cause_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the table knows nothing, the innermost text is given and called what it is."""
    text = answer(capsys, "shop/evil", "--width", "0")

    assert "cri: The sandbox could not be made; the cause is not known" in text
    assert "moon" in text


@pytest.mark.parametrize("form", ["text", "json", "jsonl"])
def test_no_control_character_of_a_log_is_sent(capsys: pytest.CaptureFixture[str], form: str) -> None:
    """A log cannot speak to the terminal through an error."""
    text = answer(capsys, "shop/evil", "-o", form)

    assert all(character == "\n" or character.isprintable() for character in text)


def test_nothing_in_the_asked_time_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty answer is a sentence, not silence."""
    text = answer(capsys, NO_DEVICE, "--since", "2026-11-24", "--width", "0")

    assert text == "Failed   nothing is known: what there is of it is of another time; ask with other --since and --until\n"


def test_an_unknown_name_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    """Who asks for nothing that is there gets usage's exit code and a next step."""
    assert main.run(["why", "shop/nobody"]) == 2
    assert "next:" in capsys.readouterr().err
