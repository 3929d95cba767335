"""`rules test` and `rules hunt`: samples, changed conditions, and rules over history."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.stores import captured_store

from kata_audit.cli import main

RULE = (Path(__file__).parents[1] / "pipeline" / "judging_rules.yml").read_text()


def line(message: str) -> str:
    """Spell a line of containerd."""
    return f'time="2026-11-23T06:00:00Z" level=info msg="{message}"'


SAMPLE = {"expect": "match", "name": "the word", "from": "written", "transport": "host-file", "lines": [line("wanted word")]}


@pytest.fixture(autouse=True)
def _place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[rules]\nfolder = "rules"\n')
    (tmp_path / "rules" / "samples").mkdir(parents=True)
    (tmp_path / "rules" / "one.yml").write_text(RULE)
    monkeypatch.setenv("KATA_AUDIT_STORE", str(tmp_path / "trail"))
    monkeypatch.setenv("KATA_AUDIT_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.delenv("KATA_AUDIT_KEYS", raising=False)


def write_samples(tmp_path: Path, *samples: Mapping[str, object]) -> None:
    """Put samples beside the operator's rule."""
    lines = "".join(json.dumps(one) + "\n" for one in samples)
    (tmp_path / "rules" / "samples" / "KA-901.jsonl").write_text(lines)


def near(text: str) -> Mapping[str, object]:
    """Make a near miss of a message."""
    return SAMPLE | {"expect": "near", "name": text, "lines": [line(text)]}


def test_a_condition_that_a_near_miss_needs_is_needed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without the near miss nobody would notice its loss."""
    counts = []
    for samples in ((SAMPLE,), (SAMPLE, near("unwanted word"))):
        write_samples(tmp_path, *samples)
        assert main.run(["rules", "test", "KA-901", "-o", "json"]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        counts.append((row["samples"], row["conditions"], row["shown"], row["needed"]))

    assert counts == [(1, 1, 1, 0), (2, 1, 1, 1)]


def test_samples_that_do_otherwise_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With file and line, all of them, and an exit code that a pipeline sees."""
    write_samples(tmp_path, SAMPLE | {"lines": [line("other")], "name": "other"}, near("wanted too"))

    assert main.run(["rules", "test", "KA-901", "--no-mutate"]) != 0

    told = capsys.readouterr().err
    assert "KA-901.jsonl:1: KA-901: `other` is expected to match, and does not" in told
    assert "KA-901.jsonl:2: KA-901: `wanted too` is a near miss, and matches" in told


@pytest.mark.parametrize("command", ["test", "hunt"])
def test_a_rule_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Before anything is tried."""
    assert main.run(["rules", command, "KA-999"]) == 2 or "no rule KA-999" in capsys.readouterr().err


def test_history_is_judged_and_the_blind_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A store of real captures: a configuration that cannot be used is found, quiet rules are quiet, and rules without their source are blind."""
    captured_store(tmp_path / "trail")

    assert main.run(["rules", "hunt", "--verdicts", "-o", "json"]) == 0
    verdicts = {row["rule"]: row for row in json.loads(capsys.readouterr().out)}
    assert main.run(["rules", "hunt", "-o", "jsonl"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert main.run(["rules", "hunt"]) == 0
    text = capsys.readouterr().out

    assert {row["rule_id"] for row in found} == {rule for rule, row in verdicts.items() if row["verdict"] == "found"}
    assert "KA-103" in {row["rule_id"] for row in found}
    assert all(row["records"] for row in found)
    blind = [row for row in verdicts.values() if row["verdict"] == "blind"]
    assert blind
    assert all(row["blind_without"] and not row["findings"] for row in blind)
    assert f"{len(verdicts)} rules: " in text


def test_hunting_finds_what_judging_found(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The same rule, the same records, the same names of findings."""
    log = tmp_path / "x.log"
    log.write_text("".join(line(f"wanted {at}") + "\n" for at in range(20)))
    assert main.run(["ingest", "--transport", "host-file", str(log)]) == 0
    assert "11 findings" in capsys.readouterr().err
    assert main.run(["search", "component:kata-audit", "-o", "jsonl"]) == 0
    judged = [json.loads(line)["attributes"]["finding.id"] for line in capsys.readouterr().out.splitlines()]

    assert main.run(["rules", "hunt", "KA-901", "-o", "jsonl"]) == 0

    assert [json.loads(line)["finding_id"] for line in capsys.readouterr().out.splitlines()] == judged


ABSENCE = """\
title: A word without its answer
id: 0f5b1d9e-30c5-4f83-9b44-1d2f0b6a7c11
name: KA-903
status: test
level: medium
absence: {trigger: ka_903_word, unless: [ka_903_answer], group-by: [node], before: 1m, after: 10s}
description: For tests.
references: []
tags: [attack.t1611]
falsepositives: []
kata: {needs: [[cri]], group-by: [node], respond: [Look.], controls: [], evasions: []}
---
title: The word
id: 0f5b1d9e-30c5-4f83-9b44-1d2f0b6a7c12
name: ka_903_word
status: test
level: low
logsource: {product: kata}
detection: {word: {body: asked}, condition: word}
---
title: The answer
id: 0f5b1d9e-30c5-4f83-9b44-1d2f0b6a7c13
name: ka_903_answer
status: test
level: low
logsource: {product: kata}
detection: {word: {body: answered}, condition: word}
"""


@pytest.mark.parametrize("speaks", [True, False])
def test_hunting_knows_who_spoke(capsys: pytest.CaptureFixture[str], tmp_path: Path, *, speaks: bool) -> None:
    """The source that would have told is there by records that no rule asks for."""
    (tmp_path / "rules" / "two.yml").write_text(ABSENCE)
    entry = {"__CURSOR": "s=1", "__REALTIME_TIMESTAMP": "1795413540000000", "_COMM": "containerd", "_PID": "7"}
    entry |= {"_TRANSPORT": "stdout", "SYSLOG_IDENTIFIER": "containerd", "MESSAGE": line("hello")}
    (tmp_path / "journal.json").write_text(json.dumps(entry) + "\n")
    lines = (line("asked"), line("asked").replace("06:00:00", "07:00:00").replace("asked", "other"))
    (tmp_path / "x.log").write_text("".join(f"{one}\n" for one in lines))
    if speaks:
        assert main.run(["ingest", "--transport", "journal-json", str(tmp_path / "journal.json")]) == 0
    assert main.run(["ingest", "--transport", "host-file", str(tmp_path / "x.log")]) == 0
    capsys.readouterr()

    assert main.run(["rules", "hunt", "KA-903", "-o", "jsonl"]) == 0

    assert [json.loads(one)["rule_id"] for one in capsys.readouterr().out.splitlines()] == ["KA-903"] * speaks
