"""Rules of an operator: files of a folder, and the choice of rules that make no findings here."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from kata_audit.detect.rule import Rule
from kata_audit.detect.sigma.check import KA, check_rules
from kata_audit.detect.sigma.documents import MAX_BYTES
from kata_audit.detect.sigma.reader import examine_rules, mistakes
from kata_audit.detect.sigma.values import Lists
from kata_audit.errors import InputMissingError, Problem, RulesError
from kata_audit.pipeline.samples import read_samples, shortfalls

FEWEST: Final = {True: 2, False: 2}
"""A rule of ours has so many samples that match, and so many near misses, at least."""
ENDINGS: Final = (".yml", ".yaml")


def read_folder(folder: Path) -> list[tuple[str, bytes]]:
    """Read the rule files in a folder and below it, in order of names; hidden ones are left out.

    Raises:
        InputMissingError: The folder or a file of it cannot be read.
    """
    if not folder.is_dir():
        raise InputMissingError("The folder of rules does not exist.", where=str(folder))
    return [(str(path), read_file(path)) for path in sorted(_files(folder))]


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in ENDINGS and not hidden and path.is_file():
            yield path


def read_file(path: Path) -> bytes:
    """Read one rule file, up to a byte more than one may have.

    Raises:
        InputMissingError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputMissingError(f"A rule file cannot be read: {error.strerror}.", where=str(path)) from error


class Shipped(NamedTuple):
    """Rule files of the package, and samples by the names of their rules."""

    files: list[tuple[str, bytes]]
    samples: dict[str, bytes]


class Checked(NamedTuple):
    """How much was checked and found good."""

    rules: int
    files: int


def check(
    own: Sequence[tuple[str, bytes]], shipped: Shipped, lists: Lists, events: Collection[str], *, only_own: bool
) -> Checked:
    """Check rule files, and what rules of ours must have.

    Args:
        own: Files that are not of the package, or of a package that is being written; samples of their rules lie beside
            them, in `samples/` or `../samples/`. A file of the package that stands here too is taken from here.
        shipped: Those of the package.
        lists: Values of lists.
        events: Every event name that a record can have.
        only_own: Tell of nothing but `own`.

    Raises:
        RulesError: With every mistake.
    """
    named = {name for name, _ in own}
    replaced = {"/".join(Path(name).parts[-2:]) for name in named}
    files = [*(one for one in shipped.files if one[0] not in replaced), *own]
    rules, problems = examine_rules(files, lists)
    samples = gather_samples(rules, named, shipped.samples)
    problems += check_rules(rules, events)
    for rule in rules:
        if KA.fullmatch(rule.rule_id):
            problems += _check_samples(rule, samples.get(rule.rule_id))
    told = [problem for problem in sorted(problems) if not only_own or problem.where.rpartition(":")[0] in named]
    if told:
        raise mistakes(told)
    counted = [rule for rule in rules if not only_own or rule.place.rpartition(":")[0] in named]
    return Checked(len(counted), len(own) if only_own else len(files))


def _check_samples(rule: Rule, content: bytes | None) -> list[Problem]:
    name = f"samples/{rule.rule_id}.jsonl"
    if content is None:
        return [Problem(rule.place, f"{rule.rule_id}: There is no file of samples, `{name}`.")]
    samples, problems = read_samples(content, name)
    at_rule = [f"{name}: {problem.where.rpartition(':')[2]}: {problem.message}" for problem in problems]
    return [Problem(rule.place, f"{rule.rule_id}: {message}") for message in (*at_rule, *shortfalls(samples, FEWEST))]


def gather_samples(rules: Sequence[Rule], own: Collection[str], shipped: Mapping[str, bytes]) -> dict[str, bytes]:
    """Give the samples of rules by their names.

    Args:
        rules: The rules.
        own: Names of the files that are not of the package: samples of their rules lie beside them.
        shipped: Those of the package.
    """
    samples = dict(shipped)
    for rule in rules:
        file = Path(rule.place.rpartition(":")[0])
        if str(file) in own and KA.fullmatch(rule.rule_id):
            samples.pop(rule.rule_id, None)
            samples |= _samples_beside(file, rule.rule_id)
    return samples


def _samples_beside(file: Path, rule_id: str) -> dict[str, bytes]:
    for folder in (file.parent, file.parent.parent):
        path = folder / "samples" / f"{rule_id}.jsonl"
        if path.is_file():
            return {rule_id: path.read_bytes()}
    return {}


def switch_off(rules: Sequence[Rule], off: Collection[str]) -> tuple[Rule, ...]:
    """Let some rules make no findings of their own; rules that count them still do.

    Raises:
        RulesError: There is no such rule.
    """
    unknown = sorted(set(off) - {rule.rule_id for rule in rules})
    if unknown:
        raise RulesError(
            f"There is no rule {', '.join(unknown)} to switch off.",
            where="rules.off",
            hint="`kata-audit rules list` has all.",
        )
    return tuple(replace(rule, silent=True) if rule.rule_id in off else rule for rule in rules)
