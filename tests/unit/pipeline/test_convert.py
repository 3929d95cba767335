"""Rules become queries of others by a program that runs apart, in a Python environment of its own."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from kata_audit.cli import main
from kata_audit.detect.sigma.reader import read_rules
from kata_audit.errors import InputMissingError, ReceiverError
from kata_audit.pipeline.convert import TARGETS, convert
from kata_audit.pipeline.convert_apart import BACKENDS
from kata_audit.rules.files import rule_files

RULE = """\
title: A rule
id: 6a3a4c7e-6b1c-4f0e-9a51-0d6a4f1c0001
name: a_rule
logsource: {product: kata, service: cri}
detection:
  a: {image|cased: "Reg/*", attributes.size|gt: 5}
  b: {body|re: x.y}
  condition: a or b
"""
ABSENCE = """\
title: Nothing came
id: 6a3a4c7e-6b1c-4f0e-9a51-0d6a4f1c0002
name: nothing
absence: {trigger: a_rule, unless: [b_rule], before: 1m}
"""
OTHER = RULE.replace("a_rule", "b_rule").replace("0001", "0003")
RULES = {rule.rule_id: rule for rule in read_rules([("rules.yml", f"{RULE}---\n{ABSENCE}---\n{OTHER}".encode())])}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment that has pySigma, and under the name of one vendor's converter that for SQLite."""
    folder = tmp_path_factory.mktemp("converters")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = next(folder.glob("lib/python3*/site-packages"))
    (packages / "sigma" / "backends" / "splunk").mkdir(parents=True)
    (packages / "sigma" / "backends" / "splunk" / "__init__.py").write_text(
        "from sigma.backends.sqlite import sqliteBackend as SplunkBackend\n"
    )
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_a_rule_is_converted_and_its_losses_told(environment: Path) -> None:
    """The query asks all that the rule asks, where its records come from too; what it cannot keep is stated."""
    (converted,) = convert([RULES["a_rule"]], RULES, "splunk", environment)

    (query,) = converted.queries
    assert "component" in query
    assert "kubelet" in query
    assert "host" in query
    assert "Reg/" in query
    assert any("with case" in loss for loss in converted.losses)
    assert any("RE2" in loss for loss in converted.losses)
    assert any("numbers" in loss for loss in converted.losses)


def test_what_cannot_be_converted_stops_nothing_else(environment: Path) -> None:
    """An absence has no words in Sigma; the rule beside it is converted."""
    absent, present = convert([RULES["nothing"], RULES["a_rule"]], RULES, "splunk", environment)

    assert absent.queries == ()
    assert absent.error == "Sigma has no word for an event that does not come."
    assert present.queries


def test_every_rule_of_the_package_is_answered(environment: Path) -> None:
    """No rule is lost on the way: each has queries, or says why not."""
    rules = {rule.rule_id: rule for rule in read_rules(rule_files())}
    converted = convert(list(rules.values()), rules, "splunk", environment)

    assert [one.rule_id for one in converted] == list(rules)
    assert all(bool(one.queries) != bool(one.error) for one in converted)
    assert sum(bool(one.queries) for one in converted) > len(rules) / 2


def test_an_environment_that_is_not_there_is_told_with_the_command(tmp_path: Path) -> None:
    """The command makes what is missing, whatever its folder is called."""
    with pytest.raises(InputMissingError) as caught:
        convert([RULES["a_rule"]], RULES, "loki", tmp_path / "my converters")

    folder = f"'{tmp_path}/my converters"
    assert caught.value.hint == f"python3 -m venv {folder}' && {folder}/bin/pip' install 'pysigma<2' pysigma-backend-loki"


def test_a_converter_that_is_not_there_is_told(environment: Path) -> None:
    """An environment for one target is none for another."""
    with pytest.raises(InputMissingError, match="lacks the converter"):
        convert([RULES["a_rule"]], RULES, "loki", environment)


def test_a_python_that_is_none_is_told(tmp_path: Path) -> None:
    """Whatever stands where the environment should be, it is an error of the outside world."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\nexit 3\n")
    python.chmod(0o755)

    with pytest.raises(ReceiverError, match="without an answer"):
        convert([RULES["a_rule"]], RULES, "splunk", tmp_path)


def test_targets_are_known_on_both_sides() -> None:
    """The command offers what the program can do."""
    assert TARGETS.keys() == BACKENDS.keys()


def test_the_command(environment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Queries and losses on stdout, what is not converted on stderr and in the exit code."""
    monkeypatch.setenv("KATA_AUDIT_CONVERTERS", str(environment))

    assert main.run(["rules", "convert", "-t", "splunk", "KA-008"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("# KA-008  ")
    assert "#   lost: " in told
    assert main.run(["rules", "convert", "-t", "splunk", "KA-008", "KA-094", "-o", "jsonl"]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith('{"rule":"KA-008","target":"splunk","queries":[')
    assert "KA-094: not converted: Sigma has no word" in captured.err
    assert main.run(["rules", "convert", "-t", "loki", "KA-008"]) == 4
