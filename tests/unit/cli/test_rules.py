"""`kata-audit rules`: what is listed, checked and explained, with an operator's own rules beside those of the package."""

import json
from pathlib import Path

import pytest

from kata_audit.cli import main

MINE = """\
title: Mine
id: 0b5b1f0e-9a51-4f0e-9a51-0d6a4f1c0001
name: mine
logsource: {product: kata, service: cri}
detection:
  selection: {body|contains: "strange \\e]0;title\\a"}
  condition: selection
"""
BURST = """\
title: Burst
id: 0b5b1f0e-9a51-4f0e-9a51-0d6a4f1c0002
name: burst
correlation: {type: event_count, rules: [mine], group-by: [node], timespan: 1h, condition: {gte: 5}}
"""


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of rules that the configuration names."""
    folder = tmp_path / "my-rules"
    folder.mkdir()
    (folder / "mine.yml").write_text(MINE)
    config = tmp_path / "config.toml"
    config.write_text('[rules]\nfolder = "my-rules"\n')
    monkeypatch.setenv("KATA_AUDIT_CONFIG", str(config))
    return folder


def run(*arguments: str) -> int:
    """Run one command line of `rules`."""
    return main.run(["rules", *arguments])


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, object]]:
    """List rules as objects by name."""
    assert run("list", "-o", "jsonl", *arguments) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {row["rule"]: row for row in rows}


def test_own_rules_stand_beside_those_of_the_package(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rules of the folder are read below it too, in both endings; hidden files are not, and parts only with --all."""
    (configured / "below").mkdir()
    (configured / "below" / "burst.yaml").write_text(BURST)
    (configured / ".hidden.yml").write_text("not a rule")

    rules = listed(capsys)
    assert "KA-008" in rules
    assert rules["burst"]["kind"] == "event_count"
    assert rules["burst"]["file"] == f"{configured}/below/burst.yaml:1"
    assert "mine" not in rules
    assert listed(capsys, "--all")["mine"]["silent"] is True


def test_baselines_stand_beside_the_rules(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are listed, explained and turned off as rules are."""
    assert listed(capsys)["KA-B02"]["kind"] == "baseline"
    assert run("explain", "KA-B02", "KA-008") == 0
    assert "A command that was never run in its workload before" in capsys.readouterr().out

    config = configured.parent / "config.toml"
    config.write_text(config.read_text() + 'off = ["KA-B02", "KA-008"]\n')
    assert {"KA-B02", "KA-008"}.isdisjoint(listed(capsys))
    config.write_text(config.read_text() + "[baseline]\nenabled = false\n")
    assert not [name for name in listed(capsys) if name.startswith("KA-B")]


def test_a_rule_can_be_off(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rule that is off makes no findings; one that does not exist cannot be."""
    config = configured.parent / "config.toml"
    config.write_text(config.read_text() + 'off = ["KA-008"]\n')

    assert "KA-008" not in listed(capsys)
    config.write_text(config.read_text().replace("KA-008", "KA-8"))
    assert run("list") == 2
    assert "There is no rule KA-8 to switch off." in capsys.readouterr().err


def test_the_table(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table and CSV have a head and a line for each rule."""
    assert configured.is_dir()
    assert run("list") == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0].split() == ["RULE", "LEVEL", "STATUS", "KIND", "NEEDS", "TITLE"]
    assert "mine" in text
    assert run("list", "-o", "csv") == 0
    assert capsys.readouterr().out.startswith('"rule","title"')


def test_check_tells_every_mistake(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A good file is counted; a bad one is told of by file and line; a named file stands for the folder."""
    assert run("check", str(configured / "mine.yml")) == 0
    assert capsys.readouterr().out == "ok: 1 rules in 1 files\n"
    (configured / "bad.yml").write_text(
        MINE.replace("0001", "0003").replace("name: mine", "name: bad").replace("body", "bod")
    )
    (configured / "burst.yml").write_text(BURST.replace("mine", "KA-008"))

    assert run("check", str(configured / "bad.yml"), str(configured / "burst.yml")) == 2
    told = capsys.readouterr().err
    assert f"{configured}/bad.yml:6: There is no field `bod`; did you mean `body`?" in told
    assert "one mistake" in told
    assert run("check", str(configured / "burst.yml")) == 0
    assert run("check", str(configured / "absent.yml")) == 4
    assert run("check") == 2
    assert "bad.yml:6" in capsys.readouterr().err


def test_explain_says_all(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The words, the query with its parameters, the parts, and nothing of a file raw."""
    (configured / "burst.yml").write_text(BURST)

    assert run("explain", "burst", "KA-008") == 0
    text = capsys.readouterr().out
    assert "within 1 hour, with the same `node`: at least 5 events of `mine`" in text
    assert r"`body` contains `strange \x1b]0;title\x07`" in text
    assert 'SELECT * FROM records WHERE (("origin" = ?)' in text
    assert "the log of containerd, CRI-O or the kubelet" in text
    assert "\x1b" not in text
    assert run("explain", "mine", "-o", "json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["query"]["parameters"][0] == "host"
    assert run("explain", "nix", "KA-008") == 2
    assert "There is no rule nix." in capsys.readouterr().err


def test_a_missing_folder_is_told(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that does not exist is a missing input."""
    (configured.parent / "config.toml").write_text('[rules]\nfolder = "none"\n')

    assert run("list") == 4
    assert "The folder of rules does not exist." in capsys.readouterr().err


def test_lists_are_filled_from_the_configuration(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list reaches the rules that name it; a wrong name is told."""
    (configured / "mine.yml").write_text(MINE.replace("body|contains: ", "body|expand: '%allowed_devices%', image: "))
    config = configured.parent / "config.toml"
    config.write_text(config.read_text() + '[rules.lists]\nallowed_devices = ["reg/*"]\n')

    assert run("explain", "mine") == 0
    assert "`body` begins with `reg/`" in capsys.readouterr().out
    config.write_text(config.read_text().replace("allowed_devices", "allowed_device"))
    assert run("list") == 2
    assert "there is no `allowed_device`; did you mean `allowed_devices`" in capsys.readouterr().err
