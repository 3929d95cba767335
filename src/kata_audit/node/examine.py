"""Examine a node: read it, ask every check, and hold the answers."""

import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from kata_audit.errors import CatalogError, Problem
from kata_audit.node import class_checks, host_checks, questions
from kata_audit.node.check import (
    Answer,
    Check,
    Node,
    Severity,
    Status,
    failed,
    of_classes,
    passed,
    setting_of,
    shown,
    warned,
)
from kata_audit.node.host import read_host
from kata_audit.node.keys import Keys
from kata_audit.node.layout import DEFAULT, RuntimeClass, read_layout
from kata_audit.node.tree import Tree

_JUDGES: Final[Mapping[str, Callable[[Node], Iterable[Answer]]]] = {
    **questions.JUDGES,
    **class_checks.JUDGES,
    **host_checks.JUDGES,
}
_WRONG: Final[Mapping[str, Callable[[Any], bool]]] = {
    "set": bool,
    "unset": lambda value: not value,
    "clear-text": lambda value: str(value).startswith("http://"),
}


class Finding(NamedTuple):
    """A check with one of its answers."""

    check: Check
    answer: Answer


class Examination(NamedTuple):
    """A node and all that was found."""

    node: Node
    findings: tuple[Finding, ...]

    def worst(self, severity: Severity) -> list[Finding]:
        """Give the failures of at least a severity."""
        order = list(Severity)
        limit = order.index(severity)
        return [
            one for one in self.findings if one.answer.status is Status.FAIL and order.index(one.check.severity) <= limit
        ]


def load_checks(text: bytes) -> tuple[Check, ...]:
    """Read the table of checks.

    Args:
        text: `checks.toml`.

    Raises:
        CatalogError: Names every mistake.
    """
    checks, problems = [], []
    for stated in tomllib.loads(text.decode())["check"]:
        run = _one_key(stated) if "key" in stated else _JUDGES.get(stated["id"])
        if run is None:
            problems.append(Problem(stated["id"], "nothing answers it"))
            continue
        severity, controls = Severity(stated["severity"]), tuple(stated.get("controls", ()))
        checks.append(Check(stated["id"], stated["title"], stated["why"], stated["remedy"], severity, controls, run))
    problems += [Problem(name, "has no entry") for name in sorted(_JUDGES.keys() - {check.id for check in checks})]
    if problems:
        raise CatalogError("The table of checks has mistakes.", problems=problems)
    return tuple(checks)


def _one_key(stated: Mapping[str, Any]) -> Callable[[Node], Iterator[Answer]]:
    """Make a check of one key of each class; a class whose release does not read the key is not asked."""
    key, is_wrong, said, good = stated["key"], _WRONG[stated["wrong"]], stated["said"], stated["good"]
    complain = warned if stated.get("price") else failed

    def judge(_: Node, one: RuntimeClass) -> Answer | None:
        setting = setting_of(one, key)
        if setting is None:
            return None
        evidence = shown(one, key)
        if is_wrong(setting.value):
            return complain(said, evidence)
        return passed(good) if setting.place.path == DEFAULT else passed(good, evidence)

    return of_classes(judge)


def examine(
    tree: Tree, keys: Keys, checks: Iterable[Check], *, only: Collection[str] = (), without: Collection[str] = ()
) -> Examination:
    """Examine a node.

    Args:
        tree: Its files.
        keys: The table of Kata's keys.
        checks: What to ask.
        only: Ask only these; all where none is named.
        without: Do not ask these.

    Returns:
        The answers in the order of the checks, and of each check in the order of the node's classes.
    """
    node = Node(read_layout(tree, keys), read_host(tree))
    asked = [check for check in checks if (not only or check.id in only) and check.id not in without]
    return Examination(node, tuple(Finding(check, answer) for check in asked for answer in check.run(node)))
