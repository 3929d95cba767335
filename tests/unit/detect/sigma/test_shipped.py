"""The rules of the package: whole, and each of their lists is used."""

from importlib import resources

from kata_audit import wiring
from kata_audit.config import RuleSettings
from kata_audit.detect.rule import Absence, Correlation
from kata_audit.detect.sigma.check import KA
from kata_audit.detect.sigma.lists import LISTS
from kata_audit.detect.sigma.reader import read_rules
from kata_audit.predicate.sql import print_sql
from kata_audit.rules.files import rule_files, sample_files


def test_every_rule_is_whole() -> None:
    """What `rules check` asks of rules of ours holds for each."""
    checked = wiring.check_rules([], RuleSettings())

    assert checked.rules >= checked.files == len(rule_files())


def test_there_are_as_many_as_promised() -> None:
    """Ninety rules at least, with a name and a UUID of their own, and no samples of a rule that is not."""
    named = {rule.rule_id for rule in read_rules(rule_files()) if KA.fullmatch(rule.rule_id)}

    assert len(named) >= 90
    assert sample_files().keys() == named
    assert all(not rule.silent for rule in read_rules(rule_files()) if rule.rule_id in named)


def test_every_list_is_used_and_empty_lists_take_nothing_away() -> None:
    """No list is offered that nothing reads; each changes some rule where it is filled."""
    texts = b"".join(content for _, content in rule_files()).decode()
    unused = [name for name in LISTS if f"%{name}%" not in texts]

    assert not unused


def test_every_condition_is_printed() -> None:
    """No rule says what DuckDB cannot be asked."""
    for rule in read_rules(rule_files()):
        if not isinstance(rule.when, Correlation | Absence):
            assert print_sql(rule.when).text


def test_the_package_holds_the_files() -> None:
    """The files lie where an installed package looks for them."""
    folder = resources.files("kata_audit.rules")

    assert {name.partition("/")[0] for name, _ in rule_files()} < {entry.name for entry in folder.iterdir()}
