"""`node canary` answers with its exit code, in three forms, and sends nothing of a log to the terminal as it is."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.unit.node.stand_in import calls_in, path_with, put_kubectl
from tests.unit.node.test_canary import NEW, cri, shim

from kata_audit.cli import main

HOSTILE = "\x1b]52;c;AAAA\x07"


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("KATA_AUDIT_STORE", str(tmp_path / "trail"))
    monkeypatch.setenv("KATA_AUDIT_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("KATA_AUDIT_KEYS", raising=False)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Write what containerd's own file has of one sandbox of a Go shim."""
    path = tmp_path / "containerd.log"
    path.write_text(cri(NEW, 0) + shim(NEW, 1, "loaded configuration") + shim(NEW, 2, "VM started"))
    return path


def answer(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 1) -> str:
    assert main.run(["node", "canary", *map(str, arguments)]) == code
    return capsys.readouterr().out


def test_a_failed_layer_is_named_with_the_next_step(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What did not arrive stands with its reason and what to do; the command ends with 1."""
    text = answer(capsys, "--transport", "host-file", log)

    assert text.startswith(f"sandbox {NEW}, pod shop/web\n")
    assert "FAIL  shim-syslog    Go shim, copy B: through syslog\n" in text
    assert "→ Collect the journal by `SYSLOG_IDENTIFIER=kata`" in text
    assert f"first\n      {log}@" in text or f"first {log}@" in text


def test_the_answer_is_an_object_or_a_line_for_each_layer(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program reads the same answer whole or layer by layer."""
    whole = json.loads(answer(capsys, "--transport", "host-file", log, "-o", "json"))
    lines = [json.loads(one) for one in answer(capsys, "--transport", "host-file", log, "-o", "jsonl").splitlines()]

    assert (whole["sandbox_id"], whole["k8s_pod"], whole["failed"]) == (NEW, "web", True)
    assert [one["layer"] for one in whole["layers"]] == [one["layer"] for one in lines]
    assert {one["status"] for one in lines} == {"pass", "fail", "blind"}
    assert {one["sandbox_id"] for one in lines} == {NEW}
    stream = next(one for one in lines if one["layer"] == "shim-stream")
    assert (stream["records"], stream["last"]) == (2, "2026-11-23T06:10:02.000000000Z")


def test_a_store_answers_alike_with_numbers_for_names(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ingested, the same records give the same answers; each is named by the log's origin and its number."""
    from_file = json.loads(answer(capsys, "--transport", "host-file", log, "-o", "json"))
    assert main.run(["ingest", "--transport", "host-file", str(log)]) == 0
    capsys.readouterr()
    for whose in ((), ("--pod", "shop/web"), ("--sandbox", NEW[:8])):
        stored = json.loads(answer(capsys, *whose, "-o", "json"))
        names = [one.pop("record") for one in stored["layers"] if "record" in one]

        assert stored["layers"] == [{k: v for k, v in one.items() if k != "record"} for one in from_file["layers"]]
        assert [name.rpartition("/")[2] for name in names] == ["0", "1"]


def test_who_never_came_fails(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pod of which no record came is an answer, not a mistake of the asker."""
    assert main.run(["ingest", "--transport", "host-file", str(log)]) == 0
    assert "FAIL  cri" in answer(capsys, "--pod", "shop/other")
    assert "FAIL  cri" in answer(capsys, "--transport", "host-file", log, "--sandbox", "ff" * 32)


def test_hostile_bytes_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names out of a log reach the terminal as visible characters only."""
    path = tmp_path / f"a{HOSTILE}.log"
    path.write_text(cri(NEW, 0, pod=f"w{HOSTILE}") + shim(NEW, 1, "VM started"))
    for form in ("text", "json", "jsonl"):
        text = answer(capsys, "--transport", "host-file", path, "-o", form)

        assert all(one.isprintable() for one in text.splitlines())


@pytest.mark.parametrize(
    "arguments",
    [("--expect", "moon"), ("--pod", "web"), ("--pod", "a/b", "--sandbox", "abcd")],
    ids=["no such layer", "no namespace", "two names"],
)
def test_mistakes_are_said(arguments: tuple[str, ...], log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be meant ends with 2 before anything is read."""
    answer(capsys, *arguments, log, code=2)


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program in kubectl's place that writes containerd's log of what it is asked for."""
    kept = put_kubectl(tmp_path / "bin", tmp_path / "node.log", NEW)
    (tmp_path / "node.log").touch()
    monkeypatch.setenv("PATH", path_with(tmp_path / "bin"))
    return kept


RUN = ("--run", "--runtime-class", "kata", "--settle", "1", "--transport", "host-file")


def test_its_own_pod_is_looked_at(calls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the pod it made it finds the sandbox and the command of its exec; a kubelet must have spoken of it."""
    whole = json.loads(answer(capsys, *RUN, tmp_path / "node.log", "-o", "json"))
    layers = {one["layer"]: one["status"] for one in whole["layers"]}

    assert [one["arguments"][0] for one in calls_in(calls)] == ["create", "wait", "exec", "delete"]
    assert whole["sandbox_id"] == NEW
    assert whole["k8s_pod"].startswith("kata-audit-canary-")
    assert layers | {"cri": "pass", "shim-stream": "pass", "exec": "pass", "kubelet": "fail"} == layers


def test_without_an_exec_nothing_is_said_of_its_command(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pod was not ready: its layers are looked at, and what kubectl said is shown, not sent."""
    monkeypatch.setenv("STAND_IN_FAILS", "wait")
    assert main.run(["node", "canary", *RUN, str(tmp_path / "node.log")]) == 1
    out, err = capsys.readouterr()

    assert calls_in(calls)[-1]["arguments"][0] == "delete"
    assert "BLIND exec " in out
    assert r"\x1b]52" in err
    assert "\x1b" not in err


def test_ctrl_c_takes_the_pod_away(calls: Path, tmp_path: Path) -> None:
    """Interrupted while it waits, and once more while it cleans up, the command has deleted its pod when it ends."""
    command = [sys.executable, "-c", "from kata_audit.cli.main import main; main()", "node", "canary", *RUN]
    environment = {**os.environ, "STAND_IN_HANGS": "wait"}
    with subprocess.Popen([*command, str(tmp_path / "node.log")], env=environment, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while not (calls.exists() and "wait" in calls.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130

    assert [one["arguments"][0] for one in calls_in(calls)] == ["create", "wait", "delete"]


@pytest.mark.parametrize(
    "arguments",
    [("--run",), ("--run", "--runtime-class", "kata", "-"), ("--run", "--runtime-class", "kata", "--pod", "a/b")],
    ids=["no class", "stdin", "another pod"],
)
def test_no_pod_is_made_by_mistake(calls: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be meant is refused before the cluster is asked for anything; so is a store that is not there."""
    answer(capsys, *arguments, code=2)
    answer(capsys, "--run", "--runtime-class", "kata", code=4)

    assert not calls.exists()
