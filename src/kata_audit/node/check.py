"""What a check is: a question about a node with an answer that a person can act on.

PASS, FAIL and WARN say what was seen. BLIND says that it cannot be seen, and why: what nobody can see never passes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from kata_audit.node.host import Host
from kata_audit.node.layout import Layout, RuntimeClass, Setting


class Status(StrEnum):
    """What came of a check."""

    PASS = "pass"  # noqa: S105 -- a word
    """It is as it should be."""
    FAIL = "fail"
    """It is not, and something is lost or open."""
    WARN = "warn"
    """It may be meant, and has a price; or something elsewhere decides, and one sandbox shows it."""
    BLIND = "blind"
    """It cannot be told here."""


class Severity(StrEnum):
    """How bad a failure is."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class Evidence(NamedTuple):
    """Where an answer is from: a file, its line where one decides, and what stands there."""

    path: str
    line: int | None
    text: str


class Answer(NamedTuple):
    """One answer of a check, about the node or about one runtime class of it (`subject` is then its handler)."""

    subject: str
    status: Status
    said: str
    evidence: tuple[Evidence, ...] = ()


class Node(NamedTuple):
    """What checks look at."""

    layout: Layout
    host: Host


class Check(NamedTuple):
    """A check.

    Args:
        id: Its number, for good.
        title: What should hold, one sentence.
        why: Why it matters.
        remedy: The next step where it does not hold.
        severity: How bad a failure is.
        controls: What it serves: clauses of PCI DSS, HIPAA, GDPR.
        run: Gives the answers.
    """

    id: str
    title: str
    why: str
    remedy: str
    severity: Severity
    controls: tuple[str, ...]
    run: Callable[[Node], Iterable[Answer]]


NODE = "node"
"""Subject of an answer about the whole node."""
_Judge = Callable[[Node, RuntimeClass], "Answer | None"]


def passed(said: str, *evidence: Evidence, subject: str = NODE) -> Answer:
    """Answer that it holds."""
    return Answer(subject, Status.PASS, said, evidence)


def failed(said: str, *evidence: Evidence, subject: str = NODE) -> Answer:
    """Answer that it does not hold."""
    return Answer(subject, Status.FAIL, said, evidence)


def warned(said: str, *evidence: Evidence, subject: str = NODE) -> Answer:
    """Answer that it has a price."""
    return Answer(subject, Status.WARN, said, evidence)


def blind(said: str, *evidence: Evidence, subject: str = NODE) -> Answer:
    """Answer that it cannot be told."""
    return Answer(subject, Status.BLIND, said, evidence)


def of_classes(judge: _Judge, *, idle: _Judge | None = None) -> Callable[[Node], Iterator[Answer]]:
    """Make a check of every runtime class: one that does not load is answered blind, for nothing of it is in force.

    Args:
        judge: Answers for one class; None where the check has no meaning for it.
        idle: Answers for one that does not load, where something can be told of it; None where nothing can.
    """

    def run(node: Node) -> Iterator[Answer]:
        for one in node.layout.classes:
            name = one.handler.name
            told = idle(node, one) if idle is not None and not one.loads else None
            if told is not None:
                yield told._replace(subject=name)
                continue
            if not one.loads:
                why = "its configuration does not load" if one.base_file else "its configuration file was not found"
                yield blind(f"Nothing is in force: {why}.", subject=name)
                continue
            answer = judge(node, one)
            if answer is not None:
                yield answer._replace(subject=name)

    return run


def setting_of(one: RuntimeClass, key: str) -> Setting | None:
    """Give an audited key of a class where its release reads it."""
    found = one.effective.get(key)
    return found if found is not None and found.known else None


def shown(one: RuntimeClass, key: str) -> Evidence:
    """Give the place of a setting as evidence."""
    setting = one.effective[key]
    return Evidence(setting.place.path, setting.place.line, f"{key.partition('.')[2]} = {spelled(setting.value)}")


def spelled(value: object) -> str:
    """Spell a value as TOML does, shortly."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(spelled(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def kernel_parameters(one: RuntimeClass) -> list[tuple[str, str]]:
    """Split a class's kernel parameters into names and values; one that comes twice is given twice."""
    setting = one.effective.get("hypervisor.kernel_params")
    words = str(setting.value).split() if setting is not None else []
    return [(name, value) for name, _, value in (word.partition("=") for word in words)]
